"""What the tracker knows of people, what it proposes, and what it is told."""

from dataclasses import dataclass, replace
from enum import IntEnum

import torch
from torch import Tensor

from mesh_perception.tracking import kalman, noise
from mesh_perception.tracking.kalman import Motion
from mesh_perception.types import Detections, Regions, _Batch

LEAST_SHIFT = 0.03  # of a crop's side, by which it is moved on


class State(IntEnum):
    """A track's state; the values are those of SmplPerson.msg. Who is lost is predicted, but not told of."""

    TENTATIVE = 0  # one detection alone says so: it may be no person
    CONFIRMED = 1


@dataclass
class Tracks(_Batch):
    """What is known of T people. Between two looks, where they are is predicted."""

    ids: Tensor  # (T,) int64
    joints: Tensor  # (T, 24, 2) px of the last look, moved on with the box
    boxes: Tensor  # (T, 4) px, likewise
    next: Regions  # where to look for them, likewise
    root: Motion  # m, camera frame
    box: Motion  # of noise.box_state
    frames: Tensor  # (T,) int64, frames in which they were seen
    detected: Tensor  # (T,) int64, how often a detector saw them
    unconfirmed: Tensor  # (T,) int64, detections in a row that did not see them
    confirmed: Tensor  # (T,) bool
    timed: Tensor  # (T,) bool, whether time was measured between two looks at them
    seen: Tensor  # (T,) float64, when last seen, s of the tracker's own time

    def ahead(self, step):
        """The same people `step` seconds later, as predicted."""
        shift = (step * self.box.velocity[:, :2]).float()
        # A crop that trembles with the velocity makes landmarks tremble: at a high rate the last look's will do.
        far = shift.norm(dim=-1) > LEAST_SHIFT * self.next.sizes
        return replace(
            self,
            joints=self.joints + shift[:, None],
            boxes=self.boxes + shift.repeat(1, 2),
            next=replace(self.next, centers=self.next.centers + shift * far[:, None]),
            root=kalman.predict(self.root, step, noise.root_intensity(self.root.place)),
            box=kalman.predict(self.box, step, noise.box_intensity(self.boxes)),
        )

    def resting(self):
        """The same people, with no velocity."""
        return replace(self, root=self.root.resting(), box=self.box.resting())


@dataclass
class Candidates(_Batch):
    """Where to look in this frame: the followed people first, then the new ones."""

    regions: Regions
    detections: Detections  # what the detector saw there; scores 0 where nothing
    tracks: Tensor  # (N,) int64, row of the followed person, -1 for a new one


@dataclass
class Observations(_Batch):
    """What was seen where the tracker proposed to look, N candidates, on the CPU."""

    joints: Tensor  # (N, 24, 2) px
    scores: Tensor  # (N,) in [0, 1]
    boxes: Tensor  # (N, 4) px
    roots: Tensor  # (N, 3) m
    certainty: Tensor  # (N,) in [0, 1], the share of the body that was seen in the image
    next: Regions


def no_detections(count):
    """Detections of `count` people whom no detector saw."""
    return Detections(torch.zeros(count, 4), torch.zeros(count), torch.zeros(count, 17, 3))


def first_tracks(seen, detected, now):
    """Tracks of N people seen for the first time: their Observations, whether a detector saw them (N,) int64, and when.

    Ids are -1.
    """
    none = torch.zeros(len(seen), dtype=torch.int64)
    box = noise.box_state(seen.boxes)
    return Tracks(
        ids=none - 1,
        joints=seen.joints,
        boxes=seen.boxes,
        next=seen.next,
        root=kalman.start(seen.roots, noise.root_noise(seen.roots, seen.certainty), noise.root_speed(seen.roots)),
        box=kalman.start(box, noise.box_noise(seen.boxes), noise.box_speed(seen.boxes)),
        frames=none + 1,
        detected=detected,
        unconfirmed=none,
        confirmed=none.bool(),
        timed=none.bool(),
        seen=torch.full((len(seen),), now, dtype=torch.float64),
    )


def no_tracks():
    """Tracks of nobody."""
    seen = Observations(
        joints=torch.zeros(0, 24, 2),
        scores=torch.zeros(0),
        boxes=torch.zeros(0, 4),
        roots=torch.zeros(0, 3),
        certainty=torch.zeros(0),
        next=Regions(torch.zeros(0, 2), torch.zeros(0), torch.zeros(0)),
    )
    return first_tracks(seen, torch.zeros(0, dtype=torch.int64), 0.0)
