"""Overlays and views of open bodies, drawn by whatever this machine has and by the painter."""

import numpy as np
import pytest
import torch

from mesh_perception.geometry.camera import Camera
from mesh_perception.visualization import drawer, overlay
from mesh_perception.visualization.marks import draw_boxes, draw_label, draw_skeletons
from mesh_perception.visualization.overlay import Overlay, draw_overlay
from mesh_perception.visualization.painter import Painter
from mesh_perception.visualization.palette import LEFT, RIGHT, track_colors


@pytest.fixture(params=['best', 'painter'])
def drawing(request, monkeypatch):
    """Runs a test twice: with the machine's best way of drawing, and with the painter."""
    if request.param == 'painter':
        monkeypatch.setattr(overlay, 'open_drawer', Painter)
    elif isinstance(drawer.open_drawer(8, 8), Painter):
        pytest.skip('no EGL here')
    return request.param


def near_joint(picture, joint, radius=2):
    x, y = np.round(joint).astype(int)
    return picture[max(y - radius, 0) : y + radius + 1, max(x - radius, 0) : x + radius + 1].reshape(-1, 3).astype(int)


@pytest.mark.parametrize('lens', [(), (-0.25, 0.06, 0.0, 0.0)])
def test_meshes_cover_their_people_in_their_colours_lens_included(drawing, body, make_scene, lens):
    camera = Camera.from_intrinsics(320, 240, 250, 260, 163, 115, lens, 'plumb_bob' if lens else 'none')
    people, vertices = make_scene(camera, (1, 2))
    image = np.full((240, 320, 3), 60, np.uint8)
    with Overlay(body, label=False) as drawn:
        picture = drawn.draw(image, camera, people, vertices)
    for joints, color in zip(people.joints_2d.numpy(), track_colors(people.track_ids), strict=True):
        for joint in (0, 4, 5, 16, 15, 18):  # pelvis, knees, a shoulder, the head, an elbow: inside the body
            tone = near_joint(picture, joints[joint], 0)[0] - 60 * 0.25
            if (tone > 20).any():
                assert np.dot(tone, color) / np.linalg.norm(tone) / np.linalg.norm(color.astype(float)) > 0.97
    rows, columns = np.nonzero((picture != image).any(-1))
    box = torch.cat([people.boxes[:, :2].amin(0), people.boxes[:, 2:].amax(0)]).numpy()
    seen = np.array([columns.min(), rows.min(), columns.max(), rows.max()])
    assert np.abs(seen - np.clip(box, 0, (319, 239, 319, 239))).max() < (2 if drawing == 'best' else 8)


def test_the_nearer_person_hides_the_farther(drawing, body, camera, make_scene):
    people, vertices = make_scene(camera, (1, 2))
    vertices = vertices - vertices.mean(1, keepdim=True) + torch.tensor([[[0.0, 0, 3]], [[0.0, 0, 2.5]]])
    with Overlay(body, label=False, opacity=1.0) as drawn:
        picture = drawn.draw(np.zeros((240, 320, 3), np.uint8), camera, people, vertices)
    chest = picture[115 - 20, 163].astype(float)
    near = track_colors([2])[0].astype(float)
    assert np.dot(chest, near) / np.linalg.norm(chest) / np.linalg.norm(near) > 0.99


def test_switches_draw_what_they_say(body, camera, make_scene, noise):
    people, vertices = make_scene(camera)
    image = noise(camera)
    kept = image.copy()
    off = {'mesh': False, 'skeleton': False, 'box': False, 'label': False}
    np.testing.assert_array_equal(draw_overlay(image, camera, people, vertices, body, **off), image)
    for name in ('skeleton', 'box', 'label'):
        assert (draw_overlay(image, camera, people, vertices, body, **{**off, name: True}) != image).any()
    np.testing.assert_array_equal(image, kept)


def test_nobody_gives_the_image_and_empty_views(body, camera, make_scene, noise):
    people, vertices = make_scene(camera, ())
    image = noise(camera)
    with Overlay(body, skeleton=True, box=True) as drawn:
        np.testing.assert_array_equal(drawn.draw(image, camera, people, vertices), image)
        assert drawn.panel(image, camera, people, vertices).shape == (240, 320 + 120, 3)


def test_people_partly_behind_the_camera_or_unknown_do_no_harm(drawing, body, camera, make_scene, noise):
    people, vertices = make_scene(camera)
    vertices[0] -= torch.tensor([0.0, 0, 2.5])
    vertices[1] = torch.nan
    people.joints[1], people.joints_2d[1], people.boxes[1] = torch.nan, torch.nan, torch.nan
    people.joints_2d[0], people.boxes[0] = 1e9, -1e9
    with Overlay(body, skeleton=True, box=True) as drawn:
        assert drawn.panel(noise(camera), camera, people, vertices).shape == (240, 440, 3)


def test_wrong_sizes_are_named(body, camera, make_scene, noise):
    people, vertices = make_scene(camera)
    with pytest.raises(ValueError, match='image'):
        draw_overlay(noise(camera)[:-1], camera, people, vertices, body)
    with pytest.raises(ValueError, match='vertices'):
        draw_overlay(noise(camera), camera, people, vertices[:1], body)


@pytest.mark.parametrize('mesh', [True, False])
def test_views_show_people_to_scale(drawing, body, camera, make_scene, mesh):
    """6 m on 300 px: 50 px a metre; the camera stands at (150, 282) in the top view and at (18, 150) in the side."""
    people, vertices = make_scene(camera, (2,))
    empty, none = make_scene(camera, ())
    with Overlay(body, mesh=mesh, label=False) as drawn:
        views = drawn.views(camera, people, vertices, 300, reach=6)
        grounds = drawn.views(camera, empty, none, 300, reach=6)
    assert all(view.shape == (300, 300, 3) for view in views)
    points = vertices[0].numpy() if mesh else people.joints[0].numpy()
    x, y, z = points.T
    expected = (np.stack([150 + 50 * x, 282 - 50 * z]), np.stack([18 + 50 * z, 150 + 50 * y]))
    for view, ground, pixels in zip(views, grounds, expected, strict=True):
        rows, columns = np.nonzero((view != ground).any(-1))
        low, high = pixels.min(1), pixels.max(1)
        assert abs(columns.min() - low[0]) < 8 and abs(columns.max() - high[0]) < 8
        assert abs(rows.max() - high[1]) < 8 and abs(rows.min() - low[1]) < 8


def test_left_is_warm_and_right_is_cool():
    joints = np.full((1, 24, 2), np.nan)
    joints[0, [18, 20]] = (20, 50), (80, 50)  # left elbow and wrist
    joints[0, [19, 21]] = (20, 100), (80, 100)  # right
    picture = draw_skeletons(np.zeros((140, 140, 3), np.uint8), joints, np.ones((1, 24)), [5])
    np.testing.assert_array_equal(picture[50, 50], LEFT)
    np.testing.assert_array_equal(picture[100, 50], RIGHT)


def test_doubtful_bones_are_thin():
    joints = np.full((1, 24, 2), np.nan)
    joints[0, [18, 20]] = (20, 50), (80, 50)
    drawn = [
        (draw_skeletons(np.zeros((140, 140, 3), np.uint8), joints, np.full((1, 24), c), [1])[:, 50] > 0).any(-1)
        for c in (0.9, 0.1)
    ]
    assert drawn[0].sum() > drawn[1].sum() > 0


def test_colours_stay_with_ids_and_neighbours_differ():
    ids = np.arange(1, 200)
    colors = track_colors(ids).astype(int)
    np.testing.assert_array_equal(track_colors([7]), track_colors(torch.tensor([7])))
    assert (np.abs(np.diff(colors, axis=0)).sum(1) > 60).all()
    assert track_colors([]).shape == (0, 3)
    assert track_colors([0, 10**12]).shape == (2, 3)


def test_labels_stay_inside_the_picture():
    for corner in ((-50, -50), (500, 500), (100, 0)):
        picture = draw_label(np.zeros((60, 200, 3), np.uint8), '#3 2.4 m', corner, (255, 255, 255))
        inside = picture.any(-1)
        assert 500 < inside.sum()
    tiny = draw_label(np.zeros((5, 5, 3), np.uint8), '#3 2.4 m', (0, 0), (9, 9, 9))
    assert tiny.shape == (5, 5, 3)


def test_boxes_beyond_the_picture_are_no_trouble():
    boxes = np.array([[-1e12, -5, 1e12, 50], [np.nan] * 4, [10, 10, 30, 30]])
    picture = draw_boxes(np.zeros((60, 60, 3), np.uint8), boxes, [1, 2, 3])
    np.testing.assert_array_equal(picture[10, 20], track_colors([3])[0])
