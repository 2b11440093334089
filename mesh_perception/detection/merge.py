"""One list of people from two detectors that miss different ones and sometimes see one twice."""

import torch
from torch import Tensor

from mesh_perception.geometry.boxes import areas, greedy, intersections, overlaps
from mesh_perception.types import Detections

_SEEN = 0.2  # score from which a keypoint counts
_ENOUGH = 4  # keypoints that both must show, for comparing keypoints to make sense
_DISTANCE = 0.1  # mean distance of one person's keypoints seen twice, of the smaller box's diagonal
_FITS = 0.4  # overlap from which a box may be a person's
_SAME = 0.6  # overlap from which two boxes are one person's whatever else is there
_INSIDE = 0.9  # share of a box inside a person's from which it may be a part of that person


def drop_copies(people: Detections) -> Detections:
    """Of people seen twice, keypoints at the same places, the better-scored one; best score first."""
    people = people[people.scores.argsort(descending=True, stable=True)]
    return people[greedy(_same_person(people))]


def add_missed(people: Detections, boxes: Detections, limit: int = 20) -> Detections:
    """The `people` and those of the `boxes` that are none of them, at most `limit` in all; best first.

    Each person accounts for the box that fits it best. A box beside that one is another person's, for someone may stand
    wholly in front of someone else, unless the two are nearly the same. A person whom no box fits accounts for boxes of
    its parts.
    """
    overlap = overlaps(boxes.boxes, people.boxes)
    inside = intersections(boxes.boxes, people.boxes) / areas(boxes.boxes).clamp_min(1e-9)[:, None]
    if len(boxes):
        best = overlap.amax(0)
        own = (overlap == best) & (best >= _FITS)
        known = (own | (overlap >= _SAME) | ((inside >= _INSIDE) & (best < _FITS))).any(1)
        people = Detections.cat([people, boxes[~known]])
    return people[people.scores.argsort(descending=True, stable=True)[:limit]]


def _same_person(people: Detections) -> Tensor:
    """Which pairs (N, N) bool are one person: by keypoints, or by boxes where too few keypoints are seen in both."""
    points, seen = people.keypoints[..., :2], people.keypoints[..., 2] >= _SEEN
    both = seen[:, None] & seen[None]
    distance = ((points[:, None] - points[None]).norm(dim=-1) * both).sum(-1) / both.sum(-1).clamp_min(1)
    diagonal = (people.boxes[:, 2:] - people.boxes[:, :2]).norm(dim=-1)
    near = distance <= _DISTANCE * torch.minimum(diagonal[:, None], diagonal[None])
    return torch.where(both.sum(-1) >= _ENOUGH, near, overlaps(people.boxes, people.boxes) >= _SAME)
