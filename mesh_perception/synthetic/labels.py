"""Exact labels of a rendered scene: what every loss and metric compares with."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from mesh_perception.body import rest_joints
from mesh_perception.body.skinning import regress_joints
from mesh_perception.inverse_kinematics.solver import rest_bones, twists_from_rotations
from mesh_perception.types import _Batch

_MARGIN = 0.025  # m; other shapes and poses may be thicker than the template at rest
_THICKEST = 0.2  # m, from the middle of the trunk to its sides


@dataclass
class Labels(_Batch):
    """The truth about N people, in the scene's order; pixels with (0, 0) the centre of the top-left pixel.

    Shares are of the person's amodal silhouette: the pixels that the person alone would cover on an endless image.
    visibility = 1 - truncation - overlap - the share behind occluders.
    """

    boxes: Tensor  # (N, 4) x0, y0, x1, y1: bounds of all projected vertices, hidden or outside the image too
    visible_boxes: Tensor  # (N, 4) bounds of the pixels where the person is seen, borders included; NaN if none
    joints_2d: Tensor  # (N, 24, 2) projected kinematic joints
    reference_joints: Tensor  # (N, 24, 3) P_ref: the body's regressor times the posed vertices, camera frame, m
    joint_visible: Tensor  # (N, 24) bool, see `visible_joints`
    visibility: Tensor  # (N,) share that is seen in the picture
    truncation: Tensor  # (N,) share outside the image
    overlap: Tensor  # (N,) share inside the image where another person is nearest to the camera
    twists: Tensor  # (N, 24, 2) cosine and sine, as inverse_kinematics.solve takes them
    distances: Tensor  # (N,) m from the camera to the pelvis


def label(scene, picture, body) -> Labels:
    """Labels of a Scene and the Picture that SceneRenderer made of it, with the same body."""
    pixels = scene.camera.project(scene.vertices)
    joints_2d = scene.camera.project(scene.joints)
    shares = torch.tensor([_shares(picture, i) for i in range(len(scene.vertices))]).reshape(-1, 3)
    return Labels(
        boxes=torch.cat([pixels.amin(1), pixels.amax(1)], -1),
        visible_boxes=torch.tensor([_bounds(picture.person == i) for i in range(len(scene.vertices))]).reshape(-1, 4),
        joints_2d=joints_2d,
        reference_joints=regress_joints(body, scene.vertices),
        joint_visible=visible_joints(picture, joints_2d, scene.joints[..., 2], joint_depths(body)),
        visibility=shares[:, 0],
        truncation=shares[:, 1],
        overlap=shares[:, 2],
        twists=twists_from_rotations(rest_joints(body, scene.betas), scene.rotations),
        distances=scene.joints[:, 0].norm(dim=-1),
    )


def visible_joints(picture, joints_2d, z, depths):
    """Which joints are seen: (N, 24) bool.

    A joint lies inside the body. It is visible where its nearest pixel is in the image and the nearest surface there is
    its own person's, not farther in front of the joint than `depths` (24,), m: a limb, a hand or the trunk in front of
    it hides it, the flesh around it does not. joints_2d (N, 24, 2) px and z (N, 24) m are the joints' places.
    """
    height, width = picture.person.shape
    column, row = joints_2d.round().clamp(-1, max(width, height)).to(torch.int64).unbind(-1)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height) & (z > 0)
    row, column = row.clamp(0, height - 1), column.clamp(0, width - 1)
    own = torch.from_numpy(picture.person)[row, column] == torch.arange(len(z))[:, None]
    near = z - torch.from_numpy(picture.depth)[row, column] <= depths.to(z)
    return inside & own & near


@lru_cache(maxsize=2)
def joint_depths(body):
    """How far (24,), m, the surface may lie in front of each joint: how thick the body is around it in the rest pose.

    A section is the surface within 3 cm of the plane through the joint across a bone, of vertices that move mostly with
    the joint, its parent or its children. The thickness is the largest distance of a section's surface from the joint,
    the smaller one of the sections across the bones from the parent and to the child, at most 20 cm; 2.5 cm more for
    other shapes and poses.
    """
    joints, vertices = body.joint_template, body.v_template
    parents = torch.tensor(body.parents).clamp_min(0)
    share = body.weights.T
    near = (share + share[parents]).index_add(0, parents[1:], share[1:]) > 0.5  # (24, V)
    offsets = vertices - joints[:, None]
    thickness = []
    for bones in (joints - joints[parents], rest_bones(joints[None])[0]):
        along = torch.einsum('jvc,jc->jv', offsets, bones / bones.norm(dim=-1, keepdim=True))
        across = (offsets.square().sum(-1) - along.square()).clamp_min(0).sqrt()
        section = torch.where(near & (along.abs() < 0.03), across, 0).amax(1)
        thickness.append(torch.where(section > 0, section, torch.inf))  # no bone, no section
    return torch.minimum(*thickness).clamp_max(_THICKEST) + _MARGIN


def _shares(picture, person):
    """Seen, outside the image, behind other people; shares of the person's silhouette. One outside any picture has
    truncation 1."""
    outline = picture.silhouettes[person]
    rows, columns = np.nonzero(outline.mask)
    if not len(rows):
        return 0.0, 1.0, 0.0
    rows, columns = outline.top + outline.step * rows, outline.left + outline.step * columns
    height, width = picture.person.shape
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    nearest = picture.person[rows[inside], columns[inside]]
    seen, others = (nearest == person).sum(), ((nearest >= 0) & (nearest != person)).sum()
    total = len(rows)
    return float(seen / total), float(1 - inside.sum() / total), float(others / total)


def _bounds(mask):
    rows, columns = mask.any(1).nonzero()[0], mask.any(0).nonzero()[0]
    if not len(rows):
        return (float('nan'),) * 4
    return columns[0] - 0.5, rows[0] - 0.5, columns[-1] + 0.5, rows[-1] + 0.5
