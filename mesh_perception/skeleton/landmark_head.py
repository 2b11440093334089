"""A learned correction of the joints that the landmarks' linear mapping gives, from the landmarks: the embedded set's
part of f^P that this project trained.

Everything is in the crop's frame, where nothing depends on where in the image somebody stands. The landmark network's
own features are left out: they helped on rendered people and not on footage.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mesh_perception.skeleton.blazepose import Landmarks

INPUTS = 99 + 66 + 3 + 66
_JOINTS = 24
# What a unit of the outputs is, so that all of them are of order one.
_METRES, _SPREADS, _LOG_DEPTH = 0.1, 0.1, 0.1
_SIGMA = 0.06  # m, before anything is learned


class Correction(NamedTuple):
    """What the head adds for N people."""

    relative: Tensor  # (N, 24, 3) m, crop axes, to joints relative to the pelvis; zero for the pelvis
    plane: Tensor  # (N, 24, 2) to the joints on the crop's image plane, x/z and y/z
    log_depth: Tensor  # (N,) log of the factor on the distance of least squares
    sigma: Tensor  # (N, 24) m, standard deviation along each axis of the joints relative to the pelvis, whose own is 0


class LandmarkHead(nn.Module):
    """Landmarks of N crops -> Correction. Starts with none.

    hidden: width; dropout: of the inputs in training; noise: on them in training, in their standard deviations.
    """

    def __init__(self, hidden: int = 320, blocks: int = 2, dropout: float = 0.3, noise: float = 0.0):
        super().__init__()
        self.normalise = nn.BatchNorm1d(INPUTS, affine=False)
        self.dropout, self.noise = nn.Dropout(dropout), noise
        self.first = nn.Linear(INPUTS, hidden)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, hidden), nn.GELU(), nn.Dropout(dropout))
            for _ in range(blocks)
        )
        self.last = nn.Linear(hidden, 6 * _JOINTS + 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, inputs: Tensor, spread: Tensor) -> Correction:
        """inputs (N, INPUTS) and spread (N,) of `head_inputs`."""
        x = self.normalise(inputs.to(self.first.weight.dtype))
        if self.training:
            x = x + self.noise * torch.randn_like(x)
        x = self.dropout(x)
        x = F.gelu(self.first(x))
        for block in self.blocks:
            x = x + block(x)
        x = self.last(x).float()
        relative, plane, sigma = x[:, :-1].unflatten(1, (_JOINTS, 6)).split((3, 2, 1), -1)
        relative = _METRES * relative
        return Correction(
            relative - relative[:, :1],
            _SPREADS * spread[:, None, None] * plane,
            _LOG_DEPTH * x[:, -1],
            F.pad(_SIGMA * sigma[:, 1:, 0].clamp(-4, 4).exp(), (1, 0)),
        )


def head_inputs(landmarks: Landmarks, rays: Tensor) -> tuple[Tensor, Tensor]:
    """The head's inputs (N, INPUTS), and the spread (N,) of the landmarks on the crop's image plane.

    rays (N, 33, 2): the landmarks on the camera's image plane, x/z and y/z, without distortion.
    """
    plane = on_crop_plane(rays, landmarks.rotations)
    center = plane[:, 23:25].mean(1, keepdim=True)
    offsets = plane - center
    spread = offsets.square().mean((1, 2)).sqrt().clamp_min(1e-6)
    shape = (offsets / spread[:, None, None]).flatten(1)
    parts = (
        landmarks.world.flatten(1),
        shape,
        spread.log()[:, None],
        center[:, 0] / spread[:, None],
        landmarks.visibility,
        landmarks.presence,
    )
    return torch.cat(parts, 1), spread


def on_crop_plane(rays: Tensor, rotations: Tensor) -> Tensor:
    """Points (N, P, 2) of the camera's image plane (x/z, y/z) on the planes of crops turned by rotations (N, 3, 3)."""
    turned = torch.cat([rays, torch.ones_like(rays[..., :1])], -1) @ rotations.mT
    return turned[..., :2] / turned[..., 2:].clamp_min(1e-3)


def from_crop_plane(plane: Tensor, rotations: Tensor) -> Tensor:
    """The inverse of `on_crop_plane`."""
    return on_crop_plane(plane, rotations.mT)
