"""Augmentations against another way to the same picture: labels projected by the camera that took it, pictures that are
mirrored or taken anew."""

import math
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from mesh_perception.body import load_body, rest_joints, skin
from mesh_perception.geometry.camera import Camera
from mesh_perception.geometry.crops import crop
from mesh_perception.geometry.rotations import axis_angle_to_matrix
from mesh_perception.inverse_kinematics.solver import twists_from_rotations
from mesh_perception.joints import SMPL_MIRROR
from mesh_perception.synthetic.labels import label
from mesh_perception.synthetic.poses import prior_poses
from mesh_perception.synthetic.rendering import SceneRenderer
from mesh_perception.synthetic.retarget import mirror
from mesh_perception.synthetic.scene import sample_scene
from mesh_perception.training.augmentation import (
    NONE,
    AugmentationSettings,
    View,
    change_appearance,
    draw_regions,
    draw_view,
    flip,
)
from mesh_perception.training.datasets.synthetic import scene_samples
from mesh_perception.types import Regions
from mesh_perception.visualization.renderer import Mesh, Renderer, RendererUnavailable

ACROSS = torch.tensor([-1.0, 1, 1])
SWAP = list(SMPL_MIRROR)
VIEWS = [View(), View(0.4), View(-0.5, True), View(0.0, True)]


@pytest.fixture(scope='module')
def body():
    return load_body('open')


@pytest.fixture(scope='module')
def shot(body):
    """A scene of four people, the camera's principal point off the middle, and its picture."""
    scene = sample_scene(prior_poses(), body, 11, people=4)
    k = scene.camera.k.copy()
    k[:2, 2] += 13, -9
    scene = replace(scene, camera=Camera(640, 480, k, (), 'none'))
    try:
        with SceneRenderer(body, occluders=0) as renderer:
            return scene, renderer.render(scene)
    except RendererUnavailable as error:
        pytest.skip(str(error))


def varied(seed):
    return lambda regions: draw_regions(regions, AugmentationSettings(), torch.Generator().manual_seed(seed))


def samples_of(body, shot, view=None, seed=0, size=128):
    return scene_samples(*shot, body, view, varied(seed), size)


@pytest.mark.parametrize('view', VIEWS)
def test_labels_project_to_where_the_joints_are_in_the_picture_that_was_taken(body, shot, view):
    samples = samples_of(body, shot, view)
    pixels = torch.nn.functional.pad(samples.pixels(samples.joints), (0, 1), value=1.0) @ samples.to_picture.mT
    truth = label(*shot, body).joints_2d
    assert len(samples) == len(truth) == 4
    torch.testing.assert_close(
        pixels[..., :2] / pixels[..., 2:], truth[:, SWAP] if view.mirrored else truth, atol=0.01, rtol=1e-5
    )


@pytest.mark.parametrize('view', VIEWS)
def test_what_a_crop_shows_at_a_joint_is_what_the_picture_shows_there(body, shot, view):
    ramp = np.stack(np.broadcast_arrays(*np.ogrid[0:480, 0:640], 7), -1) * (0.5, 0.375, 1)  # smooth, each place another
    picture = replace(shot[1], rgb=ramp.astype(np.uint8))
    samples = samples_of(body, (shot[0], picture), view)
    pixels, truth = samples.pixels(samples.joints), label(*shot, body).joints_2d
    truth = truth[:, SWAP] if view.mirrored else truth
    inside = ((truth > 1) & (truth < truth.new_tensor((638, 478)))).all(-1)
    inside &= ((pixels > 1) & (pixels < samples.size - 2)).all(-1)
    assert inside.sum() > 40
    who = inside.nonzero()[:, 0]
    column, row = pixels[inside].round().long().unbind(-1)
    seen = samples.images[who, :2, row, column].float()
    torch.testing.assert_close(seen.flip(1) / seen.new_tensor((0.375, 0.5)), truth[inside], atol=6.0, rtol=0)


@pytest.mark.parametrize('view', VIEWS)
def test_parameters_pose_the_joints(body, shot, view):
    samples = samples_of(body, shot, view)
    meshes = skin(body, samples.rotations, samples.betas, torch.zeros(4, 3))
    joints = meshes.joints - meshes.joints[:, :1]
    torch.testing.assert_close(joints, samples.joints - samples.joints[:, :1], atol=1e-5, rtol=0)
    reference = body.regressor @ meshes.vertices - meshes.joints[:, :1]
    torch.testing.assert_close(reference, samples.reference_joints - samples.joints[:, :1], atol=1e-5, rtol=0)
    twists = twists_from_rotations(rest_joints(body, samples.betas), samples.rotations)
    torch.testing.assert_close(twists[:, 1:], samples.twists[:, 1:], atol=1e-4, rtol=0)


def test_a_flip_twice_is_the_identity(body, shot):
    samples = samples_of(body, shot, View(0.3))
    once = flip(samples)
    twice = flip(once)
    assert not torch.equal(once.images, samples.images)
    for field in fields(samples):
        torch.testing.assert_close(getattr(twice, field.name), getattr(samples, field.name), atol=1e-5, rtol=1e-6)
    assert torch.equal(twice.images, samples.images)
    assert torch.equal(once.betas, samples.betas)


def test_a_mirrored_view_is_the_view_of_the_mirrored_picture(body, shot):
    scene, picture = shot
    regions = []
    samples = scene_samples(
        scene, picture, body, View(mirrored=True), lambda r: regions.append(varied(0)(r)) or regions[0], 128
    )
    k = scene.camera.k.copy()
    k[0, 2] = 639 - k[0, 2]
    centers = regions[0].centers * torch.tensor([-1.0, 1]) + torch.tensor([639.0, 0])
    image = torch.from_numpy(picture.rgb[:, ::-1].copy())
    crops = crop(image, Camera(640, 480, k, (), 'none'), replace(regions[0], centers=centers), 128)
    apart = (samples.images.float() - 255 * crops.images).abs()
    assert apart.mean() < 0.8 and apart.max() < 30  # rounding is 0.25; pyramids of the image begin at another pixel
    torch.testing.assert_close(samples.intrinsics, crops.intrinsics, atol=1e-2, rtol=1e-5)
    torch.testing.assert_close(samples.turns, crops.rotations, atol=1e-5, rtol=0)
    torch.testing.assert_close(samples.joints, scene.joints[:, SWAP] * ACROSS, atol=0, rtol=0)


def test_a_turned_view_is_the_view_of_a_turned_camera(body, shot):
    scene, picture = shot
    roll, width = 0.35, 900
    turn = axis_angle_to_matrix(torch.tensor([0.0, 0, roll]))
    k = scene.camera.k.copy()
    k[:2, 2] = (width - 1) / 2
    to_camera = scene.to_camera.clone()
    to_camera[:3] = turn @ to_camera[:3]
    turned = replace(
        scene,
        camera=Camera(width, width, k, (), 'none'),
        vertices=scene.vertices @ turn.T,
        joints=scene.joints @ turn.T,
        to_camera=to_camera,
    )
    with SceneRenderer(body, occluders=0) as renderer:
        other = renderer.render(turned)
    samples = samples_of(body, shot, View(roll))
    # The same places, sizes as they were.
    places = samples.joints.new_tensor(scene.camera.k[:2, 2])
    regions = []
    scene_samples(scene, picture, body, vary=lambda r: regions.append(varied(0)(r)) or regions[0], size=128)
    offsets = (regions[0].centers - places) @ turn[:2, :2].T
    chosen = Regions(offsets + (width - 1) / 2, regions[0].sizes, torch.zeros(4))
    again = scene_samples(turned, other, body, vary=lambda _: chosen, size=128)
    torch.testing.assert_close(samples.turns, again.turns, atol=1e-4, rtol=0)
    torch.testing.assert_close(samples.joints, again.joints, atol=1e-4, rtol=0)
    scale = samples.intrinsics[:, 0, 0] / again.intrinsics[:, 0, 0]
    assert (scale - 1).abs().max() < 0.2  # a square that is turned spans another angle far from the middle
    assert (scale - 1).abs().median() < 0.08


def test_a_mirrored_view_of_people_is_the_rendering_of_mirrored_people(body, shot):
    scene, picture = shot
    rotations = mirror(scene.rotations)
    k = scene.camera.k.copy()
    k[0, 2] = 639 - k[0, 2]
    rest = rest_joints(body, scene.betas)[:, 0]
    meshes = skin(body, rotations, scene.betas, scene.joints[:, 0] * ACROSS - rest)
    renderer = Renderer(640, 480)
    try:
        mesh = Mesh(meshes.vertices.numpy(), body.faces.numpy(), (0, 0, 0), None, False)
        _, person = renderer.render_geometry([mesh], k)
    finally:
        renderer.close()
    seen, mirrored = picture.person[:, ::-1], person
    assert (seen >= 0).sum() > 5000
    assert (seen != mirrored).mean() < 0.002


def test_views_and_regions_stay_within_their_settings():
    settings, generator = AugmentationSettings(), torch.Generator().manual_seed(0)
    views = [draw_view(settings, generator) for _ in range(400)]
    rolls = np.array([view.roll for view in views])
    assert math.radians(27) < np.abs(rolls).max() <= math.radians(30)
    assert 0.4 < np.mean([view.mirrored for view in views]) < 0.6
    regions = Regions(torch.zeros(500, 2), torch.full((500,), 100.0), torch.zeros(500))
    drawn = draw_regions(regions, settings, generator)
    assert 74.9 < drawn.sizes.min() < 78 and 122 < drawn.sizes.max() < 125.1
    away = drawn.centers.norm(dim=1) / drawn.sizes
    assert 0.09 < away.max() <= 0.1001


def test_no_settings_change_nothing(body, shot):
    assert draw_view(NONE, torch.Generator()) == View()
    samples = samples_of(body, shot)
    same = change_appearance(samples, NONE, torch.Generator())
    assert (same.images.int() - samples.images.int()).abs().max() <= 1
    assert torch.equal(same.visible, samples.visible)


def test_patches_hide_joints_and_what_is_around_the_picture_stays_black(body, shot):
    samples = samples_of(body, shot)
    covered = change_appearance(samples, replace(NONE, occlusion=1.0), torch.Generator().manual_seed(2))
    changed = (covered.images != samples.images).any(1)
    assert 0.005 < changed.float().mean() < 0.4
    gone = samples.visible & ~covered.visible
    assert gone.any() and not (covered.visible & ~samples.visible).any()
    column, row = samples.pixels(samples.joints).round().long().clamp(0, 127).unbind(-1)
    at = changed[torch.arange(4)[:, None], row, column]
    assert at[gone].all()

    black = replace(samples, images=samples.images.clone())
    black.images[..., :40] = 0
    coloured = change_appearance(black, replace(NONE, colour=1.0), torch.Generator().manual_seed(2))
    assert not coloured.images[..., :40].any()
    assert (coloured.images[..., 40:].float() - black.images[..., 40:].float()).abs().mean() > 3


def test_a_camera_with_distortion_and_settings_out_of_range_are_refused(body, shot):
    scene, picture = shot
    camera = Camera(640, 480, scene.camera.k, (0.1, 0, 0, 0), 'plumb_bob')
    with pytest.raises(ValueError, match='plumb_bob'):
        scene_samples(replace(scene, camera=camera), picture, body)
    with pytest.raises(ValueError, match='scale'):
        AugmentationSettings(scale=1.5)
