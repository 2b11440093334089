"""The server's zip: names, keys, shapes, types, and nothing in it that an old numpy lacks."""

import pickle
import pickletools
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from mesh_perception.evaluation.agora.images import ImagesError
from mesh_perception.evaluation.agora.submission import Submission, frames_to_submit
from mesh_perception.geometry.rotations import axis_angle_to_matrix
from mesh_perception.types import People

sys.path.insert(0, str(Path(__file__).parent))
from agora_files import row, standing, write_image, write_truth

GENERATOR = torch.Generator().manual_seed(0)


def people(count, betas=10):
    random = torch.randn(count, 24, 3, generator=GENERATOR)
    return People(
        track_ids=torch.arange(count),
        states=torch.zeros(count, dtype=torch.uint8),
        scores=torch.ones(count),
        boxes=torch.zeros(count, 4),
        rotations=axis_angle_to_matrix(random),
        betas=torch.randn(count, betas, generator=GENERATOR),
        translation=random[:, 3],
        joints=random,
        joints_2d=random[..., :2],
        joint_confidence=torch.ones(count, 24),
        joint_sigma=torch.full((count, 24), torch.nan),
        velocity=torch.full((count, 3), torch.nan),
    )


def check(content):
    """What AGORA's checker of SMPL's parameters asks of one person."""
    assert set(content) == {'joints', 'pose2rot', 'params'} and content['pose2rot'] is False
    assert set(content['params']) == {'transl', 'betas', 'global_orient', 'body_pose'}
    shapes = {name: value.shape for name, value in content['params'].items()}
    assert shapes == {'transl': (1, 3), 'betas': (1, 10), 'global_orient': (1, 1, 3, 3), 'body_pose': (1, 23, 3, 3)}
    assert all(type(value) is np.ndarray and value.dtype == np.float32 for value in content['params'].values())
    joints = content['joints']
    assert type(joints) is np.ndarray and joints.shape == (24, 2) and joints.dtype == np.float64


def globals_of(data):
    """The names that a pickle imports."""
    texts, names = [], set()
    for opcode, argument, _ in pickletools.genops(data):
        if 'UNICODE' in opcode.name:
            texts.append(argument)
        elif opcode.name == 'STACK_GLOBAL':
            names.add('.'.join(texts[-2:]))
        assert opcode.name != 'GLOBAL'
    return names


def test_the_zip_holds_one_pickle_a_person_in_the_servers_format(tmp_path):
    first, second = people(2), people(1)
    joints = torch.rand(2, 24, 2, dtype=torch.float64, generator=GENERATOR) * 3840
    with Submission(tmp_path / 'out' / 'predictions.zip') as submission:
        submission.add('ag_testset_a_hdri_00001.png', first, joints)
        submission.add('nobody.png', people(0), joints[:0])
        submission.add('ag_testset_b_1280x720.png', second, joints[1:])
    assert submission.people == 3
    with zipfile.ZipFile(submission.path) as archive:
        assert archive.testzip() is None
        stored = {name: archive.read(name) for name in archive.namelist()}
    stems = (
        'ag_testset_a_hdri_00001_personId_0',
        'ag_testset_a_hdri_00001_personId_1',
        'ag_testset_b_1280x720_personId_0',
    )
    assert list(stored) == [f'predictions/{stem}.pkl' for stem in stems]
    for data in stored.values():
        assert data[:2] == b'\x80\x04' and globals_of(data) <= {'numpy.ndarray', 'builtins.bytearray'}
    contents = [pickle.loads(data, encoding='latin1') for data in stored.values()]
    for content in contents:
        check(content)
    second_person = contents[1]
    np.testing.assert_array_equal(second_person['joints'], joints[1])
    np.testing.assert_array_equal(second_person['params']['body_pose'][0], first.rotations[1, 1:])
    np.testing.assert_array_equal(second_person['params']['global_orient'][0, 0], first.rotations[1, 0])
    np.testing.assert_array_equal(second_person['params']['betas'][0], first.betas[1])
    np.testing.assert_array_equal(second_person['params']['transl'][0], first.translation[1])
    contents[0]['joints'] += 1  # arrays that can be written to, as numpy's own pickles give


def test_who_is_not_finite_is_left_out_and_betas_are_ten(tmp_path):
    some = people(3, betas=4)
    some.translation[1] = torch.nan
    with Submission(tmp_path / 'x.zip') as submission:
        submission.add('a.png', some, torch.zeros(3, 24, 2, dtype=torch.float64))
    with zipfile.ZipFile(tmp_path / 'x.zip') as archive:
        assert archive.namelist() == ['predictions/a_personId_0.pkl', 'predictions/a_personId_1.pkl']
        last = pickle.loads(archive.read('predictions/a_personId_1.pkl'))
    check(last)
    np.testing.assert_array_equal(last['params']['betas'][0], [*some.betas[2].tolist(), *[0] * 6])


def test_an_interrupted_zip_leaves_what_was_there(tmp_path):
    (tmp_path / 'x.zip').write_bytes(b'earlier')
    with pytest.raises(KeyboardInterrupt), Submission(tmp_path / 'x.zip') as submission:
        submission.add('a.png', people(1), torch.zeros(1, 24, 2, dtype=torch.float64))
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ['x.zip'] and (tmp_path / 'x.zip').read_bytes() == b'earlier'


def test_test_images_go_under_their_own_names_and_validation_images_under_the_truths(tmp_path):
    write_image(tmp_path / 'test' / 'ag_testset_a_1280x720.png')
    write_image(tmp_path / 'validation' / 'b_hdri_1280x720.png')
    write_truth(tmp_path / 'SMPL' / 'validation_0_withjv.pkl', [row('b_hdri.png', [standing(0)], vertices=1)])
    ((name, frame),) = frames_to_submit(tmp_path, 'test', 'detector')
    assert name == frame.name == 'ag_testset_a_1280x720.png' and frame.boxes is None
    ((name, frame),) = frames_to_submit(tmp_path, 'validation', 'truth')
    assert (name, frame.name) == ('b_hdri.png', 'b_hdri_1280x720.png') and frame.boxes.shape == (1, 4)
    with pytest.raises(ImagesError, match='--boxes truth: the test images have no truth'):
        frames_to_submit(tmp_path, 'test', 'truth')
