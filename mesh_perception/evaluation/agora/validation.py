"""Runs a pipeline over AGORA's validation images, one file of truth after the other, and scores what it says."""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from mesh_perception.evaluation.agora.cameras import to_agora
from mesh_perception.evaluation.agora.images import frame_of, image_of
from mesh_perception.evaluation.agora.scoring import HIPS, Found, ImageScore, score_image
from mesh_perception.evaluation.agora.truth import read_truth
from mesh_perception.evaluation.joint_sets import COMMON_JOINTS, SMPL_TO_COMMON, SMPL_VERTICES, middle
from mesh_perception.evaluation.predictions import Frame, predict
from mesh_perception.joints import SMPL_JOINTS
from mesh_perception.types import People

_WORST = 4


@dataclass
class Measure:
    """What is compared."""

    joints: tuple[int, ...]  # of SMPL's 24
    names: tuple[str, ...]
    vertices: Tensor | slice | None  # of SMPL's 6890; None: nothing to compare

    @property
    def is_agoras(self) -> bool:
        return self.vertices is not None


def measure_for(body, vertices: Tensor | None) -> Measure:
    """AGORA's own for SMPL; for other bodies the joints that they have in common with it, about the same root.

    vertices: AGORA's choice of them, or None for all.
    """
    if len(body.v_template) == SMPL_VERTICES:
        return Measure(tuple(range(24)), SMPL_JOINTS, slice(None) if vertices is None else vertices)
    return Measure(SMPL_TO_COMMON, COMMON_JOINTS, None)


@dataclass
class Case:
    """A person who was found, but badly."""

    frame: Frame
    people: People
    found: int  # row in people
    error: float  # mm


@dataclass
class Validation:
    """All images' scores."""

    scores: list[ImageScore] = field(default_factory=list)
    detail: list[dict] = field(default_factory=list)  # one row a true person, then the image's false positives
    worst: list[Case] = field(default_factory=list)


def validate(
    pipeline, truth: list[Path], images: dict[str, Path], data, folder, boxes: str, measure: Measure
) -> Validation:
    """Predicts and scores all images of the files of truth. Raises ValueError, naming the file, for what is missing."""
    result, plans = Validation(), []
    for path in truth:  # what is missing is found before hours of work; vertices are read again, a file at a time
        true_images = read_truth(path, vertices=False)
        frames = [frame_of(image_of(images, image.name, data), image) for image in true_images]
        plans.append((path, true_images, frames))
    for path, true_images, frames in plans:
        if measure.is_agoras:
            true_images = read_truth(path, vertices=True)
        for image, (frame, people) in zip(true_images, predict(pipeline, frames, folder, boxes), strict=True):
            score = score_image(image, _found(pipeline, frame, people, measure), measure.joints, measure.vertices)
            image.vertices = None
            result.scores.append(score)
            result.detail += _rows(score)
            cases = [
                Case(frame, people, found, error)
                for found, error in zip(score.match.tolist(), score.joint_errors.mean(-1).tolist(), strict=True)
                if found >= 0
            ]
            result.worst = sorted([*result.worst, *cases], key=lambda case: -case.error)[:_WORST]
    return result


def _found(pipeline, frame, people, measure):
    vertices = torch.from_numpy(pipeline.meshes(people)) if measure.is_agoras else None
    return Found(to_agora(people.joints_2d.double(), frame.camera.width), people.joints, vertices)


def _rows(score):
    image = score.image
    distances = middle(image.joints, HIPS).norm(dim=-1)
    for person in range(len(score.match)):
        matched = bool(score.match[person] >= 0)
        outcome = 'matched' if matched else 'missed' if score.missed[person] else 'not valid'
        yield {
            'image': image.name,
            'person': person,
            'outcome': outcome,
            'kid': bool(image.kid[person]),
            'occlusion_percent': float(image.occlusion[person]),
            'distance_m': float(distances[person]),
            'mpjpe_mm': float(score.joint_errors[person].mean()),
            'mve_mm': float(score.vertex_errors[person]),
        }
    for _ in range(score.false_positives):
        yield {'image': image.name, 'outcome': 'false positive'}
