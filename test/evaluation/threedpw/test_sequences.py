"""Sequence files as Python 2 wrote them are read; everything else is refused in one line that names it."""

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mesh_perception.evaluation.threedpw.sequences import (
    DatasetError,
    find_sequences,
    picture_path,
    read_camera,
    read_sequence,
)
from mesh_perception.evaluation.threedpw.subsets import frames_in_subset, in_subset

sys.path.insert(0, str(Path(__file__).parent))
from dataset import K, sequence_content, write_sequence


@pytest.fixture
def content():
    return sequence_content(people=2, frames=3, betas=300)


def test_what_python_2_wrote_is_read_as_it_was(tmp_path, content):
    rng = np.random.default_rng(0)
    for key in ('poses', 'trans', 'jointPositions', 'poses2d', 'betas'):
        content[key] = [rng.normal(size=values.shape) for values in content[key]]
    content['campose_valid'] = [np.array([1, 0, 1]), np.array([0, 0, 1])]
    path = write_sequence(tmp_path, content)
    assert b'numpy.core.multiarray' in path.read_bytes()
    sequence = read_sequence(path, 'test')
    assert (sequence.name, sequence.split, sequence.genders) == ('downtown_test_00', 'test', ['m', 'f'])
    np.testing.assert_array_equal(sequence.poses, np.stack(content['poses']).reshape(2, 3, 24, 3))
    np.testing.assert_array_equal(sequence.trans, np.stack(content['trans']))
    np.testing.assert_array_equal(sequence.joints, np.stack(content['jointPositions']).reshape(2, 3, 24, 3))
    np.testing.assert_array_equal(sequence.keypoints, np.stack(content['poses2d']).transpose(0, 1, 3, 2))
    np.testing.assert_array_equal(sequence.betas, np.stack(content['betas'])[:, :10])
    assert sequence.valid.tolist() == [[True, False, True], [False, False, True]]
    np.testing.assert_array_equal(sequence.k, K)


@pytest.mark.parametrize('protocol', range(5))
def test_other_pickles_and_spellings_of_the_same_are_read_too(tmp_path, content, protocol):
    path = write_sequence(tmp_path, content)
    expected = read_sequence(path, 'test')
    content['genders'] = [np.str_('male'), 'F']
    content['campose_valid'] = np.stack(content['campose_valid']).astype(bool)
    content['betas'] = np.array([content['betas'][0], content['betas'][1][:10]], object)
    path.write_bytes(pickle.dumps(content, protocol))
    sequence = read_sequence(path, 'test')
    assert sequence.genders == expected.genders
    assert torch.equal(sequence.valid, expected.valid) and torch.equal(sequence.betas, expected.betas)


@pytest.mark.parametrize('spelling', ['m', b'm', np.str_('m'), np.bytes_(b'm')], ids=lambda value: type(value).__name__)
@pytest.mark.parametrize('protocol', [0, 2, 4])
def test_a_gender_is_read_however_it_is_spelt(tmp_path, content, spelling, protocol):
    path = write_sequence(tmp_path, content)
    path.write_bytes(pickle.dumps(content | {'genders': [spelling, 'f']}, protocol))
    assert read_sequence(path, 'test').genders == ['m', 'f']


def test_frames_whose_camera_is_no_number_are_not_valid(tmp_path, content):
    content['cam_poses'][1] = np.nan
    content['trans'][0][2] = np.inf
    sequence = read_sequence(write_sequence(tmp_path, content), 'test')
    assert sequence.valid.tolist() == [[True, False, False], [True, False, True]]


def test_points_come_into_each_frames_camera(tmp_path, content):
    rng = np.random.default_rng(1)
    content['cam_poses'] = rng.normal(size=(3, 4, 4))
    sequence = read_sequence(write_sequence(tmp_path, content), 'test')
    for values in (sequence.joints, sequence.trans):
        moved = sequence.in_camera(values)
        for person, frame in np.ndindex(2, 3):
            camera = content['cam_poses'][frame]
            expected = np.atleast_2d(values[person, frame]) @ camera[:3, :3].T + camera[:3, 3]
            np.testing.assert_allclose(np.atleast_2d(moved[person, frame]), expected, atol=1e-12)


class Evil:
    def __reduce__(self):
        return print, ('run',)


@pytest.mark.parametrize(
    'change, says',
    [
        (lambda c: c.pop('cam_poses'), "not a sequence of 3DPW: no 'cam_poses' in it"),
        (lambda c: c.update(poses=[]), 'poses: of 0 people, expected one or more'),
        (lambda c: c.update(trans=c['trans'][:1]), 'trans: of 1 people, expected 2'),
        (
            lambda c: c.update(poses=[p[:, :66] for p in c['poses']]),
            r'poses: float64 \(3, 66\), expected numbers \(\*, 72\)',
        ),
        (lambda c: c['trans'].__setitem__(0, c['trans'][0][:2]), r'trans: float64 \(2, 3\), expected numbers \(3, 3\)'),
        (lambda c: c.update(genders=['m', 'x']), "genders: 'x', expected 'm' or 'f'"),
        (lambda c: c.update(genders=['m', 1]), 'genders: text expected, found int'),
        (
            lambda c: c.update(betas=[np.zeros(10), np.zeros(5)]),
            r'betas: \[\(10,\), \(5,\)\], expected 10 finite numbers',
        ),
        (
            lambda c: c.update(texture_maps=Evil()),
            'refused: it names builtins.print|refused: it names __builtin__.print',
        ),
    ],
)
def test_a_foreign_file_is_refused_in_one_line(tmp_path, content, change, says, capsys):
    change(content)
    path = write_sequence(tmp_path, content | {'cam_poses': content.get('cam_poses', np.zeros((3, 4, 4)))})
    if 'cam_poses' not in content:
        path.write_bytes(pickle.dumps(content, 2))
    with pytest.raises(DatasetError, match=f'^{path}: .*({says})') as error:
        read_sequence(path, 'test')
    assert '\n' not in str(error.value) and not capsys.readouterr().out


@pytest.mark.parametrize('data', [b'', b'PK\x03\x04', pickle.dumps([1, 2]), b'\x80\x02cos\nsystem\n.'])
def test_what_is_no_pickle_of_a_dictionary_is_refused(tmp_path, data):
    path = tmp_path / 'x.pkl'
    path.write_bytes(data)
    with pytest.raises(DatasetError, match=f'^{path}: .*expected'):
        read_sequence(path, 'test')


def test_missing_folders_and_pictures_are_named(tmp_path, content):
    with pytest.raises(DatasetError, match=rf"^{tmp_path}/sequenceFiles/test: no such folder; expected 3DPW's"):
        find_sequences(tmp_path, ['test'])
    path = write_sequence(tmp_path, content)
    assert find_sequences(tmp_path, ['test']) == [('test', path)]
    with pytest.raises(DatasetError, match='none of the sequences in test'):
        find_sequences(tmp_path, ['test'], lambda name: in_subset('pc', name))
    sequence = read_sequence(path, 'test')
    assert read_camera(tmp_path, sequence, 2).width == 640
    picture = picture_path(tmp_path, sequence, 1)
    picture.unlink()
    with pytest.raises(ValueError, match=rf'^{picture}: No such file'):
        read_camera(tmp_path, sequence, 1)


def test_subsets_are_cut_as_their_authors_cut_them(tmp_path):
    names = ('courtyard_hug_00', 'courtyard_golf_01', 'downtown_cafe_00')
    assert [in_subset(None, name) for name in names] == [True, True, True]
    assert [in_subset('pc', name) for name in names] == [True, False, False]
    assert [in_subset('oc', name) for name in names] == [False, True, False]
    assert [in_subset('crowd', name) for name in names] == [True, False, False]
    path = write_sequence(tmp_path, sequence_content(frames=3), name='courtyard_hug_00')
    sequence = read_sequence(path, 'validation')
    sequence.world_to_camera = torch.eye(4).expand(600, 4, 4)
    assert frames_in_subset('pc', sequence).nonzero()[:, 0].tolist() == list(range(100, 500))
    assert frames_in_subset('crowd', sequence).all() and not frames_in_subset('oc', sequence).any()
