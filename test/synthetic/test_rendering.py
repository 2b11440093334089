"""Pictures of scenes: what is in them, in which order, and always the same."""

import cv2
import numpy as np
import pytest

from mesh_perception.body import load_body
from mesh_perception.geometry.camera import Camera
from mesh_perception.synthetic.labels import label
from mesh_perception.synthetic.rendering import SceneRenderer
from mesh_perception.visualization.renderer import RendererUnavailable

from .people import CAMERA, scene_of


@pytest.fixture(scope='module')
def body():
    return load_body('open')


@pytest.fixture(scope='module', autouse=True)
def renderer(body):
    try:
        with SceneRenderer(body, occluders=1) as renderer:
            yield renderer
    except RendererUnavailable as error:
        pytest.skip(str(error))


def test_a_scene_gives_one_picture_and_another_seed_another(body, renderer):
    first, second = (renderer.render(scene_of(body, [[0, 0, 3]], seed=seed)) for seed in (1, 2))
    with SceneRenderer(body, occluders=1) as other:
        again = other.render(scene_of(body, [[0, 0, 3]], seed=1))
    for name in ('rgb', 'depth', 'person'):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert (first.rgb != second.rgb).mean() > 0.5


def test_the_nearest_person_is_seen_at_the_right_depth(body, renderer):
    scene = scene_of(body, [[0, 0.1, 2], [0.1, 0, 3], [-0.9, 0, 4]])
    with SceneRenderer(body, occluders=0) as plain:
        picture = plain.render(scene)
    # No vertex is nearer than what is seen where it projects to, and whoever is in front is seen there.
    vertices = scene.vertices.numpy()
    columns, rows = scene.camera.project(scene.vertices).round().long().numpy().transpose(2, 0, 1)
    inside = (columns >= 0) & (columns < 320) & (rows >= 0) & (rows < 240)
    for i in range(3):
        row, column, z = rows[i, inside[i]], columns[i, inside[i]], vertices[i, inside[i], 2]
        ahead = z - picture.depth[row, column]  # minus infinity beside the outline, by half a pixel
        assert (ahead[np.isfinite(ahead)] > -0.03).mean() > 0.98
        owner = picture.person[row, column]
        assert (owner[np.isfinite(ahead)] <= i).mean() > 0.97
        assert np.abs(ahead[owner == i]).min() < 1e-3
    assert ((picture.person < 0) == np.isinf(picture.depth)).all()
    assert set(np.unique(picture.person)) == {-1, 0, 1, 2}


def test_things_in_front_hide_people_and_are_nobody(body, renderer):
    hidden = 0
    for seed in range(8):
        scene = scene_of(body, [[0, 0, 3.5]], seed=seed)
        picture = renderer.render(scene)
        labels = label(scene, picture, body)
        silhouette = picture.silhouettes[0]
        things = (picture.person < 0) & np.isfinite(picture.depth)
        rows, columns = silhouette.mask.nonzero()
        rows, columns = silhouette.top + silhouette.step * rows, silhouette.left + silhouette.step * columns
        covered = things[rows, columns].mean()
        assert labels.visibility.item() == pytest.approx(1 - covered)
        assert labels.overlap.item() == 0
        hidden += covered > 0.01
    assert hidden >= 4


def test_the_share_of_things_in_front_can_be_none(body):
    with SceneRenderer(body, occluders=0) as plain:
        for seed in range(6):
            scene = scene_of(body, [[0, 0, 3.5]], seed=seed)
            labels = label(scene, plain.render(scene), body)
            assert labels.visibility.item() > 0.999


def test_pictures_follow_the_size_of_the_camera(body, renderer):
    for width, height in ((200, 300), (640, 480), (64, 48)):
        camera = Camera.from_fov(width, height, 60)
        picture = renderer.render(scene_of(body, [[0, 0, 4]], camera=camera))
        assert picture.rgb.shape == (height, width, 3)
        assert picture.rgb.dtype == np.uint8
        assert picture.depth.shape == picture.person.shape == (height, width)


def test_somebody_cut_by_the_camera_plane_is_drawn_and_measured(body, renderer):
    scene = scene_of(body, [[0, 0, 0.05], [0.3, 0, -3], [0, 0, 3]])
    labels = label(scene, renderer.render(scene), body)
    assert labels.truncation[1] == 1
    assert labels.visibility[1] == 0
    assert 0 <= labels.visibility[0] <= 1
    assert labels.visibility.isfinite().all()


def test_the_users_pictures_are_the_background(body, tmp_path):
    cv2.imwrite(str(tmp_path / 'wall.png'), np.full((100, 300, 3), (0, 0, 200), np.uint8))
    with SceneRenderer(body, occluders=0, pictures=tmp_path) as renderer:
        picture = renderer.render(scene_of(body, [[0, 0, 3]]))
    empty = np.isinf(picture.depth)
    red, green, blue = picture.rgb[empty].T.astype(int)
    assert np.median(red) > 100 > max(np.median(green), np.median(blue)) * 3


def test_a_folder_without_pictures_is_refused(body, tmp_path):
    with pytest.raises(ValueError, match=r'background pictures .*expected a folder with'):
        SceneRenderer(body, pictures=tmp_path)
    (tmp_path / 'broken.jpg').write_text('no picture')
    with SceneRenderer(body, pictures=tmp_path) as renderer:
        with pytest.raises(ValueError, match=r'broken\.jpg: not readable as an image'):
            renderer.render(scene_of(body, [[0, 0, 3]]))


def test_a_place_without_people_is_a_picture_too(body, renderer):
    picture = renderer.render(scene_of(body, [], camera=CAMERA))
    assert np.isinf(picture.depth).all()
    assert picture.silhouettes == []
