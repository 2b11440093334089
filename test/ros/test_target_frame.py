"""People in another frame: the transformed parameters skin to the transformed vertices; speeds are the frame's own."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('tf2_msgs.msg', reason='needs tf2_msgs')

from mesh_perception.body import load_body, skin
from mesh_perception.geometry.rotations import axis_angle_to_matrix
from mesh_perception.ros.target_frame import transformed
from mesh_perception.types import People


@pytest.fixture(scope='module')
def body():
    """The open body, moved: its own joint 0 is at the origin, SMPL's is not."""
    body = load_body('open').to('cpu', torch.float64)
    shift = torch.tensor([0.1, -0.3, 0.05], dtype=torch.float64)
    return replace(body, v_template=body.v_template + shift, joint_template=body.joint_template + shift)


@pytest.fixture
def posed(body):
    """People of the open body in float64, and their Meshes."""
    generator = torch.Generator().manual_seed(3)
    count = 3

    def random(*shape):
        return torch.randn(count, *shape, generator=generator, dtype=torch.float64)

    rotations, betas = axis_angle_to_matrix(0.7 * random(24, 3)), random(body.num_betas)
    translation = random(3) + torch.tensor([0.0, 0.0, 4.0])
    meshes = skin(body, rotations, betas, translation)
    people = People(
        track_ids=torch.arange(count),
        states=torch.ones(count, dtype=torch.uint8),
        scores=random(),
        boxes=random(4),
        rotations=rotations,
        betas=betas,
        translation=translation,
        joints=meshes.joints,
        joints_2d=random(24, 2),
        joint_confidence=random(24),
        joint_sigma=random(24),
        velocity=random(3),
    )
    return people, meshes


@pytest.fixture
def frame():
    return Rotation.from_rotvec([0.4, -2.0, 0.9]).as_matrix(), np.array([3.0, -7.0, 1.2])


def test_transformed_parameters_skin_to_transformed_vertices(body, posed, frame):
    people, meshes = posed
    rotation, translation = map(torch.from_numpy, frame)
    moved = transformed(people, *frame)
    again = skin(body, moved.rotations, moved.betas, moved.translation)
    torch.testing.assert_close(again.vertices, meshes.vertices @ rotation.T + translation, atol=1e-12, rtol=0)
    torch.testing.assert_close(again.joints, moved.joints, atol=1e-12, rtol=0)
    # Not what turning the translation alone would give: joint 0's rest position is not the origin.
    assert (moved.translation - (people.translation @ rotation.T + translation)).norm(dim=1).min() > 0.01


def test_also_in_float32(posed, frame):
    people, _ = posed
    single = People(*(v.float() if v.is_floating_point() else v for v in vars(people).values()))
    moved, exact = transformed(single, *frame), transformed(people, *frame)
    for name in ('rotations', 'translation', 'joints', 'velocity'):
        assert getattr(moved, name).dtype == torch.float32
        torch.testing.assert_close(getattr(moved, name).double(), getattr(exact, name), atol=2e-6, rtol=0)


def test_what_is_of_the_image_stays(posed, frame):
    people, _ = posed
    moved = transformed(people, *frame)
    for name in ('track_ids', 'scores', 'boxes', 'betas', 'joints_2d', 'joint_confidence', 'joint_sigma'):
        assert getattr(moved, name) is getattr(people, name)
    torch.testing.assert_close(moved.rotations[:, 1:], people.rotations[:, 1:])


def test_somebody_who_stands_still_stands_still_before_a_moving_camera(posed, frame):
    """The camera turns and drives; what it sees of a standing person moves, in the fixed frame nothing does."""
    people, _ = posed
    rotation, translation = frame
    turning = rotation @ np.cross(np.eye(3), [0.3, -0.5, 0.2])
    moving = np.array([1.0, 0.5, -0.2])
    pelvis = people.joints[:, 0].numpy()
    people.velocity = torch.from_numpy(-(pelvis @ turning.T + moving) @ rotation)  # R v + R' x + p' = 0
    moved = transformed(people, rotation, translation, turning, moving)
    torch.testing.assert_close(moved.velocity, torch.zeros(3, 3, dtype=torch.float64), atol=1e-12, rtol=0)
    resting = transformed(people, rotation, translation)
    torch.testing.assert_close(resting.velocity, people.velocity @ torch.from_numpy(rotation).T)


def test_nobody_is_nobody_there(posed, frame):
    assert len(transformed(posed[0][:0], *frame)) == 0
