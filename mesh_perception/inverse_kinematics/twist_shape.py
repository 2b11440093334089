"""f^TS: twists, leaf rotations and shape from features, and inverse kinematics with them (Sec. 3.2).

One class for both model sets: the paper's 2048 feature channels with 1024 hidden units, or the embedded set's feature
vector with few.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from mesh_perception.body import BodyModel, rest_joints
from mesh_perception.geometry.rotations import sixd_to_matrix
from mesh_perception.inverse_kinematics.initial import parameters_from_rotations
from mesh_perception.inverse_kinematics.shape import fit_betas
from mesh_perception.inverse_kinematics.solver import solve
from mesh_perception.inverse_kinematics.swing import unit_circle
from mesh_perception.inverse_kinematics.tree import constant
from mesh_perception.joints import SMPL_CHILD, SMPL_LEAVES
from mesh_perception.types import BodyParameters, Skeletons

# The joints whose twist counts: the pelvis' rotation is fixed by its three children, and leaves turn freely.
TWISTING = tuple(joint for joint, child in enumerate(SMPL_CHILD) if joint > 0 and child >= 0)


class TwistShape(NamedTuple):
    """What f^TS says of N people; float32."""

    twists: Tensor  # (N, 24, 2) cosine and sine, of unit length; (1, 0) for the pelvis and the leaves
    leaf_6d: Tensor  # (N, 5, 6) rotations relative to the parent of SMPL_LEAVES, not orthonormalised
    betas: Tensor  # (N, B), or (N, 0): the shape is left to bone lengths


class TwistShapeNetwork(nn.Module):
    """f^TS: features (N, C, h, w), averaged over h and w, or (N, C) -> TwistShape.

    Two hidden layers. It starts near no twist, the parents' orientations and the mean shape, so that inverse kinematics
    makes sense from the first training step on. With num_betas = 0 it leaves the shape to bone lengths.
    """

    def __init__(self, in_features: int = 2048, hidden: int = 1024, num_betas: int = 10):
        super().__init__()
        self.hidden1 = nn.Linear(in_features, hidden)
        self.hidden2 = nn.Linear(hidden, hidden)
        self.twists = nn.Linear(hidden, 2 * len(TWISTING))
        self.leaves = nn.Linear(hidden, 6 * len(SMPL_LEAVES))
        self.betas = nn.Linear(hidden, num_betas) if num_betas else None
        self.register_buffer('places', torch.tensor(_places(TWISTING)), persistent=False)
        starts = [(self.twists, (1, 0)), (self.leaves, (1, 0, 0, 0, 1, 0))]
        starts += [(self.betas, (0,) * num_betas)] if num_betas else []
        for layer, start in starts:
            nn.init.xavier_uniform_(layer.weight, gain=0.01)
            with torch.no_grad():
                layer.bias.copy_(torch.tensor(start, dtype=layer.bias.dtype).repeat(len(layer.bias) // len(start)))

    def forward(self, features: Tensor) -> TwistShape:
        x = features if features.dim() == 2 else features.mean((2, 3))
        x = self.hidden1(x.to(self.hidden1.weight.dtype)).relu()
        x = self.hidden2(x).relu()
        # Lengths and rotations are made in float32, whatever the layers are computed in.
        twists, leaves = _single(self.twists(x)), _single(self.leaves(x))
        betas = twists.new_zeros(len(x), 0) if self.betas is None else _single(self.betas(x))
        twists = unit_circle(twists.unflatten(1, (len(TWISTING), 2)))
        none = torch.zeros_like(twists[:, :1])
        none[..., 0] = 1
        twists = torch.cat([twists, none], 1)[:, self.places]
        return TwistShape(twists, leaves.unflatten(1, (len(SMPL_LEAVES), 6)), betas)


def parameters_from_twists(
    body: BodyModel,
    skeletons: Skeletons,
    twists: Tensor,
    leaf_6d: Tensor,
    betas: Tensor,
    variant: str = 'adaptive',
    guard: float = 0.015,
) -> BodyParameters:
    """Inverse kinematics with f^TS's output (a TwistShape's fields): initial BodyParameters of `body` (Eq. 1-4).

    twists (N, 24, 2), leaf_6d (N, 5, 6), betas (N, B) of this body, or (N, 0) for those that fit the skeletons' bone
    lengths; variant and guard as for `solver.solve`. Differentiable in all of them and in the joints. Raises ValueError
    for another number of betas than the body's.
    """
    if betas.shape[1] == 0:
        betas = fit_betas(body, skeletons.joints, skeletons.confidence)
    if betas.shape[1] != body.num_betas:
        raise ValueError(f'shape: {betas.shape[1]} betas, expected the {body.num_betas} of body {body.id}')
    joints = skeletons.joints
    identity = torch.eye(3, dtype=joints.dtype, device=joints.device).expand(len(joints), 1, 3, 3)
    leaves = torch.cat([sixd_to_matrix(leaf_6d.to(joints)), identity], 1)
    leaves = leaves[:, constant(_places(SMPL_LEAVES), joints.device).long()]
    betas = betas.to(joints)
    rotations = solve(rest_joints(body, betas), joints, twists.to(joints), leaves, variant, guard)
    return parameters_from_rotations(body, skeletons, rotations, betas)


def _places(joints: tuple) -> tuple:
    """For each of the 24 joints where it stands in `joints`; one behind the last for those that are not there."""
    return tuple(joints.index(joint) if joint in joints else len(joints) for joint in range(len(SMPL_CHILD)))


def _single(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
