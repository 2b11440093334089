"""The terms of the paper's loss on a batch of crops, each a mean over its labelled samples (Sec. 3.4)."""

import torch
from torch import Tensor

from mesh_perception.body import regress_joints, skin
from mesh_perception.geometry.rotations import matrix_to_6d
from mesh_perception.inverse_kinematics.twist_shape import TWISTING
from mesh_perception.joints import SMPL_LEAVES
from mesh_perception.skeleton.heatmaps import in_view
from mesh_perception.skeleton.metric import joints_in_crop
from mesh_perception.training.datasets.samples import Samples, to_unit
from mesh_perception.training.losses import (
    masked_mean,
    mesh_losses,
    orthographic,
    pose_losses,
    shape_loss,
    skeleton_losses,
    twist_loss,
)
from mesh_perception.types import BodyParameters, Skeletons

_SMALLEST_SCALE = 0.05  # of a fitted orthographic camera; people of 2 m have about 0.9


def crop_skeletons(output, batch: Samples, weak: bool) -> Skeletons:
    """f^P's output for crops of many pictures -> Skeletons in the frame of each one's camera; image_joints stay pixels
    of the crops. As `metric_skeletons`, which is for the crops of one picture."""
    seen = (in_view(output.pixels, batch.size) & batch.in_picture(output.pixels)).to(output.relative)
    joints = joints_in_crop(output, batch.intrinsics, seen, weak) @ batch.turns
    return Skeletons(
        joints=joints,
        relative_joints=output.relative @ batch.turns,
        image_joints=output.pixels,
        confidence=seen,
        features=output.features,
        hint_directions=torch.zeros_like(joints),
        hint_weights=torch.zeros_like(seen),
        scores=torch.ones_like(seen[:, 0]),
        distance_scale=torch.ones_like(seen[:, 0]),
        joint_sigma=torch.full_like(seen, torch.nan),
    )


def fit_orthographic(points: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """The camera (N, 3) s, tx, ty with which Pi brings points (N, J, 3) nearest to image points (N, J, 2) of the mask
    (N, J): least squares. The initial camera of Sec. 3.2 where nothing is in the mask."""
    weights = mask.to(points)[..., None]
    count = weights.sum(1).clamp_min(1)
    points = points[..., :2]
    middle, target = (weights * points).sum(1) / count, (weights * image).sum(1) / count
    points, image = points - middle[:, None], image - target[:, None]
    size, known = (weights * points.square()).sum((1, 2)), mask.sum(1) > 1
    scale = ((weights * points * image).sum((1, 2)) / size.clamp_min(1e-6)).clamp_min(_SMALLEST_SCALE)[:, None]
    camera = torch.cat([scale, target / scale - middle], -1)
    return torch.where(known[:, None], camera, camera.new_tensor((0.9, 0, 0)))


def skeleton_terms(output, skeletons: Skeletons, batch: Samples) -> dict[str, Tensor]:
    """Eq. 7. Pi(P_rel) has the camera that fits the truth best: with the constant one of Sec. 3.2 the truth itself
    would miss by a fifth of the crop's width. Images count where the joint is inside the crop, which is all that
    image-space heatmaps reach."""
    truth = batch.in_crop(batch.joints - batch.joints[:, :1])
    image = to_unit(batch.pixels(batch.joints), batch.size)
    inside = _inside(image)
    projected = orthographic(output.relative, fit_orthographic(truth, image, inside))
    arguments = skeletons.joints, output.relative, to_unit(output.pixels, batch.size), projected
    everywhere = skeleton_losses(*arguments, batch.joints, truth, image)
    seen = skeleton_losses(*arguments, batch.joints, truth, image, inside)
    chosen = {name: everywhere[name] for name in ('absolute', 'relative')}
    chosen |= {name: seen[name] for name in ('image', 'projected')}
    return {name: masked_mean(values) for name, values in chosen.items()}


def twist_terms(twists, batch: Samples) -> dict[str, Tensor]:
    """Eq. 9 and 10, and the rotations of the leaves: distances of 6D vectors, their mean as in Eq. 9."""
    leaves = matrix_to_6d(batch.rotations[:, SMPL_LEAVES])
    return {
        'twist': masked_mean(twist_loss(twists.twists[:, TWISTING], batch.twists[:, TWISTING]), batch.posed),
        'leaf': masked_mean(twist_loss(twists.leaf_6d, leaves), batch.posed),
        'shape': masked_mean(shape_loss(twists.betas, batch.betas), batch.shaped),
    }


def refined_terms(body, refined: BodyParameters, batch: Samples) -> dict[str, Tensor]:
    """Eq. 12 and 13. P_ref is the regressor's joints, compared with the same of the true mesh.

    body: BodyModel, of which the vertices that the regressor looks at are enough."""
    sixd, true_sixd = matrix_to_6d(refined.rotations), matrix_to_6d(batch.rotations)
    mesh = mesh_losses(sixd, refined.betas, true_sixd, batch.betas)
    vertices = skin(body, refined.rotations, refined.betas, torch.zeros_like(refined.translation))
    joints = regress_joints(body, vertices.vertices)
    joints, truth = joints - joints[:, :1], batch.reference_joints - batch.reference_joints[:, :1]
    projected = orthographic(batch.in_crop(joints), refined.camera)
    true_image = to_unit(batch.pixels(batch.reference_joints), batch.size)
    everywhere = pose_losses(joints, projected, truth, true_image)
    inside = pose_losses(joints, projected, truth, true_image, _inside(true_image))
    return {
        'refined_pose': masked_mean(mesh['pose'], batch.posed),
        'refined_shape': masked_mean(mesh['shape'], batch.shaped),
        'refined_joints': masked_mean(everywhere['joints'], batch.posed),
        'refined_projection': masked_mean(inside['projection'], batch.posed),
    }


def _inside(image):
    return (image.abs() <= 1).all(-1)
