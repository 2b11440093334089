"""Overridable QoS and subscriptions on a middleware that tells less, without a network."""

import pytest

rclpy = pytest.importorskip('rclpy', reason='needs ROS 2')
from rclpy.event_handler import UnsupportedEventTypeError
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from mesh_perception.ros.camera_topics import CameraTopics
from mesh_perception.ros.parameters import ParameterError
from mesh_perception.ros.qos import overridable, without_effect


@pytest.fixture
def make_node(monkeypatch):
    """make_node(*arguments): a node with these parameters, given as -p."""
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'OFF')
    made = []

    def make(*parameters):
        context = rclpy.Context()
        context.init(args=['--ros-args', *(argument for given in parameters for argument in ('-p', given))])
        made.append((rclpy.create_node('node', namespace='/robot', context=context), context))
        return made[-1][0]

    yield make
    for node, context in made:
        node.destroy_node()
        context.try_shutdown()


def test_an_override_is_for_its_own_topic_and_leaves_the_default_alone(make_node):
    node = make_node('qos_overrides./robot/a.publisher.reliability:=best_effort')
    default = QoSProfile(depth=5)
    a, b = (overridable(node.create_publisher, Image, topic, default) for topic in 'ab')
    assert a.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
    assert b.qos_profile.reliability == default.reliability == ReliabilityPolicy.RELIABLE
    assert node.get_parameter('qos_overrides./robot/b.publisher.depth').value == 5


@pytest.mark.parametrize('given', ['reliability:=sometimes', 'depth:=many', 'depth:=[1]'])
def test_an_override_that_cannot_be_used_is_one_line_with_its_topic(make_node, given):
    node = make_node(f'qos_overrides./robot/a.publisher.{given}')
    with pytest.raises(ParameterError, match='qos_overrides of a: ') as error:
        overridable(node.create_publisher, Image, 'a', QoSProfile(depth=5))
    assert '\n' not in str(error.value)


def test_overrides_of_no_topic_and_of_no_policy_are_named(make_node):
    names = [f'qos_overrides./robot/{name}' for name in ('a.publisher.depth', 'b.publisher.depth', 'a.publisher.dept')]
    node = make_node(*(f'{name}:=1' for name in names))
    overridable(node.create_publisher, Image, 'a', QoSProfile(depth=5))
    lines = without_effect(node)
    assert len(lines) == 2 and names[1] in lines[0] and names[2] in lines[1]


def subscriptions(node):
    return {s.topic_name: s.qos_profile for s in node.subscriptions if 'parameter' not in s.topic_name}


@pytest.mark.parametrize('kind, image', [(Image, '/robot/image'), (CompressedImage, '/robot/image/compressed')])
def test_a_camera_has_two_topics_with_sensor_data_qos_and_gives_them_back(make_node, kind, image):
    node = make_node()
    topics = CameraTopics(node, kind, 'best_effort', print, print)
    found = subscriptions(node)
    assert set(found) == {image, '/robot/camera_info'}
    for qos in found.values():
        assert (qos.reliability, qos.durability) == (ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE)
        assert qos.depth == 1
    topics.destroy()
    assert not subscriptions(node)
    CameraTopics(node, kind, 'reliable', print, print)
    assert subscriptions(node)[image].reliability == ReliabilityPolicy.RELIABLE, 'the parameter counts anew'


def test_an_override_goes_before_image_reliability(make_node):
    node = make_node('qos_overrides./robot/image.subscription.reliability:=reliable')
    CameraTopics(node, Image, 'best_effort', print, print)
    found = subscriptions(node)
    assert found['/robot/image'].reliability == ReliabilityPolicy.RELIABLE
    assert found['/robot/camera_info'].reliability == ReliabilityPolicy.BEST_EFFORT


def test_a_subscription_that_cannot_be_made_leaves_none_behind(make_node):
    node = make_node('qos_overrides./robot/image.subscription.durability:=sometimes')
    with pytest.raises(ParameterError, match='/robot/image'):
        CameraTopics(node, Image, 'best_effort', print, print)
    assert not subscriptions(node)


def test_a_middleware_that_does_not_tell_of_losses_serves_as_well(make_node, monkeypatch):
    node, tried = make_node(), []
    create = node.create_subscription

    def poor(kind, topic, callback, qos, *, event_callbacks, **options):
        tried.append(topic)
        if event_callbacks.message_lost or event_callbacks.matched:
            raise UnsupportedEventTypeError('no such event')
        return create(kind, topic, callback, qos, event_callbacks=event_callbacks, **options)

    monkeypatch.setattr(node, 'create_subscription', poor)
    CameraTopics(node, Image, 'best_effort', print, print)
    assert set(subscriptions(node)) == {'/robot/image', '/robot/camera_info'} and len(tried) > 2
