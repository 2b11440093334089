import torch

from mesh_perception.body import load_body, rest_joints
from mesh_perception.evaluation.multiview.joints import (
    COMBINATIONS,
    LIMB_JOINTS,
    MATRIX,
    confidences,
    keypoints,
    mid_hip,
    plain_joints,
)
from mesh_perception.joints import SMPL_JOINTS, SMPL_MIRROR


def test_every_keypoint_moves_with_the_body():
    assert torch.allclose(MATRIX.sum(1), torch.ones(12), atol=1e-6)
    joints = torch.randn(5, 24, 3)
    assert torch.allclose(keypoints(joints + 7), keypoints(joints) + 7, atol=1e-5)


def test_the_table_is_what_is_computed():
    joints = torch.randn(24, 3)
    parts = {'wrist': 'right_wrist', 'elbow': 'right_elbow', 'hand': 'right_hand'}
    expected = sum(share * joints[SMPL_JOINTS.index(parts[p])] for p, share in COMBINATIONS['wrist'].items())
    assert torch.allclose(keypoints(joints)[LIMB_JOINTS.index('right_wrist')], expected, atol=1e-6)


def test_left_and_right_are_treated_alike():
    joints = torch.randn(3, 24, 3)
    swapped = [
        LIMB_JOINTS.index(n.replace('left', 'x').replace('right', 'left').replace('x', 'right')) for n in LIMB_JOINTS
    ]
    assert torch.allclose(keypoints(joints[:, SMPL_MIRROR]), keypoints(joints)[:, swapped], atol=1e-6)


def test_keypoints_lie_near_the_joints_of_their_name():
    joints = rest_joints(load_body('open'), torch.zeros(1, load_body('open').num_betas))
    distances = (keypoints(joints) - plain_joints(joints)).norm(dim=-1)[0]
    assert 0.001 < distances.min() and distances.max() < 0.06
    names = [SMPL_JOINTS[int((joints[0] - point).norm(dim=-1).argmin())] for point in plain_joints(joints)[0]]
    assert tuple(names) == LIMB_JOINTS


def test_the_root_is_the_middle_of_the_hips():
    points = torch.randn(4, 12, 3)
    left, right = (points[:, LIMB_JOINTS.index(f'{side}_hip')] for side in ('left', 'right'))
    assert torch.allclose(mid_hip(points), (left + right) / 2)


def test_a_keypoint_is_as_certain_as_what_it_is_made_of():
    sure = torch.ones(24)
    assert torch.allclose(confidences(sure), torch.ones(12))
    sure[SMPL_JOINTS.index('left_wrist')] = 0
    doubtful = confidences(sure)
    assert doubtful.argmin() == LIMB_JOINTS.index('left_wrist') and doubtful.min() < 0.4
