"""Which poses of motion capture are taken, and into which split."""

import math
import shutil
import sys
from pathlib import Path

import pytest
import torch

from mesh_perception.body import load_body
from mesh_perception.geometry.rotations import axis_angle_to_matrix
from mesh_perception.synthetic.capture import captured_rotations, read_clips, split_of, suitable_frames, thin
from mesh_perception.synthetic.retarget import retarget

sys.path.insert(0, str(Path(__file__).parent))
import clips
from test_asf_amc import AMC, ASF

BODY = load_body('open')
STANDING = torch.tensor((0, 0.9, 0))
# Names whose hash decides so.
TRAIN, VALIDATION, TEST = '07_02', '07_09', '07_01'


def moving(frames, bones, amplitude=1.0, seed=0):
    """Standing, the bones named waving about x."""
    phases = 6 * torch.rand(len(bones), 1, generator=torch.Generator().manual_seed(seed))
    angles = amplitude * torch.sin(torch.linspace(0, 8, frames) + phases)
    rotations = clips.still(frames)
    for bone, angle in zip(bones, angles, strict=True):
        vectors = torch.zeros(frames, 3)
        vectors[:, 0] = angle
        rotations[:, clips.NAMES.index(bone)] = axis_angle_to_matrix(vectors)
    return rotations, STANDING.expand(frames, 3)


def suitable(rotations, root):
    clip = clips.clip(rotations, root)
    return suitable_frames(clip, retarget(clip, BODY.joint_template), BODY)


def turned(bone, vectors):
    rotations = clips.still(len(vectors))
    rotations[:, clips.NAMES.index(bone)] = axis_angle_to_matrix(torch.tensor(vectors))
    return rotations, STANDING.expand(len(vectors), 3)


def test_the_split_is_that_of_the_name_where_it_says_one():
    names = [f'test/walking/walking_{k}' for k in range(30)]
    assert {split_of(name) for name in names} == {'test'}
    splits = [split_of(name.replace('test', 'train')) for name in names]
    assert set(splits) == {'train', 'validation'} and 1 <= splits.count('validation') <= 8


def test_other_clips_are_split_by_a_hash_of_their_name():
    assert [split_of(name) for name in (TRAIN, VALIDATION, TEST)] == ['train', 'validation', 'test']
    splits = [split_of(f'{a:02}_{b:02}') for a in range(50) for b in range(40)]
    assert splits.count('test') / 2000 == pytest.approx(0.15, abs=0.03)
    assert splits.count('validation') / 2000 == pytest.approx(0.12, abs=0.03)


def test_people_on_the_ground_are_taken_and_those_who_climb_hang_or_lie_are_not():
    standing, root = moving(20, ('lfemur', 'head'), 0.15)
    assert suitable(standing, root).all()
    assert not suitable(standing, root + torch.tensor((0, 0.6, 0))).any()
    hanging = turned('root', [[0.9, 0, 0]])
    assert not suitable(*hanging).any()  # nothing is under its weight
    lying = turned('root', [[math.pi / 2, 0, 0]])
    assert not suitable(lying[0], root[:1] * 0.1).any()


@pytest.mark.parametrize('bone, axis', [('lhand', 0), ('rhand', 2), ('rfoot', 1)])
def test_hands_and_feet_that_flip_are_left_out(bone, axis):
    vectors = torch.zeros(12, 3)
    vectors[4:7, axis] = 2.6
    found = suitable(*turned(bone, vectors.tolist()))
    assert found.tolist() == [True] * 3 + [False] * 5 + [True] * 4  # those at the jump's edges too


def test_still_frames_count_once_and_quick_ones_each():
    still = torch.zeros(50, 24, 3)
    assert thin(still).tolist() == [0]
    line = torch.zeros(50, 24, 3)
    line[:, 20, 0] = torch.arange(50) * 0.02
    assert thin(line, 0.07).tolist() == list(range(0, 50, 4))
    assert thin(line[:0]).tolist() == []


def test_training_does_not_know_the_poses_of_other_splits(tmp_path):
    """The same motion under a training and a test clip's name, as the database has some twice."""
    same, other = moving(40, ('rfemur',), 0.5), moving(40, ('thorax', 'lfemur'), 0.5, seed=1)
    path = clips.write(tmp_path / 'clips.npz', {TRAIN: same, '07_03': other, TEST: same, VALIDATION: same})
    assert split_of('07_03') == 'train'
    train = captured_rotations(path, BODY, 'train')
    everything = captured_rotations([path], BODY)
    assert set(everything) == {TRAIN, '07_03', VALIDATION, TEST} and len(everything['07_03']) > 5
    assert torch.equal(captured_rotations(path, BODY, 'test')[TEST], everything[TEST])
    assert list(train) == ['07_03'] and torch.equal(train['07_03'], everything['07_03'])
    with pytest.raises(ValueError, match=r'clips\.npz: no usable pose in the clips of split validation'):
        captured_rotations(path, BODY, 'validation')


def test_folders_of_asf_and_amc_are_found(tmp_path):
    folder = tmp_path / 'subjects' / '02'
    folder.mkdir(parents=True)
    (folder / '02.asf').write_text(ASF)
    for name in ('02_01', '02_02'):
        (folder / f'{name}.amc').write_text(AMC)
    assert list(read_clips(tmp_path)) == ['02_01', '02_02']
    shutil.copy(folder / '02.asf', folder / '03.asf')  # the one named as the motion is taken
    assert list(read_clips([folder])) == ['02_01', '02_02']


def test_wrong_paths_and_splits_are_refused_in_one_line(tmp_path):
    with pytest.raises(ValueError, match=r'no \.amc file in it'):
        captured_rotations(tmp_path, BODY)
    with pytest.raises(ValueError, match='no such file'):
        captured_rotations([tmp_path / 'none.npz'], BODY)
    with pytest.raises(ValueError, match="split 'trian', expected one of train, validation, test or None"):
        captured_rotations(tmp_path, BODY, 'trian')
    (tmp_path / '05_01.amc').write_text(AMC)
    with pytest.raises(ValueError, match=r'05_01\.amc: no skeleton beside it, expected 05\.asf'):
        captured_rotations(tmp_path, BODY)
