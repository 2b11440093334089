"""MuPoTS-3D's folders, and the cameras that its annotation and Moon et al.'s file give."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mesh_perception.evaluation.mupots.intrinsics import calibrate, fit_intrinsics, given_camera, read_intrinsics
from mesh_perception.evaluation.mupots.sequences import DatasetError, read_sequence

sys.path.insert(0, str(Path(__file__).parent))
from mupots_files import CENTER, FOCAL, annotation, write_sequence


def poses(frames=3, people=2):
    return np.random.default_rng(1).uniform((-900, -900, 3000), (900, 900, 5000), (frames, people, 17, 3))


def valid_rows(frames=3, people=2):
    return [[annotation(pose, pose * 0.9) for pose in row] for row in poses(frames, people)]


@pytest.mark.parametrize('version', [5, 7.3])
def test_a_sequence_is_its_valid_people_in_metres(tmp_path, version):
    rows = valid_rows()
    rows[0][0]['isValidFrame'] = np.array([[False]])
    rows[0][0]['annot2'] = np.zeros((0, 0))  # nobody looks at who is not valid
    for cell in rows[1]:
        cell['isValidFrame'] = np.array([[0.0]])
    hidden = [[(np.arange(17) == i + j) for j in range(2)] for i in range(3)]
    write_sequence(tmp_path, 4, rows, hidden, version)
    first, last = read_sequence(tmp_path, 4)
    assert (first.index, first.persons, last.index, last.persons) == (0, [1], 2, [0, 1])
    np.testing.assert_allclose(last.joints, poses()[2] / 1000)
    np.testing.assert_allclose(last.universal, poses()[2] * 0.0009)
    np.testing.assert_allclose(first.joints_2d[0], poses()[0, 1, :, :2] / poses()[0, 1, :, 2:] * FOCAL + CENTER)
    assert first.hidden.nonzero().tolist() == [[0, 1]] and last.hidden.nonzero().tolist() == [[0, 2], [1, 3]]


def damage(name, value):
    def apply(rows):
        rows[1][1][name] = value

    return apply


@pytest.mark.parametrize(
    ('apply', 'said'),
    [
        (damage('annot2', np.zeros((2, 16))), 'annotations{2,2}.annot2: float64 (2, 16), expected numbers (2, 17)'),
        (damage('univ_annot3', np.full((3, 17), np.nan)), 'annotations{2,2}.univ_annot3: not finite'),
        (damage('annot3', np.array(['a'])), 'annotations{2,2}.annot3: <U1 (1,), expected numbers (3, 17)'),
        (lambda rows: rows[1][1].pop('annot3'), 'annotations{2,2}: expected a struct with annot2, annot3, univ_annot3'),
        (lambda rows: [c.update(isValidFrame=np.array([[0]])) for r in rows for c in r], 'nobody valid in 3 frames'),
    ],
)
def test_a_foreign_annotation_is_named_with_its_place(tmp_path, apply, said):
    rows = valid_rows()
    apply(rows)
    write_sequence(tmp_path, 2, rows)
    with pytest.raises(DatasetError) as error:
        read_sequence(tmp_path, 2)
    assert str(error.value).startswith(f'{tmp_path}/TS2/annot.mat') and said in str(error.value)
    assert '\n' not in str(error.value)


def test_missing_labels_and_folders_are_named(tmp_path):
    with pytest.raises(DatasetError, match=r"TS7: no such folder; expected MuPoTS-3D's TS1 to TS20"):
        read_sequence(tmp_path, 7)
    write_sequence(tmp_path, 7, valid_rows(), [[np.zeros(17)] * 2] * 2)
    with pytest.raises(DatasetError, match=r'occlusion_labels\{3,1\}: missing'):
        read_sequence(tmp_path, 7)


def test_the_camera_is_found_from_the_annotation(tmp_path):
    write_sequence(tmp_path, 1, valid_rows())
    frames = read_sequence(tmp_path, 1)
    camera, error = calibrate(frames, 2048, 1100, 'TS1')
    assert (camera.width, camera.height) == (2048, 1100) and error < 1e-6
    np.testing.assert_allclose(camera.k, [[FOCAL[0], 0, CENTER[0]], [0, FOCAL[1], CENTER[1]], [0, 0, 1]])


def test_the_fit_is_the_least_squares_one():
    rng = np.random.default_rng(2)
    points = torch.from_numpy(rng.uniform((-1, -1, 3), (1, 1, 5), (40, 3)))
    pixels = torch.from_numpy(rng.normal(500, 100, (40, 2)))  # whatever these are
    fx, fy, cx, cy = fit_intrinsics(points, pixels)
    for axis, fitted in ((0, (fx, cx)), (1, (fy, cy))):
        design = np.stack([points[:, axis] / points[:, 2], np.ones(40)], 1)
        np.testing.assert_allclose(fitted, np.linalg.lstsq(design, pixels[:, axis].numpy(), rcond=None)[0])
    behind, unknown = torch.tensor([[0.5, 0.5, -1.0]]), torch.tensor([[torch.nan, 0, 1]])
    more = torch.cat([points, behind, unknown]), torch.cat([pixels, torch.ones(2, 2, dtype=torch.float64)])
    np.testing.assert_allclose(fit_intrinsics(*more), (fx, fy, cx, cy))
    assert np.isnan(fit_intrinsics(points[:0], pixels[:0])).all()
    assert np.isnan(fit_intrinsics(points[:1], pixels[:1])).all()


def test_an_annotation_of_another_camera_is_refused(tmp_path):
    rng = np.random.default_rng(0)
    for number, change in (
        (1, lambda points: points + rng.normal(0, 20, points.shape)),  # not the projection of annot3
        (2, lambda points: -points),  # upside down
        (3, lambda points: rng.uniform(0, 1000, points.shape)),
    ):
        rows = valid_rows()
        for cell in (cell for row in rows for cell in row):
            cell['annot2'] = change(cell['annot2'])
        write_sequence(tmp_path, number, rows)
        with pytest.raises(DatasetError, match=r'^TS: .*expected .*give --intrinsics FILE$'):
            calibrate(read_sequence(tmp_path, number), 2048, 1100, 'TS')


def write_json(path, images):
    path.write_text(json.dumps({'images': images, 'annotations': [], 'categories': []}))
    return path


def test_cameras_are_read_from_moons_file(tmp_path):
    images = [
        {
            'id': 0,
            'file_name': 'TS1/img_000000.jpg',
            'width': 2048,
            'height': 2048,
            'intrinsic': [1500, 1480, 1000, 560],
        },
        {
            'id': 1,
            'file_name': 'TS1/img_000001.jpg',
            'width': 2048,
            'height': 2048,
            'intrinsic': [1500, 1480, 1000, 560],
        },
        {'id': 2, 'file_name': 'TS12/img_000000.jpg', 'width': 1920, 'height': 1080, 'intrinsic': [1, 2, 3, 4]},
    ]
    path = write_json(tmp_path / 'MuPoTS-3D.json', images)
    cameras = read_intrinsics(path)
    assert cameras == {1: (1500, 1480, 1000, 560), 12: (1, 2, 3, 4)}
    write_sequence(tmp_path, 1, valid_rows())
    camera, error = given_camera(cameras, 1, read_sequence(tmp_path, 1), 2048, 2048, path)
    assert camera.k[1, 1] == 1480 and error < 1e-6
    with pytest.raises(DatasetError, match=r'MuPoTS-3D.json: no camera of TS5'):
        given_camera(cameras, 5, [], 2048, 2048, path)


@pytest.mark.parametrize(
    'content',
    [
        '',
        '[]',
        '{"images": 3}',
        '{"images": [{"file_name": "img.jpg", "intrinsic": [1, 2, 3, 4]}]}',
        '{"images": [{"file_name": "TS1/img.jpg"}]}',
        '{"images": [{"file_name": "TS1/img.jpg", "intrinsic": [1, 2, 3]}]}',
        '{"images": [{"file_name": "TS1/a", "intrinsic": [1, 2, 3, 4]}, '
        '{"file_name": "TS1/b", "intrinsic": [2, 2, 3, 4]}]}',
        '[' * 100_000,
        '\udcff',
    ],
)
def test_other_files_of_cameras_are_refused(tmp_path, content):
    path = tmp_path / 'file.json'
    path.write_bytes(content.encode('utf-8', 'surrogateescape'))
    with pytest.raises(DatasetError, match=r'expected MuPoTS-3D.json') as error:
        read_intrinsics(path)
    assert str(error.value).startswith(str(path)) and '\n' not in str(error.value)


def test_cameras_that_are_none_are_refused(tmp_path):
    for intrinsic in ([0, 1, 2, 3], [float('nan'), 1, 2, 3]):
        path = write_json(tmp_path / 'file.json', [{'file_name': 'TS1/a.jpg', 'intrinsic': intrinsic}])
        with pytest.raises(DatasetError, match=r'file.json: TS1: camera matrix'):
            given_camera(read_intrinsics(path), 1, [], 10, 10, path)
    with pytest.raises(DatasetError, match=r'none.json: No such file'):
        read_intrinsics(tmp_path / 'none.json')
