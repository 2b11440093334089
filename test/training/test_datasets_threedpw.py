"""3DPW's training sequences as crops, from files in the true formats."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent.parent / 'evaluation' / 'threedpw'))

from dataset import sequence_content, write_sequence, write_smpl

from mesh_perception.body import load_body, rest_joints, skin
from mesh_perception.evaluation.threedpw.sequences import DatasetError
from mesh_perception.inverse_kinematics.solver import twists_from_rotations
from mesh_perception.synthetic.poses import prior_poses
from mesh_perception.training.augmentation import NONE
from mesh_perception.training.datasets.loading import Together
from mesh_perception.training.datasets.threedpw import ThreeDPWCrops
from mesh_perception.training.paper import PaperTask, Settings
from mesh_perception.training.settings import TrainingConfig


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    """3DPW with a training sequence of two people, one of whom has no valid camera in the second picture, and SMPL."""
    root = tmp_path_factory.mktemp('3dpw')
    content = sequence_content(people=2, frames=2)
    content['campose_valid'][1][1] = 0
    ramp = np.stack(np.broadcast_arrays(*np.ogrid[0:480, 0:640], 90), -1) * (0.5, 0.375, 1)
    write_sequence(root / 'data', content, 'train', 'courtyard_00', ramp.astype(np.uint8))
    return root / 'data', write_smpl(root / 'smpl')


@pytest.fixture(scope='module')
def smpl(folders):
    return load_body(folders[1] / 'SMPL_NEUTRAL.pkl')


def test_people_are_where_the_dataset_says(folders, smpl):
    dataset = ThreeDPWCrops(*folders, smpl, 12, size=64, augmentation=NONE)
    samples = dataset[0, 0]
    content = sequence_content(people=2, frames=2)
    truth = torch.from_numpy(np.stack(content['jointPositions'])[:, 0]).view(2, 24, 3).float()
    who = (samples.joints[:, None] - truth).square().sum((2, 3)).argmin(1)
    assert len(samples) == 12 and set(who.tolist()) == {0, 1}
    assert (samples.joints - truth[who]).abs().max() < 0.03  # the fixture's bodies are not the open one
    assert samples.posed.all() and not samples.shaped.any() and not samples.betas.any()
    assert samples.joints[..., 2].min() > 3 and samples.visible.all()
    for number in range(12):  # the gradient of the picture says where each pixel comes from
        column, row = samples.pixels(samples.joints)[number, 0].round().long().tolist()
        place = samples.joints[number, 0, :2] / samples.joints[number, 0, 2] * 500 + torch.tensor([320.0, 240.0])
        seen = samples.images[number, :2, row, column].float()
        assert (seen.flip(0) / torch.tensor([0.375, 0.5]) - place).abs().max() < 12


def test_labels_belong_together_in_every_view(folders, smpl):
    samples = ThreeDPWCrops(*folders, smpl, 8, size=64)[3, 1]
    for gender in ('MALE', 'FEMALE'):
        body = load_body(folders[1] / f'SMPL_{gender}.pkl')
        meshes = skin(body, samples.rotations, samples.betas, torch.zeros(8, 3))
        joints = meshes.joints - meshes.joints[:, :1]
        fits = (joints - (samples.joints - samples.joints[:, :1])).abs().amax((1, 2)) < 0.02
        twists = twists_from_rotations(rest_joints(body, samples.betas), samples.rotations)
        assert fits.any() and (twists - samples.twists)[fits].abs().max() < 0.02
    again = ThreeDPWCrops(*folders, smpl, 8, size=64)[3, 1]
    assert torch.equal(samples.images, again.images)


def test_a_batch_can_be_half_real(folders, smpl):
    settings = Settings(
        depth=18,
        hidden=16,
        width=16,
        blocks=1,
        discriminator=16,
        size=64,
        workers=0,
        threedpw=str(folders[0]),
        smpl=str(folders[1]),
    )
    task = PaperTask(TrainingConfig(batch_size=6, settings=settings), smpl, prior_poses(), 'cpu')
    assert task.data[-1] == '3DPW'

    class Half:
        def __init__(self, first):
            self.first = first

        def __getitem__(self, key):
            return ThreeDPWCrops(*folders, smpl, 3, seed=self.first, size=64)[key]

    batch = Together(Half(1), Half(2))[0, 0]
    assert len(batch) == 6 and batch.pictures[3:].min() > batch.pictures[:3].max()
    terms, _ = task.losses(batch, 10_000)
    assert all(value.isfinite() for value in terms.values())
    assert terms['shape'] == terms['refined_shape'] == 0 < terms['refined_pose']


def test_what_is_missing_is_said_in_one_line(folders, smpl, tmp_path):
    with pytest.raises(ValueError, match='3DPW for training'):
        ThreeDPWCrops(*folders, load_body('open'), 2)
    with pytest.raises(DatasetError, match=str(tmp_path)):
        ThreeDPWCrops(tmp_path, folders[1], smpl, 2)
    with pytest.raises(DatasetError, match='no SMPL body of gender m'):
        ThreeDPWCrops(folders[0], tmp_path, smpl, 2)
