"""Steady people: rotations, shape and place of each track, filtered over its images, and joints that fit them.

- Rotations run through a One-Euro filter on the manifold. A whole body that turns about within an image or two has its
  left and right exchanged: its pose is held for HOLD seconds, and taken as it is where it stays so.
- One person has one shape: betas are their mean over the track, weighted with how much of the body was seen.
- The root goes nearer or farther as the steady shape is smaller or larger than the image's own, so that the body still
  fits the image, and runs through the Kalman filter of the tracker: constant velocity, errors long along the ray.

What it costs in time (test/tracking/test_smoothing.py measures it): rotations that turn at 2 rad/s are 16 to 21 ms late
(60 to 10 Hz); of a sudden turn by 0.5 rad half is shown with the next image and 90 % within 67 ms. A root that moves at
constant speed is not late; who stops from 1 m/s is shown 1 cm too far across the ray and 10 cm along it, for half a
second. A new velocity is known to 90 % after 0.1 s across and 0.55 s along.
"""

from dataclasses import dataclass, replace
from math import cos

import torch
from torch import Tensor

from mesh_perception.body import rest_joints, skin_joints
from mesh_perception.geometry.absolute import NEAREST
from mesh_perception.geometry.boxes import around
from mesh_perception.joints import SMPL_PARENTS
from mesh_perception.tracking import kalman, noise, one_euro
from mesh_perception.tracking.kalman import Motion
from mesh_perception.tracking.one_euro import OneEuro, Turning
from mesh_perception.types import People, _Batch

# On the demo footage more smoothing costs more in accuracy than it gains in steadiness.
ROTATIONS = OneEuro(cutoff=4.0, slope=1.5, speed_cutoff=1.0)
TURN_ABOUT = 1.2  # rad, of the whole body at once; people turned by 0.4 at most from one image to the next
HOLD = 0.1  # s


@dataclass
class Steady(_Batch):
    """What is remembered of N people."""

    ids: Tensor  # (N,) int64
    turning: Turning  # (N, 24)
    held: Tensor  # (N,) float64 s for which the pose has been held
    betas: Tensor  # (N, B) mean
    weight: Tensor  # (N,) of the mean
    root: Motion  # m, camera frame
    at: Tensor  # (N,) float64 s, when last seen


class Smoother:
    """Smooths the people of one camera; on the CPU, batched over people."""

    def __init__(self, body, remember):
        """body: BodyModel on the CPU; remember: s for which somebody who is not seen is remembered."""
        self.body = body
        self.remember = remember
        self.reset()

    def reset(self):
        """Forgets everybody."""
        self.known, self.now = None, 0.0

    def __call__(self, people, seen, camera, now) -> People:
        """People (N) and the Observations (N) that they were made of, at `now` (s, never before the last) -> People.

        Somebody seen for the first time is left as is.
        """
        first = _first(people, seen, now)
        before, again = self._before(first, now)
        step = (now - before.at).clamp_min(1e-3)
        turning, held = _turned(before, people.rotations, step)
        weight = before.weight + seen.certainty
        betas = torch.lerp(before.betas, people.betas, (seen.certainty / weight.clamp_min(1e-6))[:, None])

        # Finding the place anew by the steady joints would fail where these are late: depth hangs on little.
        larger = self._size(betas) / self._size(people.betas)
        measured = (people.joints[:, 0] * larger[:, None]).double()
        root = kalman.correct(before.root, measured, noise.root_noise(measured, seen.certainty, step))

        steady = Steady.where(again, Steady(first.ids, turning, held, betas, weight, root, first.at), first)
        self._remember(steady, now)
        resting = skin_joints(self.body, turning.rotations, betas, torch.zeros_like(people.translation))
        at = steady.root.place.where(steady.root.place[:, 2:] > NEAREST, measured).float()
        joints = resting + (at - resting[:, 0])[:, None]
        joints_2d = camera.project(joints)
        smoothed = replace(
            people,
            boxes=around(torch.cat((joints_2d, seen.joints), 1)),
            rotations=turning.rotations,
            betas=betas,
            translation=at - resting[:, 0],
            joints=joints,
            joints_2d=joints_2d,
            velocity=steady.root.velocity.float().where(people.velocity.isfinite(), torch.nan),
        )
        return People.where(again, smoothed, people)

    def _size(self, betas):
        """Sum of all bones' lengths (N,) m."""
        rest = rest_joints(self.body, betas)
        return (rest[:, 1:] - rest[:, SMPL_PARENTS[1:]]).norm(dim=-1).sum(-1)

    def _before(self, first, now):
        """What was known of people until `now` -> (Steady (N), which of them were known (N,) bool); the others as they
        are seen first."""
        if self.known is not None:
            self.known = self.known[now - self.known.at <= self.remember]
        if self.known is None or not len(self.known):
            return first, torch.zeros(len(first), dtype=torch.bool)
        root = kalman.predict(self.known.root, now - self.now, noise.root_intensity(self.known.root.place))
        self.known, self.now = replace(self.known, root=root), now
        same = first.ids[:, None] == self.known.ids[None]
        again = same.any(1)
        if not again.any():
            return first, again
        return Steady.where(again, self.known[same.long().argmax(1)], first), again

    def _remember(self, steady, now):
        """Takes over what is known of those seen now, and keeps those missed for a while."""
        if self.known is not None:
            missed = (self.known.ids[:, None] != steady.ids[None]).all(1)
            steady = Steady.cat([steady, self.known[missed]])
        self.known, self.now = steady, now


def _first(people, seen, now):
    """Steady of N people as they are seen for the first time."""
    roots = people.joints[:, 0]
    return Steady(
        ids=people.track_ids,
        turning=one_euro.start(people.rotations),
        held=torch.zeros(len(people), dtype=torch.float64),
        betas=people.betas,
        weight=seen.certainty,
        root=kalman.start(roots, noise.root_noise(roots, seen.certainty), noise.root_speed(roots)),
        at=torch.full((len(people),), now, dtype=torch.float64),
    )


def _turned(before, rotations, step):
    """Filtered rotations of N people, as Turning, and for how long each pose has been held (N,) s."""
    trace = (before.turning.rotations[:, 0] * rotations[:, 0]).sum((-2, -1))  # of the turn between: 1 + 2 cos
    about, held = trace < 1 + 2 * cos(TURN_ABOUT), before.held + step
    hold = about & (held < HOLD)
    turning = one_euro.smooth(before.turning, rotations, step, ROTATIONS)
    # Neither way is a step between the two poses shown: nobody is in a pose between left and right.
    turning = Turning.where(about, Turning.where(hold, before.turning, one_euro.start(rotations)), turning)
    return turning, held.where(hold, 0)
