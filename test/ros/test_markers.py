"""Marker bytes written from numpy are what rclpy's own serialiser writes, and what a viewer needs."""

import time

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')
from geometry_msgs.msg import Point
from rclpy.serialization import deserialize_message, serialize_message
from visualization_msgs.msg import Marker, MarkerArray

from mesh_perception.joints import SMPL_JOINTS, SMPL_PARENTS
from mesh_perception.ros.markers import MESH_OPACITY, NAMESPACES, MarkerEncoder
from mesh_perception.visualization.palette import track_colors

RANDOM = np.random.default_rng(0)
NAMES = ('abcde', 'b', 'ünü', 'd', 'e')
KINDS = {'meshes': Marker.TRIANGLE_LIST, 'skeletons': Marker.LINE_LIST, 'names': Marker.TEXT_VIEW_FACING}
SCALES = {'meshes': (1.0, 1.0, 1.0), 'skeletons': (0.03, 0.0, 0.0), 'names': (0.0, 0.0, 0.2)}


def meshes(count, vertices=7, faces=5):
    """(names, vertices, faces) for so many people."""
    return NAMES[:count], RANDOM.random((count, vertices, 3), np.float32), RANDOM.integers(0, vertices, (faces, 3))


def marker_message(header, namespace, track, action=Marker.ADD, color=(0.0, 0.0, 0.0), points=(), text=''):
    """The same marker the slow way, field by field."""
    marker = Marker(header=header, ns=namespace, id=track, type=KINDS[namespace], action=action, text=text)
    marker.pose.orientation.w = 1.0
    marker.color.r, marker.color.g, marker.color.b = color
    marker.color.a = MESH_OPACITY if namespace == 'meshes' else 1.0
    marker.scale.x, marker.scale.y, marker.scale.z = SCALES[namespace]
    marker.lifetime.nanosec = 750_000_000
    marker.points = [Point(x=x, y=y, z=z) for x, y, z in np.asarray(points, np.float64).tolist()]
    return marker


def person_messages(header, track, name, joints, vertices, faces):
    """One person's three markers."""
    color = (track_colors([track])[0] / 255).tolist()
    bones = [joints[[j, SMPL_PARENTS[j]]] for j in range(1, 24)]
    label = marker_message(header, 'names', track, color=color, text=name)
    place = joints[SMPL_JOINTS.index('head')].astype(np.float64)
    label.pose.position.x, label.pose.position.y, label.pose.position.z = place[0], place[1] - 0.35, place[2]
    return [
        marker_message(header, 'meshes', track, color=color, points=vertices[faces.reshape(-1)]),
        marker_message(header, 'skeletons', track, color=color, points=np.concatenate(bones)),
        label,
    ]


# Lengths of the frame's name move everything after it across all alignments.
@pytest.mark.parametrize('frame_id', ['', 'a', 'ab', 'abc', 'abcd', 'abcde', 'abcdef', 'abcdefg', 'kamera_ü'])
@pytest.mark.parametrize('count', [0, 1, 3])
def test_bytes_are_rclpys_own(make_people, header, frame_id, count, assert_same_bytes):
    header.frame_id = frame_id
    people, (names, vertices, faces) = make_people(count), meshes(count)
    markers = []
    for i, track in enumerate(people.track_ids.tolist()):
        markers += person_messages(header, track, names[i], people.joints[i].numpy(), vertices[i], faces)
    result = MarkerEncoder(0.75).encode(people, names, header, vertices, faces)
    assert_same_bytes(result, serialize_message(MarkerArray(markers=markers)))


def test_people_who_left_are_deleted_once_from_every_namespace(make_people, header, assert_same_bytes):
    encoder, everybody, (names, vertices, faces) = MarkerEncoder(0.75), make_people(3), meshes(3)
    tracks = everybody.track_ids.tolist()

    def encode(*there):
        there = list(there)
        data = encoder.encode(everybody[there], [names[i] for i in there], header, vertices[there], faces)
        return data, [(m.id, m.ns, m.action, len(m.points)) for m in deserialize_message(data, MarkerArray).markers]

    def added(i):
        return [(tracks[i], n, Marker.ADD, count) for n, count in (('meshes', 15), ('skeletons', 46), ('names', 0))]

    def deleted(i):
        return [(tracks[i], namespace, Marker.DELETE, 0) for namespace in NAMESPACES]

    assert encode(0, 1, 2)[1] == added(0) + added(1) + added(2)
    data, markers = encode(1)
    assert markers == deleted(0) + deleted(2) + added(1)
    expected = [marker_message(header, ns, tracks[i], Marker.DELETE) for i in (0, 2) for ns in NAMESPACES]
    expected += person_messages(header, tracks[1], names[1], everybody.joints[1].numpy(), vertices[1], faces)
    assert_same_bytes(data, serialize_message(MarkerArray(markers=expected)))
    assert encode()[1] == deleted(1)
    assert encode()[1] == []


def test_every_marker_is_one_that_rviz_accepts(make_people, header):
    """RViz's own conditions: whole lines and triangles, sizes that are not zero, unit turns, unique ids."""
    names, vertices, faces = meshes(3)
    data = MarkerEncoder(1.5).encode(make_people(3), names, header, vertices, faces)
    markers = deserialize_message(data, MarkerArray).markers
    assert len({(marker.ns, marker.id) for marker in markers}) == len(markers) == 9
    for marker in markers:
        assert marker.type == KINDS[marker.ns] and marker.header == header and marker.color.a > 0.5
        turn = marker.pose.orientation
        assert (turn.x, turn.y, turn.z, turn.w) == (0, 0, 0, 1)
        assert (marker.lifetime.sec, marker.lifetime.nanosec) == (1, 500_000_000)
        if marker.ns == 'meshes':
            assert marker.points and len(marker.points) % 3 == 0 and marker.scale.x == marker.scale.y == 1
        elif marker.ns == 'skeletons':
            assert len(marker.points) == 2 * 23 and marker.scale.x > 0
        else:
            assert marker.text and marker.scale.z > 0


def test_markers_of_five_people_cost_under_two_milliseconds_each(make_people, header):
    people, (names, vertices, faces) = make_people(5), meshes(5, 6890, 3000)
    encoder, times = MarkerEncoder(), []
    for _ in range(20):
        start = time.perf_counter()
        encoder.encode(people, names, header, vertices, faces)
        times.append(time.perf_counter() - start)
    assert min(times) / 5 < 2e-3
