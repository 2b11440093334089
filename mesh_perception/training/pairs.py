"""Pairs for the embedded heads: what the real detector and BlazePose say of rendered people, and the truth.

So stolen limbs, swaps, truncation and the bias of depth are the networks' own. Each found person gives two samples, one
a look: the crop from the detection, and the crop from the first look's landmarks, as in a video.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mesh_perception.evaluation.matching import match_least_total, mean_distances
from mesh_perception.geometry.crops import crop
from mesh_perception.skeleton.blazepose import Landmarks
from mesh_perception.skeleton.landmark_joints import skeletons_from_landmarks
from mesh_perception.skeleton.stages import second_is_better
from mesh_perception.synthetic.labels import label
from mesh_perception.tensor_files import TensorFileError, open_safetensors, write_safetensors
from mesh_perception.types import _Batch

FORMAT = 'mesh_perception pairs 1'
NEAR = 0.25  # of the person's height in the picture: mean distance of joints within which somebody was found
_HALF = ('landmarks.features',)  # stored in half precision


@dataclass
class Truth(_Batch):
    """The truth about N people, in the camera's frame."""

    rotations: Tensor  # (N, 24, 3, 3)
    betas: Tensor  # (N, B)
    translation: Tensor  # (N, 3) m
    joints: Tensor  # (N, 24, 3) m, kinematic
    reference_joints: Tensor  # (N, 24, 3) m, P_ref: regressor x posed vertices
    twists: Tensor  # (N, 24, 2)
    joint_visible: Tensor  # (N, 24) bool
    shares: Tensor  # (N, 3) visibility, truncation, overlap
    touching: Tensor  # (N,) bool, somebody's surface is less than 2 cm away


@dataclass
class Pairs(_Batch):
    """N samples."""

    landmarks: Landmarks
    intrinsics: Tensor  # (N, 3, 3) of the whole picture
    sizes: Tensor  # (N, 2) its width and height, px
    truth: Truth
    scenes: Tensor  # (N,) int64 the scene's seed
    people: Tensor  # (N,) int64 the person's number in the scene
    looks: Tensor  # (N,) int64 0: crop from the detection, 1: from the first look


def look_twice(pipeline, picture, camera):
    """The embedded set's two looks at everybody that its detectors see: (first, second) Landmarks of N people.

    picture: uint8 (H, W, 3) RGB tensor on the pipeline's device. As the pipeline has it, a second look that slid onto
    somebody else is the first again.
    """
    stage, found = pipeline.skeleton, pipeline.detector(picture)
    first = stage.blazepose(crop(picture, camera, stage.regions(found)), camera)
    second = stage.blazepose(crop(picture, camera, first.next), camera)
    skeletons = [skeletons_from_landmarks(one, camera, stage.mapping) for one in (first, second)]
    take = second_is_better(*skeletons, found, pipeline.config.skeleton.threshold)
    return first, Landmarks.where(take, second, first)


@torch.inference_mode()
def pairs_of_scene(pipeline, renderer, scene) -> Pairs:
    """Everybody of a Scene whom the pipeline finds, two looks each; none is fine."""
    picture = renderer.render(scene)
    truth = label(scene, picture, pipeline.body)
    image = torch.from_numpy(np.ascontiguousarray(picture.rgb)).to(pipeline.device)
    looks = look_twice(pipeline, image, scene.camera)
    samples = []
    for number, landmarks in enumerate(looks):
        landmarks = landmarks.to('cpu')
        joints = skeletons_from_landmarks(landmarks, scene.camera, pipeline.skeleton.mapping.to('cpu')).image_joints
        height = (truth.boxes[:, 3] - truth.boxes[:, 1]).clamp_min(1)
        distances = mean_distances(truth.joints_2d, joints, truth.joint_visible) / height[:, None]
        match = match_least_total(distances, NEAR)
        who = (match >= 0).nonzero()[:, 0]
        kept = landmarks[match[who]]
        good = kept.scores >= pipeline.config.skeleton.threshold
        samples.append(_samples(scene, truth, who[good], kept[good], number))
    return Pairs.cat(samples)


def _samples(scene, truth, who, landmarks, look):
    n = len(who)
    size = torch.tensor([[scene.camera.width, scene.camera.height]], dtype=torch.float32)
    return Pairs(
        landmarks=landmarks,
        intrinsics=scene.camera.matrix('cpu', torch.float32).expand(n, 3, 3).clone(),
        sizes=size.expand(n, 2).clone(),
        truth=Truth(
            rotations=scene.rotations[who],
            betas=scene.betas[who],
            translation=scene.translation[who],
            joints=scene.joints[who],
            reference_joints=truth.reference_joints[who],
            twists=truth.twists[who],
            joint_visible=truth.joint_visible[who],
            shares=torch.stack((truth.visibility, truth.truncation, truth.overlap), 1)[who].float(),
            touching=scene.touching[who].any(1),
        ),
        scenes=torch.full((n,), scene.seed, dtype=torch.int64),
        people=who,
        looks=torch.full((n,), look, dtype=torch.int64),
    )


def save_pairs(path, pairs, description):
    """Writes pairs to a safetensors file; description: dict of JSON values (networks, poses, settings)."""
    tensors = pairs.tensors()
    tensors |= {name: tensors[name].half() for name in _HALF}
    write_safetensors(path, tensors, {'format': FORMAT, 'description': json.dumps(description)})


def load_pairs(paths, device='cpu') -> Pairs:
    """Pairs of a file, or of all files (*.safetensors) in a folder. Raises TensorFileError, naming the file."""
    files = sorted(Path(paths).glob('*.safetensors')) if Path(paths).is_dir() else [Path(paths)]
    if not files:
        raise TensorFileError(f'{paths}: no pairs (*.safetensors) in this folder')
    return Pairs.cat([_read(file) for file in files]).to(device)


def _read(path):
    with open_safetensors(path) as file:
        if (file.metadata() or {}).get('format') != FORMAT:
            raise TensorFileError(f'{path}: not pairs of this version, expected {FORMAT!r}')
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    try:
        return Pairs.of_tensors(tensors | {name: tensors[name].float() for name in _HALF})
    except KeyError as error:
        raise TensorFileError(f'{path}: no tensor {error} in it') from None
