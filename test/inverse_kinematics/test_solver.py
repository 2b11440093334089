import numpy as np
import pytest
import torch

from mesh_perception.inverse_kinematics.solver import solve, twists_from_rotations
from mesh_perception.inverse_kinematics.tree import tree
from mesh_perception.joints import SMPL_CHILD, SMPL_LEAVES

from .reference import T_POSE, angles_between, forward, random_rotations, rest_poses

LEAVES = list(SMPL_LEAVES)
IDENTITY = torch.eye(3, dtype=torch.float64)


def identity_leaves(count, dtype=torch.float64):
    return IDENTITY.to(dtype).expand(count, 24, 3, 3)


def no_twists(count, dtype=torch.float64):
    return torch.tensor([1.0, 0.0], dtype=dtype).expand(count, 24, 2)


def swings_from_pi(rest, rotations):
    """(N, 24) radians by which each joint's swing falls short of pi; pi for leaves."""
    bones = rest[:, [max(child, 0) for child in SMPL_CHILD]] - rest
    bones[:, LEAVES] = rotations[:, LEAVES] @ [1.0, 0, 0]
    turned = np.einsum('njab,njb->nja', rotations, bones)
    turned[:, LEAVES] = bones[:, LEAVES]
    size = np.linalg.norm(bones, axis=-1)
    return 2 * np.arcsin(np.clip(np.linalg.norm(bones + turned, axis=-1) / (2 * size), 0, 1))


def round_trip(rest, rotations, dtype, variant='adaptive'):
    joints, _ = forward(rest, rotations)
    rest, joints, rotations = (torch.from_numpy(a).to(dtype) for a in (rest, joints, rotations))
    solved = solve(rest, joints, twists_from_rotations(rest, rotations), rotations, variant)
    assert solved.dtype == dtype
    solved = solved.double().numpy()
    again, _ = forward(rest.double().numpy(), solved)
    return np.linalg.norm(again - joints.double().numpy(), axis=-1), angles_between(solved, rotations)


@pytest.mark.parametrize('variant', ['adaptive', 'naive'])
def test_returns_10000_random_poses_and_shapes_in_float64(variant):
    rng = np.random.default_rng(0)
    position, angle = round_trip(rest_poses(rng, 10000), random_rotations(rng, 10000), torch.float64, variant)
    assert position.max() < 1e-6
    assert angle.max() < 1e-6


def test_returns_10000_random_poses_and_shapes_in_float32():
    rng = np.random.default_rng(1)
    rest, rotations = rest_poses(rng, 10000), random_rotations(rng, 10000)
    position, angle = round_trip(rest, rotations, torch.float32)
    regular = (swings_from_pi(rest, rotations) > 1e-3).all(1)
    assert regular.sum() > 9990
    assert position[regular].max() < 1e-4
    assert angle[regular].max() < 1e-3


def test_returns_swings_of_exactly_pi():
    rng = np.random.default_rng(2)
    rest = rest_poses(rng, 50)
    rotations = random_rotations(rng, 50)
    for joint, child in enumerate(SMPL_CHILD):
        if joint and child >= 0:
            bone = rest[:, child] - rest[:, joint]
            axis = np.cross(bone, rng.normal(size=(50, 3)))
            axis /= np.linalg.norm(axis, axis=-1, keepdims=True)
            rotations[:, joint] = 2 * axis[:, :, None] * axis[:, None] - np.eye(3)
    position, angle = round_trip(rest, rotations, torch.float64)
    assert position.max() < 1e-6
    assert angle.max() < 1e-6


def test_rest_pose_needs_no_rotation():
    rest = torch.from_numpy(T_POSE)[None]
    for variant in ('adaptive', 'naive'):
        solved = solve(rest, rest + 5, no_twists(1), identity_leaves(1), variant)
        assert torch.allclose(solved, IDENTITY.expand_as(solved), atol=1e-12)


def test_pelvis_is_never_a_reflection():
    """Mirrored hips would make the plain SVD solution a reflection."""
    rest = torch.from_numpy(T_POSE)[None]
    joints = rest.clone()
    joints[:, [1, 2]] = joints[:, [2, 1]]
    joints[:, 3, 1] += 0.3
    solved = solve(rest, joints, no_twists(1), identity_leaves(1))
    assert torch.linalg.det(solved).allclose(torch.ones(1, 24, dtype=torch.float64))
    assert torch.allclose(solved @ solved.mT, IDENTITY.expand_as(solved), atol=1e-12)


def test_adaptive_bones_aim_from_where_the_chain_is():
    """With bones 3 % too long the naive variant's hands drift away, the adaptive ones stay nearer."""
    rng = np.random.default_rng(3)
    rest = rest_poses(rng, 200)
    rotations = random_rotations(rng, 200)
    joints, _ = forward(rest, rotations)
    errors = {}
    for variant in ('adaptive', 'naive'):
        long = torch.from_numpy(rest) * 1.03
        tensors = torch.from_numpy(joints), twists_from_rotations(long, torch.from_numpy(rotations))
        solved = solve(long, *tensors, torch.from_numpy(rotations), variant, guard=1)
        again, _ = forward(long.numpy(), solved.numpy())
        again += joints[:, :1] - again[:, :1]
        errors[variant] = np.linalg.norm(again - joints, axis=-1)[:, 4:].mean()
    assert errors['adaptive'] < 0.8 * errors['naive']


def test_guard_chooses_the_naive_bone_for_that_joint_of_that_person():
    rng = np.random.default_rng(4)
    rest = rest_poses(rng, 3)
    rotations = random_rotations(rng, 3)
    joints, _ = forward(rest, rotations)
    joints[1, 18:] += 0.1  # this person's arms are 17 cm off from the elbows on
    rest, joints, rotations = (torch.from_numpy(a) for a in (rest, joints, rotations))
    twists = twists_from_rotations(rest, rotations)
    guarded, adaptive, naive = (
        solve(rest, joints, twists, rotations, variant, guard)
        for variant, guard in (('adaptive', 0.015), ('adaptive', 10), ('naive', 0.015))
    )
    assert torch.allclose(guarded[[0, 2]], adaptive[[0, 2]], atol=1e-12)
    assert not torch.allclose(guarded[1, 18], adaptive[1, 18], atol=1e-2)
    assert torch.allclose(guarded[1, 18], naive[1, 18], atol=1e-6)
    assert torch.allclose(guarded[1, :16], adaptive[1, :16], atol=1e-12)


def degenerate_inputs():
    """Names and (rest joints, joints), one person each."""
    rest = torch.from_numpy(T_POSE)[None]
    noise = torch.from_numpy(np.random.default_rng(5).normal(size=(1, 24, 3)))
    straight = rest * torch.tensor([1.0, 0, 0], dtype=torch.float64)
    hands_on_elbows = rest.clone()
    hands_on_elbows[:, 20:22] = hands_on_elbows[:, 18:20]
    return {
        'parallel': (rest, rest),
        'antiparallel': (rest, -rest),
        'turned by pi': (rest, rest * torch.tensor([-1.0, -1, 1], dtype=torch.float64)),
        'one point': (rest, torch.full_like(rest, 2)),
        'almost one point': (rest, noise * 1e-10),
        'no rest pose': (torch.zeros_like(rest), noise),
        'nothing at all': (torch.zeros_like(rest), torch.zeros_like(rest)),
        'on a line': (rest, straight),
        'zero-length forearms': (rest, hands_on_elbows),
        'zero-length rest forearms': (hands_on_elbows, rest),
        'noise': (rest, noise),
        'noise, large': (rest, noise * 1e4),
        'almost antiparallel': (rest, -rest + noise * 1e-9),
    }


@pytest.mark.parametrize('dtype', [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize('variant', ['adaptive', 'naive'])
@pytest.mark.parametrize('name', degenerate_inputs())
def test_degenerate_bones_keep_value_and_gradient_finite(name, variant, dtype):
    rest, joints = (t.to(dtype).requires_grad_() for t in degenerate_inputs()[name])
    twists = torch.zeros(1, 24, 2, dtype=dtype, requires_grad=True)
    leaves = identity_leaves(1, dtype).clone().requires_grad_()
    solved = solve(rest, joints, twists, leaves, variant)
    assert torch.allclose(solved @ solved.mT, IDENTITY.to(dtype).expand_as(solved), atol=1e-5)
    assert torch.allclose(torch.linalg.det(solved), torch.ones(1, 24, dtype=dtype), atol=1e-5)
    weights = torch.from_numpy(np.random.default_rng(6).normal(size=(1, 24, 3, 3))).to(dtype)
    for gradient in torch.autograd.grad((solved * weights).sum(), (rest, joints, twists, leaves)):
        assert gradient.isfinite().all()


@pytest.mark.parametrize('variant, guard', [('adaptive', 10), ('adaptive', 0.015), ('naive', 0.015)])
def test_gradients_equal_finite_differences(variant, guard):
    rng = np.random.default_rng(7)
    rest = rest_poses(rng, 1)
    rotations = random_rotations(rng, 1)
    joints = forward(rest, rotations)[0] + rng.normal(0, 0.02, (1, 24, 3))
    rest, joints, rotations = (torch.from_numpy(a) for a in (rest, joints, rotations))
    twists = twists_from_rotations(rest, rotations) * 1.5
    inputs = [t.clone().requires_grad_() for t in (rest, joints, twists, rotations)]
    assert torch.autograd.gradcheck(lambda *args: solve(*args, variant, guard), inputs, fast_mode=True)


def test_gradient_is_right_at_the_true_pose():
    """Where observed and rest bones agree, singular values of the pelvis and swing angles are at their special case."""
    rest = torch.from_numpy(T_POSE)[None]
    joints = rest.clone().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda joints: solve(rest, joints, no_twists(1), identity_leaves(1)), joints, fast_mode=True
    )


def test_twists_are_one_at_leaves_and_for_bones_of_no_length():
    rotations = torch.from_numpy(random_rotations(np.random.default_rng(8), 2))
    assert torch.equal(
        twists_from_rotations(torch.from_numpy(T_POSE).expand(2, 24, 3), rotations)[:, LEAVES], no_twists(2)[:, LEAVES]
    )
    assert torch.equal(twists_from_rotations(torch.zeros(2, 24, 3), rotations), no_twists(2))


def test_nobody_is_a_normal_case():
    empty = torch.zeros(0, 24, 3)
    solved = solve(empty, empty, torch.zeros(0, 24, 2), torch.zeros(0, 24, 3, 3))
    assert solved.shape == (0, 24, 3, 3)
    assert twists_from_rotations(empty, solved).shape == (0, 24, 2)


def test_each_person_is_solved_alone():
    rng = np.random.default_rng(9)
    rest, joints = torch.from_numpy(rest_poses(rng, 4)), torch.from_numpy(rest_poses(rng, 4))
    together = solve(rest, joints, no_twists(4), identity_leaves(4))
    alone = [solve(rest[i : i + 1], joints[i : i + 1], no_twists(1), identity_leaves(1)) for i in range(4)]
    assert torch.allclose(together, torch.cat(alone), atol=1e-12)


def test_wrong_variant_and_shape_are_named():
    rest = torch.from_numpy(T_POSE)[None]
    with pytest.raises(ValueError, match="unknown variant 'fast'"):
        solve(rest, rest, no_twists(1), identity_leaves(1), 'fast')
    with pytest.raises(ValueError, match='rest_joints'):
        solve(rest[:, :23], rest, no_twists(1), identity_leaves(1))
    with pytest.raises(ValueError, match='twists'):
        solve(rest, rest, no_twists(1)[:, 1:], identity_leaves(1))


@pytest.mark.gpu
def test_same_on_cuda():
    if not torch.cuda.is_available():
        pytest.skip('needs a CUDA device')
    rng = np.random.default_rng(10)
    rest, joints = torch.from_numpy(rest_poses(rng, 8)), torch.from_numpy(rest_poses(rng, 8))
    tensors = rest, joints, no_twists(8), identity_leaves(8)
    assert torch.allclose(solve(*(t.cuda() for t in tensors)).cpu(), solve(*tensors), atol=1e-9)


def test_what_inference_cached_serves_training():
    rest = torch.from_numpy(T_POSE)[None]
    tree.cache_clear()
    with torch.inference_mode():
        solve(rest, rest, no_twists(1), identity_leaves(1))
    joints = rest.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(solve(rest, joints, no_twists(1), identity_leaves(1)).sum(), joints)
    assert gradient.isfinite().all()
