"""f^TS: shapes, starts and numbers of the network, and inverse kinematics with twists, leaves and shape from it."""

import numpy as np
import pytest
import torch

from mesh_perception.body import load_body, rest_joints, skin_joints
from mesh_perception.geometry.rotations import matrix_to_6d
from mesh_perception.inverse_kinematics.shape import fit_betas
from mesh_perception.inverse_kinematics.solver import twists_from_rotations
from mesh_perception.inverse_kinematics.twist_shape import (
    TWISTING,
    TwistShape,
    TwistShapeNetwork,
    parameters_from_twists,
)
from mesh_perception.joints import SMPL_JOINTS, SMPL_LEAVES
from mesh_perception.types import Skeletons

from .reference import random_rotations


@pytest.fixture(scope='module')
def body():
    return load_body('open', dtype=torch.float64)


@pytest.fixture
def network():
    """A network whose output differs from person to person, as a trained one's does."""
    torch.manual_seed(0)
    network = TwistShapeNetwork(32, 16, 10)
    for layer in (network.twists, network.leaves, network.betas):
        torch.nn.init.normal_(layer.weight)
    return network


def skeletons(joints):
    count = len(joints)
    return Skeletons(
        joints=joints,
        relative_joints=joints - joints[:, :1],
        image_joints=joints.new_zeros(count, 24, 2),
        confidence=joints.new_ones(count, 24),
        features=joints.new_zeros(count, 32),
        hint_directions=joints.new_zeros(count, 24, 3),
        hint_weights=joints.new_zeros(count, 24),
        scores=joints.new_ones(count),
        distance_scale=joints.new_ones(count),
        joint_sigma=joints.new_ones(count, 24),
    )


def people(body, count, seed=0):
    """True betas, rotations, translations, joints and what a perfect f^TS says of them."""
    rng = np.random.default_rng(seed)
    betas = torch.from_numpy(rng.normal(size=(count, body.num_betas)))
    rotations = torch.from_numpy(random_rotations(rng, count))
    translation = torch.from_numpy(rng.normal((0, 0, 4), 1, (count, 3)))
    joints = skin_joints(body, rotations, betas, translation)
    twists = twists_from_rotations(rest_joints(body, betas), rotations)
    return betas, rotations, translation, joints, TwistShape(twists, matrix_to_6d(rotations[:, SMPL_LEAVES]), betas)


def test_the_papers_shapes():
    network = TwistShapeNetwork().eval()
    with torch.no_grad():
        twists, leaf_6d, betas = network(torch.randn(3, 2048, 8, 8))
    assert twists.shape == (3, 24, 2) and leaf_6d.shape == (3, 5, 6) and betas.shape == (3, 10)
    assert network.hidden1.weight.shape == (1024, 2048) and network.hidden2.weight.shape == (1024, 1024)


def test_it_starts_near_the_rest_pose():
    with torch.no_grad():
        twists, leaf_6d, betas = TwistShapeNetwork()(torch.rand(4, 2048))
    assert (twists - torch.tensor([1.0, 0])).abs().max() < 0.1
    assert (leaf_6d - torch.tensor([1.0, 0, 0, 0, 1, 0])).abs().max() < 0.1
    assert betas.abs().max() < 0.1


def test_twists_are_unit_and_none_where_they_do_not_count(network):
    twists, _, _ = network(torch.randn(50, 32))
    assert torch.allclose(twists.norm(dim=-1), torch.ones(50, 24))
    idle = [joint for joint in range(24) if joint not in TWISTING]
    assert [SMPL_JOINTS[joint] for joint in idle] == [
        'pelvis', 'left_foot', 'right_foot', 'head', 'left_hand', 'right_hand'
    ]  # fmt: skip
    assert torch.equal(twists[:, idle], torch.tensor([1.0, 0]).expand(50, 6, 2))
    assert (twists[:, list(TWISTING)].std(0).amax(-1) > 0.1).all()


def test_maps_are_averaged(network):
    maps = torch.randn(4, 32, 3, 5)
    for value, expected in zip(network(maps), network(maps.mean((2, 3))), strict=True):
        assert torch.allclose(value, expected, atol=1e-6)


def test_true_twists_leaves_and_betas_give_the_person_back(body):
    betas, rotations, translation, joints, exact = people(body, 50)
    found = parameters_from_twists(body, skeletons(joints), *exact)
    assert (found.rotations - rotations).abs().max() < 1e-6
    assert torch.equal(found.betas, betas)
    assert (found.translation - translation).abs().max() < 1e-6
    assert torch.equal(found.camera, torch.tensor([0.9, 0, 0], dtype=torch.float64).expand(50, 3))


def test_a_network_without_betas_leaves_the_shape_to_bone_lengths(body):
    network = TwistShapeNetwork(32, 16, 0)
    found = network(torch.randn(4, 32))
    assert found.betas.shape == (4, 0)
    _, _, _, joints, exact = people(body, 4)
    bones = fit_betas(body, joints, skeletons(joints).confidence)
    fitted = parameters_from_twists(body, skeletons(joints), *exact._replace(betas=joints.new_zeros(4, 0)))
    given = parameters_from_twists(body, skeletons(joints), *exact._replace(betas=bones))
    assert torch.equal(fitted.betas, bones) and bones.abs().max() > 0.1
    assert torch.equal(fitted.rotations, given.rotations)


def test_leaf_rotations_are_taken_as_they_are(body):
    betas, rotations, _, joints, exact = people(body, 3, seed=1)
    leaf_6d = exact.leaf_6d.clone()
    leaf_6d[:, 1] = torch.tensor([2.0, 0, 0, 1, 3, 0])  # the identity, neither of unit length nor orthogonal
    found = parameters_from_twists(body, skeletons(joints), exact.twists, leaf_6d, betas)
    expected = rotations.clone()
    expected[:, SMPL_LEAVES[1]] = torch.eye(3, dtype=torch.float64)
    assert (found.rotations - expected).abs().max() < 1e-6


def test_gradients_agree_with_finite_differences(body):
    _, _, _, joints, exact = people(body, 1, seed=2)

    def function(joints, twists, leaf_6d, betas):
        found = parameters_from_twists(body, skeletons(joints), twists, leaf_6d, betas)
        return found.rotations, found.translation

    inputs = (joints, *exact)
    assert torch.autograd.gradcheck(function, tuple(value.clone().requires_grad_() for value in inputs), fast_mode=True)


def test_gradients_reach_every_parameter(body, network):
    _, _, _, joints, _ = people(body, 4)
    single = load_body('open')
    found = parameters_from_twists(single, skeletons(joints.float()), *network(torch.randn(4, 32, 2, 2)))
    truth = torch.from_numpy(random_rotations(np.random.default_rng(3), 4)).float()
    ((found.rotations - truth).square().sum() + found.betas.square().sum()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.isfinite().all() and parameter.grad.any(), name
    assert network.twists.bias.grad.all() and network.leaves.bias.grad.all()  # every joint's


def test_another_bodys_betas_are_refused(body):
    _, _, _, joints, exact = people(body, 1)
    with pytest.raises(ValueError, match='7 betas, expected the 10 of body'):
        parameters_from_twists(body, skeletons(joints), exact.twists, exact.leaf_6d, exact.betas[:, :7])


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_nobody_is_a_normal_case(dtype):
    single = load_body('open')
    network = TwistShapeNetwork(32, 16, 10).to(dtype)
    for features in (torch.zeros(0, 32, 8, 8), torch.zeros(0, 32)):
        found = parameters_from_twists(single, skeletons(torch.zeros(0, 24, 3)), *network(features.to(dtype)))
        assert found.rotations.shape == (0, 24, 3, 3) and found.betas.shape == (0, 10)
        assert found.translation.shape == found.camera.shape == (0, 3)


# Largest difference to float32, in cosines and sines and in betas of ordinary size.
TOLERANCES = {torch.float16: (0.005, 0.005), torch.bfloat16: (0.05, 0.05)}


def agrees(device, dtype):
    torch.manual_seed(1)
    network = TwistShapeNetwork(2048, 1024, 10).to(device)
    for layer, gain in ((network.twists, 0.5), (network.leaves, 1), (network.betas, 3)):
        torch.nn.init.xavier_uniform_(layer.weight, gain)
    features = torch.rand(8, 2048, 8, 8, device=device) * 6
    with torch.no_grad():
        expected = network(features)
        output = network.to(dtype)(features.to(dtype))
    assert expected.betas.std() > 0.3
    directions, betas = TOLERANCES[dtype]
    assert all(value.dtype == torch.float32 for value in output)
    assert (output.twists - expected.twists).abs().max() < directions
    assert (output.leaf_6d - expected.leaf_6d).abs().max() < betas
    assert (output.betas - expected.betas).abs().max() < betas


@pytest.mark.parametrize('dtype', TOLERANCES)
def test_half_precision_agrees_with_float32(dtype):
    agrees('cpu', dtype)


@pytest.mark.gpu
@pytest.mark.parametrize('dtype', TOLERANCES)
def test_half_precision_agrees_with_float32_on_a_gpu(dtype):
    if not torch.cuda.is_available():
        pytest.skip('needs a CUDA device')
    agrees('cuda', dtype)


@pytest.mark.parametrize('shape', [(32,), (32, 8, 8)])
def test_the_network_exports_for_any_number_of_people(network, shape):
    people = {0: torch.export.Dim('people', min=1, max=64)}
    program = torch.export.export(network.eval(), (torch.randn(2, *shape),), dynamic_shapes=(people,)).module()
    features = torch.randn(5, *shape)
    with torch.no_grad():
        for value, expected in zip(program(features), network(features), strict=True):
            assert torch.allclose(value, expected, atol=1e-5)
