"""People on the ground of a world with y up: alone, in pairs and in groups."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mesh_perception.synthetic.cameras import uniform

_APART = (0.25, 1.5)  # m between the circles around people who are not one group


@dataclass(frozen=True)
class Placement:
    """Where N people stand: turns x + places is the world's point of x, which is relative to the pelvis."""

    turns: Tensor  # (N, 3, 3) about y
    places: Tensor  # (N, 3) of the pelvis, m; the lowest vertex lies on the ground, y = 0
    groups: Tensor  # (N,) int64: who is together with whom


def place(vertices: Tensor, settings, generator: torch.Generator) -> Placement:
    """Places people whose vertices (N, V, 3) are given around the pelvis, upright."""
    count = len(vertices)
    angles = 2 * math.pi * torch.rand(count, generator=generator)
    radii = vertices[..., 0::2].norm(dim=-1).amax(1)
    ground = []
    for person in range(count):
        spot = torch.zeros(2)
        bearing = uniform(0, 2 * math.pi, generator)
        gap = uniform(*_APART, generator)
        step = torch.tensor((math.cos(bearing), math.sin(bearing))) * 0.1
        while any((spot - other).norm() < radii[person] + radii[k] + gap for k, other in enumerate(ground)):
            spot = spot + step
        ground.append(spot)
    places = torch.stack(
        [torch.tensor((x, -low, z)) for (x, z), low in zip(ground, vertices[..., 1].amin(1), strict=True)]
    )
    return Placement(turns_about_y(angles), places, torch.arange(count))


def turns_about_y(angles: Tensor) -> Tensor:
    """Rotations (N, 3, 3) by angles (N,), radians, from z towards x."""
    cosine, sine, zero, one = angles.cos(), angles.sin(), torch.zeros_like(angles), torch.ones_like(angles)
    rows = [(cosine, zero, sine), (zero, one, zero), (-sine, zero, cosine)]
    return torch.stack([torch.stack(row, -1) for row in rows], -2)
