"""The One-Euro filter (Casiez, Roussel and Vogel, CHI 2012) for rotations, as a batch.

A low-pass filter of first order whose cutoff rises with the speed: steady while somebody holds still, quick when they
move. Here the difference of two rotations is the rotation vector from one to the other, speed is the length of the
filtered angular velocity, and a step is taken along the shortest turn, so that what comes out is a rotation.
"""

from dataclasses import dataclass, replace
from math import pi

import torch
from torch import Tensor

from mesh_perception.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from mesh_perception.types import _Batch


@dataclass(frozen=True)
class OneEuro:
    """The filter's three parameters."""

    cutoff: float  # Hz, of what holds still
    slope: float  # Hz per rad/s: what the cutoff gains with speed
    speed_cutoff: float  # Hz, of the speed itself


@dataclass
class Turning(_Batch):
    """What the filter remembers of N things with J rotations each."""

    rotations: Tensor  # (N, J, 3, 3) filtered
    speeds: Tensor  # (N, J, 3) rad/s, filtered angular velocities in the rotations' own axes


def start(rotations: Tensor) -> Turning:
    """From first rotations (N, J, 3, 3)."""
    return Turning(rotations, torch.zeros_like(rotations[..., 0]))


def share(cutoff, step):
    """How much of a new value a low-pass filter of first order takes over: cutoff in Hz, step in s."""
    return 1 / (1 + 1 / (2 * pi * cutoff * step))


def smooth(turning: Turning, rotations: Tensor, step: Tensor, parameters: OneEuro) -> Turning:
    """With new rotations (N, J, 3, 3), step (N,) s > 0 after the last."""
    step = step.to(rotations)[:, None, None]
    change = matrix_to_axis_angle(turning.rotations.mT @ rotations)
    speeds = torch.lerp(turning.speeds, change / step, share(parameters.speed_cutoff, step))
    cutoff = parameters.cutoff + parameters.slope * speeds.norm(dim=-1, keepdim=True)
    filtered = turning.rotations @ axis_angle_to_matrix(share(cutoff, step) * change)
    return replace(turning, rotations=filtered, speeds=speeds)
