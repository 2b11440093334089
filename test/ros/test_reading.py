"""Images read out of their bytes are rclpy's, field by field, whatever is done to the bytes."""

import random
import struct

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')
from hypothesis import given, settings
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image

from mesh_perception.ros.images import to_rgb
from mesh_perception.ros.reading import read_image

NAMES = st.text(st.characters(exclude_characters='\0', exclude_categories=('Cs',)), max_size=20)


@st.composite
def images(draw):
    whole = st.integers(0, 2**32 - 1)
    message = Image(height=draw(whole), width=draw(whole), encoding=draw(NAMES), step=draw(whole))
    message.is_bigendian = draw(st.integers(0, 255))
    message.header.frame_id = draw(NAMES)
    message.header.stamp.sec, message.header.stamp.nanosec = draw(st.integers(-(2**31), 2**31 - 1)), draw(whole)
    message.data.frombytes(draw(st.binary(max_size=40)))
    return message


def assert_same(view, message):
    for field in ('header', 'height', 'width', 'encoding', 'is_bigendian', 'step'):
        assert getattr(view, field) == getattr(message, field), field
    assert view.data.tobytes() == message.data.tobytes() and view.data.dtype == np.uint8


@settings(max_examples=200, deadline=None)
@given(images())
def test_every_field_is_rclpys(message):
    assert_same(read_image(serialize_message(message)), message)


def test_damaged_bytes_are_read_as_rclpy_does_or_left_to_it():
    good = Image(height=2, width=2, encoding='rgb8', step=6)
    good.header.frame_id = 'camera'
    good.data.frombytes(bytes(range(12)))
    good, generator, read = serialize_message(good), random.Random(1), 0
    for _ in range(3000):
        data = bytearray(good)
        for _ in range(generator.randrange(3)):
            at = generator.randrange(len(data) - 4)
            data[at : at + 4] = generator.choice((struct.pack('<I', 0xFFFFFFFF), b'\0\0\0\0', generator.randbytes(4)))
        data = bytes(data[: generator.choice((len(data), generator.randrange(len(data))))])
        view = read_image(data)
        if view is not None:
            assert_same(view, deserialize_message(data, Image))
            read += 1
    assert read > 300


def test_pixels_are_not_copied_may_be_written_and_outlive_the_message():
    message = Image(height=2, width=2, encoding='rgb8', step=6)
    message.data.frombytes(bytes(range(12)))
    serialized = serialize_message(message)
    rgb = to_rgb(read_image(serialized))
    begin = np.frombuffer(serialized, np.uint8).ctypes.data
    assert begin < rgb.ctypes.data < begin + len(serialized) and rgb.flags.writeable
    del serialized
    assert rgb.tobytes() == bytes(range(12))


def test_big_endian_bytes_are_left_to_rclpy():
    assert read_image(b'\0\0' + serialize_message(Image())[2:]) is None
