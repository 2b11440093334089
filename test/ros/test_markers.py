"""Marker bytes written from numpy are what rclpy's own serialiser writes."""

import time

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')
from geometry_msgs.msg import Point
from rclpy.serialization import deserialize_message, serialize_message
from visualization_msgs.msg import Marker, MarkerArray

from mesh_perception.ros.markers import MarkerEncoder

RANDOM = np.random.default_rng(0)


def marker_message(header, track, color, points, action=Marker.ADD):
    """The same marker the slow way, field by field."""
    marker = Marker(header=header, ns='people', id=track, type=Marker.TRIANGLE_LIST, action=action)
    marker.pose.orientation.w = 1.0
    marker.scale.x = marker.scale.y = marker.scale.z = 1.0
    marker.color.r, marker.color.g, marker.color.b, marker.color.a = color
    marker.lifetime.nanosec = 750_000_000
    marker.points = [Point(x=x, y=y, z=z) for x, y, z in points.astype(np.float64).tolist()]
    return marker


# Lengths of the frame's name move everything after it across all alignments.
@pytest.mark.parametrize('frame_id', ['', 'a', 'ab', 'abc', 'abcd', 'abcde', 'abcdef', 'abcdefg', 'kamera_ü'])
@pytest.mark.parametrize('count', [0, 1, 3])
def test_bytes_are_rclpys_own(header, frame_id, count, assert_same_bytes):
    header.frame_id = frame_id
    vertices = RANDOM.random((count, 7, 3), np.float32)
    faces = RANDOM.integers(0, 7, (5, 3))
    colors = np.linspace(0, 1, 12).reshape(3, 4).astype(np.float32)[:count]
    tracks = [4, 70000, 9][:count]
    expected = MarkerArray(
        markers=[
            marker_message(header, track, color.tolist(), mesh[faces.reshape(-1)])
            for track, color, mesh in zip(tracks, colors, vertices, strict=True)
        ]
    )
    result = MarkerEncoder(0.75).encode(header, tracks, vertices, faces, colors)
    assert_same_bytes(result, serialize_message(expected))


def test_people_who_left_are_deleted_once(header, assert_same_bytes):
    encoder = MarkerEncoder(0.75)
    vertices, faces, colors = np.zeros((3, 4, 3), np.float32), np.array([[0, 1, 2]]), np.ones((3, 4))

    def encode(*tracks):
        data = encoder.encode(header, tracks, vertices[: len(tracks)], faces, colors[: len(tracks)])
        return data, [(m.id, m.action, len(m.points)) for m in deserialize_message(data, MarkerArray).markers]

    assert encode(1, 2, 3)[1] == [(1, Marker.ADD, 3), (2, Marker.ADD, 3), (3, Marker.ADD, 3)]
    data, markers = encode(2)
    assert markers == [(1, Marker.DELETE, 0), (3, Marker.DELETE, 0), (2, Marker.ADD, 3)]
    none = np.zeros((0, 3))
    expected = MarkerArray(
        markers=[
            *(marker_message(header, track, (0.0,) * 4, none, Marker.DELETE) for track in (1, 3)),
            marker_message(header, 2, (1.0,) * 4, np.zeros((3, 3))),
        ]
    )
    assert_same_bytes(data, serialize_message(expected))
    assert encode()[1] == [(2, Marker.DELETE, 0)]
    assert encode()[1] == []


def test_markers_of_five_people_cost_under_two_milliseconds_each(header):
    vertices, faces = RANDOM.random((5, 6890, 3), np.float32), RANDOM.integers(0, 6890, (3000, 3))
    encoder, times = MarkerEncoder(), []
    for _ in range(20):
        start = time.perf_counter()
        encoder.encode(header, range(5), vertices, faces, np.ones((5, 4)))
        times.append(time.perf_counter() - start)
    assert min(times) / 5 < 2e-3
