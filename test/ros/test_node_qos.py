"""Quality of service: what is heard and what is not, and that the node says why, over real DDS."""

import sys
from pathlib import Path

import pytest

rclpy = pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('mesh_perception.msg', reason='needs the built messages', exc_type=ImportError)
pytest.importorskip('tf2_msgs.msg', reason='needs tf2_msgs')
import cv2
import numpy as np
from lifecycle_msgs.msg import Transition
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image

sys.path.insert(0, str(Path(__file__).parent))
from live import Camera, running

from mesh_perception.msg import BodyModel

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


@pytest.fixture(scope='module')
def camera(environment, scene):
    """With pictures so small that they nearly always arrive, best effort or not."""
    picture, k = scene
    small = cv2.resize(picture, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    camera = Camera(environment, (small, np.diag((0.25, 0.25, 1)) @ k), infos=LATCHED)
    yield camera
    camera.close()


@pytest.fixture(scope='module')
def report(camera):
    return camera.reports()


@pytest.fixture(scope='module')
def node(environment, camera, tmp_path_factory):
    """Started after the calibration was published once and for all; overridden where a file would do it."""
    camera.infos.publish(camera.camera_info())
    arguments = [
        'diagnostics_period:=0.2',
        'image_timeout:=1.0',
        'qos_overrides./image.subscription.depth:=7',
        'qos_overrides./mesh_perception/markers.publisher.reliability:=best_effort',
        'qos_overrides./mesh_perception/markers.publisher.depth:=3',
        'qos_overrides./imagee.subscription.depth:=2',
    ]
    with running(environment, camera, tmp_path_factory.mktemp('node'), *arguments) as node:
        yield node


def endpoint(camera, topic, kind):
    find = getattr(camera.node, f'get_{kind}_info_by_topic')
    return camera.wait(lambda: [e for e in find(topic) if e.node_name == 'mesh_perception'])[0].qos_profile


def test_a_calibration_that_was_latched_before_the_node_came_is_heard(node, camera):
    assert camera.answer(camera.image()).width == camera.picture.shape[1], node.log()
    assert 'no camera_info' not in node.log()
    other = np.ascontiguousarray(camera.picture[::2, ::2])
    info = camera.camera_info()
    info.height, info.width = other.shape[:2]
    assert camera.answer(camera.image(other), info).width == other.shape[1], 'and what is latched later'


def test_other_publishers_of_camera_info_see_no_request_that_they_cannot_meet(node, camera):
    misfits = []
    events = rclpy.event_handler.PublisherEventCallbacks(incompatible_qos=misfits.append)
    publisher = camera.node.create_publisher(CameraInfo, 'other/camera_info', qos_profile_sensor_data)
    camera.node.destroy_publisher(publisher)
    publisher = camera.node.create_publisher(Image, 'image', qos_profile_sensor_data, event_callbacks=events)
    assert camera.wait(publisher.get_subscription_count)
    camera.wait(lambda: misfits, 0.5)
    assert not misfits
    camera.node.destroy_publisher(publisher)


def test_input_is_best_effort_keep_last_1_unless_it_is_overridden(node, camera):
    image = endpoint(camera, '/image', 'subscriptions')
    assert image.reliability == ReliabilityPolicy.BEST_EFFORT and image.durability == DurabilityPolicy.VOLATILE
    assert parameter(camera, 'qos_overrides./image.subscription.depth').integer_value == 7
    assert parameter(camera, 'qos_overrides./camera_info.subscription.depth').integer_value == 1


def test_output_is_reliable_unless_it_is_overridden(node, camera):
    assert endpoint(camera, '/mesh_perception/markers', 'publishers').reliability == ReliabilityPolicy.BEST_EFFORT
    assert endpoint(camera, '/mesh_perception/people', 'publishers').reliability == ReliabilityPolicy.RELIABLE
    assert parameter(camera, 'qos_overrides./mesh_perception/markers.publisher.depth').integer_value == 3


def test_an_override_of_a_topic_that_is_not_there_is_named(node):
    assert "'qos_overrides./imagee.subscription.depth' has no effect" in node.log(), node.log()


def parameter(camera, name):
    from rcl_interfaces.srv import GetParameters

    return camera.call(GetParameters, 'get_parameters', names=[name]).values[0]


def test_late_joiners_get_the_body(node, camera):
    for _ in range(2):
        listening = camera.listen(BodyModel, 'mesh_perception/body_model', LATCHED)
        assert camera.wait(lambda: camera.received['mesh_perception/body_model'], 10)
        camera.node.destroy_subscription(listening)


def test_silence_of_a_connected_camera_is_noticed_and_over_with_the_next_image(node, camera, report):
    assert camera.wait(lambda: report() and 'is the camera running?' in report().message, 10), report()
    assert 'publisher(s), but nothing came' in node.log()

    def over():
        camera.send(camera.image(), camera.camera_info())
        return 'is the camera running?' not in report().message

    assert camera.wait(over, 20)


def test_images_that_are_lost_on_the_way_are_counted_and_the_profile_named(node, camera, report):
    """6 MB each with best effort over the default transports: hardly any arrives."""
    assert 'lost on the way' not in node.log()
    large = cv2.resize(camera.picture, (1088, 1920))
    publisher = camera.node.create_publisher(Image, 'image', BEST_EFFORT)
    assert camera.wait(publisher.get_subscription_count)
    image, info = camera.image(large), camera.camera_info()
    info.height, info.width = large.shape[:2]

    def noticed():
        camera.stamp(image)
        publisher.publish(image)
        camera.infos.publish(info)
        camera.wait(lambda: False, 0.03)
        return 'lost on the way' in node.log()

    try:
        assert camera.wait(noticed, 20), node.log()
        assert 'fastdds_large_images.xml' in node.log().split('lost on the way')[1]
    finally:
        camera.node.destroy_publisher(publisher)


def test_nobody_publishing_is_noticed_and_topics_of_the_type_are_named(node, camera, report):
    camera.node.destroy_publisher(camera.images)
    other = camera.node.create_publisher(Image, 'front/image_raw', 10)
    assert camera.wait(lambda: report() and 'nobody publishes /image' in report().message, 10), report()
    assert camera.wait(lambda: 'there is /front/image_raw: remap it' in report().message, 5), report()
    camera.node.destroy_publisher(other)
    camera.images = camera.node.create_publisher(Image, 'image', 10)


def test_a_publisher_whose_qos_does_not_fit_is_named_with_the_remedy(node, camera, report):
    """Also: image_reliability counts anew at each configure."""
    assert camera.change_state(Transition.TRANSITION_DEACTIVATE) and camera.change_state(Transition.TRANSITION_CLEANUP)
    assert camera.set_parameter('image_reliability', 'reliable').successful
    camera.node.destroy_publisher(camera.images)
    camera.images = camera.node.create_publisher(Image, 'image', BEST_EFFORT)
    assert camera.change_state(Transition.TRANSITION_CONFIGURE) and camera.change_state(Transition.TRANSITION_ACTIVATE)
    words = '/image: nothing comes from a publisher with another reliability: /driver offers best_effort, reliable'
    assert camera.wait(lambda: report() and words in report().message, 20), node.log()
    assert words in node.log() and 'image_reliability:=best_effort takes both' in node.log()
