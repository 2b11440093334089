"""Crops of 3DPW's people: real pictures with SMPL bodies fitted to them (von Marcard et al. 2018).

The fits are of the body of the person's gender; the body that is trained is another, so that betas are not labelled.
Rotations are taken over, as is usual. Joints hidden by other people or things count as seen: nothing tells them apart.
"""

from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from mesh_perception.body import regress_joints, rest_joints
from mesh_perception.evaluation.joint_sets import require_smpl
from mesh_perception.evaluation.threedpw.sequences import (
    DatasetError,
    find_sequences,
    picture_path,
    read_sequence,
)
from mesh_perception.evaluation.threedpw.truth import load_true_body, tracks
from mesh_perception.geometry.camera import Camera
from mesh_perception.geometry.crops import regions_from_boxes
from mesh_perception.inverse_kinematics.solver import twists_from_rotations
from mesh_perception.media import read_picture
from mesh_perception.skeleton.absolute import inside_image
from mesh_perception.training.augmentation import (
    AugmentationSettings,
    change_appearance,
    crop_people,
    draw_regions,
    draw_view,
)
from mesh_perception.training.datasets.samples import Samples, boxes_in_picture

_TRIES = 1000  # pictures in a row in which nobody is large enough


class ThreeDPWCrops(Dataset):
    """Batches of exactly `batch` people out of 3DPW's training sequences: dataset[epoch, index] -> Samples.

    data: 3DPW's folder; smpl: the folder of SMPL_MALE and SMPL_FEMALE; body: the SMPL that is trained. Raises
    ValueError in one line for another body, for what is missing and for sequences without anybody.
    """

    def __init__(
        self,
        data,
        smpl,
        body,
        batch: int,
        seed: int = 0,
        size: int = 256,
        augmentation: AugmentationSettings | None = None,
    ):
        require_smpl(body, '3DPW for training')
        self.data, self.batch, self.seed, self.size, self.num_betas = Path(data), batch, seed, size, body.num_betas
        self.augmentation = augmentation or AugmentationSettings()
        bodies = {gender: load_true_body(smpl, gender) for gender in 'mf'}
        self.sequences = [read_sequence(path, split) for split, path in find_sequences(self.data, ('train',))]
        self.tracks = [tracks(sequence, bodies) for sequence in self.sequences]
        self.frames = [
            (number, frame)
            for number, sequence in enumerate(self.sequences)
            for frame in sequence.valid.any(0).nonzero()[:, 0].tolist()
        ]
        if not self.frames:
            raise DatasetError(f'{data}: nobody with a valid camera in the training sequences')

    def __getitem__(self, key) -> Samples:
        epoch, index = key
        random = np.random.default_rng((self.seed, epoch, index, 1))
        parts, count, misses = [], 0, 0
        while count < self.batch:
            generator = torch.Generator().manual_seed(int(random.integers(1 << 62)))
            samples = self._people(*self.frames[random.integers(len(self.frames))], generator)
            misses = 0 if len(samples) else misses + 1
            if misses == _TRIES:
                raise DatasetError(f'{self.data}: nobody to learn from in {_TRIES} pictures in a row')
            samples.pictures[:] = len(parts)
            parts.append(samples[: self.batch - count])
            count += len(parts[-1])
        return Samples.cat(parts)

    def _people(self, number, frame, generator) -> Samples:
        sequence = self.sequences[number]
        image = torch.from_numpy(np.ascontiguousarray(read_picture(picture_path(self.data, sequence, frame))))
        camera = Camera(image.shape[1], image.shape[0], sequence.k, (), 'none')
        people = [
            track for track, valid in zip(self.tracks[number], sequence.valid[:, frame].tolist(), strict=True) if valid
        ]
        parts = [_truth(track, frame, self.num_betas) for track in people]
        truth, vertices = Samples.cat([part for part, _ in parts]), torch.cat([points for _, points in parts])
        truth.visible[:] = inside_image(camera.project(truth.joints), camera)
        pixels = camera.project(vertices)
        boxes, large = boxes_in_picture(torch.cat([pixels.amin(1), pixels.amax(1)], 1), camera)
        seen = large & (vertices[..., 2].amin(1) > 0.1)
        regions = draw_regions(regions_from_boxes(boxes[seen], 1.0), self.augmentation, generator)
        samples = crop_people(image, camera, regions, truth[seen], draw_view(self.augmentation, generator), self.size)
        return change_appearance(samples, self.augmentation, generator)


def _truth(track, frame, num_betas):
    """One person's labels, without a crop, and vertices."""
    posed = track.posed(frame)
    nothing = posed.joints.new_zeros(1, 0)
    samples = Samples(
        images=nothing,
        intrinsics=nothing,
        turns=nothing,
        to_picture=nothing,
        sizes=nothing,
        joints=posed.joints,
        reference_joints=regress_joints(track.body, posed.vertices),
        rotations=posed.rotations,
        betas=posed.joints.new_zeros(1, num_betas),
        twists=twists_from_rotations(rest_joints(track.body, track.betas), posed.rotations),
        visible=torch.ones(1, 24, dtype=torch.bool),
        posed=torch.ones(1, dtype=torch.bool),
        shaped=torch.zeros(1, dtype=torch.bool),
        pictures=torch.zeros(1, dtype=torch.int64),
    )
    return samples, posed.vertices
