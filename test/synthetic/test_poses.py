"""Captured poses: mirrored, varied between what was captured, the same for the same seed."""

import sys
from pathlib import Path

import pytest
import torch

from mesh_perception.body import load_body
from mesh_perception.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from mesh_perception.joints import SMPL_JOINTS
from mesh_perception.synthetic.poses import CapturedPoses, captured_poses
from mesh_perception.synthetic.retarget import mirror

sys.path.insert(0, str(Path(__file__).parent))
import clips

BODY = load_body('open')


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def bent(*degrees):
    """Poses that differ in the bend of the left knee alone."""
    poses = torch.eye(3).repeat(len(degrees), 24, 1, 1)
    vectors = torch.zeros(len(degrees), 3)
    vectors[:, 0] = torch.tensor(degrees).deg2rad()
    poses[:, SMPL_JOINTS.index('left_knee')] = axis_angle_to_matrix(vectors)
    return poses


def knees(poses):
    """Degrees that the left and right knees bend, (N, 2), and what they do otherwise."""
    vectors = torch.rad2deg(matrix_to_axis_angle(poses[:, 4:6]))
    return vectors[..., 0], vectors[..., 1:].abs().max()


def test_half_of_the_poses_are_mirrored():
    pose = axis_angle_to_matrix(torch.randn(1, 24, 3, generator=generator()))
    pelvis = CapturedPoses(pose, 'one').sample(400, generator())[:, 0]
    straight, mirrored = (((pelvis - one[0, 0]).abs().amax((1, 2)) < 1e-5) for one in (pose, mirror(pose)))
    assert (straight ^ mirrored).all() and 160 < straight.sum() < 240


def test_a_varied_joint_stays_between_captured_ones():
    """Bent by 0 to 100 degrees in the data, no knee bends back, further, or sideways."""
    bends, sideways = knees(CapturedPoses(bent(0.0, 60.0, 100.0), 'three').sample(500, generator()))
    assert bends.min() > -0.01 and bends.max() < 100.01 and sideways < 0.01
    left = bends[bends > 30]
    assert ((left - 60).abs() > 1).any() and ((left - 100).abs() > 1).any()  # and not only the captured ones


def test_a_pose_goes_at_most_a_fifth_of_the_way_to_another():
    bends, _ = knees(CapturedPoses(bent(0.0, 100.0), 'two').sample(500, generator()))
    assert ((bends <= 20.01) | (bends >= 79.99)).all() and bends[bends < 50].max() > 15


def test_the_same_generator_gives_the_same_rotations_and_none_are_no_special_case():
    source = CapturedPoses(axis_angle_to_matrix(torch.randn(5, 24, 3, generator=generator())), 'five')
    poses = source.sample(50, generator(1))
    assert torch.equal(poses, source.sample(50, generator(1))) and not torch.equal(
        poses, source.sample(50, generator(2))
    )
    torch.testing.assert_close(poses @ poses.mT, torch.eye(3).expand_as(poses), atol=1e-5, rtol=0)
    assert (torch.linalg.det(poses) > 0).all() and source.sample(0, generator()).shape == (0, 24, 3, 3)


def test_files_become_a_source_of_the_split_asked_for(tmp_path):
    frames = 30
    rotations = clips.still(frames)
    vectors = torch.zeros(frames, 3)
    vectors[:, 0] = torch.linspace(0, -1, frames)
    rotations[:, clips.NAMES.index('lhumerus')] = axis_angle_to_matrix(vectors)
    path = clips.write(tmp_path / 'clips.npz', {'07_02': (rotations, torch.tensor((0, 0.9, 0)).expand(frames, 3))})
    source = captured_poses([path], BODY)
    assert source.name == 'captured' and captured_poses(path, BODY, 'train').name == 'captured-train'
    assert source.sample(7, generator()).shape == (7, 24, 3, 3)
    with pytest.raises(ValueError, match='no usable pose in the clips of split test'):
        captured_poses([path], BODY, 'test')
