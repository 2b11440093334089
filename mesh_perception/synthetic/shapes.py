"""Shapes to draw people in."""

import torch
from torch import Tensor

from mesh_perception.body import BodyModel

_LARGEST = 2.5  # standard deviations: beyond, one coefficient alone makes a body that nobody has


def sample_betas(count: int, body: BodyModel, generator: torch.Generator) -> Tensor:
    """Shape coefficients (count, B) of people as the body model has them.

    The coefficients of SMPL and of the open body are principal components in standard deviations: a normal
    distribution, truncated. The same for the same state of the generator (CPU).
    """
    inside = torch.special.ndtr(torch.tensor(_LARGEST))
    share = torch.rand(count, body.num_betas, generator=generator)
    return torch.special.ndtri(1 - inside + share * (2 * inside - 1)).clamp(-_LARGEST, _LARGEST)
