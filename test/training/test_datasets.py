"""Synthetic crops: repeatable, whole, and labelled."""

from dataclasses import fields

import pytest
import torch

from mesh_perception.body import load_body
from mesh_perception.synthetic.poses import prior_poses
from mesh_perception.synthetic.scene import SceneSettings
from mesh_perception.training.augmentation import NONE
from mesh_perception.training.datasets.loading import batches
from mesh_perception.training.datasets.samples import Samples, to_unit
from mesh_perception.training.datasets.synthetic import SyntheticCrops
from mesh_perception.visualization.renderer import RendererUnavailable


@pytest.fixture(scope='module')
def make():
    """make(...): a dataset of batches of 5 people in small crops."""
    body, poses = load_body('open'), prior_poses()

    def make(batch=5, **options):
        return SyntheticCrops(body, poses, batch, size=64, **options)

    try:
        make()[0, 0]
    except RendererUnavailable as error:
        pytest.skip(str(error))
    return make


def same(a: Samples, b: Samples) -> bool:
    return all(torch.equal(getattr(a, field.name), getattr(b, field.name)) for field in fields(Samples))


def test_a_batch_depends_on_seed_epoch_and_index_alone(make):
    first = make()
    batch = first[2, 1]
    assert same(batch, make()[2, 1]) and same(batch, first[2, 1])
    for other in (first[2, 0], first[1, 1], make(seed=1)[2, 1]):
        assert not torch.equal(batch.joints, other.joints)


def test_batches_are_full_and_hold_whole_pictures(make):
    batch = make(batch=9)[0, 3]
    assert len(batch) == 9
    assert batch.pictures.diff().min() >= 0 and batch.pictures[0] == 0 and batch.pictures.diff().max() <= 1
    assert batch.images.dtype == torch.uint8 and batch.images.shape == (9, 3, 64, 64)
    for field in fields(Samples):
        value = getattr(batch, field.name)
        assert len(value) == 9 and (not value.is_floating_point() or value.isfinite().all()), field.name


def test_worker_processes_give_the_same_batches_in_order(make):
    dataset = make()
    here = list(batches(dataset, 1, [3, 0, 1]))
    there = list(batches(make(), 1, [3, 0, 1], workers=2))
    for a, b in zip(here, there, strict=True):
        assert torch.equal(a.images, b.images)
        for field in fields(Samples):  # libraries sum in an order that depends on where in memory things lie
            torch.testing.assert_close(getattr(a, field.name), getattr(b, field.name), atol=1e-5, rtol=1e-6)
    assert same(here[1], dataset[1, 0])  # this process' renderer still works


def test_unvaried_people_are_upright_in_the_middle_of_their_crops(make):
    batch = make(batch=24, augmentation=NONE)[0, 0]
    assert batch.turns[:, 0, 1].abs().max() < 1e-6  # the crop's x axis is level in the camera
    whole = batch.in_picture(batch.pixels(batch.joints)).all(1)
    assert whole.sum() >= 6
    pixels = batch.pixels(batch.joints)[whole]
    assert pixels.min() > -2 and pixels.max() < 65
    middle = (pixels.amin(1) + pixels.amax(1)) / 2
    assert (middle - 31.5).abs().max() < 12
    assert (batch.visible.float().mean(1) > 0).float().mean() > 0.8


def test_a_pixel_of_the_crop_is_in_the_picture_or_around_it(make):
    batch = make(batch=12, augmentation=NONE)[0, 1]
    steps = torch.arange(64.0)
    grid = torch.stack(torch.meshgrid(steps, steps, indexing='xy'), -1).view(1, -1, 2).expand(12, -1, -1)
    inside = batch.in_picture(grid).view(12, 64, 64)
    black = (batch.images == 0).all(1)
    assert not inside.all()
    assert (black != ~inside).float().mean() < 0.02  # along the border, and dark things


def test_crop_coordinates_span_the_crop():
    corners = torch.tensor([[-0.5, 63.5], [31.5, 31.5]])
    assert to_unit(corners, 64).tolist() == [[-1, 1], [0, 0]]


def test_settings_that_show_nobody_are_refused(make):
    settings = SceneSettings(fov=(1.0, 1.01), distance=(1e-3, 1.1e-3))
    with pytest.raises(ValueError, match='expected'):
        make(scenes=settings)[0, 0]


def test_a_folder_without_pictures_is_refused(make, tmp_path):
    with pytest.raises(ValueError, match=str(tmp_path)):
        make(pictures=tmp_path)[0, 0]
