"""The embedded heads' task: what its terms say of perfect estimates, who learns from which, and what is handed over."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

from drawn_pairs import drawn_pairs

from mesh_perception.body import load_body
from mesh_perception.cli import main
from mesh_perception.configuration import load_config
from mesh_perception.geometry.camera import Camera
from mesh_perception.geometry.rotations import matrix_to_6d
from mesh_perception.inverse_kinematics.twist_shape import TwistShape
from mesh_perception.joints import SMPL_LEAVES
from mesh_perception.pipeline import MeshPipeline
from mesh_perception.refinement import inference_groups
from mesh_perception.skeleton.landmark_head import on_crop_plane
from mesh_perception.skeleton.landmark_joints import load_joint_mapping, relative_joints, skeletons_from_landmarks
from mesh_perception.synthetic.poses import prior_poses
from mesh_perception.synthetic.rendering import SceneRenderer
from mesh_perception.synthetic.scene import sample_scene
from mesh_perception.training.cameras import PinholeBatch
from mesh_perception.training.embedded import EmbeddedTask, Settings, make_task
from mesh_perception.training.embedded_data import Pictures, split_by_scene
from mesh_perception.training.embedded_terms import TERMS, head_terms, refined_terms, twist_terms, understood
from mesh_perception.training.embedded_validation import STAGES, groups_by_picture, validation_figures
from mesh_perception.training.pairs import save_pairs
from mesh_perception.training.paper_terms import fit_orthographic
from mesh_perception.training.settings import TrainingConfig, load_training_config
from mesh_perception.training.state import read_state
from mesh_perception.types import BodyParameters
from mesh_perception.visualization.renderer import RendererUnavailable

CPU = torch.device('cpu')
SMALL = Settings(
    normalise=False,
    head_error=10.0,
    noise=0.0,
    dropout=0.0,
    hidden=16,
    shape='network',
    width=16,
    blocks=1,
    heads=2,
    head_size=4,
    mlp=16,
    discriminator=8,
)
LEARNS = {  # which networks each term reaches
    **{term: {'landmark_head'} for term in TERMS[:4]},
    **{term: {'twist_shape'} for term in TERMS[4:7]},
    **{term: {'refiner'} for term in TERMS[7:]},
}
RECIPE = """
task: embedded
epochs: 1
batch_size: 6
log_every: 1
settings: {normalise: false, hidden: 16, width: 16, blocks: 1, heads: 2, head_size: 4, mlp: 16, discriminator: 8}
"""
SET = {
    'device': 'cpu',
    'twist_shape.kind': 'network',
    'twist_shape.shape': 'bones',
    'refinement.kind': 'transformer',
    'refinement.relative_roots': True,
    'refinement.normalise': False,
}
SMALL_SET = {
    'twist_shape.hidden': 16,
    'refinement.width': 16,
    'refinement.depth': 1,
    'refinement.heads': 2,
    'refinement.head_size': 4,
    'refinement.mlp': 16,
}


def config_of(batch_size=6, precision='float32', **settings):
    return TrainingConfig(batch_size=batch_size, precision=precision, settings=replace(SMALL, **settings))


@pytest.fixture(scope='module')
def body():
    return load_body('open')


@pytest.fixture(scope='module')
def pairs(body):
    return drawn_pairs(body)


@pytest.fixture(scope='module')
def folder(pairs, tmp_path_factory):
    path = tmp_path_factory.mktemp('pairs')
    half = int((pairs.scenes <= 3).sum())
    for name, part in (('a', pairs[:half]), ('b', pairs[half:])):
        save_pairs(path / f'{name}.safetensors', part, {'poses': 'random', 'network': 'blazepose_heavy'})
    return path


def task_of(folder, **settings):
    torch.manual_seed(0)
    return EmbeddedTask(config_of(**settings), folder, CPU)


def test_a_perfect_skeleton_leaves_the_head_nothing_to_learn(pairs):
    cameras, truth = PinholeBatch(pairs.intrinsics, pairs.sizes), pairs.truth.joints
    skeletons = skeletons_from_landmarks(pairs.landmarks, cameras, load_joint_mapping('blazepose_heavy'))
    sigma = torch.full(truth.shape[:2], 0.05)
    images = cameras.project(truth)
    perfect = replace(skeletons, relative_joints=truth - truth[:, :1], image_joints=images, joint_sigma=sigma)
    terms = head_terms(perfect, pairs, cameras)
    assert float(terms.pop('sigma')) == pytest.approx(np.log(0.05), abs=1e-4)
    assert set(terms) == {'relative', 'plane', 'depth'} and all(float(value) < 1e-3 for value in terms.values())
    worse = head_terms(replace(skeletons, joint_sigma=sigma), pairs, cameras)
    assert all(float(worse[name]) > 1e-2 for name in terms) and float(worse['sigma']) > np.log(0.05)


def test_the_likeliest_sigma_is_the_root_mean_square_of_the_error_along_an_axis_of_anybody(pairs):
    cameras, truth = PinholeBatch(pairs.intrinsics, pairs.sizes), pairs.truth.joints
    skeletons = skeletons_from_landmarks(pairs.landmarks, cameras, load_joint_mapping('blazepose_heavy'))
    error = skeletons.relative_joints - (truth - truth[:, :1])
    best = error.square().mean(-1).sqrt().requires_grad_()
    nobody = torch.zeros(len(pairs), dtype=torch.bool)
    term = head_terms(replace(skeletons, joint_sigma=best), pairs, cameras, nobody)['sigma']
    (gradient,) = torch.autograd.grad(term, best)
    assert (gradient * best).abs().max() < 1e-6


def test_who_is_hardly_seen_or_far_off_does_not_teach_the_head(pairs):
    mapping, cameras = load_joint_mapping('blazepose_heavy'), PinholeBatch(pairs.intrinsics, pairs.sizes)
    changed = pairs[:]
    changed.truth.shares = pairs.truth.shares.clone()
    changed.truth.shares[3, 0] = 0.7
    truth = (pairs.truth.joints - pairs.truth.joints[:, :1]) @ pairs.landmarks.rotations.mT
    error = (relative_joints(pairs.landmarks.world, mapping) - truth).norm(dim=-1).mean(1)
    limit = float(error.median())
    expected = error < limit
    expected[3] = False
    chosen = understood(changed, mapping, limit, 0.8)
    assert torch.equal(chosen, expected) and chosen.any()
    skeletons = skeletons_from_landmarks(pairs.landmarks, cameras, mapping)
    fewer = pairs[chosen]
    own = PinholeBatch(fewer.intrinsics, fewer.sizes)
    alone = head_terms(skeletons_from_landmarks(fewer.landmarks, own, mapping), fewer, own)
    for name in ('relative', 'plane', 'depth'):
        value = head_terms(skeletons, pairs, cameras, chosen)[name]
        assert float(value) == pytest.approx(float(alone[name]), rel=1e-5)


def test_perfect_twists_and_a_perfect_refinement_cost_nothing(body, pairs):
    truth, cameras = pairs.truth, PinholeBatch(pairs.intrinsics, pairs.sizes)
    leaves = matrix_to_6d(truth.rotations[:, SMPL_LEAVES])
    assert all(float(x) < 1e-5 for x in twist_terms(TwistShape(truth.twists, leaves, truth.betas), truth).values())
    turned = (truth.reference_joints - truth.reference_joints[:, :1]) @ pairs.landmarks.rotations.mT
    plane = on_crop_plane(cameras.unproject(pairs.landmarks.image), pairs.landmarks.rotations)
    center = plane[:, 23:25].mean(1, keepdim=True)
    spread = (plane - center).square().mean((1, 2)).sqrt()[:, None, None]
    rays = truth.reference_joints[..., :2] / truth.reference_joints[..., 2:]
    image = (on_crop_plane(rays, pairs.landmarks.rotations) - center) / (3 * spread)
    camera = fit_orthographic(turned, image, torch.ones(len(pairs), 24, dtype=torch.bool))
    skeletons = skeletons_from_landmarks(pairs.landmarks, cameras, load_joint_mapping('blazepose_heavy'))
    seen = replace(skeletons, image_joints=cameras.project(truth.reference_joints))
    perfect = BodyParameters(truth.rotations, truth.betas, truth.translation, camera)
    terms = refined_terms(body, perfect, seen, pairs, cameras)
    assert all(float(terms[f'refined_{name}']) < 1e-5 for name in ('pose', 'shape', 'joints'))
    offset = (truth.reference_joints[:, 0].norm(dim=-1) / truth.joints[:, 0].norm(dim=-1)).log().abs().mean()
    assert float(terms['refined_depth']) == pytest.approx(float(offset), abs=1e-4) and offset < 1e-2
    assert float(terms['refined_projection']) < 0.1  # what perspective is more than Pi
    assert 0.5 < camera[:, 0].median() < 1.5  # near the 0.9 that it starts with


def test_each_term_trains_the_networks_it_is_about(folder):
    task = task_of(folder)
    batch = next(task.batches(0, 0, 0, 1))
    losses, fakes = task.losses(batch, 0)
    assert set(losses) == set(TERMS) and not any(fake.requires_grad for fake in fakes.values())
    for name, loss in losses.items():
        for module in task.modules.values():
            module.zero_grad()
        loss.backward(retain_graph=True)
        reached = {
            key
            for key, module in task.modules.items()
            if any(p.grad is not None and (p.grad != 0).any() for p in module.parameters())
        }
        assert reached == LEARNS[name], name
    sum(losses.values()).backward()  # every weight takes part in every step, which several processes rely on
    networks = [module for name, module in task.modules.items() if name not in task.discriminators]
    assert all(p.grad is not None for network in networks for p in network.parameters())


def test_the_discriminators_learn_from_their_own_losses(folder):
    task = task_of(folder)
    batch = next(task.batches(0, 0, 0, 1))
    losses = task.discriminator_losses(batch, task.losses(batch, 0)[1])
    assert set(losses) == set(task.discriminators)
    sum(losses.values()).backward()
    assert all((p.grad != 0).any() for name in task.discriminators for p in task.modules[name].parameters())


def test_the_same_pictures_learnt_again_and_again_are_known_better(folder):
    unjudged = dict.fromkeys(TERMS[-2:], 0.0)
    task = task_of(folder, feature_dropout=0.0, masking=0.0, weights=unjudged)
    batch = task.training.take(range(len(task.training)))
    networks = [task.modules[name] for name in ('landmark_head', 'twist_shape', 'refiner')]
    optimizer = torch.optim.Adam([p for network in networks for p in network.parameters()], 5e-3)
    seen = []
    for step in range(50):
        torch.manual_seed(0)
        losses, _ = task.losses(batch, step)
        seen.append({name: float(loss.detach()) for name, loss in losses.items()})
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
    for name in set(TERMS[:-2]) - {'sigma'}:  # it has to follow the errors
        assert seen[-1][name] < seen[0][name] - 0.02 * abs(seen[0][name]), name
    assert seen[-1]['relative'] < 0.5 * seen[0]['relative']


def test_a_batch_is_whole_pictures_and_an_epoch_sees_each_at_most_once(folder):
    task = task_of(folder, batch_size=8)
    pictures = list(zip(task.training.pairs.scenes.tolist(), task.training.pairs.looks.tolist(), strict=True))
    epoch = list(task.batches(3, 0, 0, 1))
    assert len(epoch) == task.steps_per_epoch > 1
    seen = []
    for batch in epoch:
        here = list(zip(batch.pairs.scenes.tolist(), batch.pairs.looks.tolist(), strict=True))
        assert all(here.count(picture) == pictures.count(picture) for picture in here)
        assert len(set(here)) == len(batch.pictures.unique()) == task.pictures_per_step
        seen += set(here)
    assert len(seen) == len(set(seen))
    later = next(task.batches(3, 1, 0, 1))
    assert torch.equal(later.pictures, epoch[1].pictures)
    halves = [next(task.batches(3, 0, rank, 2)).pictures for rank in (0, 1)]
    assert sorted(torch.cat(halves).tolist()) == sorted(epoch[0].pictures.tolist())
    assert not torch.equal(next(task.batches(4, 0, 0, 1)).pictures, epoch[0].pictures)


def test_no_scene_is_both_learned_from_and_validated_with(pairs):
    training, validation = split_by_scene(pairs)
    assert validation.pairs.scenes.unique().tolist() == [10] and 10 not in training.pairs.scenes
    assert len(training) == 10 and len(validation) == 2
    assert len(training.pairs) + len(validation.pairs) == len(pairs)


def test_groups_of_many_pictures_are_those_of_each_alone(pairs):
    pictures = Pictures(pairs)
    batch = pictures.take([1, 6, 3])
    roots = batch.pairs.truth.joints[:, 0]
    groups, start = groups_by_picture(roots, batch.pictures, 3), 0
    found = groups.people.flatten()[groups.answers], groups.gather(roots)
    for number in (1, 6, 3):
        own = roots[batch.pictures == number]
        rows = slice(start, start + len(own))
        alone = inference_groups(own, 3)
        assert torch.equal(found[0][rows], torch.arange(len(own)) + start)
        torch.testing.assert_close(found[1][rows], alone.gather(own), rtol=0, atol=0)
        assert torch.equal(groups.present[rows], alone.present)
        start += len(own)


def test_figures_start_alike_where_the_head_changes_nothing_and_split_into_close_and_apart(folder):
    task = task_of(folder)
    for module in task.modules.values():
        module.eval()
    figures, everybody = task.validate(), task.validation.pairs
    close = float(everybody.truth.touching.double().mean())
    for name in ('mpjpe_mm', 'pa_mpjpe_mm', 'depth_percent', 'twist_degrees'):
        assert figures[f'head_{name}'] == pytest.approx(figures[f'untrained_{name}'], rel=1e-3)
        for stage in STAGES:
            whole = f'{stage}_{name}'
            parts = close * figures[f'{whole}_close'] + (1 - close) * figures[f'{whole}_apart']
            assert figures[whole] == pytest.approx(parts, rel=1e-4) and figures[whole] > 0


@pytest.fixture
def picture(body):
    """Two people, and the camera."""
    scene = sample_scene(prior_poses(), body, seed=4, people=2)
    try:
        with SceneRenderer(body, occluders=0) as renderer:
            return renderer.render(scene).rgb, scene.camera
    except RendererUnavailable as error:
        pytest.skip(str(error))


def test_from_its_file_to_a_model_set_that_says_what_validation_said(folder, picture, tmp_path):
    recipe, out = tmp_path / 'mine.yaml', tmp_path / 'out'
    recipe.write_text(RECIPE)
    assert main(['train', str(recipe), '--data', str(folder), '--out', str(out), '--device', 'cpu']) == 0
    rows = [json.loads(line) for line in (out / 'log.jsonl').read_text().splitlines()]
    assert 'refined_mpjpe_mm_close' in rows[-1]['validation']
    files = {
        'skeleton.head': str(out / 'landmark_head.safetensors'),
        'twist_shape.weights': str(out / 'twist_shape.safetensors'),
        'refinement.weights': str(out / 'refiner.safetensors'),
    }
    pipeline = MeshPipeline(load_config('embedded', SET | SMALL_SET | files))
    people = pipeline(*picture)
    assert len(people) and people.joints.isfinite().all() and people.joint_sigma.isfinite().all()

    task = make_task(load_training_config(recipe), folder, CPU)
    loaded = {'landmark_head': pipeline.skeleton.head, 'twist_shape': pipeline.twist_shape, 'refiner': pipeline.refiner}
    task.modules.update(loaded)
    several = Pictures(task.training.pairs).take([7]).pairs
    camera = Camera(640, 480, several.intrinsics[0].double().numpy(), np.zeros(0), 'none')
    skeletons = skeletons_from_landmarks(several.landmarks, camera, task.mapping, task.modules['landmark_head'])
    with torch.inference_mode():
        joints = pipeline._people(skeletons, camera).joints
    truth = several.truth.joints
    error = ((joints - joints[:, :1]) - (truth - truth[:, :1])).norm(dim=-1).mean()
    figures = validation_figures(task, Pictures(several))
    assert figures['refined_mpjpe_mm'] == pytest.approx(1000 * float(error), rel=1e-3)


def test_the_recipe_s_networks_fit_the_model_set_and_have_less_than_two_million_weights(folder, tmp_path):
    config = load_training_config('embedded')
    task = make_task(replace(config, batch_size=6), folder, CPU)
    assert set(config.settings.weights) == set(TERMS)
    assert sum(p.numel() for module in task.modules.values() for p in module.parameters()) < 2_000_000
    sizes = {
        'refinement.normalise': True,
        'twist_shape.hidden': 256,
        'refinement.width': 160,
        'refinement.head_size': 32,
        'refinement.mlp': 320,
    }
    pipeline = MeshPipeline(load_config('embedded', SET | sizes), random=True)
    for name, network in (('twist_shape', pipeline.twist_shape), ('refiner', pipeline.refiner)):
        network.load_state_dict(task.modules[name].state_dict())


def test_stopped_and_gone_on_with_it_learns_what_it_would_have_learned(folder, tmp_path):
    recipe = tmp_path / 'mine.yaml'
    recipe.write_text(RECIPE + 'validate_every: 0\n')
    common = ['train', str(recipe), '--data', str(folder), '--device', 'cpu', '--out']
    assert main([*common, str(tmp_path / 'whole'), '--steps', '3']) == 0
    assert main([*common, str(tmp_path / 'parts'), '--steps', '1']) == 0
    assert main([*common, str(tmp_path / 'parts'), '--steps', '3']) == 0
    one, other = (read_state(tmp_path / x / 'checkpoints/step-000000003.safetensors')[1] for x in ('whole', 'parts'))
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_people_who_are_hardly_seen_and_landmarks_that_are_not_finite_are_left_out(pairs, tmp_path):
    changed = pairs[:]
    changed.truth.shares = pairs.truth.shares.clone()
    changed.landmarks.world = pairs.landmarks.world.clone()
    changed.truth.shares[3, 0], changed.landmarks.world[5, 7, 1] = 0.1, torch.nan
    save_pairs(tmp_path / 'a.safetensors', changed, {})
    task = task_of(tmp_path)
    assert len(task.training.pairs) + len(task.validation.pairs) == len(pairs) - 2
    assert task.data == ['pairs, poses: unknown']


@pytest.mark.parametrize(
    'change, told',
    [
        ({'precision': 'bfloat16'}, 'precision: bfloat16, expected float32'),
        ({'weights': {'twists': 1.0}}, r'settings\.weights: unknown twists; expected some of relative, '),
        ({'weights': {'twist': -1.0}}, r'settings\.weights\.twist: -1\.0, expected a number that is not negative'),
        ({'network': 'blazepose_full'}, r"a\.safetensors: landmarks of 'blazepose_heavy', expected 'blazepose_full'"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(folder, change, told):
    with pytest.raises(ValueError, match=told) as error:
        make_task(config_of(**change), folder, CPU)
    assert '\n' not in str(error.value)


def test_without_data_it_says_what_makes_some(pairs, tmp_path):
    with pytest.raises(ValueError, match='needs --data FOLDER'):
        make_task(config_of(), None, CPU)
    with pytest.raises(ValueError, match='no pairs'):
        make_task(config_of(), tmp_path, CPU)
    save_pairs(tmp_path / 'a.safetensors', pairs[pairs.scenes == 10], {})
    with pytest.raises(ValueError, match='0 pictures to learn from, expected at least 2'):
        make_task(config_of(), tmp_path, CPU)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device')
def test_on_a_gpu_it_finds_the_same_errors_and_its_losses_are_finite(folder):
    figures = []
    for device in ('cpu', 'cuda'):
        torch.manual_seed(0)
        task = EmbeddedTask(config_of(), folder, device)
        batch = next(task.batches(0, 0, 0, 1))
        losses, fakes = task.losses(batch, 0)
        losses |= task.discriminator_losses(batch, fakes)
        assert all(loss.isfinite() and loss.device.type == device for loss in losses.values())
        task = EmbeddedTask(config_of(), folder, device)
        for name, module in task.modules.items():
            module.load_state_dict(figures[0][1][name] if figures else module.state_dict())
            module.eval()
        figures.append((task.validate(), {name: module.state_dict() for name, module in task.modules.items()}))
    assert figures[1][0] == pytest.approx(figures[0][0], rel=1e-2)
