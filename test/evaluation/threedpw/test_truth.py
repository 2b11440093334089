"""True meshes in the camera are the world's meshes seen from it; SMPL files are found by the names they come with."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mesh_perception.body import BodyFileError, load_body, skin
from mesh_perception.evaluation.threedpw.sequences import DatasetError, read_sequence
from mesh_perception.evaluation.threedpw.truth import load_true_body, tracks
from mesh_perception.geometry.rotations import axis_angle_to_matrix, project_to_rotation

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2] / 'body')]
from dataset import hand_body, sequence_content, write_sequence
from smpl_files import body_arrays, write_pickle


def test_a_mesh_in_the_camera_is_the_worlds_mesh_moved_by_the_cameras_pose(tmp_path):
    rng = np.random.default_rng(0)
    bodies = {
        gender: load_body(write_pickle(tmp_path / f'{gender}.pkl', body_arrays(seed=seed)), dtype=torch.float64)
        for seed, gender in enumerate('mf')
    }
    content = sequence_content(people=2, frames=3, betas=300)
    for key in ('poses', 'trans', 'betas'):
        content[key] = [rng.normal(size=values.shape) for values in content[key]]
    content['cam_poses'][:, :3, :3] = project_to_rotation(torch.from_numpy(rng.normal(size=(3, 3, 3)))).numpy()
    content['cam_poses'][:, :3, 3] = rng.normal(size=(3, 3)) * 5
    sequence = read_sequence(write_sequence(tmp_path, content), 'test')
    for person, track in enumerate(tracks(sequence, bodies)):
        rotations = axis_angle_to_matrix(sequence.poses[person])
        betas = sequence.betas[person].expand(3, 10)
        world = skin(bodies['mf'[person]], rotations, betas, sequence.trans[person])
        for frame in range(3):
            camera = content['cam_poses'][frame]
            posed = track.posed(frame)
            for ours, theirs in ((posed.vertices, world.vertices), (posed.joints, world.joints)):
                expected = theirs[frame].numpy() @ camera[:3, :3].T + camera[:3, 3]
                np.testing.assert_allclose(ours[0].numpy(), expected, atol=1e-9)


def test_one_neutral_body_serves_all_genders(tmp_path):
    bodies = {'neutral': load_body(write_pickle(tmp_path / 'n.pkl', body_arrays()))}
    sequence = read_sequence(write_sequence(tmp_path, sequence_content(people=2)), 'test')
    assert [track.body for track in tracks(sequence, bodies)] == [bodies['neutral']] * 2


@pytest.mark.parametrize(
    'name, gender',
    [('SMPL_MALE.pkl', 'm'), ('basicModel_f_lbs_10_207_0_v1.0.0.pkl', 'f'), ('SMPL_NEUTRAL.pkl', 'neutral')],
)
def test_smpl_files_are_found_by_the_names_they_come_with(tmp_path, name, gender):
    write_pickle(tmp_path / name, hand_body())
    assert len(load_true_body(tmp_path, gender).v_template) == 6890


def test_a_missing_or_other_body_is_named(tmp_path):
    with pytest.raises(DatasetError, match=rf'^{tmp_path}: no SMPL body of gender f; expected SMPL_FEMALE.pkl or .npz'):
        load_true_body(tmp_path, 'f')
    write_pickle(tmp_path / 'SMPL_FEMALE.pkl', body_arrays())
    with pytest.raises(ValueError, match=rf"^{tmp_path}/SMPL_FEMALE.pkl: needs SMPL's 6890 vertices.* has 40"):
        load_true_body(tmp_path, 'f')
    (tmp_path / 'SMPL_FEMALE.pkl').write_bytes(b'nothing')
    with pytest.raises(BodyFileError, match=rf'^{tmp_path}/SMPL_FEMALE.pkl: not a readable pickle'):
        load_true_body(tmp_path, 'f')
