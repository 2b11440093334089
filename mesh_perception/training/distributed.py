"""Training on several GPUs or machines: what `torchrun` starts, and one process alone as the same thing."""

import os
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

_PATIENCE = timedelta(hours=2)  # the others wait while process 0 validates and writes


@dataclass(frozen=True)
class Process:
    """One of `world` processes that train the same networks."""

    device: torch.device
    rank: int = 0
    world: int = 1
    group: Any = None  # for few numbers on the CPU, without waiting for the GPU

    @property
    def first(self):
        """Whether this is the one that writes files and speaks."""
        return self.rank == 0

    def gather(self, number: int) -> list[int]:
        """Every process' number."""
        if self.world == 1:
            return [int(number)]
        numbers = [torch.zeros(1, dtype=torch.int64) for _ in range(self.world)]
        distributed.all_gather(numbers, torch.tensor([int(number)]), group=self.group)
        return [int(n) for n in numbers]


@contextmanager
def joined(device: torch.device):
    """The Process that torchrun's environment says this is, connected to the others while the context lasts; without
    torchrun, one alone. With several processes on a machine `cuda` is one GPU each."""
    world, local = int(os.environ.get('WORLD_SIZE', 1)), int(os.environ.get('LOCAL_RANK', 0))
    if world == 1:
        yield Process(device)
        return
    if device.type == 'cuda':
        if local >= torch.cuda.device_count():
            raise ValueError(f'process {local} on this machine has no GPU: there are {torch.cuda.device_count()}')
        device = torch.device('cuda', local)
        torch.cuda.set_device(device)
    distributed.init_process_group('nccl' if device.type == 'cuda' else 'gloo', timeout=_PATIENCE)
    try:
        yield Process(device, distributed.get_rank(), world, distributed.new_group(backend='gloo', timeout=_PATIENCE))
    finally:
        distributed.destroy_process_group()


class Side(nn.Module):
    """Networks that are trained together, with their losses as the forward pass: what DistributedDataParallel takes."""

    def __init__(self, networks: dict[str, nn.Module], losses: Callable):
        super().__init__()
        self.networks = nn.ModuleDict(networks)
        self.losses = losses

    def forward(self, *arguments):
        return self.losses(*arguments)


def in_parallel(side: Side, process: Process) -> nn.Module:
    """The side itself in one process. In several, all start from the first one's weights, and each step's gradient is
    the mean over the processes."""
    if process.world == 1:
        return side
    return DistributedDataParallel(side, device_ids=[process.device] if process.device.type == 'cuda' else None)
