"""Where the error comes from: what is left of it when one part of the chain is given the reference's answer.

Every line is the mean over the same people and frames. A part's share is the difference between two lines, of which
one has the part and the other the reference in its place; shares do not add up, since errors of parts also cancel.
"""

from dataclasses import dataclass

import torch

from mesh_perception.evaluation.alignment import rescale_bones
from mesh_perception.evaluation.multiview.figures import compare, means
from mesh_perception.evaluation.multiview.joints import (
    PARENTS,
    confidences,
    keypoints,
    mid_hip,
    plain_joints,
    with_root,
)
from mesh_perception.skeleton.absolute import on_rays, place


@dataclass(frozen=True)
class Line:
    """One substitution: its name, the line it is compared with (None: nothing), and what the difference says."""

    name: str
    against: str | None
    says: str


FINAL = 'body'
GIVEN = 'skeleton'
_PLAIN = f'{FINAL}: its plain joints'
_BONES = f"{FINAL} with the reference's bone lengths"
_ROOT = f"{FINAL} with the reference's root"
_EXACT_2D = f"{GIVEN} with the reference's 2D"
_EXACT_3D = f"{GIVEN} with the reference's relative 3D"
_NETWORK = f'{GIVEN} before 2D is enforced'
_RAW = f'{FINAL} before smoothing'
LINES = (
    Line(FINAL, None, 'all parts together: what the benchmark reports'),
    Line(_PLAIN, FINAL, "joint definition: what comparing the body's joints with others' keypoints would add"),
    Line(_BONES, FINAL, 'shape: lengths of limbs and trunk, and the depth that follows from them'),
    Line(_ROOT, FINAL, 'place: only the absolute error can change'),
    Line(GIVEN, FINAL, 'inverse kinematics, the body and smoothing: what they add (the change is minus that)'),
    Line(_EXACT_2D, GIVEN, '2D: exact image points, still with the relative 3D of our network'),
    Line(_EXACT_3D, GIVEN, 'landmark network: exact relative 3D, still with our image points'),
    Line(_NETWORK, GIVEN, "landmark network: its relative 3D as it says it, not drawn onto the 2D points' rays"),
    Line(_RAW, FINAL, 'smoothing over time: what it adds to the error (the change is minus that), and jitter without'),
)


def budget(pairs) -> list[dict]:
    """Pairs -> one dict a Line: 'line' and the means `figures.means` of the people as that line has them."""
    of = {line.name: [] for line in LINES}
    for pair in pairs:
        for name, points in substitutions(pair).items():
            of[name].append(compare(points, pair.truth, pair.counts, pair.track_ids))
    return [{'line': line} | means(of[line.name]) for line in LINES]


def substitutions(pair) -> dict:
    """{name of a Line: keypoints (T, 12, 3) m}, NaN where the person was not found."""
    truth = pair.truth
    ours, skeleton, network = (keypoints(joints) for joints in (pair.joints, pair.skeleton, pair.relative))
    image, confidence = keypoints(pair.image_joints), confidences(pair.confidence)
    exact = pair.camera.project(truth)
    lengths = _with_lengths_of(ours, truth)
    return {
        FINAL: ours,
        _PLAIN: plain_joints(pair.joints),
        _BONES: _placed(lengths, image, confidence, pair.camera, drawn=False),
        _ROOT: ours - mid_hip(ours)[:, None] + mid_hip(truth)[:, None],
        GIVEN: skeleton,
        _EXACT_2D: _placed(network, exact, confidence, pair.camera),
        _EXACT_3D: _placed(truth, image, confidence, pair.camera),
        _NETWORK: _placed(network, image, confidence, pair.camera, drawn=False),
        _RAW: keypoints(pair.unsmoothed),
    }


def _with_lengths_of(points, truth):
    """Points (T, 12, 3) in their own directions, with the lengths that the truth (T, 12, 3) has in the median frame."""
    ours, true = with_root(points), with_root(truth)
    lengths = (true - true[:, [max(parent, 0) for parent in PARENTS]]).norm(dim=-1).nanmedian(0).values
    straight = torch.zeros_like(ours)
    for joint in sorted(range(1, len(PARENTS)), key=_depth):
        straight[:, joint, 0] = straight[:, PARENTS[joint], 0] + lengths[joint]
    return rescale_bones(ours, straight, PARENTS)[:, 1:].float()


def _depth(joint):
    return 1 + _depth(PARENTS[joint]) if PARENTS[joint] >= 0 else 0


def _placed(relative, image, confidence, camera, drawn=True):
    """Relative keypoints (T, 12, 3) where image points (T, 12, 2) px say, as the pipeline places its 24 joints.

    `drawn`: seen ones drawn onto their rays. What is not finite has no say.
    """
    known = (relative.isfinite().all(-1) & image.isfinite().all(-1) & confidence.isfinite())[..., None]
    relative = relative - mid_hip(relative.where(known, torch.nan))[:, None]
    known = known & relative.isfinite()
    filled = relative.where(known, 0)
    root, rays, weights = place(filled, image.where(known[..., :1], 0), confidence.where(known[..., 0], 0), camera)
    joints = filled + root[:, None]
    return (on_rays(joints, rays, weights) if drawn else joints).where(known, torch.nan)
