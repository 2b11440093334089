"""Who was found in an AGORA image and how wrong they are, and what the benchmark makes of all images.

From agora_evaluation/matching.py, calculate_v2v_error.py and compute_average_error.py: errors of 24 joints, and of the
vertices that its body_verts_smpl.npy lists, each person moved to have the middle of the two hip joints at the origin
(not the pelvis joint). Who is valid by isValid and was not matched is missed, also where occlusion alone forbids a
match. Predictions without a match are false positives, also those on people who are not valid. Precision, recall and F1
are rounded to 0.01 and errors to 0.1 mm before errors are divided by F1. A kid's F1 counts everybody's false positives.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from mesh_perception.evaluation.agora.truth import TrueImage
from mesh_perception.evaluation.joint_sets import middle
from mesh_perception.evaluation.matching import match_agora
from mesh_perception.evaluation.metrics import mean, mean_over_points, normalized_error_mm, position_errors_mm
from mesh_perception.joints import SMPL_JOINTS

HIPS = (SMPL_JOINTS.index('left_hip'), SMPL_JOINTS.index('right_hip'))


@dataclass
class Found:
    """What was predicted for one image: P people."""

    joints_2d: Tensor  # (P, 24, 2) px of 3840 x 2160
    joints: Tensor  # (P, 24, 3) m, camera frame
    vertices: Tensor | None  # (P, 6890, 3) m


@dataclass
class ImageScore:
    """One image's T true people and its false positives."""

    image: TrueImage  # without vertices: all images' would take a gigabyte
    match: Tensor  # (T,) int64: whose prediction is whose, -1 for none
    missed: Tensor  # (T,) bool
    false_positives: int
    joint_errors: Tensor  # (T, J) mm of the compared joints, NaN where unmatched
    vertex_errors: Tensor  # (T,) mm: means over the compared vertices


def score_image(truth: TrueImage, found: Found, joints=range(24), vertices=slice(None)) -> ImageScore:
    """Matches one image's people and measures them.

    joints: which of the 24 are compared; vertices: which of the 6890 are (an index), if both sides have them.
    """
    result = match_agora(truth.joints_2d, found.joints_2d, truth.matchable)
    matched = result.match >= 0
    true, predicted = matched.nonzero()[:, 0], result.match[matched]
    roots = [middle(j, HIPS) for j in (found.joints[predicted], truth.joints[true])]
    compared = [j[:, list(joints)] for j in (found.joints[predicted], truth.joints[true])]
    joint_errors = torch.full((len(matched), len(joints)), torch.nan, dtype=torch.float64)
    joint_errors[true] = position_errors_mm(*compared, *roots)
    vertex_errors = torch.full((len(matched),), torch.nan, dtype=torch.float64)
    if found.vertices is not None and truth.vertices is not None:
        compared = found.vertices[predicted][:, vertices], truth.vertices[true][:, vertices]
        vertex_errors[true] = mean_over_points(position_errors_mm(*compared, *roots))
    missed, extra = truth.counted & ~matched, int(result.false_positives.sum())
    return ImageScore(replace(truth, vertices=None), result.match, missed, extra, joint_errors, vertex_errors)


@dataclass(frozen=True)
class Figures:
    """AGORA's figures, rounded as it rounds them; NaN where nobody counts."""

    people: int
    matched: int
    missed: int
    false_positives: int
    precision: float
    recall: float
    f1: float
    nmve: float  # mm, as are the following
    nmje: float
    mve: float
    mpjpe: float


def figures(scores: list[ImageScore], kids_only=False) -> Figures:
    """The figures of a benchmark's images, of everybody or of kids alone."""
    chosen = [score.image.counted & score.image.kid if kids_only else score.image.counted for score in scores]
    people = sum(int(who.sum()) for who in chosen)
    missed = sum(int((score.missed & who).sum()) for score, who in zip(scores, chosen, strict=True))
    false_positives = sum(score.false_positives for score in scores)
    matched = people - missed
    precision, recall, f1 = (
        round(matched / total, 2) if people and total else np.nan
        for total in (matched + false_positives, people, matched + 0.5 * (false_positives + missed))
    )
    errors = []
    for name in ('vertex_errors', 'joint_errors'):
        values = [getattr(score, name)[who] for score, who in zip(scores, chosen, strict=True)]  # NaN: missed
        values = torch.cat([v.mean(-1) if v.dim() > 1 else v for v in values]) if values else torch.zeros(0)
        errors.append(_tenths(mean(values)))
    normalized = [_tenths(normalized_error_mm(error, f1)) for error in errors]
    return Figures(people, matched, missed, false_positives, precision, recall, f1, *normalized, *errors)


def _tenths(value):
    return float(np.round(float(value), 1))  # numpy's rounding, which is not Python's
