"""The paper's task: losses of perfect estimates, which network learns from which, and what is handed over."""

from dataclasses import replace

import pytest
import torch

from mesh_perception.body import load_body, regress_joints, rest_joints, skin
from mesh_perception.checkpoints import save_checkpoint
from mesh_perception.configuration import load_config
from mesh_perception.geometry.rotations import matrix_to_6d
from mesh_perception.inverse_kinematics.twist_shape import TwistShape
from mesh_perception.joints import SMPL_LEAVES
from mesh_perception.parts import make_refiner, make_skeleton, make_twist_shape
from mesh_perception.skeleton.metric import SkeletonOutput, metric_skeletons
from mesh_perception.synthetic.poses import prior_poses
from mesh_perception.synthetic.rendering import SceneRenderer
from mesh_perception.synthetic.scene import sample_scene
from mesh_perception.training.augmentation import View
from mesh_perception.training.datasets.samples import to_unit
from mesh_perception.training.datasets.synthetic import SyntheticCrops, scene_samples
from mesh_perception.training.losses import orthographic
from mesh_perception.training.paper import TERMS, PaperTask, Settings, make_task
from mesh_perception.training.paper_terms import (
    crop_skeletons,
    fit_orthographic,
    refined_terms,
    skeleton_terms,
    twist_terms,
)
from mesh_perception.training.settings import TrainingConfig, load_training_config
from mesh_perception.types import BodyParameters, Crops
from mesh_perception.visualization.renderer import RendererUnavailable

SMALL = Settings(
    depth=18, hidden=32, width=32, blocks=1, discriminator=16, size=64, workers=0, epoch_samples=48, validation_scenes=2
)
LEARNS = {  # which networks each term reaches, Theta_init being detached
    **{term: {'skeleton'} for term in TERMS[:4]},
    **{term: {'skeleton', 'twist_shape'} for term in TERMS[4:7]},
    **{term: {'skeleton', 'refiner'} for term in TERMS[7:]},
}


def config_of(**settings):
    return TrainingConfig(batch_size=6, settings=replace(SMALL, **settings))


@pytest.fixture(scope='module')
def body():
    return load_body('open')


@pytest.fixture(scope='module')
def batch(body):
    try:
        return SyntheticCrops(body, prior_poses(), 6, seed=5, size=64)[0, 0]
    except RendererUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture
def task():
    torch.manual_seed(0)
    return make_task(config_of(), None, 'cpu')


@pytest.fixture(scope='module')
def scene_and_samples(body):
    scene = sample_scene(prior_poses(), body, 11, people=4)
    try:
        with SceneRenderer(body) as renderer:
            picture = renderer.render(scene)
    except RendererUnavailable as error:
        pytest.skip(str(error))
    return scene, scene_samples(scene, picture, body, size=256)


def perfect(samples):
    """What f^P would say if it knew."""
    return SkeletonOutput(
        samples.in_crop(samples.joints - samples.joints[:, :1]), samples.pixels(samples.joints), samples.images
    )


def test_skeletons_of_many_pictures_are_those_of_one(scene_and_samples):
    scene, samples = scene_and_samples
    output = perfect(samples)
    noise = torch.randn(output.pixels.shape, generator=torch.Generator().manual_seed(0))
    output = output._replace(pixels=output.pixels + 3 * noise)
    crops = Crops(samples.images, samples.intrinsics, samples.turns)
    for weak in (False, True):
        expected = metric_skeletons(output, crops, scene.camera, weak=weak)
        skeletons = crop_skeletons(output, samples, weak)
        assert torch.equal(skeletons.confidence, expected.confidence) and not expected.confidence.all()
        torch.testing.assert_close(skeletons.joints, expected.joints, atol=1e-4, rtol=0)


@pytest.mark.parametrize('view', [View(), View(0.4, True)])
def test_the_truth_has_no_skeleton_loss(body, view):
    scene = sample_scene(prior_poses(), body, 3, people=2)
    with SceneRenderer(body) as renderer:
        samples = scene_samples(scene, renderer.render(scene), body, view)
    output = perfect(samples)
    terms = skeleton_terms(output, crop_skeletons(output, samples, weak=False), samples)
    assert terms['relative'] == terms['image'] == 0
    assert terms['absolute'] < 0.05  # of 72 coordinates, m
    # An orthographic projection is none through a lens: a few hundredths of the crop a joint.
    assert 0 < terms['projected'] < 24 * 2 * 0.1
    worse = perfect(samples)._replace(relative=output.relative * 1.2)
    assert skeleton_terms(worse, crop_skeletons(worse, samples, weak=False), samples)['projected'] > terms['projected']


def test_the_truth_has_no_twist_or_mesh_loss(body, scene_and_samples):
    _, samples = scene_and_samples
    leaves = matrix_to_6d(samples.rotations[:, SMPL_LEAVES])
    assert all(v < 1e-6 for v in twist_terms(TwistShape(samples.twists, leaves, samples.betas), samples).values())
    refined = BodyParameters(samples.rotations, samples.betas, torch.zeros(4, 3), torch.tensor([[0.9, 0, 0]] * 4))
    terms = refined_terms(body, refined, samples)
    assert all(terms[f'refined_{name}'] < 1e-6 for name in ('pose', 'shape', 'joints'))
    assert terms['refined_projection'] > 0.01


def test_what_is_not_labelled_teaches_nothing(body, scene_and_samples):
    _, samples = scene_and_samples
    some = torch.tensor([True, False, True, False])
    blank = replace(samples, posed=some, shaped=some)
    for name in ('rotations', 'betas', 'twists', 'reference_joints'):
        value = getattr(samples, name).clone()
        value[~some] = 0
        blank = replace(blank, **{name: value})
    rotations = torch.eye(3).expand(4, 24, 3, 3).contiguous().requires_grad_()
    betas = torch.ones(4, 10, requires_grad=True)
    refined = BodyParameters(rotations, betas, torch.zeros(4, 3), torch.tensor([[0.9, 0, 0]] * 4))
    half = replace(refined, **{n: getattr(refined, n)[some] for n in ('rotations', 'betas', 'translation', 'camera')})
    terms, expected = refined_terms(body, refined, blank), refined_terms(body, half, samples[some])
    for name, value in terms.items():
        torch.testing.assert_close(value, expected[name])
    sum(terms.values()).backward()
    assert rotations.grad.isfinite().all()
    assert not rotations.grad[~some].any() and rotations.grad[some].any() and not betas.grad[~some].any()


def test_an_orthographic_camera_is_fitted_to_what_it_made():
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(3, 24, 3, generator=generator, dtype=torch.float64)
    camera = torch.tensor([[0.9, 0.1, -0.2], [0.4, 0, 0.3], [1.4, -0.5, 0]], dtype=torch.float64)
    mask = torch.rand(3, 24, generator=generator) < 0.5
    image = orthographic(points, camera).masked_fill(~mask[..., None], 1e6)
    torch.testing.assert_close(fit_orthographic(points, image, mask), camera)
    nobody = fit_orthographic(points, image, torch.zeros_like(mask))
    torch.testing.assert_close(nobody, nobody.new_tensor([[0.9, 0, 0]] * 3))


def test_each_loss_teaches_its_network_and_the_features(task, batch):
    assert set(LEARNS) == set(TERMS)
    terms, _ = task.losses(batch, 10_000)
    assert set(terms) == set(TERMS) and all(v.dim() == 0 and v > 0 for v in terms.values())
    for name, value in terms.items():
        reached = set()
        for part, module in task.modules.items():
            gradients = torch.autograd.grad(value, module.parameters(), retain_graph=True, allow_unused=True)
            assert all(g is None or g.isfinite().all() for g in gradients), (name, part)
            if any(g is not None and g.any() for g in gradients):
                reached.add(part)
        assert reached == LEARNS[name], name


def test_together_they_reach_every_parameter_and_no_discriminator(task, batch):
    terms, outputs = task.losses(batch, 0)
    sum(terms.values()).backward()  # also those that do not count yet: DistributedDataParallel waits for all
    grouped = {id(p) for group in task.parameter_groups(TrainingConfig()) for p in group['params']}
    for name, module in task.modules.items():
        for parameter in module.parameters():
            assert (parameter.grad is not None) == (id(parameter) in grouped) == (name not in task.discriminators)
    losses = task.discriminator_losses(batch, outputs)
    sum(losses.values()).backward()
    assert set(losses) == set(task.discriminators)
    for name in task.discriminators:
        assert all(p.grad is not None and p.grad.isfinite().all() for p in task.modules[name].parameters())
    rates = [group['lr'] for group in task.parameter_groups(TrainingConfig())]
    assert rates == [5e-5, 1e-4]


def test_the_same_seed_gives_the_same_losses(task, batch):
    def once():
        torch.manual_seed(7)
        terms, outputs = task.losses(batch, 0)
        return [*terms.values(), *task.discriminator_losses(batch, outputs).values()]

    for module in task.modules.values():
        module.train()
    assert all(torch.equal(a, b) for a, b in zip(once(), once(), strict=True))


def test_it_learns_a_batch_by_heart(task, batch):
    optimiser = torch.optim.Adam(task.parameter_groups(TrainingConfig(learning_rate=3e-4, refiner_learning_rate=1e-3)))
    seen = []
    for _ in range(20):
        terms, _ = task.losses(batch, 0)
        optimiser.zero_grad()
        sum(terms.values()).backward()
        optimiser.step()
        seen.append({name: value.item() for name, value in terms.items()})
    for name in ('relative', 'image', 'projected', 'leaf', 'refined_pose', 'refined_joints'):
        assert seen[-1][name] < 0.8 * seen[0][name], name


def test_the_absolute_skeleton_waits_for_the_relative_one(task, batch):
    for step, counts in ((4999, False), (5000, True)):
        terms, _ = task.losses(batch, step)
        assert (terms['absolute'] > 0) == counts


def test_weights_scale_their_terms(body, task, batch):
    torch.manual_seed(0)
    other = PaperTask(config_of(weights={'relative': 0.5, 'adversarial_pose': 0}), body, prior_poses(), 'cpu')
    torch.manual_seed(1)
    terms, _ = task.losses(batch, 0)
    torch.manual_seed(1)
    weighted, _ = other.losses(batch, 0)
    torch.testing.assert_close(weighted['relative'], 0.5 * terms['relative'])
    torch.testing.assert_close(weighted['image'], terms['image'])
    assert weighted['adversarial_pose'] == 0


def test_half_of_the_mesh_is_not_needed_for_its_joints(body, task, scene_and_samples):
    _, samples = scene_and_samples
    arguments = samples.rotations, samples.betas, torch.zeros(4, 3)
    whole = regress_joints(body, skin(body, *arguments).vertices)
    part = regress_joints(task.sparse_body, skin(task.sparse_body, *arguments).vertices)
    torch.testing.assert_close(part, whole, atol=1e-6, rtol=0)
    assert len(task.sparse_body.v_template) < len(body.v_template) / 2
    torch.testing.assert_close(rest_joints(task.sparse_body, samples.betas), rest_joints(body, samples.betas))


def test_batches_are_repeated_from_any_step_and_shared_between_processes(task):
    assert task.steps_per_epoch == 8
    first = [next(task.batches(2, start, 0, 1)) for start in (0, 3)]
    again = task.batches(2, 3, 0, 1)
    assert torch.equal(next(again).images, first[1].images) and len(first[0]) == 6
    pair = [next(task.batches(2, 0, rank, 2)) for rank in (0, 1)]
    assert [len(part) for part in pair] == [3, 3] and not torch.equal(pair[0].images, pair[1].images)


def test_validation_tells_errors_of_every_stage(task):
    for module in task.modules.values():
        module.eval()
    scores = task.validate()
    assert scores == task.validate()
    assert {'skeleton_mpjpe_mm', 'skeleton_root_mm', 'ik_mpjpe_mm', 'mpjpe_mm', 'mve_mm', 'twist_degrees'} <= set(
        scores
    )
    assert all(0 < value < 1e5 for value in scores.values())
    assert scores['mpjpe_mm'] == pytest.approx(scores['ik_mpjpe_mm'], rel=0.05)  # the refiner starts as the identity


def test_what_is_trained_fits_a_model_set(task, tmp_path):
    descriptions = task.descriptions()
    for name, description in descriptions.items():
        save_checkpoint(tmp_path / f'{name}.safetensors', task.modules[name], description)
    overrides = {'folder': str(tmp_path), 'body': 'open', 'skeleton.depth': 18, 'twist_shape.hidden': 32}
    overrides |= {'refinement.width': 32, 'refinement.depth': 1}
    config = load_config('paper', overrides)
    body = load_body('open')
    stage, features = make_skeleton(config, 'cpu')
    refiner = make_refiner(config, features, body, 'cpu')
    make_twist_shape(config, features, body, 'cpu')
    assert torch.equal(stage.network.head.planes.weight, task.modules['skeleton'].head.planes.weight)
    assert torch.equal(refiner.embed.weight, task.modules['refiner'].embed.weight)


def test_the_recipe_that_ships_is_the_papers(body):
    config = load_training_config('paper')
    assert config.settings == Settings(weights={'absolute': 0.1})
    assert (config.epochs, config.batch_size, config.decay) == (100, 64, 0.9)
    assert (config.learning_rate, config.refiner_learning_rate) == (1e-4, 5e-5)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'weights': {'relativ': 1}}, 'unknown relativ'),
        ({'weights': {'relative': -1}}, 'relative: -1'),
        ({'weights': {'relative': 'x'}}, "relative: 'x'"),
        ({'size': 100}, 'multiple of 32'),
        ({'body': 'nowhere.npz'}, 'nowhere.npz'),
    ],
)
def test_settings_that_cannot_be_are_refused_in_one_line(settings, message):
    with pytest.raises((ValueError, OSError), match=message) as refused:
        make_task(config_of(**settings), None, 'cpu')
    assert '\n' not in str(refused.value)


def test_crop_coordinates_are_those_of_the_orthographic_camera(scene_and_samples):
    _, samples = scene_and_samples
    image = to_unit(samples.pixels(samples.joints), 256)
    relative = samples.in_crop(samples.joints - samples.joints[:, :1])
    inside = (image.abs() <= 1).all(-1)
    fitted = orthographic(relative, fit_orthographic(relative, image, inside))
    assert (fitted - image)[inside].abs().mean() < 0.1
