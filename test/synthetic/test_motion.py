"""Clips from .npz files of both forms, against forward kinematics written out."""

import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from mesh_perception.geometry.rotations import axis_angle_to_matrix
from mesh_perception.synthetic.motion import SOURCE, load_clips
from mesh_perception.synthetic.retarget import retarget

sys.path.insert(0, str(Path(__file__).parent))
import clips

RNG = np.random.default_rng(0)
TURNS = RNG.normal(0, 0.7, (3, len(clips.NAMES), 3)).astype(np.float32)
ROOT = RNG.normal(0, 1, (3, 3)).astype(np.float32)


def bone_ends():
    """Where each bone ends, (T, J, 3), bone by bone."""
    local = axis_angle_to_matrix(torch.from_numpy(TURNS)).numpy()
    ends = np.zeros_like(TURNS)
    for t in range(len(TURNS)):
        turns = []
        for j, parent in enumerate(clips.PARENTS):
            turns.append(local[t, j] if parent < 0 else turns[parent] @ local[t, j])
            ends[t, j] = ROOT[t] if parent < 0 else ends[t, parent] + turns[j] @ clips.VECTORS[j].numpy()
    return ends


def bones_file(path, **changes):
    members = {
        'fps': np.float32(30),
        'subject/07/joint_names': np.array(clips.NAMES),
        'subject/07/parents': np.array(clips.PARENTS, np.int16),
        'clip/07_01/positions_m': bone_ends(),
        'clip/07_01/local_rotvec': TURNS,
    } | changes
    np.savez(path, **{key: value for key, value in members.items() if value is not None})
    return path


def joints_file(path, **changes):
    """Three joints in the other form's names."""
    members = {
        'fps': np.float32(30),
        'joint_names': np.array(['hips', 'l_hip', 'l_knee']),
        'parents': np.array([-1, 0, 1], np.int16),
        'offsets_m': np.array([[0, 0, 0], [1, 0, 0], [0, -2, 0]], np.float32),
        'clip/train/walking/one/local_rotvec': np.array(
            [[[0, 0, 0], [0, 0, 0], [0, 0, 0]], [[0, np.pi / 2, 0], [np.pi / 2, 0, 0], [1, 1, 1]]], np.float16
        ),
        'clip/train/walking/one/root_m': np.array([[0, 3, 0], [1, 3, 0]], np.float32),
    } | changes
    np.savez(path, **{key: value for key, value in members.items() if value is not None})
    return path


def test_joints_form_by_hand(tmp_path):
    clip = load_clips(joints_file(tmp_path / 'clips.npz'))['train/walking/one']
    assert (clip.names, clip.parents, clip.rate, len(clip)) == (('root', 'lfemur', 'ltibia'), (-1, 0, 1), 30, 2)
    # The second frame: the root turns the person's left to -z; the thigh then swings about it from down to back (-z
    # before the root's turn), that is to -x.
    expected = torch.tensor([[[0, 3, 0], [1, 3, 0], [1, 1, 0]], [[1, 3, 0], [1, 3, -1], [-1, 3, -1]]])
    torch.testing.assert_close(clip.world()[1], expected.float(), atol=4e-3, rtol=0)  # float16 in the file


def test_bones_form_gives_the_positions_it_was_written_with(tmp_path):
    clip = load_clips(bones_file(tmp_path / 'clips.npz'))['07_01']
    places = dict(zip(clip.names, clip.world()[1].unbind(1), strict=True))
    ends = dict(zip(clips.NAMES, bone_ends().swapaxes(0, 1), strict=True))
    for start, bone in (('ltibia', 'lfemur'), ('rhand', 'rwrist'), ('head_end', 'head'), ('rfoot', 'rtibia')):
        np.testing.assert_allclose(places[start], ends[bone], atol=1e-5)
    np.testing.assert_allclose(clip.rest()[clip.names.index('head')], clips.VECTORS[1:6].sum(0), atol=1e-5)


def test_a_converters_t_pose_before_the_first_frame_is_left_out(tmp_path):
    names = ['hips', *(f'{side}_{joint}' for side in 'lr' for joint in ('knee', 'ankle', 'elbow', 'wrist'))]
    turns = RNG.normal(0, 1, (3, 9, 3))
    members = {'joint_names': np.array(names), 'parents': np.arange(9) - 1, 'offsets_m': np.ones((9, 3))}
    root = {'clip/train/walking/one/root_m': np.arange(9.0).reshape(3, 3)}
    for frames in (3, 2):
        if frames == 2:
            turns[0, 1:] = 0
        path = joints_file(tmp_path / 'clips.npz', **members, **root, **{'clip/train/walking/one/local_rotvec': turns})
        clip = load_clips(path)['train/walking/one']
        assert len(clip) == frames and clip.root[-1].tolist() == [6, 7, 8]


def test_prefix_and_frames(tmp_path):
    path = joints_file(tmp_path / 'clips.npz')
    assert list(load_clips(path, 'train/')) == ['train/walking/one'] and not load_clips(path, 'test/')
    clip = load_clips(path)['train/walking/one']
    torch.testing.assert_close(clip.frames([1]).world()[1], clip.world()[1][1:])
    with pytest.raises(ValueError, match="no joint 'rfemur' in it"):
        retarget(clip, torch.zeros(24, 3))


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'joint_names': np.array(['hips', 'l_hip', 'tail'])}, "joint_names: unknown joint 'tail'"),
        ({'joint_names': np.array([1, 2, 3])}, 'joint_names: expected 1 to 200 names'),
        ({'parents': np.array([-1, 2, 1])}, 'parents: expected the root'),
        ({'parents': np.array([-1, 0])}, 'parents: expected 3 integers'),
        ({'offsets_m': np.zeros((3, 2))}, r'offsets_m: float64 of shape \(3, 2\), expected numbers of shape \(3, 3\)'),
        ({'offsets_m': None}, 'no offsets_m in it'),
        ({'offsets_m': np.full((3, 3), np.nan)}, 'offsets_m: numbers that are not finite'),
        ({'fps': np.float32(0)}, 'fps: 0.0, expected frames a second'),
        ({'clip/train/walking/one/root_m': np.zeros((5, 3))}, 'root_m: float64 of shape'),
        ({'clip/train/walking/one/local_rotvec': None}, 'no clip/NAME/local_rotvec in it'),
        ({'offsets_m': np.array([{}])}, 'a damaged .npz'),  # a pickle
    ],
)
def test_a_bad_file_is_refused_in_one_line(tmp_path, changes, message):
    path = joints_file(tmp_path / 'clips.npz', **changes)
    with pytest.raises(ValueError, match=message) as error:
        load_clips(path)
    assert str(error.value).startswith(f'{path}: ') and '\n' not in str(error.value)


def test_positions_of_another_skeleton_are_refused(tmp_path):
    path = bones_file(tmp_path / 'clips.npz', **{'clip/07_01/positions_m': bone_ends()[::-1].copy()})
    with pytest.raises(ValueError, match='positions and rotations do not belong together'):
        load_clips(path)


def test_missing_damaged_and_huge_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match='no such file'):
        load_clips(tmp_path / 'none.npz')
    (tmp_path / 'text.npz').write_text('hello')
    with pytest.raises(ValueError, match='damaged'):
        load_clips(tmp_path / 'text.npz')
    path = joints_file(tmp_path / 'huge.npz')
    with zipfile.ZipFile(path, 'a') as archive:
        archive.writestr('x', b'')
        archive.infolist()[-1].file_size = 2 << 30  # as the table of contents will say
    with pytest.raises(ValueError, match='unpacks to'):
        load_clips(path)


def test_the_sources_wording():
    notice = ' '.join((Path(__file__).parents[2] / 'NOTICE').read_text().split())
    assert SOURCE in notice
