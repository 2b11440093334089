"""The shipped RViz configuration shows what the node really publishes, by topic, type, QoS and namespace."""

import random
from pathlib import Path

import pytest
import yaml

rclpy = pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('mesh_perception.msg', reason='needs the built messages', exc_type=ImportError)
pytest.importorskip('tf2_msgs.msg', reason='needs tf2_msgs')
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, HistoryPolicy, LivelinessPolicy, QoSCompatibility, QoSProfile, ReliabilityPolicy
from rclpy.qos import qos_check_compatible as check_compatible

from mesh_perception.ros.markers import NAMESPACES
from mesh_perception.ros.node import MeshPerceptionNode

CONFIG = Path(__file__).resolve().parents[2] / 'config' / 'mesh_perception.rviz'
TYPES = {'MarkerArray': 'visualization_msgs/msg/MarkerArray', 'Image': 'sensor_msgs/msg/Image'}


@pytest.fixture(scope='module')
def displays():
    """{class without its package: its display}"""
    content = yaml.safe_load(CONFIG.read_text())['Visualization Manager']['Displays']
    packages, kinds = zip(*(display['Class'].split('/') for display in content), strict=True)
    assert set(packages) == {'rviz_default_plugins'} and len(set(kinds)) == len(kinds)
    return dict(zip(kinds, content, strict=True))


@pytest.fixture(scope='module')
def node():
    """The node itself, configured: that is when it has publishers."""
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=random.randrange(1, 100))  # away from other nodes of this name
    node = MeshPerceptionNode(context=context, parameter_overrides=[Parameter('autostart', value=False)])
    assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
    yield node
    node.close()
    rclpy.shutdown(context=context)


def test_meshes_skeletons_names_frames_and_overlay_are_switched_on(displays):
    assert {'MarkerArray', 'TF', 'Image', 'Grid'} <= set(displays)
    assert all(display['Enabled'] and display['Value'] for display in displays.values())
    assert displays['MarkerArray']['Namespaces'] == dict.fromkeys(NAMESPACES, True)
    assert displays['TF']['Frames']['All Enabled'] and displays['TF']['Show Axes']


def test_every_topic_is_one_of_the_nodes_with_its_type_and_a_qos_that_connects(displays, node):
    assert {kind for kind, display in displays.items() if 'Topic' in display} == set(TYPES)
    for kind, message_type in TYPES.items():
        topic = displays[kind]['Topic']
        published = [p for p in node.get_publishers_info_by_topic(topic['Value']) if p.node_name == node.get_name()]
        assert [p.topic_type for p in published] == [message_type], topic
        wanted = QoSProfile(
            depth=topic['Depth'],
            history=HistoryPolicy[topic['History Policy'].replace(' ', '_').upper()],
            reliability=ReliabilityPolicy[topic['Reliability Policy'].replace(' ', '_').upper()],
            durability=DurabilityPolicy[topic['Durability Policy'].replace(' ', '_').upper()],
            liveliness=LivelinessPolicy.AUTOMATIC,
        )
        assert check_compatible(published[0].qos_profile, wanted) == (QoSCompatibility.OK, ''), topic
    assert [p.topic_type for p in node.get_publishers_info_by_topic('/tf')] == ['tf2_msgs/msg/TFMessage']
