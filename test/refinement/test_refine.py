"""From initial parameters to the final mesh at its place."""

import numpy as np
import pytest
import torch

from mesh_perception.body import regress_joints, rest_joints, skin
from mesh_perception.geometry.camera import Camera
from mesh_perception.geometry.rotations import matrix_to_6d, sixd_to_matrix
from mesh_perception.refinement import finish, refine, refine_with_attention, training_groups
from mesh_perception.types import Skeletons

from .reference import reference_groups, reference_refiner

FIELDS = ('rotations', 'betas', 'camera')


def assert_same(found, wanted, tolerance=1e-5):
    for name in FIELDS:
        torch.testing.assert_close(getattr(found, name), getattr(wanted, name), rtol=0, atol=tolerance)


def roots_of(body, initial):
    return (rest_joints(body, initial.betas)[:, 0] + initial.translation).double().numpy()


@pytest.mark.parametrize('relative_roots', [False, True])
@pytest.mark.parametrize('count', [1, 2, 3, 7])
def test_each_person_is_refined_as_the_first_of_their_own_group(body, make_refiner, make_people, count, relative_roots):
    refiner = make_refiner(relative_roots=relative_roots, feature_size=10 if relative_roots else 7).double()
    features, initial = make_people(count)
    features, initial = features.double(), initial.to(torch.float64)
    refined = refine(refiner, body.to(dtype=torch.float64), features, initial)
    roots = roots_of(body.to(dtype=torch.float64), initial)
    for person, group in enumerate(reference_groups(roots, 3)):
        if person not in (0, count - 1):
            continue  # the loops in the reference are slow
        known = features[group].numpy()
        if relative_roots:
            known = np.concatenate([known, roots[group] - roots[person]], 1)
        sixd = matrix_to_6d(initial.rotations[group]).numpy()
        values = (known, sixd, initial.betas[group].numpy(), initial.camera[group].numpy())
        expected = reference_refiner(refiner.state_dict(), 2, *values, [True] * len(group))
        wanted = sixd_to_matrix(torch.from_numpy(expected[0][0]))
        torch.testing.assert_close(refined.rotations[person], wanted, rtol=0, atol=1e-9)
        torch.testing.assert_close(refined.betas[person], torch.from_numpy(expected[1][0]), rtol=0, atol=1e-9)
        torch.testing.assert_close(refined.camera[person], torch.from_numpy(expected[2][0]), rtol=0, atol=1e-9)
    assert torch.equal(refined.translation, initial.translation)


@pytest.mark.parametrize('options', [{}, {'positional': True}, {'mask_absent': False}, {'relative_roots': True}])
@pytest.mark.parametrize('count', [0, 1, 2, 3, 7, 40])
def test_results_do_not_depend_on_the_order_of_people(body, make_refiner, make_people, count, options):
    refiner = make_refiner(**options)
    features, initial = make_people(count, size=4 if 'relative_roots' in options else 7)
    refined, attention = refine_with_attention(refiner, body, features, initial)
    assert len(refined) == count and refined.rotations.isfinite().all()
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    turned, turned_attention = refine_with_attention(refiner, body, features[order], initial[order])
    assert_same(turned, refined[order], tolerance=1e-6)
    torch.testing.assert_close(turned_attention, attention[order][:, :, order], rtol=0, atol=1e-6)


@pytest.mark.parametrize('count', [1, 2, 3, 7])
def test_neighbours_matter_and_people_far_away_do_not(body, make_refiner, make_people, count):
    refiner = make_refiner()
    features, initial = make_people(count)
    roots = roots_of(body, initial)
    near = reference_groups(roots, 3)[0]
    refined = refine(refiner, body, features, initial)
    for other in range(1, count):
        changed = features.clone()
        changed[other] += 1
        same = torch.allclose(refine(refiner, body, changed, initial).betas[0], refined.betas[0], rtol=0, atol=1e-6)
        assert same != (other in near)


def test_refining_with_zero_heads_returns_the_initial_rotations(body, make_refiner, make_people):
    refiner = make_refiner()
    for parameter in (*refiner.pose_head.parameters(), *refiner.betas_head[-1].parameters()):
        torch.nn.init.zeros_(parameter)
    torch.nn.init.zeros_(refiner.merge_betas.bias)
    features, initial = make_people(5)
    refined = refine(refiner, body, features, initial)
    assert torch.equal(refined.betas, initial.betas)
    torch.testing.assert_close(refined.rotations, initial.rotations, rtol=0, atol=1e-6)


def test_refined_rotations_are_rotations(body, make_refiner, make_people):
    rotations = refine(make_refiner(), body, *make_people(7)).rotations
    torch.testing.assert_close(rotations @ rotations.mT, torch.eye(3).expand(7, 24, 3, 3), rtol=0, atol=1e-5)
    torch.testing.assert_close(torch.linalg.det(rotations), torch.ones(7, 24))


def test_feature_maps_are_averaged(body, make_refiner, make_people):
    initial = make_people(4)[1]
    maps = torch.randn(4, 7, 8, 8, generator=torch.Generator().manual_seed(5))
    wanted = refine(make_refiner(), body, maps.flatten(2).mean(2), initial)
    assert_same(refine(make_refiner(), body, maps, initial), wanted)


def test_features_of_another_size_are_refused(body, make_refiner, make_people):
    features, initial = make_people(2)
    with pytest.raises(ValueError, match=r'features: expected \(2, 7\) per person, got \(2, 6\)'):
        refine(make_refiner(), body, features[:, :6], initial)


def test_training_takes_its_own_groups_and_gradients_reach_the_inputs(body, make_refiner, make_people):
    features, initial = make_people(6)
    features.requires_grad_()
    initial.rotations.requires_grad_()
    groups = training_groups(torch.tensor([0, 0, 0, 0, 1, 1]), 3, torch.Generator().manual_seed(0))
    refined = refine(make_refiner().train(), body, features, initial, groups)
    (refined.rotations[4].sum() + refined.betas[4].sum()).backward()
    reached = features.grad.abs().sum(1) > 0
    assert reached.tolist() == [False] * 4 + [True] * 2  # people of the other image have no say
    assert initial.rotations.grad[4].abs().max() > 0


def test_attention_says_who_is_looked_at(body, make_refiner, make_people):
    features, initial = make_people(7)
    refined, attention = refine_with_attention(make_refiner(), body, features, initial)
    assert attention.shape == (7, 24, 7, 24)
    torch.testing.assert_close(attention.sum((2, 3)), torch.ones(7, 24))
    seen = attention.sum((1, 3)) > 0
    for person, group in enumerate(reference_groups(roots_of(body, initial), 3)):
        assert seen[person].nonzero().flatten().tolist() == sorted(group)
    assert_same(refined, refine(make_refiner(), body, features, initial))


@pytest.mark.parametrize('count', [0, 1, 3])
def test_the_final_place_projects_the_refined_joints_onto_the_image_joints(body, make_people, count):
    camera = Camera.from_intrinsics(640, 480, 500, 510, 322, 235, (-0.2, 0.05, 0.001, 0.0), 'plumb_bob')
    _, parameters = make_people(count)
    truth = skin(body, parameters.rotations, parameters.betas, parameters.translation)
    joints = regress_joints(body, truth.vertices)
    unknown = torch.zeros(count, 24)
    skeletons = Skeletons(
        *(joints, joints, camera.project(joints), unknown + 1, joints[:, 0], joints, unknown, unknown[:, 0]),
        *(unknown[:, 0] + 1, unknown),
    )
    moved = parameters[:]
    moved.translation = parameters.translation + torch.tensor([0.5, -0.3, 1.0])
    final = finish(body, moved, skeletons, camera)
    torch.testing.assert_close(final.parameters.translation, parameters.translation, rtol=0, atol=1e-3)
    torch.testing.assert_close(final.joints, joints, rtol=0, atol=1e-3)
    torch.testing.assert_close(final.meshes.vertices, truth.vertices, rtol=0, atol=1e-3)
    torch.testing.assert_close(final.meshes.joints, truth.joints, rtol=0, atol=1e-3)
    again = skin(body, final.parameters.rotations, final.parameters.betas, final.parameters.translation)
    torch.testing.assert_close(again.vertices, final.meshes.vertices, rtol=0, atol=1e-5)
    torch.testing.assert_close(regress_joints(body, again.vertices), final.joints, rtol=0, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device')
@pytest.mark.parametrize('count', [0, 2, 7])
def test_cuda_refines_the_same(body, make_refiner, make_people, count):
    features, initial = make_people(count)
    wanted, attention = refine_with_attention(make_refiner(), body, features, initial)
    found, found_attention = refine_with_attention(
        make_refiner().cuda(), body.to('cuda'), features.cuda(), initial.to('cuda')
    )
    assert_same(found.to('cpu'), wanted, tolerance=5e-3)
    torch.testing.assert_close(found_attention.cpu(), attention, rtol=0, atol=5e-3)


@pytest.mark.parametrize(('dtype', 'tolerance'), [(torch.bfloat16, 5e-2), (torch.float16, 5e-3)])
def test_a_network_in_half_precision_refines_parameters_in_float32(body, make_refiner, make_people, dtype, tolerance):
    features, initial = make_people(7)
    refiner = make_refiner()
    refiner.pose_head.weight.data *= 0.2  # turns of some 20 degrees
    wanted = refine(refiner, body, features, initial)
    found = refine(refiner.to(dtype), body, features.to(dtype), initial)
    assert found.rotations.dtype == found.betas.dtype == torch.float32
    assert_same(found, wanted, tolerance)


@pytest.mark.parametrize('count', [3, 7])
def test_a_person_whose_numbers_are_not_finite_spoils_nobody_else(body, make_refiner, make_people, count):
    features, initial = make_people(count)
    features[1], initial.betas[1], initial.translation[1] = torch.nan, torch.nan, torch.nan
    others = [i for i in range(count) if i != 1]
    refined = refine(make_refiner(), body, features, initial)[others]
    assert_same(refined, refine(make_refiner(), body, features[others], initial[others]))


def test_learns_what_only_the_neighbour_tells(make_refiner):
    refiner = make_refiner(loud=False, feature_size=2, num_betas=1, people=2, masking=0.0).train()
    optimizer = torch.optim.Adam(refiner.parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(0)
    sixd = torch.eye(3)[:2].reshape(6).expand(16, 2, 24, 6)
    betas, camera, present = torch.zeros(16, 2, 1), torch.zeros(16, 2, 3), torch.ones(16, 2, dtype=torch.bool)
    losses = []
    for _ in range(150):
        features = torch.randn(16, 2, 2, generator=generator)
        refined = refiner(features, sixd, betas, camera, present)
        loss = (refined.betas - features.flip(1)[..., :1]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[:5]) > 0.5 and np.mean(losses[-10:]) < 0.1


@pytest.mark.parametrize(('count', 'groups'), [(0, 0), (1, 1), (2, 1), (3, 1), (7, 7), (40, 40)])
def test_everybody_is_refined_in_one_call(body, make_refiner, make_people, count, groups):
    refiner, seen = make_refiner(), []
    refiner.embed.register_forward_pre_hook(lambda _, arguments: seen.append(tuple(arguments[0].shape)))
    refine(refiner, body, *make_people(count))
    assert seen == [(groups, 72, 7 + 6 + 10 + 3)]
