"""Runs a pipeline over sequences of MuPoTS-3D, finds out who is who, and measures as the benchmark's own code does.

mpii_mupots_multiperson_eval.m: people are matched by their joints in the picture, also where the true boxes are given;
each true person's universal skeleton is compared with the prediction whose bones are made as long, both with the pelvis
at the origin; PCK_abs leaves the pelvis where it is. Whoever was missed has all joints wrong ('all'), or is left out
('matched'). Predictions too many cost nothing. A sequence's figure is over its people and joints; the benchmark's is
the mean over the sequences.
"""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from mesh_perception.evaluation.alignment import rescale_bones
from mesh_perception.evaluation.matching import match_most_joints
from mesh_perception.evaluation.metrics import auc, mean, pck, position_errors_mm
from mesh_perception.evaluation.mupots.joints import COUNTED, MATCHED, PARENTS, ROOT, Mapping
from mesh_perception.evaluation.mupots.sequences import TrueFrame, picture_path
from mesh_perception.evaluation.predictions import Frame, predict
from mesh_perception.evaluation.threedpw.scoring import true_boxes
from mesh_perception.geometry.camera import Camera
from mesh_perception.media import read_picture
from mesh_perception.types import People

CORRECT = 150.0  # mm
WORST = 6
FIGURES = ('pck', 'auc', 'pck_abs', 'pck_visible', 'pck_hidden')  # percent


@dataclass
class Look:
    """One image to measure."""

    sequence: int
    truth: TrueFrame
    frame: Frame


@dataclass
class Case:
    """A person who was found, but badly."""

    look: Look
    person: int  # row of the truth
    people: People
    error: float  # mm


@dataclass
class Scores:
    """What came out, over true people in their order."""

    sequences: list[int] = field(default_factory=list)  # each person's
    matched: list[bool] = field(default_factory=list)
    errors: list[Tensor] = field(default_factory=list)  # (14,) mm about the pelvis, infinite for the missed
    absolute_errors: list[Tensor] = field(default_factory=list)  # (14,) mm where they are
    hidden: list[Tensor] = field(default_factory=list)  # (14,) bool
    detail: list[dict] = field(default_factory=list)
    worst: list[Case] = field(default_factory=list)  # the worst first


def looks(data: Path, number: int, frames: list[TrueFrame], camera: Camera) -> list[Look]:
    """The images of a sequence, with boxes around its people's joints."""
    found = []
    for truth in frames:
        path = picture_path(data, number, truth.index)
        boxes = true_boxes(truth.joints_2d).float()
        frame = Frame(f'TS{number}/{path.stem}', partial(read_picture, path), camera, boxes)
        found.append(Look(number, truth, frame))
    return found


def frame_errors(truth: TrueFrame, joints: Tensor, joints_2d: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """One image's T true people against P predicted ones: joints (P, 17, 3) m in the camera's frame, (P, 17, 2) px.

    -> the match (T,) int64, -1 for the missed; errors (T, 14) mm about the pelvis, and where they are. Infinite for the
    missed.
    """
    match = match_most_joints(truth.joints_2d[:, MATCHED], joints_2d.double()[:, MATCHED])
    predicted = torch.full_like(truth.universal, torch.nan)
    found = match >= 0
    predicted[found] = rescale_bones(joints[match[found]].double(), truth.universal[found], PARENTS)
    compared = predicted[:, COUNTED], truth.universal[:, COUNTED]
    about_pelvis = position_errors_mm(*compared, predicted[:, ROOT], truth.universal[:, ROOT])
    return match, about_pelvis, position_errors_mm(*compared)


def score(pipeline, all_looks: list[Look], mapping: Mapping, folder, boxes: str) -> Scores:
    """Predicts and measures everybody in every image. folder, boxes: as `predict` takes them."""
    scores = Scores()
    frames = predict(pipeline, [look.frame for look in all_looks], folder, boxes)
    for look, (frame, people) in zip(all_looks, frames, strict=True):
        vertices = torch.from_numpy(pipeline.meshes(people))
        joints = mapping.take(people.joints, vertices)
        _add(scores, look, people, *frame_errors(look.truth, joints, frame.camera.project(joints)))
    return scores


def _add(scores, look, people, match, errors, absolute_errors):
    truth = look.truth
    hidden = truth.hidden[:, COUNTED]
    shares, absolute_shares = (100 * pck(each, CORRECT) for each in (errors, absolute_errors))
    for row, person in enumerate(truth.persons):
        found = bool(match[row] >= 0)
        error = float(errors[row].nanmean())
        scores.detail.append(
            {
                'sequence': look.sequence,
                'frame': truth.index,
                'person': person,
                'matched': found,
                'distance_m': round(float(truth.joints[row, ROOT].norm()), 3),
                'hidden_joints': int(hidden[row].sum()),
                'pck': round(float(shares[row]), 3),
                'pck_abs': round(float(absolute_shares[row]), 3),
                **({'error_mm': round(error, 3)} if found else {}),
            }
        )
        if found:
            scores.worst.append(Case(look, row, people, error))
    scores.worst = sorted(scores.worst, key=lambda case: -case.error)[:WORST]
    scores.sequences += [look.sequence] * len(match)
    scores.matched += (match >= 0).tolist()
    scores.errors += errors
    scores.absolute_errors += absolute_errors
    scores.hidden += hidden


def figures(scores: Scores, matched_only: bool) -> dict[str, dict[int, float]]:
    """Each of FIGURES by sequence, percent; NaN where nobody counts."""
    sequences, matched = torch.tensor(scores.sequences), torch.tensor(scores.matched)
    errors, absolute, hidden = (torch.stack(each) for each in (scores.errors, scores.absolute_errors, scores.hidden))
    result = {name: {} for name in FIGURES}
    for number in sorted(set(scores.sequences)):
        rows = (sequences == number) & (matched | (not matched_only))
        near, far, unseen = (each[rows].flatten() for each in (errors, absolute, hidden))
        values = (
            pck(near, CORRECT),
            auc(near),
            pck(far, CORRECT),
            pck(near, CORRECT, ~unseen),
            pck(near, CORRECT, unseen),
        )
        for name, value in zip(FIGURES, values, strict=True):
            result[name][number] = 100 * float(value)
    return result


def average(by_sequence: dict[int, float]) -> float:
    """The mean over sequences that have a figure."""
    return float(mean(torch.tensor(list(by_sequence.values()), dtype=torch.float64)))
