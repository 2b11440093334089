"""TF's tree, asked for any two frames at any time, against scipy's rotations and interpolation."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

pytest.importorskip('rclpy', reason='needs ROS 2')
from geometry_msgs.msg import TransformStamped

from mesh_perception.ros.tf_buffer import KEPT, TransformBuffer, TransformError

SECOND = 10**9
START = 1700000000 * SECOND


def stamped(parent, child, stamp, matrix):
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id = parent
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, SECOND)
    offset, turn = message.transform.translation, message.transform.rotation
    offset.x, offset.y, offset.z = matrix[:3, 3].tolist()
    turn.x, turn.y, turn.z, turn.w = Rotation.from_matrix(matrix[:3, :3]).as_quat().tolist()
    return message


def random_matrix(generator):
    result = np.eye(4)
    result[:3, :3] = Rotation.random(random_state=generator.integers(1 << 30)).as_matrix()
    result[:3, 3] = generator.normal(size=3)
    return result


def found(buffer, *question, **more):
    rotation, translation, _ = buffer.lookup(*question, **more)
    result = np.eye(4)
    result[:3, :3], result[:3, 3] = rotation, translation
    return result


@pytest.fixture
def generator():
    return np.random.default_rng(5)


# map > odom > base > (camera > optical, arm > hand); map > charger
PARENTS = {
    'odom': 'map',
    'base': 'odom',
    'camera': 'base',
    'optical': 'camera',
    'arm': 'base',
    'hand': 'arm',
    'charger': 'map',
}


def test_any_two_frames_of_a_tree(generator):
    buffer, truth = TransformBuffer(), {'map': np.eye(4)}
    for child, parent in PARENTS.items():
        matrix = random_matrix(generator)
        truth[child] = truth[parent] @ matrix
        static = child in ('camera', 'optical', 'charger')
        buffer.insert([stamped(parent, child, 0 if static else START, matrix)], static)
    for target in truth:
        for source in truth:
            expected = np.linalg.inv(truth[target]) @ truth[source]
            np.testing.assert_allclose(found(buffer, target, source, START), expected, atol=1e-12)


@pytest.mark.parametrize('sign', [1, -1])
def test_between_two_stamps_it_is_interpolated_as_tf2_does(generator, sign):
    buffer = TransformBuffer()
    first, second = random_matrix(generator), random_matrix(generator)
    # Inserted the wrong way round, and with either sign of a quaternion: neither makes a difference.
    late = stamped('map', 'base', START + SECOND, second)
    for axis in 'xyzw':
        setattr(late.transform.rotation, axis, sign * getattr(late.transform.rotation, axis))
    buffer.insert([late])
    buffer.insert([stamped('map', 'base', START, first)])
    slerp = Slerp([0, 1], Rotation.from_matrix([first[:3, :3], second[:3, :3]]))
    for share in (0, 0.25, 0.5, 0.9, 1):
        matrix = found(buffer, 'map', 'base', START + int(share * SECOND))
        np.testing.assert_allclose(matrix[:3, :3], slerp(share).as_matrix(), atol=1e-9)
        np.testing.assert_allclose(matrix[:3, 3], (1 - share) * first[:3, 3] + share * second[:3, 3], atol=1e-9)


def test_each_step_of_the_way_is_taken_at_the_same_time(generator):
    buffer = TransformBuffer()
    ends = [(random_matrix(generator), random_matrix(generator)) for _ in range(2)]
    for (parent, child), pair in zip((('map', 'odom'), ('odom', 'base')), ends, strict=True):
        buffer.insert([stamped(parent, child, START + i * SECOND, pair[i]) for i in range(2)])
    buffer.insert([stamped('odom', 'base', START + 2 * SECOND, random_matrix(generator))])
    expected = ends[0][1] @ ends[1][1]
    np.testing.assert_allclose(found(buffer, 'map', 'base', START + SECOND), expected, atol=1e-9)
    with pytest.raises(TransformError, match=r"'base' to 'map' ends 1\.000 s before the image"):
        buffer.lookup('map', 'base', START + 2 * SECOND)


def test_a_little_late_is_the_newest_and_says_so_and_too_late_is_refused(generator):
    buffer, matrix = TransformBuffer(), random_matrix(generator)
    buffer.insert([stamped('map', 'base', START, matrix)])
    late = START + SECOND // 10
    assert buffer.lookup('map', 'base', late, SECOND // 10)[2] == START
    np.testing.assert_allclose(found(buffer, 'map', 'base', late, tolerance=SECOND // 10), matrix, atol=1e-9)
    with pytest.raises(TransformError, match=r'ends 0\.100 s before the image'):
        buffer.lookup('map', 'base', late, SECOND // 10 - 1)
    with pytest.raises(TransformError, match=r'begins 0\.500 s after the image'):
        buffer.lookup('map', 'base', START - SECOND // 2, SECOND)


def test_missing_transforms_name_both_frames(generator):
    buffer = TransformBuffer()
    with pytest.raises(TransformError, match="from 'camera' to 'map': 'camera' is unknown to it and 'map' is unknown"):
        buffer.lookup('map', 'camera', START)
    buffer.insert([stamped('base', 'camera', START, random_matrix(generator))])
    with pytest.raises(TransformError, match="from 'camera' to 'map': 'map' is unknown to it"):
        buffer.lookup('map', 'camera', START)
    buffer.insert([stamped('map', 'charger', START, random_matrix(generator))])
    with pytest.raises(TransformError, match="from 'camera' to 'map': they are in trees of their own"):
        buffer.lookup('map', 'camera', START)
    np.testing.assert_allclose(found(buffer, 'nowhere', 'nowhere', START), np.eye(4))


def test_ten_seconds_are_kept_and_a_stream_that_starts_over_is_a_new_one(generator):
    buffer, matrices = TransformBuffer(), [random_matrix(generator) for _ in range(3)]
    buffer.insert([stamped('map', 'base', START + i * SECOND, matrices[0]) for i in range(30)])
    assert len(buffer._edges['base'].stamps) == 11
    with pytest.raises(TransformError):
        buffer.lookup('map', 'base', START + 18 * SECOND)
    buffer.insert([stamped('map', 'base', START, matrices[1])])
    np.testing.assert_allclose(found(buffer, 'map', 'base', START), matrices[1], atol=1e-9)
    with pytest.raises(TransformError):
        buffer.lookup('map', 'base', START + 1)
    assert KEPT == 10 * SECOND


def test_clear_keeps_what_is_static(generator):
    buffer, matrix = TransformBuffer(), random_matrix(generator)
    buffer.insert([stamped('base', 'camera', 0, matrix)], static=True)
    buffer.insert([stamped('map', 'base', START, matrix)])
    buffer.clear()
    np.testing.assert_allclose(found(buffer, 'base', 'camera', 5), matrix, atol=1e-9)
    with pytest.raises(TransformError):
        buffer.lookup('map', 'base', START)


def test_a_frame_that_is_hung_elsewhere_forgets_where_it_was(generator):
    buffer, matrices = TransformBuffer(), [random_matrix(generator) for _ in range(2)]
    buffer.insert([stamped('map', 'cup', START, matrices[0]), stamped('hand', 'cup', START + 1, matrices[1])])
    np.testing.assert_allclose(found(buffer, 'hand', 'cup', START + 1), matrices[1], atol=1e-9)
    with pytest.raises(TransformError, match="'map' is unknown"):
        buffer.lookup('map', 'cup', START + 1)


def test_hostile_transforms_are_no_transforms(generator):
    buffer, matrix = TransformBuffer(), random_matrix(generator)
    nan, zero = stamped('map', 'a', START, matrix), stamped('map', 'b', START, matrix)
    nan.transform.translation.y = float('nan')
    for axis in 'xyzw':
        setattr(zero.transform.rotation, axis, 0.0)
    same, nameless = stamped('c', 'c', START, matrix), stamped('', 'd', START, matrix)
    buffer.insert([nan, zero, same, nameless])
    assert not buffer._edges
    buffer.insert([stamped('a', 'b', START, matrix), stamped('b', 'a', START, matrix)])  # a loop
    with pytest.raises(TransformError):
        buffer.lookup('map', 'a', START)


def test_quaternions_need_not_be_of_length_one(generator):
    buffer, matrix = TransformBuffer(), random_matrix(generator)
    message = stamped('map', 'base', START, matrix)
    for axis in 'xyzw':
        setattr(message.transform.rotation, axis, 3 * getattr(message.transform.rotation, axis))
    buffer.insert([message])
    np.testing.assert_allclose(found(buffer, 'map', 'base', START), matrix, atol=1e-9)
