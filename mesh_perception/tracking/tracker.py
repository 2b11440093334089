"""Ids that last, the next crop from the last look, and when to ask the detectors again.

Bookkeeping for at most a few dozen people on the CPU; everything heavy stays with the stages.
"""

from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor

from mesh_perception.geometry.limbs import limb_distance
from mesh_perception.tracking import association
from mesh_perception.types import Detections, Regions, _Batch


class State(IntEnum):
    """A track's state; the values are those of SmplPerson.msg."""

    TENTATIVE = 0
    CONFIRMED = 1


@dataclass
class Tracks(_Batch):
    """What is remembered of T people."""

    ids: Tensor  # (T,) int64
    joints: Tensor  # (T, 24, 2) px when last seen
    boxes: Tensor  # (T, 4) px
    roots: Tensor  # (T, 3) m, camera frame
    next: Regions  # where to look for them
    frames: Tensor  # (T,) int64, frames in which they were seen
    unconfirmed: Tensor  # (T,) int64, detections in a row that did not see them
    seen: Tensor  # (T,) float64, stamp when last seen, s


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
    next: Regions


def _no_detections(n):
    return Detections(torch.zeros(n, 4), torch.zeros(n), torch.zeros(n, 17, 3))


def _no_tracks():
    return Tracks(
        torch.zeros(0, dtype=torch.int64),
        torch.zeros(0, 24, 2),
        torch.zeros(0, 4),
        torch.zeros(0, 3),
        Regions(torch.zeros(0, 2), torch.zeros(0), torch.zeros(0)),
        torch.zeros(0, dtype=torch.int64),
        torch.zeros(0, dtype=torch.int64),
        torch.zeros(0, dtype=torch.float64),
    )


class Tracker:
    """Follows people through a video; one per camera."""

    MATCH = 0.15  # keypoint distance over the box's diagonal within which a detection is a followed person
    RETURN = 0.5  # the same, within which a new person is one that was lost
    RETURN_METRES = 1.0  # and how far such a person may have gone
    UNCONFIRMED = 3  # detections in a row without a followed person until it is given up

    def __init__(self, config, threshold):
        """config: TrackingConfig; threshold: score under which a crop holds no person."""
        self.config = config
        self.threshold = threshold
        self.reset()

    def reset(self):
        """Forgets everybody; ids go on."""
        self.following, self.lost = _no_tracks(), _no_tracks()
        self.next_id = getattr(self, 'next_id', 1)
        self.since_detection = None
        self.stamp = None

    def start(self, stamp):
        """Begins a frame; a clock that jumps back (a bag that starts again) forgets everybody."""
        if self.stamp is not None and stamp < self.stamp:
            self.reset()
        self.stamp = stamp

    def wants_detection(self):
        """Whether the detectors should look at this frame."""
        if self.since_detection is None or len(self.following) == 0:
            return True
        # While somebody is missed, look more often, but not so often that the others suffer.
        every = min(self.config.detect_every, 3) if len(self.lost) else self.config.detect_every
        return self.since_detection + 1 >= every

    def propose(self, detections, regions_of, follows_boxes=False):
        """Where to look: everybody followed and, where detections (CPU) are given, people that are new. -> Candidates

        regions_of: function from Detections to Regions, for new people, and with `follows_boxes` for everybody who was
        detected again.
        """
        followed = Candidates(
            self.following.next.clone(), _no_detections(len(self.following)), torch.arange(len(self.following))
        )
        if detections is None:
            self.since_detection = (self.since_detection or 0) + 1
            return followed
        self.since_detection = 0
        cost = association.keypoint_distance(self.following.joints, self.following.boxes, detections)
        match = association.assign(cost, self.MATCH)
        self.following.unconfirmed = torch.where(match >= 0, 0, self.following.unconfirmed + 1)
        has = match >= 0
        for name in ('boxes', 'scores', 'keypoints'):
            getattr(followed.detections, name)[has] = getattr(detections, name)[match[has]]
        if follows_boxes:
            boxes = regions_of(followed.detections[has])
            for name in ('centers', 'sizes', 'rolls'):
                getattr(followed.regions, name)[has] = getattr(boxes, name)
        new = torch.ones(len(detections), dtype=torch.bool)
        new[match[has]] = False
        new = detections[new][: self.config.max_people - len(self.following)]
        return Candidates.cat(
            [followed, Candidates(regions_of(new), new, torch.full((len(new),), -1, dtype=torch.int64))]
        )

    def valid(self, candidates, seen):
        """Which candidates (N,) hold a person, each person once. seen: their Observations."""
        others = torch.stack((seen.scores, seen.next.sizes, seen.next.rolls), 1)
        numbers = torch.cat((seen.joints.flatten(1), seen.boxes, seen.roots, seen.next.centers, others), 1)
        good = (seen.scores >= self.threshold) & torch.isfinite(numbers).all(1)
        followed = candidates.tracks >= 0
        row = candidates.tracks.clamp_min(0)
        if len(self.following):
            good &= ~followed | (self.following.unconfirmed[row] < self.UNCONFIRMED)
            # Of two copies the one that jumped goes: it has slid onto its neighbour.
            moved = (seen.joints - self.following.joints[row]).norm(dim=-1).mean(-1)
            moved = moved / association.diagonal(self.following.boxes[row])
        else:
            moved = torch.zeros(len(candidates))
        # A new person that the detector's keypoints do not confirm has slid onto a neighbour as well.
        off, _ = limb_distance(seen.joints, candidates.detections.keypoints)
        good &= followed | (off < 0.15 * association.diagonal(candidates.detections.boxes))
        priority = torch.where(followed, moved, 1e3 - seen.scores) + 1e6 * ~good
        return good & ~association.duplicates(seen.joints, seen.boxes, priority)

    def lost_somebody(self, candidates, valid):
        """Whether a followed person is gone: a reason to detect at once."""
        return bool(((candidates.tracks >= 0) & ~valid).any())

    def update(self, candidates, valid, seen):
        """Ends a frame: takes over what was seen. -> (ids (K,), states (K,) uint8) of the K valid candidates."""
        row = candidates.tracks[valid]
        old = row >= 0
        safe = row.clamp_min(0)
        n = len(row)
        ids = torch.where(old, self.following.ids[safe], -1) if len(self.following) else torch.full((n,), -1)
        frames = torch.where(old, self.following.frames[safe], 0) if len(self.following) else torch.zeros_like(ids)
        unconfirmed = torch.where(old, self.following.unconfirmed[safe], 0) if len(self.following) else frames.clone()
        current = Tracks(
            ids,
            seen.joints[valid],
            seen.boxes[valid],
            seen.roots[valid],
            seen.next[valid],
            frames + 1,
            unconfirmed,
            torch.full((n,), self.stamp, dtype=torch.float64),
        )
        gone = torch.ones(len(self.following), dtype=torch.bool)
        gone[row[old]] = False
        lost = Tracks.cat([self.lost, self.following[gone]])
        lost = lost[self.stamp - lost.seen <= self.config.remember]
        self.following, self.lost = self._name(current, lost)
        states = torch.where(self.following.frames >= self.config.confirm_frames, State.CONFIRMED, State.TENTATIVE)
        return self.following.ids, states.to(torch.uint8)

    def _name(self, current, lost):
        """Gives the unnamed an id: that of a lost person near enough in the image and in the room, else a new one."""
        unnamed = (current.ids < 0).nonzero().flatten()
        if len(unnamed) == 0:
            return current, lost
        new = current[unnamed]
        apart = (new.joints[:, None] - lost.joints[None]).norm(dim=-1).mean(-1)
        apart = apart / association.diagonal(new.boxes)[:, None]
        metres = (new.roots[:, None] - lost.roots[None]).norm(dim=-1)
        cost = torch.where(metres < self.RETURN_METRES, apart, 10.0)
        match = association.assign(cost, self.RETURN)
        back = match >= 0
        current.ids[unnamed[back]] = lost.ids[match[back]]
        current.frames[unnamed[back]] += lost.frames[match[back]]
        fresh = unnamed[~back]
        current.ids[fresh] = torch.arange(self.next_id, self.next_id + len(fresh))
        self.next_id += len(fresh)
        still = torch.ones(len(lost), dtype=torch.bool)
        still[match[back]] = False
        return current, lost[still]
