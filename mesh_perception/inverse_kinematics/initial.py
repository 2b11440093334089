"""The initial body parameters of Sec. 3.2."""

import torch
from torch import Tensor

from mesh_perception.body import BodyModel, rest_joints, skin_joints
from mesh_perception.inverse_kinematics.hints import solve_with_hints
from mesh_perception.inverse_kinematics.shape import fit_betas
from mesh_perception.types import BodyParameters, Skeletons


def initial_parameters(
    body: BodyModel, skeletons: Skeletons, variant: str = 'adaptive', guard: float = 0.015
) -> BodyParameters:
    """Skeletons -> BodyParameters of `body`, in the body's dtype; twists from hints, shape from bone lengths."""
    betas = fit_betas(body, skeletons.joints, skeletons.confidence)
    rest = rest_joints(body, betas)
    rotations = solve_with_hints(
        rest, skeletons.joints, skeletons.hint_directions, skeletons.hint_weights, variant, guard
    )
    return parameters_from_rotations(body, skeletons, rotations, betas)


def parameters_from_rotations(
    body: BodyModel, skeletons: Skeletons, rotations: Tensor, betas: Tensor
) -> BodyParameters:
    """Puts a posed body, rotations (N, 24, 3, 3) and betas (N, B), where the skeletons are.

    The translation is SMPL's: the mean, weighted by confidence, of what separates the observed joints from the posed
    body's. The orthographic camera starts as [0.9, 0, 0].
    """
    posed = skin_joints(body, rotations, betas, torch.zeros_like(skeletons.joints[:, 0]))
    weights = skeletons.confidence[..., None] + 1e-3
    translation = ((skeletons.joints - posed) * weights).sum(1) / weights.sum(1)
    camera = torch.zeros_like(translation)
    camera[:, 0] = 0.9
    return BodyParameters(rotations, betas, translation, camera)
