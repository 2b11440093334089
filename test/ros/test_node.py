"""The real node as a process of its own, over DDS, with the real pipeline: its promises, and bad input."""

import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest

rclpy = pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('mesh_perception.msg', reason='needs the built messages', exc_type=ImportError)
pytest.importorskip('tf2_msgs.msg', reason='needs tf2_msgs')
import cv2
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from rcl_interfaces.srv import DescribeParameters
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CompressedImage, Image
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

sys.path.insert(0, str(Path(__file__).parent))
from live import Camera, NodeProcess

from mesh_perception.joints import SMPL_JOINTS, SMPL_PARENTS
from mesh_perception.msg import BodyModel
from mesh_perception.weights.store import cache_directory


@pytest.fixture(scope='module')
def node(environment, camera, tmp_path_factory):
    """One node for all tests that leave it as it was: it must have survived all of them at the end."""
    # Best effort would lose some images of this size on the way, see config/fastdds_large_images.xml.
    node = NodeProcess(environment, tmp_path_factory.mktemp('node') / 'log', '-p', 'image_reliability:=reliable')
    try:
        camera.wait_for(node)
        yield node
        assert node.process.poll() is None, node.log()
    finally:
        node.stop()


def test_before_any_camera_info_it_says_so(node, camera):
    camera.send(camera.image())
    assert camera.wait(lambda: 'no camera_info yet' in node.log()), node.log()


def test_people_and_everything_about_them(node, camera):
    topics = {
        '/tf': TFMessage,
        'mesh_perception/markers': MarkerArray,
        'mesh_perception/overlay': Image,
        '/diagnostics': DiagnosticArray,
    }
    subscriptions = [camera.listen(kind, topic) for topic, kind in topics.items()]
    subscriptions.append(
        camera.listen(
            BodyModel, 'mesh_perception/body_model', QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        )
    )
    assert camera.wait(lambda: camera.received['mesh_perception/body_model']), 'the body comes to late listeners'
    camera.confirmed()  # before, they have no TF
    image = camera.image()
    message = camera.answer(image, camera.camera_info())
    assert message.header == image.header and (message.width, message.height) == (image.width, image.height)
    assert len(message.people) >= 2 and np.allclose(message.k, camera.camera_info().k)
    body = camera.received['mesh_perception/body_model'][0]
    assert body.id == message.body_model and list(body.joint_names) == list(SMPL_JOINTS)
    for person in message.people:
        assert 1 < person.joints[2] < 15 and len(person.vertices) == 0
        assert np.isfinite(person.pose).all() and len(person.betas)

    def same_stamp(topic, stamp):
        return camera.wait(lambda: [m for m in camera.received[topic] if stamp(m) == image.header.stamp])[0]

    tf = same_stamp('/tf', lambda m: m.transforms[0].header.stamp)
    assert {t.child_frame_id for t in tf.transforms} == {
        f'smpl_{person.id}_{joint}' for person in message.people for joint in SMPL_JOINTS
    }
    for person in message.people:
        check_frames(tf, person, image.header.frame_id)
    markers = same_stamp('mesh_perception/markers', lambda m: m.markers[0].header.stamp).markers
    for person, mesh, skeleton, label in zip(message.people, *(markers[i::3] for i in range(3)), strict=True):
        points = np.array([(p.x, p.y, p.z) for p in mesh.points])
        assert 1000 < len(points) / 3 < 6000
        np.testing.assert_allclose(points.mean(0), person.joints.reshape(24, 3).mean(0), atol=0.3)
        ends = np.array([(p.x, p.y, p.z) for p in skeleton.points[::2]])
        np.testing.assert_allclose(ends, person.joints.reshape(24, 3)[1:], atol=1e-6)
        assert label.text == person.id and mesh.color.r == skeleton.color.r == label.color.r
    overlay = same_stamp('mesh_perception/overlay', lambda m: m.header.stamp)
    drawn = np.frombuffer(overlay.data, np.uint8).reshape(camera.picture.shape)
    assert overlay.encoding == 'rgb8' and 0.005 < (drawn != camera.picture).any(-1).mean() < 0.5

    def reported():
        camera.answer(camera.image(), camera.camera_info())  # each report speaks of its own period alone
        values = [{pair.key: pair.value for pair in m.status[0].values} for m in camera.received['/diagnostics']]
        return [found for found in values if int(found.get('people', 0)) >= 2]

    assert camera.wait(reported), [m.status[0].message for m in camera.received['/diagnostics']]
    for subscription in subscriptions:
        camera.node.destroy_subscription(subscription)


def check_frames(tf, person, camera_frame):
    """TF's frames, walked down the tree, are the message's joints and its pose."""
    edges = {t.child_frame_id: t for t in tf.transforms}
    rotations = {-1: np.eye(3)}
    for joint, (name, parent) in enumerate(zip(SMPL_JOINTS, SMPL_PARENTS, strict=True)):
        rotations[joint] = rotations[parent] @ Rotation.from_rotvec(person.pose[3 * joint : 3 * joint + 3]).as_matrix()
        frame, point, turn = f'smpl_{person.id}_{name}', np.zeros(3), np.eye(3)
        while frame != camera_frame:
            transform = edges[frame].transform
            values = [getattr(transform.rotation, axis) for axis in 'xyzw']
            assert abs(np.linalg.norm(values) - 1) < 1e-9
            step = Rotation.from_quat(values).as_matrix()
            point = step @ point + [getattr(transform.translation, axis) for axis in 'xyz']
            turn, frame = step @ turn, edges[frame].header.frame_id
        np.testing.assert_allclose(point, person.joints[3 * joint : 3 * joint + 3], atol=1e-5)
        np.testing.assert_allclose(turn, rotations[joint], atol=1e-5)


def test_ids_stay_from_image_to_image(node, camera):
    first, second = ({p.id for p in camera.answer(camera.image(), camera.camera_info()).people} for _ in range(2))
    assert first == second


def bad_images(camera):
    half = np.ascontiguousarray(camera.picture[::2, ::2])
    return {
        "image with encoding 'rgb9'": camera.image(encoding='rgb9'),
        "image with encoding '', 0x0: empty": Image(),
        'truncated': camera.image(data=camera.image().data[:-7]),
        'is too small': camera.image(step=5),
        'but camera_info is for': camera.image(half),
    }


@pytest.mark.parametrize(
    'words',
    [
        "image with encoding 'rgb9'",
        "image with encoding '', 0x0: empty",
        'truncated',
        'is too small',
        'but camera_info is for',
    ],
)
def test_after_a_bad_image_comes_a_warning_and_the_next_good_one_is_answered(node, camera, words):
    camera.answer(camera.image(), camera.camera_info())
    bad = bad_images(camera)[words]
    seen = node.log().count(words)

    def warned():
        camera.send(bad)
        return camera.wait(lambda: node.log().count(words) > seen, 2)

    assert camera.wait(warned), node.log()
    assert camera.answer(camera.image()).people


def test_after_an_uncalibrated_camera_the_next_good_one_is_answered(node, camera):
    info = camera.camera_info()
    info.k = np.zeros(9)
    camera.send(camera.image(), info)
    assert camera.wait(lambda: 'K is all zero' in node.log()), node.log()
    assert camera.answer(camera.image(), camera.camera_info()).people


def test_a_calibration_of_another_frame_is_said_once_and_the_image_counts(node, camera):
    info = camera.camera_info()
    info.header.frame_id = 'camera_link'
    for _ in range(2):
        image = camera.image()
        assert camera.answer(image, info).header.frame_id == image.header.frame_id
    assert node.log().count("the image's frame_id is 'camera_optical_frame', camera_info's 'camera_link'") == 1


def test_a_black_image_has_no_people_and_is_answered(node, camera):
    assert camera.answer(camera.image(np.zeros_like(camera.picture)), camera.camera_info()).people == []
    assert camera.answer(camera.image()).people


def test_the_size_may_change_mid_stream(node, camera):
    camera.answer(camera.image(), camera.camera_info())
    larger = cv2.resize(camera.picture, None, fx=1.5, fy=1.5)
    info = camera.camera_info()
    info.height, info.width = larger.shape[:2]
    info.k = np.diag([1.5, 1.5, 1]) @ camera.k
    info.k = info.k.reshape(-1)
    message = camera.answer(camera.image(larger), info)
    assert message.people and message.width == larger.shape[1]
    assert camera.answer(camera.image(), camera.camera_info()).people


def test_stamps_that_jump_back_start_anew(node, camera):
    before = {p.id for p in camera.answer(camera.image(), camera.camera_info()).people}
    camera.now -= 500
    after = {p.id for p in camera.answer(camera.image()).people}
    assert 'the stamps jumped back' in node.log()
    assert after and not after & before
    assert {p.id for p in camera.answer(camera.image()).people} == after


def test_parameters_are_described_and_checked(node, camera):
    names = ['max_people', 'marker_mesh']
    descriptors = camera.call(DescribeParameters, 'describe_parameters', names=names).descriptors
    assert descriptors[0].integer_range[0].to_value == 20 and 'unconfigured' in descriptors[0].additional_constraints
    assert descriptors[1].description and 'light, full' in descriptors[1].additional_constraints

    set_parameter = camera.set_parameter
    assert not set_parameter('max_people', 5).successful, 'in use'
    result = set_parameter('marker_mesh', 'thick')
    assert not result.successful and 'light, full' in result.reason
    camera.confirmed()
    assert set_parameter('publish_vertices', True).successful
    tf = camera.listen(TFMessage, '/tf'), camera.received['/tf']
    assert camera.wait(lambda: camera.node.count_publishers('/tf'))
    answer = camera.answer(camera.image(), camera.camera_info())
    people = answer.people
    assert people and all(len(p.vertices) > 20000 and len(p.vertices) % 3 == 0 for p in people)
    assert set_parameter('publish_vertices', False).successful
    assert camera.wait(lambda: [m for m in tf[1] if m.transforms[0].header.stamp == answer.header.stamp])
    tf[1].clear()
    assert set_parameter('publish_tf', False).successful
    camera.answer(camera.image())
    assert set_parameter('publish_tf', True).successful
    last = camera.answer(camera.image())
    assert camera.wait(lambda: tf[1])
    assert [m.transforms[0].header.stamp for m in tf[1]] == [last.header.stamp]
    camera.node.destroy_subscription(tf[0])


def test_a_burst_is_answered_with_its_newest(node, camera):
    camera.answer(camera.image(), camera.camera_info())
    camera.received['mesh_perception/people'].clear()
    images = [camera.image() for _ in range(10)]
    for image in images:
        camera.send(image)
        time.sleep(0.01)
    answered = camera.received['mesh_perception/people']
    assert camera.wait(lambda: answered and answered[-1].header == images[-1].header)
    assert len(answered) < 10
    stamps = [(m.header.stamp.sec, m.header.stamp.nanosec) for m in answered]
    assert stamps == sorted(stamps)


def test_the_lifecycle_again_and_again_also_with_images_coming_in(node, camera):
    image, info = camera.image(), camera.camera_info()
    assert camera.state() == 'active'
    for turn in range(4):
        camera.send(image, info)
        assert camera.change_state(Transition.TRANSITION_DEACTIVATE)
        assert camera.state() == 'inactive'
        assert camera.wait(lambda: camera.images.get_subscription_count() == 0), 'an inactive node takes no images'
        camera.send(image)
        if turn % 2:
            assert camera.change_state(Transition.TRANSITION_CLEANUP)
            assert camera.state() == 'unconfigured'
            assert camera.change_state(Transition.TRANSITION_CONFIGURE)
        assert camera.change_state(Transition.TRANSITION_ACTIVATE)
    camera.wait_for(node)
    assert camera.answer(camera.image(), camera.camera_info()).people
    assert 'Traceback' not in node.log(), node.log()


@pytest.mark.parametrize(
    'encoding', ['bgr8', 'rgba8', 'bgra8', 'mono8', 'mono16', 'yuv422', 'yuv422_yuy2', 'bayer_rggb8']
)
def test_people_are_found_in_every_encoding(node, camera, encoding):
    """The same people in the same places: a wrong order of colours or of a pattern would move or lose some."""
    expected = camera.answer(camera.image(), camera.camera_info()).people
    rgb, grey = camera.picture, cv2.cvtColor(camera.picture, cv2.COLOR_RGB2GRAY)
    if encoding.startswith('yuv422'):
        rgb = rgb[:, : rgb.shape[1] // 2 * 2]
        y, u, v = np.moveaxis(cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV), 2, 0)
        y, chroma = 16 + y * (219 / 255), np.where(np.arange(rgb.shape[1]) % 2, v, u)
        values = np.stack((chroma, y) if encoding == 'yuv422' else (y, chroma), -1)
    elif encoding == 'bayer_rggb8':
        values = rgb[..., 1].copy()
        values[::2, ::2], values[1::2, 1::2] = rgb[::2, ::2, 0], rgb[1::2, 1::2, 2]
    elif encoding.startswith('mono'):
        values = grey.astype(np.uint16) * 257 if encoding == 'mono16' else grey
    else:
        alpha = np.full((*grey.shape, 1), 255, np.uint8)
        values = np.concatenate((rgb[..., ::-1] if encoding.startswith('b') else rgb, alpha), 2)[
            ..., : 3 + ('a' in encoding)
        ]
    values = values if encoding == 'mono16' else values.astype(np.uint8)
    values = np.ascontiguousarray(values)
    info = camera.camera_info()
    info.width = values.shape[1]
    image = camera.image(values, encoding=encoding, step=values.strides[0])
    people = camera.answer(image, info).people
    for person in people[:2]:
        assert min(np.abs(np.subtract(person.box, other.box)).max() for other in expected) < 60, encoding


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_cleanly_also_in_the_midst_of_work(environment, scene, tmp_path, number):
    quiet = {**environment, 'ROS_DOMAIN_ID': str(int(environment['ROS_DOMAIN_ID']) + 1)}
    node, camera = NodeProcess(quiet, tmp_path / 'log', '-p', 'image_transport:=compressed'), Camera(quiet, scene)
    try:
        compressed = camera.node.create_publisher(CompressedImage, 'image/compressed', qos_profile_sensor_data)
        camera.wait_for(node, compressed)
        data = cv2.imencode('.jpg', camera.picture[..., ::-1])[1].tobytes()
        image = CompressedImage(format='jpeg', data=data)
        camera.stamp(image)
        assert camera.answer(image, camera.camera_info(), compressed).people
        camera.stamp(image)
        camera.send(image, publisher=compressed)
        time.sleep(0.05)
        assert node.stop(number) == 0, node.log()
        assert 'Traceback' not in node.log() and 'rror' not in node.log(), node.log()
    finally:
        node.stop()
        camera.close()


def test_a_start_that_cannot_work_is_one_line_and_exit_code_1(environment, tmp_path):
    cases = {
        'max_people': ('-p', 'max_people:=21'),
        "unknown joint 'tail'": ('-p', 'tf_joints:=[tail]'),
        'skeleton.netwrk': ('-p', "overrides:=['skeleton.netwrk=x']"),
        'nowhere.yaml': ('--params-file', 'nowhere.yaml'),
    }
    nodes = {words: NodeProcess(environment, tmp_path / f'{i}', *cases[words]) for i, words in enumerate(cases)}
    try:
        for words, node in nodes.items():
            assert node.process.wait(60) == 1
            assert words in node.log() and 'Traceback' not in node.log(), node.log()
    finally:
        for node in nodes.values():
            node.stop()


def test_missing_weights_fail_the_transition_and_may_come_later(environment, scene, tmp_path):
    """Also: autostart off, a misspelt parameter, simulated time without a clock, a shutdown by transition."""
    cache = tmp_path / 'cache'
    other = {
        **environment,
        'ROS_DOMAIN_ID': str(int(environment['ROS_DOMAIN_ID']) + 1),
        'MESH_PERCEPTION_CACHE': str(cache),
    }
    names = 'autostart:=false', 'modls:=x', 'use_sim_time:=true', 'image_reliability:=reliable'
    arguments = [argument for name in names for argument in ('-p', name)]
    node, camera = NodeProcess(other, tmp_path / 'log', *arguments), Camera(other, scene)
    try:
        camera.listen(DiagnosticArray, '/diagnostics')
        assert camera.state() == 'unconfigured' and "did you mean 'models'" in node.log()
        for _ in range(2):
            assert not camera.change_state(Transition.TRANSITION_CONFIGURE)
            assert camera.state() == 'unconfigured'
        assert 'mesh-perception weights fetch' in node.log() and 'Traceback' not in node.log(), node.log()
        cache.symlink_to(cache_directory(), target_is_directory=True)
        assert camera.change_state(Transition.TRANSITION_CONFIGURE), node.log()
        assert camera.change_state(Transition.TRANSITION_ACTIVATE)
        camera.wait_for(node)
        assert camera.answer(camera.image(), camera.camera_info()).people
        assert camera.wait(lambda: camera.received['/diagnostics']), 'they need no /clock'
        assert camera.change_state(Transition.TRANSITION_ACTIVE_SHUTDOWN)
        assert camera.state() == 'finalized'
        assert node.stop() == 0, node.log()
    finally:
        node.stop()
        camera.close()
