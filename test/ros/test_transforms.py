"""TF frames form the body's tree, right-handed, each joint where the skeleton has it."""

import numpy as np
import pytest
import torch
import transforms3d

pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('tf2_msgs.msg', reason='needs tf2_msgs')
pytest.importorskip('mesh_perception.msg', reason='needs the built messages', exc_type=ImportError)
from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from mesh_perception.joints import SMPL_JOINTS, SMPL_PARENTS
from mesh_perception.msg import SmplPerson
from mesh_perception.ros.transforms import (
    FrameChoice,
    PeopleTransforms,
    TransformEncoder,
    published_parents,
    relative_transforms,
)


def encoded(people, names, header, *settings):
    """The bytes of one image's frames."""
    frames = PeopleTransforms(*settings)(people, names, header.frame_id)
    return TransformEncoder().encode(frames, header.stamp)


def sent(*arguments):
    return deserialize_message(encoded(*arguments), TFMessage)


def resolve(message, frame, root):
    """4x4 of a frame in `root` by walking the tree, in float64 with transforms3d."""
    edges = {t.child_frame_id: t for t in message.transforms}
    pose = np.eye(4)
    while frame != root:
        t = edges[frame].transform
        rotation = transforms3d.quaternions.quat2mat([t.rotation.w, t.rotation.x, t.rotation.y, t.rotation.z])
        step = transforms3d.affines.compose([t.translation.x, t.translation.y, t.translation.z], rotation, np.ones(3))
        pose, frame = step @ pose, edges[frame].header.frame_id
    return pose


@pytest.mark.parametrize('joints', [SMPL_JOINTS, ('head', 'left_wrist', 'pelvis'), ('right_foot', 'neck'), ()])
def test_frames_resolve_to_joints_and_their_rotations(make_people, header, joints):
    people = make_people(3)
    names = ['abcde', 'fghij', 'klmno']
    message = sent(people, names, header, 'smpl_', joints)
    assert len(message.transforms) == 3 * len(joints)
    assert all(t.header.stamp == header.stamp for t in message.transforms)
    for person, name in enumerate(names):
        for joint in joints:
            index = SMPL_JOINTS.index(joint)
            pose = resolve(message, f'smpl_{name}_{joint}', header.frame_id)
            expected, ancestor = np.eye(3), index
            while ancestor >= 0:
                expected = people.rotations[person, ancestor].double().numpy() @ expected
                ancestor = SMPL_PARENTS[ancestor]
            np.testing.assert_allclose(pose[:3, :3], expected, atol=1e-5)
            np.testing.assert_allclose(pose[:3, 3], people.joints[person, index].numpy(), atol=1e-5)
            assert np.linalg.det(pose[:3, :3]) == pytest.approx(1)


@pytest.mark.parametrize('frame_id', ['c', 'ca', 'cam', 'came', 'kamera_ü'])
@pytest.mark.parametrize('count', [0, 1, 3])
def test_bytes_are_rclpys_own(make_people, header, count, frame_id, assert_same_bytes):
    people, names = make_people(count), ['abcde', 'fghij', 'klmno'][:count]
    header.frame_id = frame_id
    translations, quaternions = relative_transforms(people, list(range(24)))
    expected = TFMessage()
    for name, offsets, turns in zip(names, translations.tolist(), quaternions.tolist(), strict=True):
        frames = [f'smpl_{name}_{joint}' for joint in SMPL_JOINTS]
        for joint, (offset, turn) in enumerate(zip(offsets, turns, strict=True)):
            parent = frames[SMPL_PARENTS[joint]] if joint else frame_id
            transform = Transform(
                translation=Vector3(**dict(zip('xyz', offset, strict=True))),
                rotation=Quaternion(**dict(zip('xyzw', turn, strict=True))),
            )
            expected.transforms.append(
                TransformStamped(
                    header=Header(stamp=header.stamp, frame_id=parent),
                    child_frame_id=frames[joint],
                    transform=transform,
                )
            )
    assert_same_bytes(encoded(people, names, header), serialize_message(expected))


def test_bones_keep_their_offsets_in_every_pose(make_people, header):
    """A child's origin in its parent's frame does not depend on the pose: frames turn with the body."""

    def offsets(seed):
        message = sent(make_people(1, seed), ['abcde'], header)
        return [
            [getattr(t.transform.translation, axis) for axis in 'xyz']
            for t in message.transforms
            if not t.child_frame_id.endswith('pelvis')
        ]

    first, second = offsets(1), offsets(2)
    np.testing.assert_allclose(first, second, atol=1e-5)


def test_the_tree_is_smpls():
    assert published_parents(list(range(24))) == list(SMPL_PARENTS)
    assert published_parents([0, 15, 20]) == [-1, 0, 0]
    assert published_parents([20, 22]) == [-1, 0]


def test_nobody_gives_an_empty_message(make_people, header):
    assert sent(make_people(0), [], header).transforms == []


def test_a_stamp_is_used_once(header):
    encoder, frames = TransformEncoder(), [('a', 'b', (0, 0, 0), (0, 0, 0, 1))]
    assert encoder.encode(frames, header.stamp) is not None
    assert encoder.encode(frames, header.stamp) is None
    header.stamp.nanosec -= 1
    assert encoder.encode(frames, header.stamp) is None
    header.stamp.sec += 1
    assert encoder.encode(frames, header.stamp) is not None
    header.stamp.sec -= 1
    encoder.reset()
    assert encoder.encode(frames, header.stamp) is not None


def crowd(make_people, distances, states=None):
    people = make_people(len(distances))
    people.joints[:, 0] = torch.tensor([[0.0, 0.0, z] for z in distances])
    people.states[:] = SmplPerson.CONFIRMED if states is None else torch.tensor(states)
    return people


def test_only_who_is_confirmed_has_frames(make_people):
    states = [SmplPerson.TENTATIVE, SmplPerson.CONFIRMED, SmplPerson.LOST, SmplPerson.CONFIRMED]
    assert FrameChoice()(crowd(make_people, [1, 2, 3, 4], states), 20) == [1, 3]
    assert FrameChoice()(make_people(0), 20) == []


def test_of_too_many_people_the_nearest_have_frames(make_people):
    people = crowd(make_people, [5, 1, 4, 2, 3])
    assert FrameChoice()(people, 3) == [1, 3, 4]
    assert FrameChoice()(people, 0) == []


def test_frames_do_not_come_and_go_with_every_centimetre_but_nobody_near_goes_without(make_people):
    choice = FrameChoice()
    assert choice(crowd(make_people, [3.0, 3.1]), 1) == [0]
    assert choice(crowd(make_people, [3.1, 3.0]), 1) == [0]
    assert choice(crowd(make_people, [3.1, 2.0]), 1) == [1]
    choice.reset()
    assert choice(crowd(make_people, [3.0, 3.1]), 1) == [0]


def test_quaternions_are_finite_for_half_turns(make_people, header):
    people = make_people(1)
    people.rotations[:, :] = torch.diag(torch.tensor([-1.0, 1.0, -1.0]))
    for t in sent(people, ['abcde'], header).transforms:
        rotation = t.transform.rotation
        assert np.linalg.norm([rotation.x, rotation.y, rotation.z, rotation.w]) == pytest.approx(1)
