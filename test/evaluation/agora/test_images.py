"""Images on the disk: which belongs to which name, their frames and boxes, and AGORA's list of vertices."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mesh_perception.evaluation.agora.images import ImagesError, body_vertices, frame_of, image_files, image_of
from mesh_perception.evaluation.agora.images import test_images as images_of_the_test_set
from mesh_perception.evaluation.agora.truth import read_truth

sys.path.insert(0, str(Path(__file__).parent))
from agora_files import projected, row, standing, write_image, write_truth


def test_an_image_is_found_under_its_name_or_the_small_ones(tmp_path):
    small = write_image(tmp_path / 'validation' / 'a_hdri_1280x720.png')
    files = image_files(tmp_path)
    assert image_of(files, 'a_hdri.png', tmp_path) == image_of(files, 'a_hdri_1280x720.png', tmp_path) == small
    large = write_image(tmp_path / 'large' / 'a_hdri.png')
    files = image_files(tmp_path)
    assert image_of(files, 'a_hdri.png', tmp_path) == large
    with pytest.raises(ImagesError, match=rf'^{tmp_path}: no b.png in it, nor b_1280x720.png; expected'):
        image_of(files, 'b.png', tmp_path)


def test_the_test_sets_images_are_taken_once(tmp_path):
    for name in ('b_1280x720.png', 'a.png', 'a_1280x720.png'):
        write_image(tmp_path / 'test' / 'part' / name)
    assert [path.name for path in images_of_the_test_set(tmp_path)] == ['a.png', 'b_1280x720.png']
    with pytest.raises(ImagesError, match=rf'^{tmp_path}/none/test: no .png in it; expected'):
        images_of_the_test_set(tmp_path / 'none')


def test_a_frame_has_the_cameras_size_without_decoding_and_boxes_of_who_can_be_matched(tmp_path):
    people = [standing(0), standing(1, seed=1), standing(-1, seed=2)]
    rows = [row('a_cam00.png', people, occlusion=[5, 95, 20])]
    (truth,) = read_truth(write_truth(tmp_path / 'x.pkl', rows), vertices=False)
    path = write_image(tmp_path / 'a_cam00.png', 640, 360)
    frame = frame_of(path, truth)
    assert (frame.camera.width, frame.camera.height, frame.camera.k[0, 0]) == (640, 360, 320)
    assert frame.load().shape == (360, 640, 3) and frame.name == 'a_cam00.png'
    for box, joints in zip(frame.boxes, (people[0], people[2]), strict=True):
        low, high = (f(projected(joints, 'cam00'), 0) / 6 - 0.5 for f in (np.min, np.max))
        margin = 0.05 * (high - low).max()
        np.testing.assert_allclose(box, [*(low - margin), *(high + margin)], atol=1e-3)
    empty = read_truth(write_truth(tmp_path / 'y.pkl', [row('a_cam00.png', [])]), vertices=False)[0]
    assert frame_of(path, empty).boxes.shape == (0, 4) and frame_of(path).boxes is None


@pytest.mark.parametrize(
    ('write', 'says'),
    [
        (lambda path: write_image(path, 100, 100), 'a.png: 100x100, expected 3840x2160 or 1280x720'),
        (lambda path: path.write_bytes(b'GIF89a' + bytes(100)), 'a.png: not a PNG image'),
        (lambda path: path.write_bytes(b'\x89PNG\r\n\x1a\n'), 'a.png: not a PNG image'),
        (lambda path: None, 'a.png: No such file'),
    ],
)
def test_other_images_are_refused_by_name(tmp_path, write, says):
    write(tmp_path / 'a.png')
    with pytest.raises(ImagesError, match=rf'^{tmp_path}/{says}'):
        frame_of(tmp_path / 'a.png')


def test_the_list_of_vertices_is_checked(tmp_path):
    path = tmp_path / 'body_verts_smpl.npy'
    np.save(path, np.array([570, 3, 6889], np.uint32))
    assert torch.equal(body_vertices(path), torch.tensor([570, 3, 6889]))
    for wrong in ([1, 1], [-1], [6890], [], [[1]], [1.5], [None]):
        np.save(path, np.array(wrong), allow_pickle=True)
        with pytest.raises(ImagesError, match=rf'^{path}: .*expected AGORA.s utils/body_verts_smpl.npy') as error:
            body_vertices(path)
        assert '\n' not in str(error.value)
    with pytest.raises(ImagesError, match='No such file'):
        body_vertices(tmp_path / 'none.npy')
