"""The painter needs nothing but OpenCV: it is held to the renderer's promises, more coarsely."""

import logging

import numpy as np
import pytest

from mesh_perception.visualization import drawer
from mesh_perception.visualization.painter import Painter
from mesh_perception.visualization.renderer import Renderer, RendererUnavailable

from .shapes import sphere

K = np.array([[260.0, 0, 130.3], [0, 240.0, 88.7], [0, 0, 1]])
SIZE = (240, 180)
RED, BLUE = (255, 0, 0), (0, 0, 255)


@pytest.mark.parametrize('center', [(0, 0, 3), (0.9, -0.5, 4), (-0.7, 0.6, 2.5)])
def test_a_small_sphere_lands_where_the_pinhole_says(center):
    vertices, faces = sphere(np.array(center), 0.1, rings=16)
    picture = Painter(*SIZE).render(vertices, faces, K, RED)
    rows, columns = np.nonzero(picture[..., 0])
    expected = K[:2, :2] @ np.array(center[:2]) / center[2] + K[:2, 2]
    assert np.abs((columns.mean(), rows.mean()) - expected).max() < 0.7


def test_the_nearer_person_wins_and_opacity_mixes():
    near, faces = sphere(np.array([0.0, 0, 2]), 0.3, rings=16)
    far, _ = sphere(np.array([0.2, 0, 4]), 0.9, rings=16)
    background = np.random.default_rng(0).integers(0, 256, (*SIZE[::-1], 3), dtype=np.uint8)
    colors = np.array([RED, BLUE], np.uint8)
    full = Painter(*SIZE).render(np.concatenate([near, far]), faces, K, colors, background)
    assert full[80, 138, 0] > 100 and full[80, 138, 2] == 0
    half = Painter(*SIZE).render(np.concatenate([near, far]), faces, K, colors, background, opacity=0.5)
    assert np.abs(half[80, 138] - (full[80, 138].astype(int) + background[80, 138]) / 2).max() <= 1
    np.testing.assert_array_equal(full[:20], background[:20])


def test_what_is_behind_beside_or_not_finite_is_not_painted():
    behind, faces = sphere(np.array([0.0, 0, -3]), 0.5, rings=8)
    beside, _ = sphere(np.array([500.0, 0, 0.1]), 0.05, rings=8)
    vertices = np.concatenate([behind, beside, np.full_like(behind, np.nan)])
    assert not Painter(*SIZE).render(vertices, faces, K, RED).any()
    assert not Painter(*SIZE).render(vertices[:0], faces, K, RED).any()


def test_painter_and_renderer_draw_the_same_body(body, camera, make_scene):
    _, vertices = make_scene(camera)
    vertices, faces = vertices[:, body.light_vertices].numpy(), body.light_faces.numpy()
    colors = np.array([RED, BLUE])
    painted = Painter(camera.width, camera.height).render(vertices, faces, camera.k, colors, two_sided=False)
    try:
        with Renderer(camera.width, camera.height) as renderer:
            rendered = renderer.render(vertices, faces, camera.k, colors, two_sided=False)
    except RendererUnavailable as error:
        pytest.skip(str(error))
    for channel in (0, 2):
        one, other = painted[..., channel] > 40, rendered[..., channel] > 40
        assert (one & other).sum() / (one | other).sum() > 0.9
    both = painted.any(-1) & rendered.any(-1)
    assert np.abs(painted[both].astype(int) - rendered[both]).mean() < 20


def test_without_egl_the_painter_serves_and_says_so_once(monkeypatch, caplog):
    def unavailable(*_):
        raise RendererUnavailable('no EGL device')

    monkeypatch.setattr(drawer, 'Renderer', unavailable)
    monkeypatch.setattr(drawer, '_told', False)
    with caplog.at_level(logging.WARNING):
        assert all(isinstance(drawer.open_drawer(*SIZE), Painter) for _ in range(3))
    assert len(caplog.records) == 1 and 'no EGL device' in caplog.text
