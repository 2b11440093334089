"""METRO's masking of input tokens (Lin et al., CVPR 2021): what is hidden has to be inferred from the rest."""

import torch
from torch import Tensor

MASKED_VALUE = 0.01  # every entry of a hidden token, as in METRO's code


def draw_masked_tokens(present: Tensor, largest: float, generator: torch.Generator | None = None) -> Tensor:
    """Which tokens to hide: (G, T) bool.

    For each group a share is drawn from [0, `largest`), and so much, rounded down, of its `present` (G, T) bool tokens
    are chosen without repetition. The numbers are drawn on the generator's device (default: where `present` is).
    """
    device = present.device if generator is None else generator.device
    numbers = torch.rand(len(present), 1 + present.shape[1], generator=generator, device=device).to(present.device)
    count = (numbers[:, :1] * largest * present.sum(1, keepdim=True)).floor()
    order = numbers[:, 1:].masked_fill(~present, 2)
    return order.argsort(1).argsort(1) < count
