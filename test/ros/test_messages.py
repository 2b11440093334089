"""People arrive in messages with nothing lost, nothing reordered, and fast."""

import time

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('mesh_perception.msg', reason='needs the built messages', exc_type=ImportError)
from rclpy.serialization import deserialize_message, serialize_message
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import Image

from mesh_perception.geometry.camera import Camera
from mesh_perception.msg import SmplPerson
from mesh_perception.ros.messages import image_bytes, people_message

CAMERA = Camera.from_intrinsics(640, 480, 500.0, 510.0, 320.5, 239.5)


def sent(message):
    """The message after a trip through its serialised form."""
    return deserialize_message(serialize_message(message), type(message))


@pytest.mark.parametrize('count', [0, 1, 3])
def test_every_field_arrives(make_people, header, count):
    people = make_people(count)
    names = ['abcde', 'fghij', 'klmno'][:count]
    message = sent(people_message(people, names, header, CAMERA, 'open', 'embedded'))
    assert (message.header, message.body_model, message.model_set) == (header, 'open', 'embedded')
    assert (message.width, message.height, message.k.tolist()) == (640, 480, [500, 0, 320.5, 0, 510, 239.5, 0, 0, 1])
    assert [person.id for person in message.people] == names
    for i, person in enumerate(message.people):
        assert person.state == people.states[i] and person.score == people.scores[i].item()
        assert len(person.vertices) == 0
        for field, values in (
            ('box', people.boxes),
            ('betas', people.betas),
            ('translation', people.translation),
            ('joints', people.joints),
            ('joints_2d', people.joints_2d),
            ('joint_confidence', people.joint_confidence),
            ('joint_sigma', people.joint_sigma),
            ('velocity', people.velocity),
        ):
            np.testing.assert_array_equal(getattr(person, field), values[i].numpy().reshape(-1), err_msg=field)
        expected = Rotation.from_matrix(people.rotations[i].numpy()).as_rotvec()
        np.testing.assert_allclose(person.pose.reshape(24, 3), expected, atol=2e-6)


def test_vertices_only_when_given(make_people, header):
    vertices = np.random.default_rng(0).random((2, 50, 3), np.float32)
    message = sent(people_message(make_people(2), ['a', 'b'], header, CAMERA, 'open', 'embedded', vertices))
    for person, expected in zip(message.people, vertices, strict=True):
        np.testing.assert_array_equal(person.vertices, expected.reshape(-1))


def test_message_states_are_the_trackers():
    tracker = pytest.importorskip('mesh_perception.tracking')
    for state in tracker.State:
        assert getattr(SmplPerson, state.name) == state


@pytest.mark.parametrize('frame_id', ['', 'a', 'ab', 'abc', 'abcd'])
def test_image_bytes_are_rclpys_own(header, frame_id, assert_same_bytes):
    header.frame_id = frame_id
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 3), dtype=np.uint8)
    message = Image(header=header, height=3, width=5, encoding='rgb8', step=15, data=pixels.tobytes())
    assert_same_bytes(image_bytes(pixels, header), serialize_message(message))


def test_messages_of_five_people_cost_under_a_millisecond_each(make_people, header):
    people, names = make_people(5), list('abcde')
    times = []
    for _ in range(30):
        start = time.perf_counter()
        serialize_message(people_message(people, names, header, CAMERA, 'open', 'embedded'))
        times.append(time.perf_counter() - start)
    assert min(times) / 5 < 1e-3
