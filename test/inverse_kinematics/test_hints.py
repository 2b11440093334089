import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from mesh_perception.inverse_kinematics.hints import (
    HINT_AXES,
    hand_direction,
    hinge_direction,
    hints_from_joints,
    solve_with_hints,
)
from mesh_perception.inverse_kinematics.solver import solve
from mesh_perception.joints import SMPL_CHILD, SMPL_LEAVES, SMPL_MIRROR

from .reference import T_POSE, angles_between, forward, random_rotations, rest_poses

LEAVES = list(SMPL_LEAVES)
INNER = [joint for joint in range(24) if joint not in LEAVES]
MIRROR = np.diag([-1.0, 1, 1])
X, Y, Z = np.eye(3)
# Limbs exactly along the axes: their hinges are then exactly the hint axes.
STRAIGHT = T_POSE.copy()
for leg in ((1, 4, 7, 10), (2, 5, 8, 11)):
    STRAIGHT[leg, 0], STRAIGHT[leg[:3], 2] = STRAIGHT[leg[0], 0], STRAIGHT[leg[0], 2]
for arm in ((16, 18, 20, 22), (17, 19, 21, 23)):
    STRAIGHT[arm, 1:] = STRAIGHT[arm[0], 1:]


def turn(axis, degrees):
    return Rotation.from_rotvec(np.radians(degrees) * np.asarray(axis, float)).as_matrix()


def pose(**turns):
    """Relative rotations (1, 24, 3, 3) of the joints given as j0=..., j1=..., identity elsewhere."""
    rotations = np.tile(np.eye(3), (1, 24, 1, 1))
    for joint, rotation in turns.items():
        rotations[0, int(joint[1:])] = rotation
    return rotations


def solve_from_joints(rest, joints):
    """Global orientations (N, 24, 3, 3) by the joints' own hints."""
    rest, joints = torch.from_numpy(rest), torch.from_numpy(joints)
    solved = solve_with_hints(rest, joints, *hints_from_joints(joints)).numpy()
    return forward(rest.numpy(), solved)[1]


def test_axes_are_unit_and_well_away_from_the_bones():
    children = [child if child >= 0 else joint for joint, child in enumerate(SMPL_CHILD)]
    bones = (T_POSE[children] - T_POSE)[INNER]
    bones /= np.linalg.norm(bones, axis=-1, keepdims=True)
    axes = HINT_AXES.numpy()
    assert np.allclose(np.linalg.norm(axes, axis=-1), 1)
    assert np.abs((axes[INNER] * bones).sum(-1)).max() < 0.5


@pytest.mark.parametrize('variant', ['adaptive', 'naive'])
def test_certain_hints_of_true_orientations_give_the_true_rotations(variant):
    rng = np.random.default_rng(0)
    rest, rotations = rest_poses(rng, 500), random_rotations(rng, 500)
    joints, frames = forward(rest, rotations)
    hints = frames @ HINT_AXES.numpy()[:, :, None]
    solved = solve_with_hints(
        *(torch.from_numpy(a) for a in (rest, joints, hints[..., 0])), torch.ones(500, 24), variant
    ).numpy()
    assert angles_between(solved[:, INNER], rotations[:, INNER]).max() < 1e-6
    axes = forward(rest, solved)[1] @ HINT_AXES.numpy()[:, :, None]
    assert np.abs(axes - hints)[:, LEAVES].max() < 1e-6


def test_unknown_hints_leave_no_twist_and_the_parents_orientation():
    rng = np.random.default_rng(1)
    rest, joints = (torch.from_numpy(rest_poses(rng, 20)) for _ in range(2))
    no_twists = torch.tensor([1.0, 0], dtype=torch.float64).expand(20, 24, 2)
    identity = torch.eye(3, dtype=torch.float64).expand(20, 24, 3, 3)
    directions = torch.from_numpy(rng.normal(size=(20, 24, 3)))
    expected = solve(rest, joints, no_twists, identity)
    assert torch.allclose(solve_with_hints(rest, joints, directions, torch.zeros(20, 24)), expected, atol=1e-12)
    assert torch.allclose(solve_with_hints(rest, joints, directions * 0, torch.ones(20, 24)), expected, atol=1e-12)


def test_half_a_weight_is_half_a_twist():
    rest = torch.from_numpy(STRAIGHT)[None]
    hints, weights = torch.zeros(1, 24, 3).double(), torch.zeros(1, 24)
    hints[0, 4], weights[0, 4] = torch.from_numpy(turn(Y, 60) @ X), 0.5
    solved = solve_with_hints(rest, rest, hints, weights).numpy()
    assert angles_between(solved[0, 4], turn(Y, 30)) < 1e-9


def test_flexed_elbows_and_knees_turn_shoulders_and_hips():
    rng = np.random.default_rng(2)
    rest = np.tile(STRAIGHT, (300, 1, 1))
    rotations = np.tile(np.eye(3), (300, 24, 1, 1))
    for joint in (1, 2, 16, 17):  # up to 100 degrees about any axis, twists included
        axes = Rotation.random(300, random_state=rng).as_rotvec()
        axes *= np.radians(rng.uniform(0, 100, (300, 1))) / np.linalg.norm(axes, axis=-1, keepdims=True)
        rotations[:, joint] = Rotation.from_rotvec(axes).as_matrix()
    for joint, axis in ((4, X), (5, X), (18, -Y), (19, Y)):  # knees bend backwards, elbows forward
        rotations[:, joint] = Rotation.from_rotvec(np.radians(rng.uniform(38, 140, (300, 1))) * axis).as_matrix()
    rotations[:, 0] = Rotation.random(300, random_state=rng).as_matrix()
    joints, frames = forward(rest, rotations)
    solved = solve_from_joints(rest, joints)
    limbs = [1, 2, 16, 17, 18, 19, 20, 21]
    assert angles_between(solved[:, limbs], frames[:, limbs]).max() < 1e-6


def test_forearms_held_forward_have_palms_facing_each_other():
    """Upper arms hang down, elbows are bent by a right angle; seen by a camera in front (x right, y down)."""
    rotations = pose(j0=turn(X, 180), j16=turn(Z, -90), j17=turn(Z, 90), j18=turn(Y, -90), j19=turn(Y, 90))
    joints, _ = forward(STRAIGHT[None], rotations)
    forearms = joints[0, 20:22] - joints[0, 18:20]
    assert np.allclose(forearms / np.linalg.norm(forearms, axis=-1, keepdims=True), [[0, 0, -1]] * 2)
    assert joints[0, 18, 1] > joints[0, 16, 1]
    palms = solve_from_joints(STRAIGHT[None], joints)[0, 20:22] @ -Y
    assert np.allclose(palms, [[-1, 0, 0], [1, 0, 0]], atol=1e-6)


def test_kneecaps_point_forward_when_sitting_and_standing():
    for bend in (0, 90):
        rotations = pose(j1=turn(X, -bend), j2=turn(X, -bend), j4=turn(X, bend), j5=turn(X, bend))
        joints, frames = forward(STRAIGHT[None], rotations)
        solved = solve_from_joints(STRAIGHT[None], joints)
        assert np.allclose(solved[0, [1, 2]] @ Z, [[0, np.sin(np.radians(bend)), np.cos(np.radians(bend))]] * 2)
        assert angles_between(solved[:, :12], frames[:, :12]).max() < 1e-6


def test_straight_legs_follow_the_feet():
    rotations = pose(j1=turn(Y, 40), j2=turn(Y, -40))
    joints, _ = forward(STRAIGHT[None], rotations)
    solved = solve_from_joints(STRAIGHT[None], joints)
    yaw = np.degrees(np.arctan2(*(solved[0, [1, 2, 4, 5]] @ Z)[:, [0, 2]].T))
    assert np.allclose(yaw, [20, -20, 20, -20])  # half; the ankles swing to what remains


def test_straight_limbs_have_no_hinge():
    upper = torch.tensor([1.0, 2, 3])
    _, weight = hinge_direction(upper, upper * 0.7, 'left_arm')
    assert weight == 0
    _, weight = hinge_direction(upper, upper * 0, 'left_leg')
    assert weight == 0
    with pytest.raises(ValueError, match='unknown limb'):
        hinge_direction(upper, upper, 'tail')
    with pytest.raises(ValueError, match='unknown side'):
        hand_direction(upper, upper, 'middle')


def test_palms_turned_up_turn_the_forearms_half_each():
    for side, elbow, wrist, along in (('left', 18, 20, X), ('right', 19, 21, -X)):
        twist = turn(along, 120 if side == 'left' else -120)
        back, weight = hand_direction(torch.from_numpy(twist @ Z), torch.from_numpy(twist @ along), side)
        assert weight == 1 and np.allclose(back, twist @ Y)
        hints, weights = torch.zeros(1, 24, 3).double(), torch.zeros(1, 24)
        hints[0, wrist], weights[0, wrist] = back, 1
        rest = torch.from_numpy(STRAIGHT)[None]
        solved = solve_with_hints(rest, rest, hints, weights).numpy()
        half = turn(along, 60 if side == 'left' else -60)
        assert angles_between(solved[0, [elbow, wrist]], np.stack([half, half])).max() < 1e-6


def test_turned_shoulders_turn_the_spine_little_by_little():
    rotations = pose(j3=turn(Y, 15), j6=turn(Y, 15), j9=turn(Y, 15))
    upright = STRAIGHT.copy()
    upright[[0, 3, 6, 9, 12]] *= [0, 1, 0]
    joints, _ = forward(upright[None], rotations)
    solved = solve_from_joints(upright[None], joints)
    for joint, degrees in ((3, 15), (6, 30), (9, 45)):
        assert angles_between(solved[0, joint], turn(Y, degrees)) < np.radians(2)


def test_mirrored_joints_give_mirrored_rotations():
    rng = np.random.default_rng(3)
    symmetric = (T_POSE + T_POSE[list(SMPL_MIRROR)] @ MIRROR) / 2
    rest = np.tile(symmetric, (100, 1, 1))
    joints, _ = forward(rest, random_rotations(rng, 100))
    joints += rng.normal(0, 0.02, joints.shape)

    def run(joints):
        joints = torch.from_numpy(joints)
        return solve_with_hints(torch.from_numpy(rest), joints, *hints_from_joints(joints)).numpy()

    mirrored = run(joints[:, list(SMPL_MIRROR)] @ MIRROR)
    assert angles_between(mirrored[:, list(SMPL_MIRROR)], MIRROR @ run(joints) @ MIRROR).max() < 1e-6


def test_hints_from_joints_are_unit_and_finite_with_gradient():
    rng = np.random.default_rng(4)
    for joints in (rest_poses(rng, 3), np.zeros((2, 24, 3)), np.full((1, 24, 3), 3.0), np.tile(STRAIGHT, (1, 1, 1))):
        joints = torch.from_numpy(joints).requires_grad_()
        directions, weights = hints_from_joints(joints)
        assert ((weights >= 0) & (weights <= 1)).all()
        assert torch.allclose(directions.norm(dim=-1)[weights > 0], torch.ones(()).double())
        rest = torch.from_numpy(STRAIGHT).expand(len(joints), 24, 3)
        solved = solve_with_hints(rest, joints, directions, weights)
        assert solved.isfinite().all()
        (gradient,) = torch.autograd.grad((solved * torch.arange(9.0).view(3, 3)).sum(), joints)
        assert gradient.isfinite().all()


def test_gradients_equal_finite_differences():
    rng = np.random.default_rng(5)
    rest, joints, directions = (
        torch.from_numpy(a).requires_grad_()
        for a in (rest_poses(rng, 1), rest_poses(rng, 1), rng.normal(size=(1, 24, 3)))
    )
    weights = torch.full((1, 24), 0.6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(solve_with_hints, (rest, joints, directions, weights), fast_mode=True)


def test_nobody_is_a_normal_case():
    empty = torch.zeros(0, 24, 3)
    directions, weights = hints_from_joints(empty)
    assert solve_with_hints(empty, empty, directions, weights).shape == (0, 24, 3, 3)
