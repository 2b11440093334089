"""Frames over DDS, from the real node: TF bounded, people in a fixed frame, and REP-155's humans."""

import sys
import time
from pathlib import Path

import numpy as np
import pytest

rclpy = pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('mesh_perception.msg', reason='needs the built messages', exc_type=ImportError)
pytest.importorskip('tf2_msgs.msg', reason='needs tf2_msgs')
pytest.importorskip('hri_msgs.msg', reason='needs hri_msgs')
from geometry_msgs.msg import TransformStamped
from hri_msgs.msg import IdsList, NormalizedRegionOfInterest2D, Skeleton2D
from lifecycle_msgs.msg import Transition
from rclpy.qos import DurabilityPolicy, QoSProfile
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool
from tf2_msgs.msg import TFMessage

sys.path.insert(0, str(Path(__file__).parent))
from live import Camera, NodeProcess, parameters

from mesh_perception.joints import SMPL_JOINTS
from mesh_perception.msg import SmplPeople, SmplPerson
from mesh_perception.ros.human_kinematics import JOINTS, LINKS

TRACKED, FIXED = '/humans/bodies/tracked', 'mesh_perception/people_fixed'
KINDS = {'roi': NormalizedRegionOfInterest2D, 'skeleton2d': Skeleton2D, 'joint_states': JointState}
SETTINGS = ('publish_humans:=true', 'target_frame:=map', 'image_reliability:=reliable')


@pytest.fixture(scope='module')
def camera(environment, scene):
    camera = Camera(environment, scene)
    camera.listen(IdsList, TRACKED)
    camera.listen(TFMessage, '/tf', 100)
    yield camera
    camera.close()


@pytest.fixture(scope='module')
def node(environment, camera, tmp_path_factory):
    node = NodeProcess(environment, tmp_path_factory.mktemp('node') / 'log', *parameters(*SETTINGS))
    try:
        camera.wait_for(node)
        assert camera.wait(lambda: camera.node.count_publishers(TRACKED))
        yield node
        assert node.process.poll() is None, node.log()
        assert node.stop() == 0 and 'Traceback' not in node.log(), node.log()  # with bodies in view
    finally:
        node.stop()


def of_image(camera, topic, header):
    """What arrived, or arrives, on a topic for an image."""

    def found():
        for message in camera.received[topic]:
            if (message.transforms[0] if topic == '/tf' else message).header.stamp == header.stamp:
                return message

    result = camera.wait(found)
    assert result, f'nothing on {topic}'
    return result


def matrix(transform):
    """4x4 of a geometry_msgs/Transform."""
    result = np.eye(4)
    result[:3, :3] = Rotation.from_quat([getattr(transform.rotation, axis) for axis in 'xyzw']).as_matrix()
    result[:3, 3] = [getattr(transform.translation, axis) for axis in 'xyz']
    return result


def joint(person, name):
    return person.joints.reshape(24, 3)[SMPL_JOINTS.index(name)]


def test_nobody_has_frames_before_being_confirmed(node, camera):
    first = camera.answer(camera.image(), camera.camera_info())
    assert {person.state for person in first.people} == {SmplPerson.TENTATIVE}
    assert of_image(camera, TRACKED, first.header).ids == []
    last = camera.confirmed()
    assert set(of_image(camera, TRACKED, last.header).ids) == {person.id for person in last.people}
    of_image(camera, '/tf', last.header)
    stamps = [m.transforms[0].header.stamp for m in camera.received['/tf']]
    assert first.header.stamp not in stamps and len(stamps) == len({(s.sec, s.nanosec) for s in stamps})


def test_every_body_has_its_topics_and_they_say_what_people_say(node, camera):
    people = camera.confirmed().people
    subscriptions = [
        camera.listen(kind, f'/humans/bodies/{person.id}/{topic}') for person in people for topic, kind in KINDS.items()
    ]
    topics = [subscription.topic_name for subscription in subscriptions]
    assert camera.wait(lambda: all(camera.node.count_publishers(topic) == 1 for topic in topics))

    def heard():  # a subscription of a moment ago may not be known to the node yet
        message = camera.confirmed()
        camera.wait(lambda: all(camera.received[topic] for topic in topics), 1)
        return all(camera.received[topic] for topic in topics) and message

    message = camera.wait(heard)
    for person in message.people:
        region, skeleton, state = (of_image(camera, f'/humans/bodies/{person.id}/{k}', message.header) for k in KINDS)
        assert region.header == skeleton.header == state.header == message.header
        size = np.array([message.width, message.height] * 2)
        box = [region.xmin, region.ymin, region.xmax, region.ymax]
        np.testing.assert_allclose(box, np.clip((person.box + 0.5) / size, 0, 1), atol=1e-6)
        assert region.c == person.score
        ankle = skeleton.skeleton[Skeleton2D.LEFT_ANKLE]
        index = SMPL_JOINTS.index('left_ankle')
        pixel = person.joints_2d.reshape(24, 2)[index]
        np.testing.assert_allclose([ankle.x, ankle.y], np.clip((pixel + 0.5) / size[:2], 0, 1), atol=1e-6)
        assert ankle.c in (0, person.joint_confidence[index]) and skeleton.skeleton[Skeleton2D.NOSE].c == 0
        neck, shoulders = (
            skeleton.skeleton[Skeleton2D.NECK],
            [SMPL_JOINTS.index(f'{s}_shoulder') for s in ('left', 'right')],
        )
        expected = (person.joints_2d.reshape(24, 2)[shoulders].mean(0) + 0.5) / size[:2]
        np.testing.assert_allclose([neck.x, neck.y], np.clip(expected, 0, 1), atol=1e-6)
        assert list(state.name) == [f'{name}_{person.id}' for name in JOINTS]
        assert np.isfinite(state.position).all() and len(state.position) == len(JOINTS)
    for subscription in subscriptions:
        camera.node.destroy_subscription(subscription)


def test_body_frames_are_the_reps(node, camera):
    """Origin between the hips, x out of the chest, z to the head; links hang in it and end in its id."""
    message = camera.confirmed()
    frames = {t.child_frame_id: t for t in of_image(camera, '/tf', message.header).transforms}
    for person in message.people:
        assert {f'{link}_{person.id}' for link in LINKS} <= frames.keys()
        body = frames[f'body_{person.id}']
        assert body.header == message.header
        assert all(frames[f'{link}_{person.id}'].header.frame_id == f'body_{person.id}' for link in LINKS[1:])
        pose = matrix(body.transform)
        np.testing.assert_allclose(pose[:3, 3], (joint(person, 'left_hip') + joint(person, 'right_hip')) / 2, atol=1e-5)
        left = joint(person, 'left_hip') - joint(person, 'right_hip')
        up = joint(person, 'neck') - joint(person, 'pelvis')
        assert pose[:3, 1] @ left > 0.9 * np.linalg.norm(left) and pose[:3, 2] @ up > 0.8 * np.linalg.norm(up)
        assert np.linalg.det(pose[:3, :3]) > 0.999
        pelvis = matrix(frames[f'smpl_{person.id}_pelvis'].transform)
        np.testing.assert_allclose(pose[:3, :3], pelvis[:3, [2, 0, 1]], atol=1e-6)
        wrist = pose @ matrix(frames[f'l_wrist_{person.id}'].transform)
        np.testing.assert_allclose(wrist[:3, 3], joint(person, 'left_wrist'), atol=1e-5)


def test_frames_are_bounded_and_go_to_the_nearest(node, camera):
    people = camera.confirmed().people
    nearest = min(people, key=lambda person: np.linalg.norm(person.joints[:3])).id
    try:
        for limit, expected in ((1, {nearest}), (0, set())):
            assert camera.set_parameter('max_tf_people', limit).successful
            message = camera.confirmed()
            assert set(of_image(camera, TRACKED, message.header).ids) == expected
            if limit:
                frames = {t.child_frame_id for t in of_image(camera, '/tf', message.header).transforms}
                links = {f'{link}_{nearest}' for link in LINKS}
                assert frames == links | {f'smpl_{nearest}_{name}' for name in SMPL_JOINTS}
    finally:
        assert camera.set_parameter('max_tf_people', 10).successful


def test_topics_of_a_body_end_with_it(node, camera):
    message = camera.confirmed()
    topic = f'/humans/bodies/{message.people[0].id}/roi'
    assert camera.wait(lambda: camera.node.count_publishers(topic) == 1)
    dark = camera.answer(camera.image(np.zeros_like(camera.picture)))
    assert of_image(camera, TRACKED, dark.header).ids == []
    assert camera.wait(lambda: camera.node.count_publishers(topic) == 0, 10)


@pytest.mark.parametrize('way', ['enable', 'lifecycle'])
def test_who_is_no_longer_looked_at_is_no_longer_tracked(node, camera, way):
    def switch(on):
        if way == 'enable':
            assert camera.call(SetBool, 'enable', data=on).success
        else:
            turn = Transition.TRANSITION_ACTIVATE if on else Transition.TRANSITION_DEACTIVATE
            assert camera.change_state(turn)

    topic = f'/humans/bodies/{camera.confirmed().people[0].id}/roi'
    assert camera.wait(lambda: camera.received[TRACKED][-1].ids and camera.node.count_publishers(topic) == 1)
    switch(False)
    assert camera.wait(lambda: not camera.received[TRACKED][-1].ids, 10)
    assert camera.wait(lambda: camera.node.count_publishers(topic) == 0, 10)
    switch(True)
    camera.wait_for(node)
    assert camera.confirmed()


@pytest.fixture(scope='module')
def transforms(camera):
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    return camera.node.create_publisher(TFMessage, '/tf', 100), camera.node.create_publisher(
        TFMessage, '/tf_static', latched
    )


def stamped(parent, child, now, offset, vector):
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id = parent
    message.header.stamp.sec, message.header.stamp.nanosec = int(now), round(now % 1 * 1e9)
    moved, turn = message.transform.translation, message.transform.rotation
    moved.x, moved.y, moved.z = offset
    turn.x, turn.y, turn.z, turn.w = Rotation.from_rotvec(vector).as_quat().tolist()
    return message


def test_people_in_the_fixed_frame_once_tf_has_it(node, camera, transforms):
    subscription = camera.listen(SmplPeople, FIXED)
    assert camera.wait(lambda: camera.node.count_publishers(FIXED))
    moving, static = transforms
    assert camera.wait(lambda: moving.get_subscription_count() and static.get_subscription_count())

    def warned():
        assert camera.confirmed(), '~/people goes on'
        return "no TF from 'camera_optical_frame' to 'map'" in node.log()

    assert camera.wait(warned), node.log()
    begin, count = time.monotonic(), node.log().count("no TF from 'camera_optical_frame' to 'map'")
    for _ in range(4):
        camera.confirmed()
    more = node.log().count("no TF from 'camera_optical_frame' to 'map'") - count
    assert more <= 1 + (time.monotonic() - begin) / 5, 'not for every image'
    assert not camera.received[FIXED]

    turn, offset = [0.2, -1.5, 0.4], [1.0, 2.0, 0.5]
    static.publish(TFMessage(transforms=[stamped('base', 'camera_optical_frame', 0, offset, turn)]))

    def moved():
        image = camera.image()
        for step in (-0.15, 0.0):  # drives along x at 1 m/s
            moving.publish(
                TFMessage(transforms=[stamped('map', 'base', camera.now + step, [camera.now + step, 0, 0], [0, 0, 1])])
            )
        camera.wait(lambda: False, 0.3)  # so that it is there before the image
        message = camera.answer(image)
        return camera.wait(lambda: camera.received[FIXED], 1) and message

    message = camera.wait(moved)
    fixed = of_image(camera, FIXED, message.header)
    assert fixed.header.frame_id == 'map' and fixed.header.stamp == message.header.stamp
    assert (fixed.body_model, fixed.width, list(fixed.k)) == (message.body_model, message.width, list(message.k))
    now = message.header.stamp.sec + 1e-9 * message.header.stamp.nanosec
    base, mount = Rotation.from_rotvec([0, 0, 1]), Rotation.from_rotvec(turn)
    for seen, person in zip(message.people, fixed.people, strict=True):
        assert (seen.id, list(seen.box)) == (person.id, list(person.box))
        joints = np.add(base.apply(mount.apply(seen.joints.reshape(24, 3)) + offset), [now, 0, 0])
        np.testing.assert_allclose(person.joints.reshape(24, 3), joints, atol=1e-3)  # at 1000 m, in float32
        turned = (base * mount * Rotation.from_rotvec(seen.pose[:3])).as_matrix()
        np.testing.assert_allclose(Rotation.from_rotvec(person.pose[:3]).as_matrix(), turned, atol=1e-4)
        np.testing.assert_array_equal(person.pose[3:], seen.pose[3:])
        speed = np.add((base * mount).apply(seen.velocity), [1, 0, 0])
        np.testing.assert_allclose(person.velocity, speed, atol=1e-3)
    camera.node.destroy_subscription(subscription)


def test_without_hri_msgs_asking_for_humans_is_refused_in_one_line(environment, tmp_path):
    hidden = tmp_path / 'hri_msgs'
    hidden.mkdir()
    (hidden / '__init__.py').write_text("raise ImportError('not here')\n")
    path = f'{tmp_path}:{environment["PYTHONPATH"]}'
    node = NodeProcess({**environment, 'PYTHONPATH': path}, tmp_path / 'log', '-p', 'publish_humans:=true')
    try:
        assert node.process.wait(60) == 1
        lines = [line for line in node.log().splitlines() if 'publish_humans needs the package hri_msgs' in line]
        assert len(lines) == 1 and 'cannot configure' in lines[0] and 'Traceback' not in node.log(), node.log()
    finally:
        node.stop()
