"""Vertices moved for a lens land where the lens shows them."""

import numpy as np
import pytest
import torch

from mesh_perception.geometry.camera import Camera
from mesh_perception.visualization.lens import bend_vertices

LENSES = {
    'plumb_bob': (-0.3, 0.09, 0.001, -0.002, -0.01),
    'rational_polynomial': (0.4, 0.2, 0.001, -0.001, 0.02, 0.7, 0.3, 0.05),
    'equidistant': (0.02, -0.01, 0.003, -0.001),
}


@pytest.mark.parametrize('model', LENSES)
def test_the_pinhole_shows_bent_vertices_where_the_lens_does(model):
    camera = Camera.from_intrinsics(640, 480, 400, 420, 300, 250, LENSES[model], model)
    rng = np.random.default_rng(0)
    points = rng.uniform((-0.6, -0.6, 1), (0.6, 0.6, 1), (2, 500, 3)) * rng.uniform(1, 5, (2, 500, 1))
    bent = bend_vertices(points, camera).astype(np.float64)
    pixels = bent[..., :2] / bent[..., 2:] @ camera.k[:2, :2].T + camera.k[:2, 2]
    np.testing.assert_allclose(pixels, camera.project(torch.from_numpy(points)).numpy(), atol=0.02)
    np.testing.assert_allclose(bent[..., 2], points[..., 2], rtol=1e-6)


def test_vertices_behind_the_camera_stay_and_a_pinhole_needs_nothing():
    camera = Camera.from_intrinsics(640, 480, 400, 420, 300, 250, LENSES['plumb_bob'], 'plumb_bob')
    behind = np.array([[[0.5, 0.2, -1.0], [0.1, 0.1, 0.01]]], np.float32)
    np.testing.assert_array_equal(bend_vertices(behind, camera), behind)
    pinhole = Camera.from_fov(640, 480, 60)
    np.testing.assert_array_equal(bend_vertices(-behind, pinhole), -behind)
    assert bend_vertices(np.zeros((0, 7, 3)), camera).shape == (0, 7, 3)
