"""Runs a pipeline over sequences of 3DPW, finds out who is who, and scores them by a protocol."""

from dataclasses import dataclass, field, fields
from functools import partial
from heapq import heappush, heappushpop
from pathlib import Path

import torch
from torch import Tensor

from mesh_perception.body import BodyModel, skin
from mesh_perception.evaluation.matching import match_least_total, mean_distances
from mesh_perception.evaluation.predictions import Frame, predict
from mesh_perception.evaluation.threedpw.errors import joint_errors, person_errors
from mesh_perception.evaluation.threedpw.protocols import Posed, Protocol, with_keypoints
from mesh_perception.evaluation.threedpw.sequences import Sequence, picture_path, read_camera
from mesh_perception.evaluation.threedpw.subsets import frames_in_subset
from mesh_perception.evaluation.threedpw.truth import Track, tracks
from mesh_perception.joints import SMPL_LIMBS
from mesh_perception.media import read_picture
from mesh_perception.types import People

BOX_MARGIN = 0.1  # of the longer side, added on each: SPIN's 1.2
SAME_PERSON = 0.5  # of the true box's longer side: the largest mean distance of the limbs' joints in the picture
WORST = 6


@dataclass
class Look:
    """One frame to score: the K people with boxes, and which of them the protocol counts."""

    sequence: Sequence
    index: int
    frame: Frame
    persons: Tensor  # (K,) of the sequence
    counted: Tensor  # (K,) bool
    joints: Tensor  # (K, 24, 3) m, the dataset's kinematic joints in the camera's frame
    joints_2d: Tensor  # (K, 24, 2) px


@dataclass
class Case:
    """A person found, to be looked at."""

    error: float
    look: Look
    person: int  # place among the look's
    people: People

    def __lt__(self, other):
        return self.error < other.error


@dataclass
class Scores:
    """What came out, over counted people in their order."""

    detail: list[dict] = field(default_factory=list)  # one a person and frame
    joint_errors: list[Tensor] = field(default_factory=list)  # (J,) mm of each who was found
    worst: list[Case] = field(default_factory=list)  # a heap


def looks(data: Path, sequence: Sequence, protocol: Protocol, subset: str | None) -> list[Look]:
    """The frames of a sequence in which somebody counts."""
    present = with_keypoints(sequence)
    counted = protocol.counts(sequence) & frames_in_subset(subset, sequence)
    frames = counted.any(0).nonzero()[:, 0].tolist()
    if not frames:
        return []
    camera = read_camera(data, sequence, frames[0])
    joints = sequence.in_camera(sequence.joints)
    found = []
    for index in frames:
        persons = present[:, index].nonzero()[:, 0]
        path = picture_path(data, sequence, index)
        joints_2d = camera.project(joints[persons, index])
        boxes = true_boxes(joints_2d).float()
        frame = Frame(f'{sequence.name}/{path.stem}', partial(read_picture, path), camera, boxes)
        found.append(Look(sequence, index, frame, persons, counted[persons, index], joints[persons, index], joints_2d))
    return found


def true_boxes(joints_2d: Tensor) -> Tensor:
    """Boxes (K, 4) px around projected true joints (K, 24, 2), as the paper's Sec. 4 takes them from true skeletons."""
    low, high = joints_2d.amin(1), joints_2d.amax(1)
    margin = BOX_MARGIN * (high - low).amax(1, keepdim=True)
    return torch.cat((low - margin, high + margin), 1)


def match(look: Look, people: People) -> Tensor:
    """The row of the prediction of each person with a box (K,) int64, -1 where there is none.

    By the limbs' joints in the picture, with the least total distance, relative to the size of the true person. People
    who do not count take part: their predictions are theirs.
    """
    distances = mean_distances(look.joints_2d[:, SMPL_LIMBS], people.joints_2d[:, SMPL_LIMBS].double())
    sizes = (look.frame.boxes[:, 2:] - look.frame.boxes[:, :2]).amax(1).double()
    return match_least_total(distances / sizes[:, None], SAME_PERSON)


def score(pipeline, all_looks: list[Look], protocol: Protocol, bodies, regressor, folder, boxes: str) -> Scores:
    """Predicts and scores every counted person of every frame. bodies: gender -> BodyModel of the truth.

    regressor: J_regressor_h36m (17, 6890) where the protocol regresses. folder, boxes: as `predict` takes them.
    """
    body = pipeline.body.to('cpu')
    scores, sequence, true_people = Scores(), None, []
    frames = predict(pipeline, [look.frame for look in all_looks], folder, boxes)
    for look, (_, people) in zip(all_looks, frames, strict=True):
        if look.sequence is not sequence:
            sequence = look.sequence
            true_people = tracks(sequence, bodies) if protocol.bodies else []
        rows = torch.arange(len(look.persons)) if boxes == 'truth' else match(look, people)
        found = (look.counted & (rows >= 0)).nonzero()[:, 0]
        errors, distances = {}, torch.empty(0)
        if len(found):
            truth = protocol.take(_true(look, found, true_people), regressor)
            predicted = protocol.take(_predicted(body, people[rows[found]], protocol), regressor)
            errors, distances = person_errors(predicted, truth), joint_errors(predicted, truth)
        scores.joint_errors += distances
        _add(scores, look, people, found.tolist(), errors)
    return scores


def _predicted(body: BodyModel, people: People, protocol: Protocol) -> Posed:
    if not protocol.bodies:
        return Posed(people.joints)
    meshes = skin(body, people.rotations, people.betas, people.translation)
    return Posed(meshes.joints, meshes.vertices, people.rotations, people.translation)


def _true(look: Look, found: Tensor, true_people: list[Track]) -> Posed:
    if not true_people:
        return Posed(look.joints[found].float())
    parts = [true_people[person].posed(look.index) for person in look.persons[found].tolist()]
    return Posed(*(torch.cat([getattr(part, f.name) for part in parts]) for f in fields(Posed)))


def _add(scores, look, people, found, errors):
    """Adds a frame's counted people to the scores; `errors` are of the `found` ones."""
    for place in look.counted.nonzero()[:, 0].tolist():
        person = int(look.persons[place])
        keypoints = look.sequence.keypoints[person, look.index]
        entry = {
            'split': look.sequence.split,
            'sequence': look.sequence.name,
            'frame': look.index,
            'person': person,
            'distance_m': round(float(look.joints[place, 0].norm()), 3),
            'keypoints_seen': int((keypoints[:, 2] > 0).sum()),
            'found': place in found,
        }
        if place in found:
            number = found.index(place)
            entry |= {name: round(float(values[number]), 3) for name, values in errors.items()}
            case = Case(entry['mpjpe_mm'], look, place, people)
            if len(scores.worst) < WORST:
                heappush(scores.worst, case)
            else:
                heappushpop(scores.worst, case)
        scores.detail.append(entry)
