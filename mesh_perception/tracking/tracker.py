"""Ids that last, the next crop from the last look, and when to ask the detectors again.

Bookkeeping for at most a few dozen people on the CPU; everything heavy stays with the stages. Each person's root (in
metres) and box (in pixels) run through a Kalman filter with constant velocity; where people should be by now says where
to look, which of two copies of a person has slid, and who of those that were lost somebody new may be.
"""

import math
from dataclasses import replace

import torch

from mesh_perception.geometry.limbs import limb_distance
from mesh_perception.tracking import association, kalman, noise
from mesh_perception.tracking.timeline import Timeline
from mesh_perception.tracking.tracks import Candidates, State, Tracks, first_tracks, no_detections, no_tracks


class Tracker:
    """Follows people through a video; one per camera."""

    MATCH = 0.15  # keypoint distance over the box's diagonal within which a detection is a followed person
    RETURN = 0.5  # the same, from where it is predicted, within which somebody new is one that was lost
    SLID = 0.3  # the same, within which a detection is a followed person whose crop has slid off
    # Squared Mahalanobis distances, of root and box, beyond which what is seen is not whom the prediction is about:
    STRAY = 16.0  # where a crop alone says so
    GATE = 36.0  # where a detector saw somebody
    UNCONFIRMED = 3  # detections in a row without a followed person until it is given up
    SEARCH_EVERY = 3  # frames between detections while somebody is missed or not yet sure to be a person
    DETECTED = 2  # detections of a person until it is confirmed
    STALE = 0.5  # s without an image after which where to look is anybody's guess
    PAUSE = 3.0  # s without an image after which nobody is known any more
    LEAST_CERTAINTY = 0.06  # of a body that is in the image: less is nobody to follow

    def __init__(self, config, threshold):
        """config: TrackingConfig; threshold: score under which a crop holds no person."""
        self.config = config
        self.threshold = threshold
        self.next_id = 1
        self.time = Timeline()
        self.reset()

    def reset(self):
        """Forgets everybody; ids and the tracker's own time go on."""
        self.following, self.lost = no_tracks(), no_tracks()
        self.since_detection = None
        self.time = Timeline(self.time.now)
        self.size = (math.inf, math.inf)

    def start(self, stamp, size=(math.inf, math.inf)):
        """Begins a frame: everybody moves on as predicted. stamp: s; size: the image's width and height, px.

        A clock that jumps back (a bag that starts again) forgets everybody; see Timeline for stamps that are no time.
        """
        if self.time.jumps_back(stamp):
            self.reset()
        step = self.time.advance(stamp)
        self.size = size
        if step > self.PAUSE:
            self.following = no_tracks()
        self.lost = self.lost[self.time.now - self.lost.seen <= self.config.remember]
        if step:
            self.following, self.lost = self.following.ahead(step), self.lost.ahead(step)
            # Who left is expected back at the border, not at the end of a walk that nobody saw.
            self.lost = Tracks.where(self._in_view(self.lost), self.lost, self.lost.resting())

    def wants_detection(self):
        """Whether the detectors should look at this frame."""
        if self.since_detection is None or len(self.following) == 0 or self.time.step > self.STALE:
            return True
        # While somebody is missed, look more often, but not so often that the others suffer.
        searching = bool(self._in_view(self.lost).any()) or bool((~self.following.confirmed).any())
        every = min(self.config.detect_every, self.SEARCH_EVERY) if searching else self.config.detect_every
        return self.since_detection + 1 >= every

    def _in_view(self, tracks):
        """Which Tracks (T,) are predicted to have their middle in the image: those that left it are not looked for."""
        x, y = tracks.box.place[:, :2].unbind(-1)
        width, height = self.size
        return (x > 0) & (x < width) & (y > 0) & (y < height)

    def propose(self, detections, regions_of, follows_boxes=False):
        """Where to look: everybody followed and, where detections (CPU) are given, people that are new. -> Candidates

        regions_of: function from Detections to Regions, for new people, and with `follows_boxes` for everybody who was
        detected again.
        """
        followed = Candidates(
            self.following.next.clone(), no_detections(len(self.following)), torch.arange(len(self.following))
        )
        if detections is None:
            self.since_detection = (self.since_detection or 0) + 1
            return followed
        self.since_detection = 0
        cost = association.keypoint_distance(self.following.joints, self.following.boxes, detections)
        cost = cost / self._reach(self.following)[:, None]
        match = association.assign(cost, self.MATCH)
        slid = self._slid(cost, match)
        match = torch.where(slid >= 0, slid, match)
        has = match >= 0
        self.following.unconfirmed = torch.where(has, 0, self.following.unconfirmed + 1)
        self.following.detected = self.following.detected + has
        for name in ('boxes', 'scores', 'keypoints'):
            getattr(followed.detections, name)[has] = getattr(detections, name)[match[has]]
        there = has if follows_boxes or self.time.step > self.STALE else slid >= 0
        boxes = regions_of(followed.detections[there])
        for name in ('centers', 'sizes', 'rolls'):
            getattr(followed.regions, name)[there] = getattr(boxes, name)
        new = torch.ones(len(detections), dtype=torch.bool)
        new[match[has]] = False
        new = detections[new][: self.config.max_people - len(self.following)]
        return Candidates.cat(
            [followed, Candidates(regions_of(new), new, torch.full((len(new),), -1, dtype=torch.int64))]
        )

    def _slid(self, cost, match):
        """The detections (T,), -1 for none, at which to look for people whose crops have slid off them: those whom no
        detector sees where they were followed to (`match` -1), while one sees somebody unknown beside it."""
        free = cost.new_zeros(cost.shape)
        free[match >= 0] = torch.inf
        free[:, match[match >= 0]] = torch.inf
        return association.assign(cost + free, self.SLID)

    def _reach(self, tracks):
        """By which factor Tracks (T,) may be farther than usual from where they are predicted: more after a while."""
        size = association.diagonal(tracks.boxes).double()
        variance = tracks.box.covariance[:, :2, :2].diagonal(dim1=-2, dim2=-1).mean(-1)
        spread = (variance - (noise.BOX_CENTER * size).square()).clamp_min(0).sqrt()
        return (1 + spread / (self.MATCH * size)).clamp_max(self.RETURN / self.MATCH).float()

    def valid(self, candidates, seen):
        """Which candidates (N,) hold a person, each person once. seen: their Observations."""
        others = torch.stack((seen.scores, seen.certainty, seen.next.sizes, seen.next.rolls), 1)
        numbers = torch.cat((seen.joints.flatten(1), seen.boxes, seen.roots, seen.next.centers, others), 1)
        good = (seen.scores >= self.threshold) & (seen.certainty >= self.LEAST_CERTAINTY)
        good &= torch.isfinite(numbers).all(1)
        followed = candidates.tracks >= 0
        row = candidates.tracks.clamp_min(0)
        if len(self.following):
            good &= ~followed | (self.following.unconfirmed[row] < self.UNCONFIRMED)
            # Of two copies the one that jumped goes: it has slid onto its neighbour.
            moved = (seen.joints - self.following.joints[row]).norm(dim=-1).mean(-1)
            moved = moved / association.diagonal(self.following.boxes[row])
            check = followed & good
            gate = torch.where(candidates.detections.scores[check] > 0, self.GATE, self.STRAY)
            good[check] = self._surprise(self.following[row[check]], seen[check]) < gate
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
        """Ends a frame: takes over what was seen. -> (ids (K,), states (K,) uint8, velocities (K, 3) m/s of the root)
        of the K valid candidates. A velocity is NaN of those who are tentative or were never seen before."""
        row = candidates.tracks[valid]
        seen = seen[valid]
        known = row >= 0
        gone = torch.ones(len(self.following), dtype=torch.bool)
        gone[row[known]] = False
        self.lost = Tracks.cat([self.lost, self.following[gone]])

        detected = (candidates.detections.scores[valid] > 0).long()
        new = first_tracks(seen, detected, self.time.now)
        before = new.clone()
        if known.any():
            before = Tracks.where(known, self.following[row.clamp_min(0)], before)
        before, fresh = self._recognise(before, seen)
        self.following = Tracks.where(fresh, replace(new, ids=before.ids), self._corrected(before, new, seen))
        velocity = self.following.root.velocity.float()
        told = self.following.confirmed & self.following.timed
        states = torch.where(self.following.confirmed, State.CONFIRMED, State.TENTATIVE).to(torch.uint8)
        return self.following.ids, states, velocity.where(told[:, None], torch.nan)

    def _recognise(self, before, seen):
        """`before` (K) with those lost people in it whom the unknown ones (ids -1) among those seen turn out to be."""
        unknown = (before.ids < 0).nonzero().flatten()
        if len(unknown) and len(self.lost):
            match = association.assign(self._apart(self.lost, seen[unknown]), 1e3)
            back = match >= 0
            row = torch.full((len(before),), -1, dtype=torch.int64)  # of the lost, for each of those seen
            row[unknown[match[back]]] = back.nonzero().flatten()
            found = row >= 0
            before = Tracks.where(found, self.lost[row.clamp_min(0)], before)
            before.unconfirmed = before.unconfirmed * ~found
            self.lost = self.lost[~back]
        fresh = before.ids < 0
        before.ids = torch.where(fresh, self.next_id - 1 + fresh.cumsum(0), before.ids)
        self.next_id += int(fresh.sum())
        return before, fresh

    def _apart(self, tracks, seen):
        """How far (T, N) N people seen are from where T people should be, in the diagonal of the box; joints count, so
        that of two places equally near the one with the same pose wins. Infinite where it cannot be them."""
        apart = (tracks.joints[:, None] - seen.joints[None]).norm(dim=-1).mean(-1)
        apart = apart / association.diagonal(seen.boxes)
        near = apart < self.RETURN * self._reach(tracks)[:, None]
        return apart.where(near & (self._surprise(tracks[:, None], seen) < self.GATE), torch.inf)

    def _surprise(self, tracks, seen):
        """How unlikely people seen are for Tracks, by where these should be now: the larger of two squared Mahalanobis
        distances (...), of root and box; leading dimensions broadcast."""
        root = kalman.surprise(tracks.root, seen.roots, noise.root_noise(seen.roots, seen.certainty))
        box = kalman.surprise(tracks.box, noise.box_state(seen.boxes), noise.box_noise(seen.boxes))
        return torch.maximum(root, box)

    def _corrected(self, before, new, seen):
        """Tracks as predicted (`before`), with what was just seen of the same people (`new`, as Tracks) taken in."""
        step = self.time.now - before.seen
        return replace(
            new,
            ids=before.ids,
            root=kalman.correct(before.root, new.root.place, noise.root_noise(seen.roots, seen.certainty, step)),
            box=kalman.correct(before.box, new.box.place, noise.box_noise(seen.boxes)),
            frames=before.frames + 1,
            detected=before.detected,
            unconfirmed=before.unconfirmed,
            confirmed=before.confirmed | self._sure(before.frames + 1, before.detected),
            timed=before.timed | self.time.measured,
        )

    def _sure(self, frames, detected):
        return (frames >= self.config.confirm_frames) & (detected >= self.DETECTED)
