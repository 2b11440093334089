"""Exponential moving averages of weights, an option: they are what is validated and handed over."""

from contextlib import contextmanager

import torch
from torch import Tensor, nn


def start_average(networks: dict[str, nn.Module]) -> dict[str, Tensor]:
    """Copies of everything in the networks' states, by `network.name`."""
    return {name: tensor.detach().clone() for name, tensor in _states(networks)}


@torch.no_grad()
def update_average(average: dict[str, Tensor], networks: dict[str, nn.Module], decay: float):
    """average <- decay * average + (1 - decay) * weights; counters are copied."""
    for name, tensor in _states(networks):
        if tensor.is_floating_point():
            average[name].lerp_(tensor, 1 - decay)
        else:
            average[name].copy_(tensor)


@contextmanager
def averaged(average: dict[str, Tensor] | None, networks: dict[str, nn.Module]):
    """The networks have the averaged weights inside, and their own again behind; None: their own all along."""
    own = start_average(networks) if average else None
    _fill(networks, average)
    try:
        yield
    finally:
        _fill(networks, own)


def _states(networks):
    return [(f'{name}.{key}', tensor) for name, net in networks.items() for key, tensor in net.state_dict().items()]


@torch.no_grad()
def _fill(networks, tensors):
    for name, tensor in _states(networks) if tensors else ():
        tensor.copy_(tensors[name])
