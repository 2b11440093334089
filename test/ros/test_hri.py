"""REP-155's frames and messages from people; over DDS they are tested in test_frames_live.py."""

import numpy as np
import pytest
import torch

rclpy = pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('hri_msgs.msg', reason='needs hri_msgs')
from scipy.spatial.transform import Rotation

from mesh_perception.geometry.camera import Camera
from mesh_perception.joints import SMPL_JOINTS
from mesh_perception.ros.hri import Humans, body_frames
from mesh_perception.ros.human_kinematics import LINKS, link_frames


@pytest.fixture(scope='module')
def humans():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'OFF')
        context = rclpy.Context()
        context.init()
        node = rclpy.create_node('humans', context=context)
        humans = Humans(node)
        yield humans
        humans.destroy()
        assert [p.topic_name for p in node.publishers if p.topic_name.startswith('/humans')] == []
        node.destroy_node()
        context.shutdown()


@pytest.fixture
def camera():
    return Camera.from_intrinsics(640, 480, 500, 500, 320, 240)


def test_links_hang_in_their_body_and_lie_where_they_were(make_people):
    people = make_people(2)
    frames = {child: (parent, *rest) for parent, child, *rest in body_frames(people, ['abcde', 'fghij'], 'camera')}
    assert len(frames) == 32
    rotations, origins = (value.numpy() for value in link_frames(people))
    for person, name in enumerate(['abcde', 'fghij']):
        parent, center, turn = frames[f'body_{name}']
        assert parent == 'camera'
        body = Rotation.from_quat(turn)
        for index, link in enumerate(LINKS[1:], 1):
            parent, offset, turn = frames[f'{link}_{name}']
            assert parent == f'body_{name}'
            np.testing.assert_allclose(body.apply(offset) + center, origins[person, index], atol=1e-6)
            np.testing.assert_allclose(
                (body * Rotation.from_quat(turn)).as_matrix(), rotations[person, index], atol=1e-6
            )


def test_a_region_is_cut_at_the_border_of_the_image(humans, make_people, header, camera):
    people = make_people(1)
    people.boxes[0] = torch.tensor([-20.0, 119.5, 319.5, 700.0])
    region = humans._region(people, header, camera)
    assert [region.xmin, region.ymin, region.xmax, region.ymax] == [0, 0.25, 0.5, 1]
    assert region.c == people.scores[0] and region.header == header


def test_points_outside_of_the_image_are_on_its_border_and_not_trusted(humans, make_people, header, camera):
    people = make_people(1)
    people.joint_confidence[:] = 0.5
    people.joints_2d[:] = torch.tensor([319.5, 119.5])
    for joint, pixel in {'left_wrist': (-0.6, 100.0), 'right_wrist': (-0.5, 479.5), 'left_ankle': (9.5, 480.0)}.items():
        people.joints_2d[0, SMPL_JOINTS.index(joint)] = torch.tensor(pixel)
    message = humans._skeleton(people, header, camera)
    points = {name: message.skeleton[getattr(message, name)] for name in ('LEFT_WRIST', 'RIGHT_WRIST', 'LEFT_ANKLE')}
    assert points['LEFT_WRIST'].x == 0 and points['LEFT_WRIST'].c == 0
    assert (points['RIGHT_WRIST'].x, points['RIGHT_WRIST'].y, points['RIGHT_WRIST'].c) == (0, 1, 0.5)
    assert points['LEFT_ANKLE'].y == 1 and points['LEFT_ANKLE'].c == 0
    hip = message.skeleton[message.RIGHT_HIP]
    assert (hip.x, hip.y, hip.c) == (0.5, 0.25, 0.5)


def test_the_neck_is_between_the_shoulders_and_as_sure_as_the_worse(humans, make_people, header, camera):
    people = make_people(1)
    left, right = (SMPL_JOINTS.index(f'{side}_shoulder') for side in ('left', 'right'))
    people.joints_2d[0, left], people.joints_2d[0, right] = torch.tensor([339.5, 100]), torch.tensor([299.5, 139])
    people.joint_confidence[0, left], people.joint_confidence[0, right] = 0.75, 0.25
    neck = humans._skeleton(people, header, camera).skeleton[1]
    assert (neck.x, neck.y, neck.c) == (0.5, 0.25, 0.25)


def test_the_face_is_left_unseen(humans, make_people, header, camera):
    message = humans._skeleton(make_people(1), header, camera)
    for name in ('NOSE', 'LEFT_EYE', 'RIGHT_EYE', 'LEFT_EAR', 'RIGHT_EAR'):
        point = message.skeleton[getattr(message, name)]
        assert (point.x, point.y, point.c) == (0, 0, 0)


def test_publishers_come_and_go_with_people(humans, make_people, header, camera):
    def topics():
        return sorted(p.topic_name for p in humans._node.publishers if p.topic_name.startswith('/humans/'))

    kinds = ('joint_states', 'roi', 'skeleton2d')
    humans.publish(make_people(2), ['abcde', 'fghij'], header, camera)
    expected = [f'/humans/bodies/{name}/{kind}' for name in ('abcde', 'fghij') for kind in kinds]
    assert topics() == [*expected, '/humans/bodies/tracked']
    humans.publish(make_people(1), ['fghij'], header, camera)
    assert topics() == [*expected[3:], '/humans/bodies/tracked']
    humans.leave()
    assert topics() == ['/humans/bodies/tracked']
