"""The renderer against closed forms: where things land, how far they are, what hides what."""

import threading

import numpy as np
import pytest

from mesh_perception.visualization.renderer import Mesh, Renderer, RendererUnavailable

from .shapes import sphere, square

K = np.array([[260.0, 0, 130.3], [0, 240.0, 88.7], [0, 0, 1]])
SIZE = (240, 180)
RED, BLUE = (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)


@pytest.fixture(scope='module')
def renderer():
    try:
        with Renderer(*SIZE) as made:
            yield made
    except RendererUnavailable as error:
        pytest.skip(str(error))


def centroid(mask):
    rows, columns = np.nonzero(mask)
    return np.array([columns.mean(), rows.mean()])


@pytest.mark.parametrize('center', [(0, 0, 3), (0.9, -0.5, 4), (-0.7, 0.6, 2.5), (-1.6, -1.2, 5)])
def test_a_small_sphere_lands_where_the_pinhole_says(renderer, center):
    vertices, faces = sphere(np.array(center), 0.05)
    picture = renderer.render_buffers(vertices, faces, K, RED)
    expected = K[:2, :2] @ np.array(center[:2]) / center[2] + K[:2, 2]
    assert np.abs(centroid(picture.person == 0) - expected).max() < 0.3
    weights = picture.rgb[..., 0].astype(float) > 0
    assert np.abs(centroid(weights) - expected).max() < 0.5
    assert abs(picture.depth.min() - (np.linalg.norm(center) - 0.05) * center[2] / np.linalg.norm(center)) < 0.01


def test_edges_lie_between_the_right_pixels(renderer):
    """A square from pixel 20.5 to 29.5 in x and 10.5 to 14.5 in y covers exactly columns 21-29 and rows 11-14."""
    z = 2.0
    low, high = ((np.array(p) - K[:2, 2]) / K[[0, 1], [0, 1]] * z for p in ((20.5, 10.5), (29.5, 14.5)))
    vertices = np.array([[[low[0], low[1], z], [high[0], low[1], z], [high[0], high[1], z], [low[0], high[1], z]]])
    picture = renderer.render_buffers(vertices, [[0, 1, 2], [0, 2, 3]], K, RED)
    expected = np.full(SIZE[::-1], -1)
    expected[11:15, 21:30] = 0
    np.testing.assert_array_equal(picture.person, expected)
    np.testing.assert_array_equal(picture.rgb[..., 0] > 0, expected == 0)


def test_depth_is_the_planes_z_at_every_pixel(renderer):
    normal, offset = np.array([0.3, -0.8, -1.0]), -4.0  # normal . X = offset
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], dtype=float) * 2
    vertices = np.array([[(x, y, (offset - normal[0] * x - normal[1] * y) / normal[2]) for x, y in corners]])
    picture = renderer.render_buffers(vertices, [[0, 1, 2], [0, 2, 3]], K, RED)
    columns, rows = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    rays = np.stack([columns, rows, np.ones_like(rows)], -1) @ np.linalg.inv(K).T
    expected = offset / (rays @ normal)
    seen = picture.person == 0
    assert seen.sum() > 10000
    np.testing.assert_allclose(picture.depth[seen], expected[seen], rtol=2e-5)
    assert np.isinf(picture.depth[~seen]).all()


@pytest.mark.parametrize('order', [(0, 1), (1, 0)])
def test_the_nearer_of_two_people_wins_whatever_the_order(renderer, order):
    near, faces = sphere(np.array([0.0, 0, 2]), 0.3)
    far, _ = sphere(np.array([0.2, 0, 4]), 0.9)
    colors = np.array([RED, BLUE])
    vertices = np.concatenate([near, far])
    picture = renderer.render_buffers(vertices[list(order)], faces, K, colors[list(order)])
    middle = picture.person[89, 130]
    assert order[middle] == 0
    assert picture.rgb[89, 130, 0] > 100 and picture.rgb[89, 130, 2] == 0
    assert (picture.person == order.index(1)).sum() > 1000


def test_interpenetrating_people_are_cut_pixel_by_pixel(renderer):
    first, faces = sphere(np.array([-0.15, 0, 3]), 0.3)
    second, _ = sphere(np.array([0.15, 0, 3]), 0.3)
    both = renderer.render_buffers(np.concatenate([first, second]), faces, K, np.array([RED, BLUE]))
    alone = [renderer.render_buffers(v, faces, K, RED).depth for v in (first, second)]
    overlap = np.isfinite(alone[0] + alone[1])
    overlap[overlap] = np.abs(alone[0][overlap] - alone[1][overlap]) > 1e-4
    assert overlap.sum() > 100
    np.testing.assert_array_equal(both.person[overlap], (alone[1] < alone[0])[overlap])


def test_a_floor_through_the_camera_is_cut_at_the_near_plane(renderer):
    floor = np.array([[[-5, 1.2, -5], [5, 1.2, -5], [5, 1.2, 20], [-5, 1.2, 20]]], dtype=np.float32)
    picture = renderer.render_buffers(floor, [[0, 1, 2], [0, 2, 3]], K, RED)
    row = SIZE[1] - 1
    assert (picture.person[row, 1:] == 0).all()
    np.testing.assert_allclose(picture.depth[row, 1:], 1.2 * K[1, 1] / (row - K[1, 2]), rtol=1e-4)
    assert (picture.person[: int(K[1, 2])] == -1).all()


def test_what_is_behind_the_camera_or_not_finite_is_not_drawn(renderer):
    behind, faces = sphere(np.array([0.0, 0, -3]), 0.5)
    broken = np.full_like(behind, np.nan)
    front, _ = sphere(np.array([0.0, 0, 3]), 0.5)
    picture = renderer.render_buffers(np.concatenate([behind, broken, front]), faces, K, RED)
    assert set(np.unique(picture.person)) == {-1, 2}


def test_meshes_of_different_topologies_share_one_scene(renderer):
    ball, ball_faces = sphere(np.array([0.0, 0, 3]), 0.4)
    wall, wall_faces = square(0, 0, 5, 10)
    picture = renderer.render_scene(
        [Mesh(ball, ball_faces, RED), Mesh(wall, wall_faces, np.array([BLUE]))], K, buffers=True
    )
    assert set(np.unique(picture.person)) == {0, 1}
    assert picture.person[89, 130] == 0 and picture.person[0, 0] == 1
    assert abs(picture.depth[0, 0] - 5) < 1e-4


def test_geometry_alone_is_the_geometry_of_the_picture(renderer):
    vertices, faces = sphere(np.array((0.1, 0, 3)), 0.4)
    meshes = [Mesh(np.concatenate([vertices, vertices + 0.3]), faces, RED), Mesh(*square(0.2, 0, 2.3, 0.1), BLUE)]
    picture = renderer.render_scene(meshes, K, buffers=True)
    depth, person = renderer.render_geometry(meshes, K)
    np.testing.assert_array_equal(depth, picture.depth)
    np.testing.assert_array_equal(person, picture.person)
    assert set(np.unique(person)) == {-1, 0, 1, 2}
    depth, person = renderer.render_geometry([], K)
    assert np.isinf(depth).all()
    assert (person == -1).all()


def test_the_background_stays_outside_and_shines_through_by_opacity(renderer):
    background = np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    kept = background.copy()
    vertices, faces = sphere(np.array([0.0, 0, 3]), 0.4)
    full = renderer.render_buffers(vertices, faces, K, RED, background)
    half = renderer.render(vertices, faces, K, RED, background, opacity=0.5)
    none = renderer.render(vertices, faces, K, RED, background, opacity=0.0)
    np.testing.assert_array_equal(background, kept)
    np.testing.assert_array_equal(none, background)
    far = np.hypot(*(np.indices(full.person.shape) - np.array([88.7, 130.3])[:, None, None])) > 40
    np.testing.assert_array_equal(half[far], background[far])
    mean = (full.rgb[89, 130].astype(int) + background[89, 130]) / 2
    assert np.abs(half[89, 130] - mean).max() <= 1


def test_silhouettes_are_antialiased(renderer):
    vertices, faces = sphere(np.array([0.0, 0, 3]), 0.4)
    white = np.full((SIZE[1], SIZE[0], 3), 255, np.uint8)
    picture = renderer.render(vertices, faces, K, (0.0, 0.0, 0.0), white)
    assert ((picture[..., 0] > 20) & (picture[..., 0] < 235)).sum() > 50


def test_shading_is_smooth_and_brightest_towards_the_light(renderer):
    vertices, faces = sphere(np.array([0.0, 0, 3]), 0.4)
    picture = renderer.render(vertices, faces, K, (1.0, 1.0, 1.0), light=(-1, 0, -1))[..., 0].astype(int)
    row = picture[89, 105:156]
    assert row[5] > row[-5] + 40
    assert np.abs(np.diff(row)).max() < 30


def test_colours_may_be_given_per_vertex(renderer):
    vertices, faces = square(0, 0, 3, 0.5)
    picture = renderer.render(vertices, faces, K, np.array([[RED, BLUE, BLUE, RED]]))
    assert picture[89, 95, 0] > 4 * picture[89, 95, 2] and picture[89, 165, 2] > 4 * picture[89, 165, 0]


def test_leaving_the_inside_out_changes_nothing_for_closed_surfaces(renderer):
    vertices, faces = sphere(np.array([0.3, 0, 3]), 0.4)
    corners = vertices[0][faces].astype(np.float64)
    assert np.linalg.det(corners - (0.3, 0, 3)).sum() > 0, 'the test needs faces that are wound outwards'
    both = renderer.render_buffers(vertices, faces, K, RED)
    one = renderer.render_buffers(vertices, faces, K, RED, two_sided=False)
    np.testing.assert_array_equal(one.depth, both.depth)
    assert (one.rgb != both.rgb).any(-1).mean() < 1e-3  # where a silhouette's samples touch the far side
    flipped = renderer.render_buffers(vertices, faces[:, ::-1], K, RED, two_sided=False)
    row, column = 88, 154  # the middle of the ball
    assert abs(flipped.depth[row, column] - both.depth[row, column] - 0.8) < 0.01


def test_no_people_give_the_background(renderer):
    background = np.full((SIZE[1], SIZE[0], 3), 7, np.uint8)
    picture = renderer.render_buffers(np.zeros((0, 10, 3)), np.zeros((0, 3), int), K, np.zeros((0, 3)), background)
    np.testing.assert_array_equal(picture.rgb, background)
    assert (picture.person == -1).all() and np.isinf(picture.depth).all()
    assert renderer.render_scene([], K).rgb.max() == 0


def test_sizes_can_change_and_renderers_can_live_side_by_side(renderer):
    vertices, faces = sphere(np.array([0.0, 0, 3]), 0.4)
    before = renderer.render(vertices, faces, K, RED)
    with Renderer(64, 48) as other:
        small = other.render(vertices, faces, [[60, 0, 32], [0, 60, 24], [0, 0, 1]], RED)
        assert small.shape == (48, 64, 3) and small.any()
        other.resize(*SIZE)
        np.testing.assert_array_equal(other.render(vertices, faces, K, RED), before)
    np.testing.assert_array_equal(renderer.render(vertices, faces, K, RED), before)


def test_wrong_input_is_named(renderer):
    vertices, faces = sphere(np.array([0.0, 0, 3]), 0.4)
    with pytest.raises(ValueError, match='vertices'):
        renderer.render(vertices[0], faces, K, RED)
    with pytest.raises(ValueError, match='faces'):
        renderer.render(vertices[:, :10], faces, K, RED)
    with pytest.raises(ValueError, match='colors'):
        renderer.render(vertices, faces, K, np.zeros((3, 3)))
    with pytest.raises(ValueError, match='background'):
        renderer.render(vertices, faces, K, RED, np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(ValueError, match='k:'):
        renderer.render(vertices, faces, np.zeros((3, 3)), RED)
    with pytest.raises(ValueError, match='size'):
        renderer.resize(0, 10)


def test_use_after_close_or_from_another_thread_is_refused(renderer):
    errors = []

    def use():
        try:
            renderer.render_scene([], K)
        except RuntimeError as error:
            errors.append(str(error))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert len(errors) == 1 and 'thread' in errors[0]
    other = Renderer(8, 8)
    other.close()
    other.close()
    with pytest.raises(RuntimeError, match='close'):
        other.render_scene([], K)


def test_missing_egl_is_one_clear_error(monkeypatch):
    moderngl = pytest.importorskip('moderngl')

    def fail(*_, **__):
        raise Exception('libEGL.so not loaded')

    monkeypatch.setattr(moderngl, 'create_context', fail)
    with pytest.raises(RendererUnavailable, match='libegl1'):
        Renderer(8, 8)
