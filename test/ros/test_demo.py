"""The real demonstration, short: publisher, node and recorder over DDS, and everything that they leave behind."""

import array
import dataclasses
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('mesh_perception.msg', reason='needs the built messages', exc_type=ImportError)
pytest.importorskip('tf2_msgs.msg', reason='needs tf2_msgs')
pytest.importorskip('rosbags', reason='needs rosbags')
from rosbags.rosbag2 import Reader

from mesh_perception.joints import SMPL_JOINTS
from mesh_perception.ros.bag_files import typestore
from mesh_perception.ros.demo.footage import demo_footage
from mesh_perception.weights.store import WeightsError

ROOT = Path(__file__).resolve().parents[2]
FRAMES = 5  # people are confirmed, and have TF frames, from the fourth on


def demo(output, *arguments):
    """The demo as a process, in a domain of its own."""
    values = {key: value for key, value in os.environ.items() if key != 'ROS_DOMAIN_ID'}
    values |= {'PYTHONPATH': f'{ROOT}{os.pathsep}{os.environ.get("PYTHONPATH", "")}'}
    return subprocess.Popen(
        [sys.executable, '-m', 'mesh_perception.ros.demo', '--output', str(output), *arguments],
        env=values,
        cwd=output.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope='module')
def played(tmp_path_factory):
    """(the demo's folder, its last line)"""
    try:
        demo_footage('cam01')
    except WeightsError as error:
        pytest.skip(f'no footage: {error}')
    folder = tmp_path_factory.mktemp('demo') / 'out'
    process = demo(folder, '--frames', str(FRAMES))
    printed, errors = process.communicate(timeout=120)
    assert process.returncode == 0 and 'Traceback' not in errors, printed + errors
    return folder, json.loads(printed.splitlines()[-1])


@pytest.fixture(scope='module')
def messages(played):
    """{topic: the bag's messages}, read back without ROS."""
    types, found = typestore(), {}
    with Reader(played[0] / 'cam01_bag') as bag:
        for connection, _, data in bag.messages():
            found.setdefault(connection.topic, []).append(types.deserialize_cdr(data, connection.msgtype))
    return found


def test_the_last_line_counts(played):
    line = played[1]
    assert list(line) == ['frames', 'answered', 'people', 'latency_ms', 'topics']
    assert line['frames'] == line['answered'] == FRAMES and sum(line['people'].values()) == FRAMES
    assert all(int(number) >= 2 for number in line['people']), line
    assert 0 < line['latency_ms']['p50'] <= line['latency_ms']['p95']
    expected = {f'/cam01/{name}': FRAMES for name in ('image', 'camera_info')}
    expected |= {f'/cam01/mesh_perception/{name}': FRAMES for name in ('people', 'markers', 'overlay')}
    expected |= {'/cam01/mesh_perception/body_model': 1}
    assert {name: line['topics'].get(name) for name in expected} == expected
    assert 0 < line['topics']['/tf'] < FRAMES


def counted(played):
    """{topic: messages} of the last line, by the bag's names."""
    pictures = ('/image', '/overlay')
    return {f'{n}/compressed' if n.endswith(pictures) else n: count for n, count in played[1]['topics'].items()}


def test_the_bag_holds_what_the_last_line_counts(played, messages):
    assert {name: len(found) for name, found in messages.items()} == counted(played)
    for name in ('/cam01/image/compressed', '/cam01/mesh_perception/overlay/compressed'):
        assert cv2.imdecode(messages[name][0].data, cv2.IMREAD_COLOR).shape == (1920, 1088, 3)


def test_people_of_the_bag_and_people_json_agree(played, messages):
    by_name = json.loads((played[0] / 'people.json').read_text())
    assert list(by_name) == [f'cam01#{i}' for i in range(FRAMES)]
    for message, people in zip(messages['/cam01/mesh_perception/people'], by_name.values(), strict=True):
        assert [p.id for p in message.people] == [p['track_id'] for p in people]
        for recorded, person in zip(message.people, people, strict=True):
            for field in ('joints', 'joints_2d', 'joint_confidence', 'pose', 'betas', 'translation', 'box'):
                np.testing.assert_array_equal(np.ravel(person[field]), getattr(recorded, field), err_msg=field)
            assert person['score'] == recorded.score


def test_every_output_carries_its_images_stamp_and_frame(messages):
    images = [m.header for m in messages['/cam01/image/compressed']]
    assert len({(h.stamp.sec, h.stamp.nanosec) for h in images}) == FRAMES
    assert [m.header for m in messages['/cam01/camera_info']] == images
    for name in ('people', 'overlay/compressed'):
        assert [m.header for m in messages[f'/cam01/mesh_perception/{name}']] == images, name
    assert [m.markers[0].header for m in messages['/cam01/mesh_perception/markers']] == images
    confirmed = [m.transforms[0].header for m in messages['/tf']]
    assert confirmed == images[-len(confirmed) :], 'the pelvis comes first, in the camera'
    frames = {t.child_frame_id for t in messages['/tf'][-1].transforms}
    people = messages['/cam01/mesh_perception/people'][-1].people
    assert frames == {f'smpl_{p.id}_{joint}' for p in people for joint in SMPL_JOINTS}


def plain(value):
    """A message of any library as dicts, lists and numbers."""
    if hasattr(value, 'get_fields_and_field_types'):  # rclpy's, to whom one octet is bytes
        kinds = value.get_fields_and_field_types()
        return {n: getattr(value, n)[0] if k == 'octet' else plain(getattr(value, n)) for n, k in kinds.items()}
    if dataclasses.is_dataclass(value):  # rosbags', where constants are fields, too
        names = [f.name for f in dataclasses.fields(value) if f.name != '__msgtype__' and not f.name.isupper()]
        return {name: plain(getattr(value, name)) for name in names}
    if hasattr(value, '__slots__') and not isinstance(value, np.generic):  # mcap-ros2-support's
        return {name: plain(getattr(value, name)) for name in value.__slots__}
    if isinstance(value, (bytes, array.array, np.ndarray)):
        value = memoryview(value)
        return value.hex() if value.itemsize == 1 else value.tolist()
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def message_type(name):
    """rclpy's type of a name as 'std_msgs/msg/String'."""
    package, folder, kind = name.split('/')
    return getattr(importlib.import_module(f'{package}.{folder}'), kind)


def test_every_topic_reads_the_same_in_rclpy_rosbags_and_mcap(played):
    """From the definitions inside the bag alone: on a machine that has never heard of our messages."""
    reader = pytest.importorskip('mcap.reader', reason='needs mcap-ros2-support')
    from mcap_ros2.decoder import DecoderFactory
    from rclpy.serialization import deserialize_message
    from rosbags.highlevel import AnyReader

    bag = played[0] / 'cam01_bag'
    found, kinds = {}, set()
    with AnyReader([bag]) as opened, (bag / 'cam01_bag.mcap').open('rb') as file:
        for (connection, stamp, data), (schema, channel, message) in zip(
            sorted(opened.messages(), key=lambda m: (m[1], m[0].topic)),
            sorted(reader.make_reader(file).iter_messages(), key=lambda m: (m[2].log_time, m[1].topic)),
            strict=True,
        ):
            found[channel.topic] = found.get(channel.topic, 0) + 1
            kinds.add(schema.name)
            assert (connection.topic, connection.msgtype, stamp) == (channel.topic, schema.name, message.log_time)
            assert (schema.encoding, channel.message_encoding) == ('ros2msg', 'cdr') and message.data == data
            if found[channel.topic] == 1:
                expected = json.dumps(plain(deserialize_message(data, message_type(schema.name))))
                decode = DecoderFactory().decoder_for(channel.message_encoding, schema)
                for decoded in (opened.deserialize(data, connection.msgtype), decode(data)):
                    assert json.dumps(plain(decoded)) == expected, channel.topic
    assert {name: found.get(name) for name in counted(played)} == counted(played)
    assert {'BodyModel', 'SmplPeople'} <= {k.split('/')[-1] for k in kinds if k.startswith('mesh_perception/msg/')}
    assert {k for k in kinds if not k.startswith('mesh_perception')} == {
        'diagnostic_msgs/msg/DiagnosticArray',
        'sensor_msgs/msg/CameraInfo',
        'sensor_msgs/msg/CompressedImage',
        'tf2_msgs/msg/TFMessage',
        'visualization_msgs/msg/MarkerArray',
    }


def test_the_video_and_a_picture_show_the_overlay(played):
    video = cv2.VideoCapture(str(played[0] / 'cam01.mp4'))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == FRAMES
    good, frame = video.read()
    assert good and frame.shape == (1920, 1088, 3)
    picture = cv2.imread(str(played[0] / 'cam01_0000.jpg'))
    assert np.abs(picture.astype(int) - frame).mean() < 8


def test_nothing_else_is_left(played):
    names = sorted(path.name for path in played[0].iterdir())
    assert names == ['cam01.mp4', 'cam01_0000.jpg', 'cam01_bag', 'people.json']


def test_what_cannot_work_is_one_line_and_soon(played, tmp_path):
    file = tmp_path / 'file'
    file.write_text('')
    unwritable, misspelt = demo(file), demo(tmp_path / 'out', '--models', 'nosuch')
    _, errors = unwritable.communicate(timeout=60)
    assert unwritable.returncode == 1 and str(file) in errors and 'Traceback' not in errors, errors
    printed, errors = misspelt.communicate(timeout=60)
    assert misspelt.returncode == 1 and 'the node ended with 1' in errors and 'Traceback' not in errors, errors
    assert "unknown model set 'nosuch'" in printed + errors
