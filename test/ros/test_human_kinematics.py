"""People as REP-155's human, against the URDF's chains of joints written down independently."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

pytest.importorskip('rclpy', reason='needs ROS 2')

from mesh_perception.body import load_body, skin_joints
from mesh_perception.geometry.rotations import axis_angle_to_matrix
from mesh_perception.joints import SMPL_JOINTS
from mesh_perception.ros.human_kinematics import BENT, JOINTS, LINKS, joint_angles, link_frames
from mesh_perception.types import People

X, Y, Z = np.eye(3)
# human_description's chains: link -> [(joint, axis)] from the body's frame; the torso hangs on the waist.
TRUNK = [('waist', Y)]
CHAINS = {'torso': TRUNK, 'head': [*TRUNK, ('r_head', X), ('y_head', Z), ('p_head', -Y)]}
for side, reflect in (('l', 1), ('r', -1)):
    arm = [
        (f'{side}_y_shoulder', -reflect * Z),
        (f'{side}_p_shoulder', reflect * X),
        (f'{side}_r_shoulder', reflect * Z),
    ]
    leg = [(f'{side}_y_hip', -Z), (f'{side}_p_hip', reflect * X), (f'{side}_r_hip', -Y)]
    CHAINS[f'{side}_shoulder'] = TRUNK + arm
    CHAINS[f'{side}_elbow'] = [*TRUNK, *arm, (f'{side}_elbow', -Y)]
    CHAINS[f'{side}_hip'] = leg
    CHAINS[f'{side}_knee'] = [*leg, (f'{side}_knee', -Y)]
ENDS = {
    f'{side}_{link}': (f'{name}_{link}', f'{name}_{end}')
    for side, name in (('l', 'left'), ('r', 'right'))
    for link, end in (('shoulder', 'elbow'), ('elbow', 'wrist'), ('hip', 'knee'), ('knee', 'ankle'))
}
UPPER = {
    LINKS.index(f'{side}_{lower}'): LINKS.index(f'{side}_{upper}')
    for side in 'lr'
    for upper, lower in (('shoulder', 'elbow'), ('hip', 'knee'))
}


@pytest.fixture(scope='module')
def body():
    return load_body('open').to('cpu', torch.float64)


def pose(body, vectors, upright=True):
    """People of the open body with some axis-angles {joint: (3,)}, standing before a camera that looks along z."""
    count = max((len(np.atleast_2d(v)) for v in vectors.values()), default=1)
    axis_angle = torch.zeros(count, 24, 3, dtype=torch.float64)
    if upright:
        axis_angle[:, 0, 0] = np.pi  # y up becomes the camera's y up, facing it
    for joint, vector in vectors.items():
        axis_angle[:, SMPL_JOINTS.index(joint)] = torch.as_tensor(np.asarray(vector), dtype=torch.float64)
    rotations = axis_angle_to_matrix(axis_angle)
    betas = torch.zeros(count, body.num_betas, dtype=torch.float64)
    translation = torch.tensor([[0.0, 0.0, 4.0]], dtype=torch.float64).expand(count, 3)
    empty = torch.zeros(count, dtype=torch.float64)
    return People(
        torch.arange(count), empty.byte(), empty, empty, rotations, betas, translation,
        skin_joints(body, rotations, betas, translation), empty, empty, empty, empty,
    )  # fmt: skip


def random_people(body, count=40):
    generator = np.random.default_rng(11)
    return pose(body, {name: generator.normal(scale=0.6, size=(count, 3)) for name in SMPL_JOINTS}, upright=False)


def urdf(angles, link):
    """The rotation of a URDF's link in the body's frame, for {joint: angle}."""
    result = Rotation.identity()
    for joint, axis in CHAINS[link]:
        result = result * Rotation.from_rotvec(angles[joint] * axis)
    return result.as_matrix()


def unit(vector):
    return vector / np.linalg.norm(vector)


def test_links_and_joints_are_those_of_the_rep():
    assert len(LINKS) == 16 and len(JOINTS) == 20 and len(set(LINKS)) == 16 and len(set(JOINTS)) == 20
    assert set(JOINTS) == {joint for chain in CHAINS.values() for joint, _ in chain}


def test_frames_are_right_handed_and_their_links_lie_on_minus_z(body):
    people = random_people(body)
    rotations, origins = (value.numpy() for value in link_frames(people))
    identity = np.broadcast_to(np.eye(3), rotations.shape)
    np.testing.assert_allclose(rotations.swapaxes(-1, -2) @ rotations, identity, atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(rotations), 1, atol=1e-9)
    joints = people.joints.numpy()
    for link, (start, end) in ENDS.items():
        index = LINKS.index(link)
        start, end = joints[:, SMPL_JOINTS.index(start)], joints[:, SMPL_JOINTS.index(end)]
        np.testing.assert_allclose(origins[:, index], start)
        for direction, z, upper in zip(
            end - start, rotations[:, index, :, 2], rotations[:, UPPER.get(index, index), :, 2], strict=True
        ):
            bend = np.linalg.norm(np.cross(unit(direction), upper))
            limit = 1e-9 if bend > BENT or index not in UPPER else 1.01 * bend  # the way it bends is not trusted yet
            assert np.linalg.norm(unit(direction) + z) < limit, link


def test_angles_move_the_urdf_to_where_the_limbs_are(body):
    rotations, _ = link_frames(random_people(body))
    angles = joint_angles(rotations).numpy()
    for person, values in enumerate(angles):
        values = dict(zip(JOINTS, values, strict=True))
        measured = dict(zip(LINKS, rotations[person].numpy(), strict=True))
        for link in CHAINS.keys() - {'torso'}:
            expected = measured['body'].T @ measured[link]
            np.testing.assert_allclose(urdf(values, link), expected, atol=1e-9, err_msg=link)
        trunk = (measured['body'].T @ measured['torso'])[:, 2]  # the part of it that the one waist joint can do
        np.testing.assert_allclose(urdf(values, 'torso')[:, 2], unit(trunk * [1, 0, 1]), atol=1e-9)


def test_upright_the_body_looks_at_the_camera_with_its_head_up(body):
    """Hanging arms; x out of the chest, y to the person's left, z to the head; origin between the hips."""
    people = pose(body, {'left_shoulder': (0, 0, -1.45), 'right_shoulder': (0, 0, 1.45)})
    rotations, origins = link_frames(people)
    expected = np.array([[0, 1, 0], [0, 0, -1], [-1, 0, 0]])  # in the camera's x right, y down, z forward
    for link in LINKS:
        np.testing.assert_allclose(rotations[0, LINKS.index(link)], expected, atol=0.2, err_msg=link)
    np.testing.assert_allclose(rotations[0, 0], expected, atol=1e-9)
    for link, ends in {'body': 'hip', 'waist': 'hip', 'torso': 'shoulder'}.items():
        middle = people.joints[0, [SMPL_JOINTS.index(f'{side}_{ends}') for side in ('left', 'right')]].mean(0)
        np.testing.assert_allclose(origins[0, LINKS.index(link)], middle)
    np.testing.assert_allclose(origins[0, LINKS.index('head')], people.joints[0, SMPL_JOINTS.index('head')])
    angles = dict(zip(JOINTS, joint_angles(rotations)[0].tolist(), strict=True))
    for side in 'lr':  # near a hanging arm's singularity only their difference means anything
        angles[f'{side}_y_shoulder'] -= angles.pop(f'{side}_r_shoulder')
    assert max(map(abs, angles.values())) < 0.35, angles


@pytest.mark.parametrize(
    'joint, sign, moved',
    [
        ('waist', 1, {'spine1': (0.6, 0, 0)}),  # bows
        ('y_head', 1, {'head': (0, 0.6, 0)}),  # looks to the left
        ('p_head', -1, {'head': (0.6, 0, 0)}),  # nods
        ('l_p_shoulder', 1, {'left_shoulder': (0, 0, -0.5)}),  # arms away from the body
        ('r_p_shoulder', 1, {'right_shoulder': (0, 0, 0.5)}),
        ('l_elbow', 1, {'left_elbow': (0, -1.2, 0)}),
        ('r_elbow', 1, {'right_elbow': (0, 1.2, 0)}),
        ('l_p_hip', 1, {'left_hip': (0, 0, 0.5)}),  # legs apart
        ('r_p_hip', 1, {'right_hip': (0, 0, -0.5)}),
        ('l_r_hip', 1, {'left_hip': (-0.6, 0, 0)}),  # thighs forward
        ('r_r_hip', 1, {'right_hip': (-0.6, 0, 0)}),
        ('l_knee', -1, {'left_knee': (1.2, 0, 0)}),
        ('r_knee', -1, {'right_knee': (1.2, 0, 0)}),
    ],
)
def test_signs_are_the_urdfs(body, joint, sign, moved):
    arms = {'left_shoulder': (0, 0, -1.45), 'right_shoulder': (0, 0, 1.45)}
    angle = joint_angles(link_frames(pose(body, {**arms, **moved}))[0])[0, JOINTS.index(joint)]
    assert 0.3 < sign * angle < 1.6, angle


def test_an_almost_straight_leg_does_not_turn_round(body):
    """A knee bent a little the wrong way, or sideways, is noise: the thigh's front stays in front."""
    for vector in ((-0.15, 0, 0), (0.05, 0, 0), (0, 0, 0.08), (0, 0, -0.08)):
        rotations, _ = link_frames(pose(body, {'left_knee': vector}))
        assert rotations[0, LINKS.index('l_hip'), :, 0] @ rotations[0, 0, :, 0] > 0.8, vector


def test_hanging_arms_have_angles_though_two_axes_are_one():
    rotations = torch.eye(3, dtype=torch.float64).expand(1, 16, 3, 3).clone()
    turn = torch.from_numpy(Rotation.from_rotvec([0, 0, 0.4]).as_matrix())
    for link in ('l_shoulder', 'l_elbow', 'r_shoulder', 'r_elbow'):
        rotations[0, LINKS.index(link)] = turn
    values = dict(zip(JOINTS, joint_angles(rotations)[0].tolist(), strict=True))
    np.testing.assert_allclose(urdf(values, 'l_shoulder'), turn, atol=1e-9)
    np.testing.assert_allclose(urdf(values, 'r_shoulder'), turn, atol=1e-9)
    assert abs(values['l_y_shoulder']) < 1e-9 and abs(values['r_y_shoulder']) < 1e-9


def test_nobody_has_no_angles(body):
    rotations, origins = link_frames(random_people(body)[:0])
    assert rotations.shape == (0, 16, 3, 3) and origins.shape == (0, 16, 3)
    assert joint_angles(rotations).shape == (0, 20)
