"""People in another frame: the transformed parameters skin to the transformed vertices; speeds are the frame's own."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

rclpy = pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('tf2_msgs.msg', reason='needs tf2_msgs')
from geometry_msgs.msg import TransformStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.serialization import serialize_message
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from mesh_perception.body import load_body, skin
from mesh_perception.geometry.rotations import axis_angle_to_matrix
from mesh_perception.ros.target_frame import TargetFrame, transformed
from mesh_perception.ros.tf_buffer import TransformError
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


@pytest.fixture
def listening(monkeypatch):
    """(TargetFrame of a live node, send(stamp, serialized=..)): what is sent on /tf has arrived when it returns."""
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'OFF')
    context = rclpy.Context()
    context.init()
    node = rclpy.create_node('target', context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    target, publisher = TargetFrame(node, 'map'), node.create_publisher(TFMessage, '/tf', 10)

    def send(stamp, child='camera', note=False):
        message = TFMessage(transforms=[TransformStamped(child_frame_id=child)])
        message.transforms[0].header.frame_id = 'map'
        message.transforms[0].header.stamp.sec = stamp
        data = serialize_message(message)
        if note:
            target.sent(data)
        publisher.publish(data)
        for _ in range(20):
            executor.spin_once(timeout_sec=0.05)

    for _ in range(50):
        if publisher.get_subscription_count():
            break
        executor.spin_once(timeout_sec=0.05)
    yield target, send
    target.destroy()
    executor.shutdown()
    node.destroy_node()
    context.shutdown()


def at(stamp, frame_id='camera'):
    result = Header(frame_id=frame_id)
    result.stamp.sec = stamp
    return result


def test_the_nodes_own_transforms_are_not_read_again(listening, posed):
    target, send = listening
    send(100, 'smpl_abcde_pelvis', note=True)
    send(100)
    assert list(target._buffer._edges) == ['camera']
    people, _, header = target.transform(posed[0], at(100))
    torch.testing.assert_close(people.joints, posed[0].joints)
    assert header.frame_id == 'map' and header.stamp.sec == 100
    assert people.velocity.isnan().all(), 'the camera may have moved: nothing is known of before'


def test_after_a_restart_of_time_old_transforms_are_not_used(listening, posed):
    target, send = listening
    send(100)
    target.reset()
    with pytest.raises(TransformError, match="no TF from 'camera' to 'map'"):
        target.transform(posed[0], at(100))
    send(50)
    assert target.transform(posed[0], at(50))[2].frame_id == 'map'


def test_an_image_without_a_frame_has_no_place_in_another(listening, posed):
    with pytest.raises(TransformError, match='the image has no frame_id'):
        listening[0].transform(posed[0], at(100, ''))


def test_vertices_come_along(listening, posed):
    target, _ = listening
    message = TransformStamped(child_frame_id='camera')
    message.header.frame_id = 'map'
    turn = message.transform.rotation
    turn.x, turn.y, turn.z, turn.w = 0.5, -0.5, 0.5, 0.5
    message.transform.translation.y = 3.0
    target._buffer.insert([message], static=True)
    people, meshes = posed
    moved, vertices, _ = target.transform(people, at(7), meshes.vertices.float().numpy())
    expected = Rotation.from_quat([0.5, -0.5, 0.5, 0.5]).as_matrix()
    np.testing.assert_allclose(vertices, meshes.vertices.numpy() @ expected.T + [0, 3, 0], atol=1e-5)
    assert vertices.dtype == np.float32
    torch.testing.assert_close(moved.velocity, people.velocity @ torch.from_numpy(expected).T)  # static: known at once


@pytest.mark.parametrize('late', [0.0, 0.08])
def test_the_cameras_own_motion_is_told_from_tf_also_where_tf_is_a_little_late(listening, posed, late):
    target, _ = listening
    for step in range(5):
        message = TransformStamped(child_frame_id='camera')
        message.header.frame_id = 'map'
        message.header.stamp.sec, message.header.stamp.nanosec = 7, 50_000_000 * step
        message.transform.translation.x = 0.05 * step * 2.0  # 2 m/s
        turn = message.transform.rotation
        turn.x, turn.y, turn.z, turn.w = Rotation.from_euler('z', 0.05 * step * 0.2).as_quat()  # 0.2 rad/s
        target._buffer.insert([message])
    header = at(7)
    header.stamp.nanosec = 200_000_000 + round(late * 1e9)
    moved, _, _ = target.transform(posed[0], header)
    turned = torch.from_numpy(Rotation.from_euler('z', 0.2 * 0.2).as_matrix())
    joints = posed[0].joints @ turned.T
    torch.testing.assert_close(moved.joints, joints + torch.tensor([0.4, 0, 0]), atol=1e-6, rtol=0)
    around = 0.2 * torch.linalg.cross(torch.tensor([[0.0, 0, 1]]).double(), joints[:, 0])
    expected = posed[0].velocity @ turned.T + around + torch.tensor([2.0, 0, 0])
    # TF's differences lag by half of the tenth of a second that they are taken over.
    torch.testing.assert_close(moved.velocity, expected, atol=0.5 * 0.1 * 0.2**2 * 6, rtol=0)
