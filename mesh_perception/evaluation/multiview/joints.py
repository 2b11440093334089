"""From a body's 24 kinematic joints to the reference's 12 limb keypoints, by one fixed combination.

The reference's points are what MoveNet and BlazePose call a shoulder, a hip and so on (COCO's keypoints): annotators'
points on clothed people, not centres of rotation. The combination says where such a point lies among the joints of a
body. tools/fit_keypoint_regression.py made it from rendered open bodies with known joints, whose keypoints it found as
the reference's are found, in four views each. No footage of people and nothing of this benchmark was used.
"""

import torch
from torch import Tensor

from mesh_perception.evaluation.multiview.keypoints import LIMB_JOINTS
from mesh_perception.joints import SMPL_JOINTS, SMPL_LIMBS

HIPS = (LIMB_JOINTS.index('left_hip'), LIMB_JOINTS.index('right_hip'))

# Joints of the keypoint's own side, except those of the middle and the other side's; each row sums to one. Beside it:
# the mean distance left on held-out bodies, and what it is for the plain joint of that name.
COMBINATIONS = {
    'shoulder': {
        'shoulder': 0.952,
        'collar': 0.026,
        'neck': -0.03,
        'other shoulder': 0.03,
        'elbow': 0.022,
    },  # 20, 22 mm
    'elbow': {'elbow': 0.889, 'shoulder': 0.04, 'wrist': 0.071},  # 19, 24 mm
    'wrist': {'wrist': 0.736, 'elbow': 0.043, 'hand': 0.221},  # 15, 24 mm
    'hip': {'hip': 0.709, 'other hip': -0.157, 'pelvis': 0.351, 'spine1': 0.09, 'knee': 0.007},  # 29, 39 mm
    'knee': {'knee': 0.947, 'hip': 0.007, 'ankle': 0.046},  # 18, 25 mm
    'ankle': {'ankle': 0.907, 'knee': 0.023, 'foot': 0.07},  # 16, 20 mm
}

# The mid-hip and the 12 keypoints after it as a tree of trunk, arms and legs: each one's parent; -1: the mid-hip.
_ABOVE = {'elbow': 'shoulder', 'wrist': 'elbow', 'knee': 'hip', 'ankle': 'knee'}
PARENTS = (
    -1,
    *(
        1 + LIMB_JOINTS.index(f'{side}_{_ABOVE[part]}') if part in _ABOVE else 0
        for side, part in (name.split('_') for name in LIMB_JOINTS)
    ),
)


def _matrix():
    matrix = torch.zeros(len(LIMB_JOINTS), len(SMPL_JOINTS))
    for row, keypoint in enumerate(LIMB_JOINTS):
        side, name = keypoint.split('_')
        for part, share in COMBINATIONS[name].items():
            matrix[row, SMPL_JOINTS.index(_full(part, side))] = share
    return matrix


def _full(part, side):
    if part in SMPL_JOINTS:
        return part
    if part.startswith('other '):
        return f'{"right" if side == "left" else "left"}_{part[len("other ") :]}'
    return f'{side}_{part}'


MATRIX = _matrix()  # (12, 24); rows sum to one


def keypoints(joints: Tensor) -> Tensor:
    """24 kinematic joints (..., 24, 2 or 3) -> the 12 keypoints (..., 12, 2 or 3), in LIMB_JOINTS' order.

    For pixels it holds as far as perspective is weak within a limb.
    """
    return MATRIX.to(joints) @ joints


def plain_joints(joints: Tensor) -> Tensor:
    """The 12 kinematic joints of the same names (..., 12, C): what is compared where the definition is left out."""
    return joints[..., SMPL_LIMBS, :]


def mid_hip(points: Tensor) -> Tensor:
    """The root (..., C) of 12 keypoints (..., 12, C): the middle of the hips."""
    return points[..., HIPS, :].mean(-2)


def with_root(points: Tensor) -> Tensor:
    """12 keypoints (..., 12, C) -> (..., 13, C) with the mid-hip before them, as PARENTS has them."""
    return torch.cat((mid_hip(points)[..., None, :], points), -2)


def limb_lengths(points: Tensor) -> Tensor:
    """Lengths (..., 8) of upper and lower arms and legs of 12 keypoints (..., 12, C)."""
    points = with_root(points)
    bones = [(joint, parent) for joint, parent in enumerate(PARENTS) if parent > 0]
    return torch.stack([(points[..., j, :] - points[..., p, :]).norm(dim=-1) for j, p in bones], -1)


def confidences(joints: Tensor) -> Tensor:
    """How certain the 12 keypoints are (..., 12), from the 24 joints' confidence (..., 24)."""
    shares = MATRIX.abs()
    return joints @ (shares / shares.sum(1, keepdim=True)).to(joints).T
