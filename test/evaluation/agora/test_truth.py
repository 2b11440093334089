"""True people out of files in the true format, and cameras by the images' names."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mesh_perception.evaluation.agora.cameras import camera_of, focal_length, from_agora, project, to_agora
from mesh_perception.evaluation.agora.truth import TruthError, read_truth, truth_files

sys.path.insert(0, str(Path(__file__).parent))
from agora_files import FOCAL, projected, row, standing, write_truth


@pytest.mark.parametrize(
    ('name', 'millimetres'),
    [
        ('ag_validationset_renderpeople_bfh_hdri_50mm_5_10_00000.png', 50),
        ('ag_validationset_3dpeople_bfh_archviz_5_10_cam00_00001.png', 18),
        ('ag_validationset_x_archviz_5_10_cam03_00001_1280x720.png', 18),
        ('ag_validationset_x_archviz_5_10_cam04_00001.png', 28),
        ('ag2_validationset_x.png', 28),
        ('ag_validationset_renderpeople_bfh_brushifygrasslands_5_15_00002.png', 28),
    ],
)
def test_focal_lengths_follow_from_names(name, millimetres):
    assert focal_length(name) == pytest.approx(millimetres * 3840 / 36)
    assert focal_length(name) == pytest.approx(millimetres * 2160 / 20.25)  # the sensor's height says the same


@pytest.mark.parametrize('width', [3840, 1280])
def test_cameras_project_to_the_benchmarks_pixels(width):
    points = torch.from_numpy(standing(0.5)).double()
    camera = camera_of('x_hdri.png', width, width * 9 // 16)
    pixels = to_agora(camera.project(points), width)
    torch.testing.assert_close(pixels, project(points, 'x_hdri.png'), rtol=0, atol=1e-6)
    np.testing.assert_allclose(pixels, projected(points.numpy(), 'x_hdri.png'))
    torch.testing.assert_close(from_agora(pixels, width), camera.project(points), rtol=0, atol=1e-6)


def test_cameras_are_of_wide_images_alone():
    with pytest.raises(ValueError, match=r'^a.png: 640x480, expected 3840x2160 or 1280x720'):
        camera_of('a.png', 640, 480)


def test_people_are_read_as_they_were_written(tmp_path):
    people, vertices = [standing(0), standing(1.5, seed=1)], np.random.default_rng(0).normal(size=(6890, 3))
    rows = [
        row('a_hdri.png', people, valid=[True, False], occlusion=[0, 96.5], kid=[False, True]),
        row('b_cam01.png', []),
        row('c.png', [(people[0], vertices)]),
    ]
    first, empty, third = read_truth(write_truth(tmp_path / 'x.pkl', rows), vertices=True)
    assert (first.name, empty.name, third.name) == ('a_hdri.png', 'b_cam01.png', 'c.png')
    np.testing.assert_array_equal(first.joints, [joints[:24] for joints in people])
    np.testing.assert_array_equal(first.joints_2d, [projected(joints, 'hdri') for joints in people])
    assert first.kid.tolist() == [False, True] and first.occlusion.tolist() == [0, 96.5]
    assert empty.joints.shape == (0, 24, 3) and empty.vertices.shape == (0, 6890, 3) and len(empty.counted) == 0
    np.testing.assert_allclose(third.vertices[0], vertices, atol=1e-6)
    assert read_truth(tmp_path / 'x.pkl', vertices=False)[0].vertices is None


def test_who_is_hidden_too_much_is_not_matched_but_counts_if_said_to_be_valid(tmp_path):
    joints = [standing(x) for x in range(5)]
    rows = [row('a.png', joints, valid=[True, True, True, False, True], occlusion=[0.0, 90.0, 90.1, 50.0, -1.0])]
    (image,) = read_truth(write_truth(tmp_path / 'x.pkl', rows), vertices=False)
    assert image.matchable.tolist() == [True, True, False, False, False]
    assert image.counted.tolist() == [True, True, True, False, True]


def test_columns_of_arrays_read_as_lists_do(tmp_path):
    plain = row('a.png', [standing(0), standing(1)], valid=[True, False], occlusion=[1.0, 91.0], kid=[True, False])
    arrays = {
        **plain,
        'isValid': np.array(plain['isValid']),
        'occlusion': np.array(plain['occlusion']),
        'kid': [np.bool_(kid) for kid in plain['kid']],
        'gt_joints_2d': np.array(plain['gt_joints_2d']),
        'gt_joints_3d': np.array(plain['gt_joints_3d'], np.float32),
    }
    images = [
        read_truth(write_truth(tmp_path / f'{i}.pkl', [r]), vertices=False)[0] for i, r in enumerate((plain, arrays))
    ]
    for name in ('joints_2d', 'joints', 'matchable', 'counted', 'occlusion', 'kid'):
        torch.testing.assert_close(*(getattr(image, name) for image in images), rtol=0, atol=1e-6)


def test_frames_for_small_images_come_out_in_large_ones_pixels(tmp_path):
    rows = [row('a_1280x720.png', [standing(0)], width=width) for width in (3840, 1280)]
    large, small = read_truth(write_truth(tmp_path / 'x.pkl', rows), vertices=False)
    torch.testing.assert_close(small.joints_2d, large.joints_2d)


def _foreign(name, **changed):
    return [{**row(name, [standing(0)], vertices=changed.pop('vertices', 6890)), **changed}]


@pytest.mark.parametrize(
    ('rows', 'says'),
    [
        (_foreign('a.png', vertices=10475), r"gt_verts: 10475 points, expected SMPL's 6890"),
        (_foreign('a.png', gt_joints_3d=[np.ones((127, 3))]), r"127 joints, SMPL-X's; expected SMPL's 24"),
        (_foreign('a.png', gt_joints_3d=[np.ones((17, 3))]), r"17 joints; expected SMPL's 24"),
        (_foreign('a.png', gt_joints_3d=[np.ones((24, 2))]), r'gt_joints_3d: an array \(24, 2\), expected'),
        (_foreign('a.png', isValid=[True, True]), r'as many people in each column expected, found'),
        (_foreign('a.png', isValid=True), r'isValid: a list with one value a person expected'),
        (_foreign('a_hdri.png', gt_joints_2d=[projected(standing(0), 'cam00')]), r'px from gt_joints_3d in the camera'),
    ],
)
def test_foreign_truth_is_named_in_one_line(tmp_path, rows, says):
    path = write_truth(tmp_path / 'validation_0_withjv.pkl', rows)
    with pytest.raises(TruthError, match=rf'^{path}: row 0: .*{says}') as error:
        read_truth(path, vertices=True)
    assert '\n' not in str(error.value)


def test_files_are_found_in_their_numbers_order_and_smpls_apart_from_smplxs(tmp_path):
    rows = [row('a.png', [], vertices=1)]
    for folder in ('validation_SMPL/SMPL', 'validation_SMPLX/SMPLX'):
        for name in ('validation_10', 'validation_2', 'validation_0', 'train_0'):
            write_truth(tmp_path / folder / f'{name}_withjv.pkl', rows)
    names = [path.relative_to(tmp_path).as_posix() for path in truth_files(tmp_path)]
    assert names == [f'validation_SMPL/SMPL/validation_{n}_withjv.pkl' for n in (0, 2, 10)]
    assert len(truth_files(tmp_path / 'validation_SMPLX')) == 3  # whoever names the folder gets what is in it


def test_missing_truth_is_said_with_what_was_expected(tmp_path):
    with pytest.raises(
        TruthError, match=rf'^{tmp_path}/none: no such folder; expected AGORA.s validation_0_withjv.pkl'
    ):
        truth_files(tmp_path / 'none')
    with pytest.raises(
        TruthError, match=rf'^{tmp_path}: no validation_\*_withjv.pkl in it; expected .*validation_SMPL.zip'
    ):
        truth_files(tmp_path)
    for folder in 'ab':
        write_truth(tmp_path / folder / 'validation_0_withjv.pkl', [row('a.png', [], vertices=1)])
    with pytest.raises(TruthError, match='in 2 folders; expected one, or one named SMPL'):
        truth_files(tmp_path)


def test_the_fixtures_focal_lengths_are_the_tables():
    assert FOCAL['hdri'] == focal_length('hdri') and FOCAL[''] == focal_length('x')
