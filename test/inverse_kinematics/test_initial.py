import numpy as np
import pytest
import torch

from mesh_perception.body import load_body, rest_joints, skin_joints
from mesh_perception.inverse_kinematics import initial_parameters
from mesh_perception.inverse_kinematics.hints import HINT_AXES, hints_from_joints
from mesh_perception.inverse_kinematics.shape import fit_betas
from mesh_perception.joints import SMPL_PARENTS
from mesh_perception.types import Skeletons

from .reference import angles_between, forward, random_rotations

PARENTS = [max(parent, 0) for parent in SMPL_PARENTS]


@pytest.fixture(scope='module')
def body():
    return load_body('open')


def people(body, rng, count, dtype=torch.float32):
    """True betas, rotations and translations, and the joints of these bodies."""
    betas = torch.from_numpy(rng.normal(size=(count, body.num_betas))).clamp(-2.5, 2.5).to(dtype)
    rotations = torch.from_numpy(random_rotations(rng, count)).to(dtype)
    translation = torch.from_numpy(rng.normal((0, 0, 4), 1, (count, 3))).to(dtype)
    return betas, rotations, translation, skin_joints(body, rotations, betas, translation)


def skeletons(joints, directions, weights, confidence=None):
    count = len(joints)
    return Skeletons(
        joints=joints,
        relative_joints=joints - joints[:, :1],
        image_joints=joints.new_zeros(count, 24, 2),
        confidence=joints.new_ones(count, 24) if confidence is None else confidence,
        features=joints.new_zeros(count, 0),
        hint_directions=directions,
        hint_weights=weights,
        scores=joints.new_ones(count),
        distance_scale=joints.new_ones(count),
        joint_sigma=joints.new_ones(count, 24),
    )


def bone_lengths(joints):
    return (joints - joints[:, PARENTS]).norm(dim=-1)


def test_bone_lengths_are_recovered_in_any_pose(body):
    betas, _, _, joints = people(body, np.random.default_rng(0), 200)
    wanted = bone_lengths(joints)

    def error(betas):
        return (bone_lengths(rest_joints(body, betas)) - wanted).abs()

    free = error(fit_betas(body, joints, regularisation=1e-9))
    assert free.mean() < 0.0005
    usual, mean_shape = error(fit_betas(body, joints)), error(betas * 0)
    limbs = [4, 5, 7, 8, 18, 19, 20, 21]
    assert usual[:, limbs].mean() < 0.35 * mean_shape[:, limbs].mean()


def test_noisy_bones_do_not_make_extreme_shapes(body):
    rng = np.random.default_rng(1)
    betas, _, _, joints = people(body, rng, 200)
    noisy = joints + 0.02 * torch.from_numpy(rng.normal(size=joints.shape)).float()
    found = fit_betas(body, noisy)
    assert found.abs().max() <= 3
    assert (found - betas).square().mean() < betas.square().mean()


def test_unsure_joints_do_not_count(body):
    _, _, _, joints = people(body, np.random.default_rng(2), 4)
    weights = torch.ones(4, 24)
    weights[:, [20, 22]] = 0
    wrong = joints.clone()
    wrong[:, [20, 22]] += 1
    assert torch.equal(fit_betas(body, joints, weights), fit_betas(body, wrong, weights))
    assert not torch.allclose(fit_betas(body, joints), fit_betas(body, wrong), atol=0.1)
    assert torch.equal(fit_betas(body, wrong, weights * 0), torch.zeros(4, body.num_betas))


@pytest.mark.parametrize('scale', [0, 1e-12, 1e3])
def test_shape_of_degenerate_skeletons_is_finite_with_gradient(body, scale):
    _, _, _, joints = people(body, np.random.default_rng(3), 2)
    joints = (joints * scale).requires_grad_()
    betas = fit_betas(body, joints)
    assert betas.abs().max() <= 3
    (gradient,) = torch.autograd.grad(betas.sum(), joints)
    assert gradient.isfinite().all()


def test_known_orientations_give_the_person_back(body):
    betas, rotations, translation, joints = people(body, np.random.default_rng(4), 100)
    _, frames = forward(rest_joints(body, betas).double().numpy(), rotations.double().numpy())
    hints = torch.from_numpy(frames @ HINT_AXES.numpy()[:, :, None])[..., 0].float()
    found = initial_parameters(body, skeletons(joints, hints, torch.ones(100, 24)))
    posed = skin_joints(body, found.rotations, found.betas, found.translation)
    assert (posed - joints).norm(dim=-1).mean() < 0.01
    assert (found.translation - translation).norm(dim=-1).mean() < 0.01
    assert np.median(np.degrees(angles_between(found.rotations, rotations))) < 3
    assert torch.equal(found.camera, torch.tensor([0.9, 0, 0]).expand(100, 3))


def test_translation_trusts_sure_joints(body):
    betas, _, translation, _ = people(body, np.random.default_rng(5), 1)
    straight = torch.eye(3).expand(1, 24, 3, 3)
    joints = skin_joints(body, straight, betas * 0, translation)
    joints[:, [20, 22]] += 0.5
    confidence = torch.ones(1, 24)
    confidence[:, [18, 20, 22]] = 0
    found = initial_parameters(body, skeletons(joints, *hints_from_joints(joints), confidence))
    assert (found.translation - translation).norm() < 0.01


def test_joints_at_one_point_are_still_a_body(body):
    joints = torch.full((2, 24, 3), 2.0)
    found = initial_parameters(body, skeletons(joints, *hints_from_joints(joints), torch.zeros(2, 24)))
    assert all(t.isfinite().all() for t in (found.rotations, found.betas, found.translation))


def test_nobody_is_a_normal_case(body):
    joints = torch.zeros(0, 24, 3)
    found = initial_parameters(body, skeletons(joints, *hints_from_joints(joints)))
    assert found.rotations.shape == (0, 24, 3, 3)
    assert found.betas.shape == (0, body.num_betas)
    assert found.translation.shape == found.camera.shape == (0, 3)
