"""Serialised ROS messages written straight from arrays (XCDR1, little endian, as every RMW takes them).

rclpy's `publish` accepts such bytes. A mesh as a Marker is tens of thousands of Point objects otherwise; from an array
it is one copy. The tests hold each use to rclpy's own serialiser, byte for byte.
"""

import struct

import numpy as np

_HEADER = b'\x00\x01\x00\x00'  # plain CDR, little endian; alignment counts from after it


class CdrWriter:
    """Appends values, each aligned to its own size."""

    def __init__(self):
        self._parts = [_HEADER]
        self._size = 0  # without the header

    def pack(self, layout, *values):
        """Values of one size by their struct letters, e.g. '2I', 'iI' or '3d'; '?' and 'B' for single bytes."""
        data = struct.pack(f'<{layout}', *values)
        self._align(struct.calcsize(f'<{layout[-1]}'))
        self._append(data)

    def string(self, text):
        """A string: its length with the closing zero, its bytes and the zero."""
        data = text.encode() + b'\0'
        self.pack('I', len(data))
        self._append(data)

    def array(self, values, dtype):
        """The elements of an array, without a count; an empty one is not even aligned."""
        values = np.ascontiguousarray(values, np.dtype(dtype).newbyteorder('<'))
        if values.size:
            self._align(values.dtype.itemsize)
            self._append(values.tobytes())

    def header(self, header):
        """A std_msgs/Header."""
        self.pack('iI', header.stamp.sec, header.stamp.nanosec)
        self.string(header.frame_id)

    def bytes(self):
        """The serialised message."""
        return b''.join(self._parts)

    def _align(self, size):
        self._append(b'\0' * (-self._size % size))

    def _append(self, data):
        self._parts.append(data)
        self._size += len(data)
