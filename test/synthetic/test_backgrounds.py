"""Floors lie on the ground of the scene, shadows fall where people stand."""

import numpy as np
import pytest
import torch

from mesh_perception.geometry.camera import Camera
from mesh_perception.geometry.rotations import axis_angle_to_matrix
from mesh_perception.synthetic.backgrounds import Backgrounds, plane_to_texture
from mesh_perception.synthetic.sensor import expose
from mesh_perception.synthetic.shadows import shade_ground

CAMERA = Camera.from_intrinsics(320, 240, 220, 230, 150, 110)
LIGHT = np.array([0.0, 1.0, 0.0])


@pytest.fixture(scope='module')
def view():
    """to_camera (4, 4), rays (3, 3) and place of a camera 1.6 m up that looks down a little and is rolled."""
    turn = axis_angle_to_matrix(torch.tensor([[np.pi + 0.3, 0.1, 0.05]])).double()[0].numpy()
    origin = np.array([0.3, 1.6, 4.0])
    to_camera = np.eye(4)
    to_camera[:3, :3], to_camera[:3, 3] = turn, -turn @ origin
    return to_camera, turn.T @ np.linalg.inv(CAMERA.k), origin


def pixels_of(points, to_camera):
    points = torch.from_numpy(points @ to_camera[:3, :3].T + to_camera[:3, 3])
    return CAMERA.project(points).numpy()


@pytest.mark.parametrize(('axis', 'at', 'coordinates'), [(1, 0.0, (0, 2)), (0, -3.0, (2, 1)), (2, -4.0, (0, 1))])
def test_textures_stay_on_their_plane(view, axis, at, coordinates):
    to_camera, rays, origin = view
    points = np.random.default_rng(0).uniform(-1, 1, (50, 3))
    points[:, axis] = at
    pixels = np.concatenate([pixels_of(points, to_camera), np.ones((50, 1))], 1)
    texture = pixels @ plane_to_texture(rays, origin, axis, at, 100).T
    np.testing.assert_allclose(texture[:, :2] / texture[:, 2:], 100 * points[:, coordinates], atol=0.01)


def test_a_shadow_lies_below_whom_it_belongs_to(view):
    to_camera, rays, origin = view
    person = np.stack(np.meshgrid([-0.1, 0, 0.1], np.linspace(0, 1.7, 30), [-0.1, 0, 0.1]), -1).reshape(-1, 3)
    picture = np.full((240, 320, 3), 200, np.uint8)
    ground = np.ones((240, 320), bool)
    shaded = shade_ground(picture, ground, rays, origin, [person], [], LIGHT, np.random.default_rng(0))
    column, row = pixels_of(np.zeros((1, 3)), to_camera)[0].round().astype(int)
    assert (shaded[row, column] < 160).all()
    column, row = pixels_of(np.array([[1.0, 0, 0]]), to_camera)[0].round().astype(int)
    assert (shaded[row, column] == 200).all()
    low = np.array([-1.0, 1, 0])  # from the left, 45 degrees high: the head's shadow falls 1.7 m to the right
    shaded = shade_ground(picture, ground, rays, origin, [person], [], low, np.random.default_rng(0))
    column, row = pixels_of(np.array([[1.6, 0, 0]]), to_camera)[0].round().astype(int)
    assert (shaded[row, column] < 185).all()
    wall = ground.copy()
    wall[:, column - 8 : column + 8] = False  # something stands there
    shaded = shade_ground(picture, wall, rays, origin, [person], [], low, np.random.default_rng(0))
    assert (shaded[~wall] == 200).all()
    assert (shaded[wall] < 185).any()


def test_backgrounds_are_varied_and_repeatable(view):
    to_camera = view[0]
    backgrounds = Backgrounds()
    person = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 100, 3)) + np.array((0, 0, 3))

    def paint(seed):
        return backgrounds.paint(CAMERA, to_camera, person, [], LIGHT, np.random.default_rng(seed))

    pictures = [paint(seed) for seed in range(20)]
    np.testing.assert_array_equal(pictures[3], paint(3))
    assert all(p.shape == (240, 320, 3) and p.dtype == np.uint8 for p in pictures)
    means = np.stack([p.mean((0, 1)) for p in pictures])
    assert means.std(0).min() > 20
    assert np.median([p.std() for p in pictures]) > 10


def test_a_sensor_disturbs_a_picture_without_changing_what_is_on_it():
    rng = np.random.default_rng(0)
    picture = np.zeros((120, 161, 3), np.uint8)
    picture[:, 80:] = 180
    for _ in range(20):
        taken = expose(picture, rng)
        assert taken.shape == picture.shape
        assert taken.dtype == np.uint8
        assert taken[:, 85:].mean() > taken[:, :75].mean() + 60
        assert 0 < taken[:, 85:].std() < 40
