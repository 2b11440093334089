"""The viewer as a process of its own, listening to what a node says, into a file that is read back."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

rclpy = pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('mesh_perception.msg', reason='needs the built messages', exc_type=ImportError)
pytest.importorskip('tf2_msgs.msg', reason='needs tf2_msgs')
pytest.importorskip('rerun', reason='needs the extra `view`')
chunks = pytest.importorskip('rerun.chunk', reason='needs rerun-sdk 0.41 to read files')
from geometry_msgs.msg import TransformStamped
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from mesh_perception.geometry.camera import Camera
from mesh_perception.msg import SmplPeople
from mesh_perception.ros.markers import MarkerEncoder
from mesh_perception.ros.messages import image_bytes, people_message
from mesh_perception.visualization.palette import track_colors

ROOT = Path(__file__).resolve().parents[2]
DOMAIN = random.randrange(1, 100)


def start(*parameters, **environment):
    """The viewer's process."""
    values = os.environ | {
        'PYTHONPATH': f'{ROOT}{os.pathsep}{os.environ.get("PYTHONPATH", "")}',
        'ROS_DOMAIN_ID': str(DOMAIN),
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
    }
    given = [argument for parameter in parameters for argument in ('-p', parameter)]
    return subprocess.Popen(
        [sys.executable, '-m', 'mesh_perception.ros.view', '--ros-args', *given],
        env={name: value for name, value in (values | environment).items() if value is not None},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def node(monkeypatch):
    """Says what the mesh node says."""
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=DOMAIN)
    node = rclpy.create_node('mesh_perception', context=context)
    yield node
    node.destroy_node()
    rclpy.shutdown(context=context)


def test_what_a_node_says_is_in_the_file(node, make_people, header, tmp_path):
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    people_topic, markers_topic, overlay_topic = (
        node.create_publisher(kind, f'~/{name}', QoSProfile(depth=5))
        for kind, name in ((SmplPeople, 'people'), (MarkerArray, 'markers'), (Image, 'overlay'))
    )
    static = node.create_publisher(TFMessage, '/tf_static', latched)
    place = TransformStamped(child_frame_id=header.frame_id)
    place.header.frame_id, place.transform.translation.z, place.transform.rotation.w = 'world', 1.5, 1.0
    static.publish(TFMessage(transforms=[place]))
    viewer = start('node:=/mesh_perception', f'save:={tmp_path / "people.rrd"}', 'fixed_frame:=world')
    try:
        deadline = time.monotonic() + 60
        while min(t.get_subscription_count() for t in (people_topic, markers_topic, overlay_topic, static)) < 1:
            assert viewer.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(1)
        people, names, camera = make_people(2), ['anna', 'berta'], Camera.from_fov(64, 48, 60)
        vertices, faces = np.random.default_rng(0).random((2, 5, 3), np.float32), np.array([[0, 1, 2], [2, 3, 4]])
        encoder = MarkerEncoder()
        for there in (slice(0, 2), slice(0, 1), slice(0, 0)):
            header.stamp.sec += 1
            message = people_message(people[there], names[there], header, camera, 'open', 'embedded')
            people_topic.publish(message)
            markers_topic.publish(encoder.encode(people[there], names[there], header, vertices[there], faces))
            overlay_topic.publish(image_bytes(np.zeros((48, 64, 3), np.uint8), header))
            time.sleep(0.5)
    finally:
        viewer.send_signal(signal.SIGINT)
        errors = viewer.communicate(timeout=30)[1]
    assert viewer.returncode == 0 and 'Traceback' not in errors, errors
    found = {}
    for chunk in chunks.RrdReader(str(tmp_path / 'people.rrd')).stream():
        for name, values in chunk.to_record_batch().to_pydict().items():
            found.setdefault(str(chunk.entity_path), {}).setdefault(name, []).extend(values)
    assert len(found['/people/anna/mesh']['stamp']) == 2 and len(found['/people/berta/mesh']['stamp']) == 1
    mesh = found['/people/berta/mesh']
    triangles = np.array(mesh['Mesh3D:vertex_positions'][0])[np.array(mesh['Mesh3D:triangle_indices'][0])]
    np.testing.assert_allclose(triangles, vertices[1][faces])
    red, green, blue = track_colors(people.track_ids)[1].tolist()
    assert mesh['Mesh3D:albedo_factor'][0][0] >> 8 == red << 16 | green << 8 | blue, "the overlay's colour"
    strips = np.array(found['/people/berta/skeleton']['LineStrips3D:strips'][0])
    np.testing.assert_allclose(strips[:, 0], people.joints[1, 1:].numpy(), atol=1e-6)
    gone = {name: found[f'/people/{name}']['stamp'][0].timestamp() - header.stamp.sec for name in ('anna', 'berta')}
    assert round(gone['anna']) in (0, 1) and round(gone['berta']) in (-1, 0), 'cleared when they left'
    assert [0.0, 0.0, 1.5] in [t[0] for t in found['/people']['Transform3D:translation']], 'placed by TF'
    assert len(found['/camera/lens/overlay']['EncodedImage:blob']) == 3
    matrix = found['/camera/lens']['Pinhole:image_from_camera'][-1][0]
    np.testing.assert_allclose(np.reshape(matrix, (3, 3)).T, camera.k, rtol=1e-6)


def test_what_cannot_be_shown_is_one_line(tmp_path):
    nowhere = start(DISPLAY=None, WAYLAND_DISPLAY=None)
    unwritable = start(f'save:={tmp_path / "no" / "such" / "people.rrd"}')
    (tmp_path / 'rerun.py').write_text('raise ModuleNotFoundError("No module named \'rerun\'", name="rerun")')
    missing = start(PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT), os.environ.get('PYTHONPATH', '')]))
    for process, expected in (
        (nowhere, 'no display to open a viewer on'),
        (unwritable, 'people.rrd'),
        (missing, "the Python package 'rerun' is not installed"),
    ):
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 1 and expected in errors and 'Traceback' not in errors, errors


def test_the_viewer_of_this_environment_is_started_wherever_it_is():
    process = start(DISPLAY=':987', PATH='/usr/bin:/bin')  # a display that is not there ends the viewer, not the search
    try:
        said = []
        for line in process.stderr:
            said.append(line)
            if 'X server' in line or 'Listening' in line:
                break
        else:
            pytest.fail(''.join(said))
    finally:
        process.kill()
        process.communicate()
