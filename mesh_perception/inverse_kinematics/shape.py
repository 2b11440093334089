"""Body shape from bone lengths, as long as no network predicts it."""

import torch
from torch import Tensor

from mesh_perception.body.model import BodyModel
from mesh_perception.inverse_kinematics.swing import directions, lengths
from mesh_perception.inverse_kinematics.tree import constant, tree
from mesh_perception.joints import SMPL_JOINTS

# How far each bone (named by its lower end) is believed: joints inside the trunk are guessed, not seen, by any
# skeleton estimator, and hands and feet are short.
_UNSURE = ('spine', 'collar', 'neck', 'head', 'hip', 'hand', 'foot')
_BONE_WEIGHTS = (0.0, *(0.1 if any(part in name for part in _UNSURE) else 1.0 for name in SMPL_JOINTS[1:]))
_ITERATIONS = 3
_LARGEST = 3.0


def fit_betas(body: BodyModel, joints: Tensor, weights: Tensor | None = None, regularisation: float = 1e-3) -> Tensor:
    """Shape coefficients (N, B) of this body, in the joints' dtype, whose bones are as long as the observed ones.

    joints (N, 24, 3) m, in any pose; weights (N, 24) in [0, 1], how certain each joint is (default: all alike; a bone
    counts as its less certain end). Gauss-Newton on the squared differences of bone lengths plus `regularisation` (m^2:
    the variance of a bone's length) times the squared coefficients, which have unit variance; clamped to three standard
    deviations. Bones of no length are no special case; without certain joints the mean shape is returned.
    """
    parents = tree(joints.device).parents
    observed = lengths(joints.double() - joints.double()[:, parents])[..., 0]
    bone_weights = constant(_BONE_WEIGHTS, joints.device).expand_as(observed)
    if weights is not None:
        bone_weights = bone_weights * torch.minimum(weights, weights[:, parents])
    template = body.joint_template.double() - body.joint_template.double()[parents]
    shapes = body.joint_shapedirs.double() - body.joint_shapedirs.double()[parents]

    betas = observed.new_zeros(len(joints), body.num_betas)
    prior = regularisation * torch.eye(body.num_betas, dtype=observed.dtype, device=observed.device)
    for _ in range(_ITERATIONS):
        bones = template + torch.einsum('jcb,nb->njc', shapes, betas)
        jacobian = torch.einsum('njc,jcb->njb', directions(bones), shapes)
        # The linear problem for the new coefficients themselves, not for a step.
        goal = observed - lengths(bones)[..., 0] + torch.einsum('njb,nb->nj', jacobian, betas)
        weighted = jacobian * bone_weights[..., None]
        factor, _ = torch.linalg.cholesky_ex(weighted.mT @ jacobian + prior)
        betas = torch.cholesky_solve(weighted.mT @ goal[..., None], factor)[..., 0].clamp(-_LARGEST, _LARGEST)
    return betas.to(joints.dtype)
