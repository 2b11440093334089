"""A sensor_msgs/Image out of its bytes without copying its pixels, which are 6 MB of a 1088x1920 image.

rclpy's deserialiser copies them twice. What is read here is the layout that every RMW sends (plain CDR, little endian);
anything else, and anything that does not fit, is left to rclpy, which knows what to say.
"""

import struct
from dataclasses import dataclass

import numpy as np
from builtin_interfaces.msg import Time
from std_msgs.msg import Header

# CDR, little endian. Two bytes of options follow, which end with the count of padding bytes at the message's end;
# alignment counts from after them.
_PLAIN = b'\x00\x01'


@dataclass
class ImageView:
    """The fields of a sensor_msgs/Image."""

    header: Header
    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: np.ndarray  # uint8, of the serialised message's own memory


class _Memory:
    """A part of a bytes object for numpy, as memory that may be written to: torch takes no other without a copy.

    Nobody else knows the bytes of a message that was just taken.
    """

    def __init__(self, owner, begin, size):
        self._owner = owner  # lives as long as the array
        address = np.frombuffer(owner, np.uint8).ctypes.data + begin
        self.__array_interface__ = {'version': 3, 'shape': (size,), 'typestr': '|u1', 'data': (address, False)}


def read_image(serialized):
    """The ImageView of a serialised Image; None where rclpy should read it."""
    if serialized[:2] != _PLAIN:
        return None
    try:
        (sec, nanosec), at = _unpack('iI', serialized, 4)
        frame_id, at = _string(serialized, at)
        (height, width), at = _unpack('II', serialized, at)
        encoding, at = _string(serialized, at)
        (is_bigendian,), at = _unpack('B', serialized, at)
        (step, size), at = _unpack('II', serialized, at)
    except (struct.error, ValueError):
        return None
    if at + size + (serialized[3] & 3) > len(serialized):
        return None
    header = Header(stamp=Time(sec=sec, nanosec=nanosec), frame_id=frame_id)
    data = np.asarray(_Memory(serialized, at, size)) if size else np.zeros(0, np.uint8)
    return ImageView(header, height, width, encoding, is_bigendian, step, data)


def _unpack(layout, data, at):
    """Values of one size, aligned to it, and where they end."""
    at += -(at - 4) % struct.calcsize(layout[0])
    return struct.unpack_from(f'<{layout}', data, at), at + struct.calcsize(f'<{layout}')


def _string(data, at):
    """A string and where it ends. Raises ValueError where it is none."""
    (length,), at = _unpack('I', data, at)
    end = at + length
    if not length or end > len(data) or data[end - 1] or 0 in data[at : end - 1]:
        raise ValueError
    return data[at : end - 1].decode(), end
