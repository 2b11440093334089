"""The terms of the embedded heads' loss on the people of a batch, each a mean over them.

Metres, the crops' image planes, 6D rotations. Where a term has an equation of the paper, it is that one.
"""

from dataclasses import replace

import torch
from torch import Tensor

from mesh_perception.body import regress_joints, skin
from mesh_perception.geometry.rotations import matrix_to_6d
from mesh_perception.inverse_kinematics.twist_shape import TWISTING
from mesh_perception.joints import SMPL_LEAVES
from mesh_perception.skeleton.absolute import place, place_body
from mesh_perception.skeleton.landmark_head import head_inputs, on_crop_plane
from mesh_perception.skeleton.landmark_joints import HIPS, relative_joints
from mesh_perception.training.losses import (
    masked_mean,
    mesh_losses,
    orthographic,
    pose_losses,
    shape_loss,
    twist_loss,
)
from mesh_perception.types import BodyParameters, Skeletons

TERMS = (
    *('relative', 'plane', 'depth', 'sigma'),  # the head's: in place of Eq. 7
    *('twist', 'shape', 'leaf'),  # Eq. 9, 10; leaves turn freely here and have a loss of their own
    *('refined_pose', 'refined_shape', 'refined_joints', 'refined_projection'),  # Eq. 12, 13
    'refined_depth',  # where the body stands
    *('adversarial_pose', 'adversarial_shape'),  # Eq. 15
)
_FARTHEST = 2.0  # spreads: landmarks that lie on somebody else say no more than that they do
_FACTORS = (0.5, 2.0)  # on distances: beyond, least squares have failed
_ROBUST = 0.1  # m
_HALF = 3.0  # spreads from the hips to the edge of [-1, 1]; a person who stands has about 0.37 m, so Pi begins near 0.9


def head_terms(skeletons: Skeletons, pairs, cameras, understood: Tensor | None = None) -> dict[str, Tensor]:
    """What the head is to learn, from the Skeletons that it corrected and that the pipeline would go on with.

    understood (N,) bool: whom it is to learn from (default: everybody), see `understood`. relative: mean distance, m,
    of joints relative to the pelvis, where far ones count as 10 cm at most (Geman-McClure); plane: L1 on the crop's
    image plane, in spreads of the landmarks; depth: the factor on the distance of least squares, in logarithms; sigma:
    negative log likelihood of the errors that joints have, which this term leaves as they are, and of everybody's.
    """
    truth, turns = pairs.truth.joints, pairs.landmarks.rotations
    differences = skeletons.relative_joints - (truth - truth[:, :1])
    spread = _frame(pairs, cameras)[1]
    plane = on_crop_plane(cameras.unproject(skeletons.image_joints), turns)
    missed = ((plane - _plane(truth, turns)) / spread[:, None, None]).abs().sum(-1).clamp_max(_FARTHEST)
    with torch.no_grad():
        squares = place(skeletons.relative_joints, skeletons.image_joints, skeletons.confidence, cameras)[0]
        factor = truth[:, 0].norm(dim=-1) / squares.norm(dim=-1)
    values = {
        'relative': _robust(differences.norm(dim=-1)).mean(-1),
        'plane': missed.mean(-1),
        'depth': (skeletons.distance_scale.log() - factor.clamp(*_FACTORS).log()).abs(),
    }
    variance, error = skeletons.joint_sigma[:, 1:].square(), differences.detach()[:, 1:].square().mean(-1)
    terms = {name: masked_mean(value, understood) for name, value in values.items()}
    return terms | {'sigma': masked_mean((variance.log() + error / variance).mean(-1) / 2)}


def understood(pairs, mapping, largest_error: float, visible: float) -> Tensor:
    """Who is seen and understood as well as real people are (N,): more than the share `visible` of them is seen, and
    the joints that `mapping` gives are less than `largest_error` m off, on average and relative to the pelvis.

    The landmark network learned from real people, and errs more and otherwise on rendered ones.
    """
    truth = (pairs.truth.joints - pairs.truth.joints[:, :1]) @ pairs.landmarks.rotations.mT
    error = (relative_joints(pairs.landmarks.world, mapping) - truth).norm(dim=-1).mean(1)
    return (error < largest_error) & (pairs.truth.shares[:, 0] > visible)


def twist_terms(twists, truth) -> dict[str, Tensor]:
    """Eq. 9 and 10, and the rotations of the leaves: distances of 6D vectors, their mean as in Eq. 9.

    The shape's is zero where f^TS leaves it to bone lengths.
    """
    leaves = matrix_to_6d(truth.rotations[:, SMPL_LEAVES])
    shape = shape_loss(twists.betas, truth.betas) if twists.betas.shape[1] else twists.betas.sum(1)
    return {
        'twist': masked_mean(twist_loss(twists.twists[:, TWISTING], truth.twists[:, TWISTING])),
        'shape': masked_mean(shape),
        'leaf': masked_mean(twist_loss(twists.leaf_6d, leaves)),
    }


def refined_terms(body, refined: BodyParameters, skeletons: Skeletons, pairs, cameras) -> dict[str, Tensor]:
    """Eq. 12, 13, and where the body stands. P_ref is the regressor's joints, compared with the same of the true mesh.

    refined_depth: the distance that `finish` puts the body at over the true one, in logarithms.

    body: BodyModel, of which `regressed_body` is enough. Pi is in a square of the crop's image plane around the hips,
    as wide as the landmarks say; joints whose truth is outside do not count for it.
    """
    truth, turns = pairs.truth, pairs.landmarks.rotations
    mesh = mesh_losses(matrix_to_6d(refined.rotations), refined.betas, matrix_to_6d(truth.rotations), truth.betas)
    vertices = skin(body, refined.rotations, refined.betas, torch.zeros_like(refined.translation)).vertices
    joints = regress_joints(body, vertices)
    joints, true_joints = joints - joints[:, :1], truth.reference_joints - truth.reference_joints[:, :1]
    projected = orthographic(joints @ turns.mT, refined.camera)
    center, spread = _frame(pairs, cameras)
    image = (_plane(truth.reference_joints, turns) - center) / (_HALF * spread[:, None, None])
    everywhere = pose_losses(joints, projected, true_joints, image)
    inside = pose_losses(joints, projected, true_joints, image, (image.abs() <= 1).all(-1))
    names = ('image_joints', 'confidence', 'distance_scale')
    seen = replace(skeletons, **{name: getattr(skeletons, name).detach() for name in names})
    factor = place_body(joints, seen, cameras).norm(dim=-1) / truth.joints[:, 0].norm(dim=-1)
    return {
        'refined_pose': masked_mean(mesh['pose']),
        'refined_shape': masked_mean(mesh['shape']),
        'refined_joints': masked_mean(everywhere['joints']),
        'refined_projection': masked_mean(inside['projection']),
        'refined_depth': masked_mean(factor.clamp(*_FACTORS).log().abs()),
    }


def _robust(distances):
    return _ROBUST * distances / (_ROBUST + distances)


def _frame(pairs, cameras):
    """Where the hips are (N, 1, 2), and the spread (N,) of the landmarks on the crops' image planes."""
    rays = cameras.unproject(pairs.landmarks.image)
    center = on_crop_plane(rays, pairs.landmarks.rotations)[:, HIPS].mean(1, keepdim=True)
    return center, head_inputs(pairs.landmarks, rays)[1]


def _plane(joints, turns):
    """Joints (N, J, 3) m in the camera's frame on the crops' image planes (N, J, 2)."""
    joints = joints @ turns.mT
    return joints[..., :2] / joints[..., 2:].clamp_min(1e-3)
