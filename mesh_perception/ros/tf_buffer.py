"""What TF said lately: transforms between any two frames of its tree, at the time of an image.

A small buffer of our own, since tf2_ros has no wheel; robots and machines without ROS run the same code. As in tf2:
dynamic transforms are kept for ten seconds and interpolated (linearly, rotations along the great circle), static ones
hold at any time.
"""

import math
import threading
from bisect import bisect_left
from dataclasses import dataclass, field

import numpy as np

from mesh_perception.ros.stamps import nanoseconds

# ns
KEPT = 10 * 10**9
# A robot's tree is a few dozen frames deep at most; this ends loops.
DEPTH = 200


class TransformError(ValueError):
    """No transform; the text names both frames and what is missing."""


@dataclass
class _Edge:
    parent: str
    static: bool
    stamps: list = field(default_factory=list)  # ns, rising
    values: list = field(default_factory=list)  # (7,) translation, quaternion xyzw


class TransformBuffer:
    """Filled from one thread, asked from another."""

    def __init__(self):
        self._edges = {}  # child -> _Edge
        self._lock = threading.Lock()

    def insert(self, transforms, static=False):
        """Takes geometry_msgs/TransformStamped messages; those that are no transform (NaN, zero quaternion) are not."""
        with self._lock:
            for message in transforms:
                offset, turn = message.transform.translation, message.transform.rotation
                value = np.array((offset.x, offset.y, offset.z, turn.x, turn.y, turn.z, turn.w))
                length = np.linalg.norm(value[3:])
                child, parent = message.child_frame_id, message.header.frame_id
                if not np.isfinite(value).all() or length < 1e-6 or not child or not parent or child == parent:
                    continue
                value[3:] /= length
                stamp = nanoseconds(message.header.stamp)
                self._insert(child, parent, static, stamp, value)

    def clear(self):
        """Forgets all but the static transforms: time started over."""
        with self._lock:
            self._edges = {child: edge for child, edge in self._edges.items() if edge.static}

    def lookup(self, target, source, stamp, tolerance=0):
        """Rotation (3, 3) and translation (3,), float64, from frame `source` to frame `target`, and when.

        stamp: ns. tolerance: ns by which TF may be older than the stamp: its newest is then taken as it is. The third
        value is the time (ns) that the transform is of. Raises TransformError.
        """
        with self._lock:
            up, down = self._path(target, source)
            moving = [edge for edge in up + down if not edge.static]
            newest = min((edge.stamps[-1] for edge in moving), default=stamp)
            oldest = max((edge.stamps[0] for edge in moving), default=stamp)
            names = f'TF from {source!r} to {target!r}'
            if stamp > newest + tolerance:
                raise TransformError(f'{names} ends {1e-9 * (stamp - newest):.3f} s before the image')
            if stamp < oldest:
                raise TransformError(f'{names} begins {1e-9 * (oldest - stamp):.3f} s after the image')
            stamp = min(stamp, newest)
            rotation, translation = np.eye(3), np.zeros(3)
            for edge in up:  # from the source to the common ancestor
                turn, offset = _at(edge, stamp)
                rotation, translation = turn @ rotation, turn @ translation + offset
            for edge in reversed(down):  # and down to the target
                turn, offset = _at(edge, stamp)
                rotation, translation = turn.T @ rotation, turn.T @ (translation - offset)
            return rotation, translation, stamp

    def _insert(self, child, parent, static, stamp, value):
        edge = self._edges.get(child)
        if edge is None or edge.parent != parent or static or edge.static:
            edge = self._edges[child] = _Edge(parent, static)
        elif stamp < edge.stamps[-1] - KEPT:  # a bag that starts over, a simulation that was reset
            edge.stamps.clear()
            edge.values.clear()
        place = bisect_left(edge.stamps, stamp)
        if place < len(edge.stamps) and edge.stamps[place] == stamp:
            edge.values[place] = value
            return
        edge.stamps.insert(place, stamp)
        edge.values.insert(place, value)
        gone = bisect_left(edge.stamps, edge.stamps[-1] - KEPT)
        del edge.stamps[:gone], edge.values[:gone]

    def _path(self, target, source):
        """Edges from the source up to the nearest common ancestor, and from the target up to it."""
        ups = self._ancestry(source)
        downs = self._ancestry(target)
        common = next((frame for frame in ups if frame in downs), None)
        if common is None:
            known = [f'{frame!r} is unknown to it' for frame in (source, target) if not self._known(frame)]
            raise TransformError(
                f'no TF from {source!r} to {target!r}: {" and ".join(known) or "they are in trees of their own"}'
            )
        return _before(ups, common), _before(downs, common)

    def _ancestry(self, frame):
        """{frame: its edge upwards}, from a frame up to its root, in order; the root has None."""
        result = {}
        while frame not in result and len(result) < DEPTH:
            edge = result[frame] = self._edges.get(frame)
            if edge is None:
                break
            frame = edge.parent
        return result

    def _known(self, frame):
        return frame in self._edges or any(edge.parent == frame for edge in self._edges.values())


def _before(ancestry, common):
    frames = list(ancestry)
    return [ancestry[frame] for frame in frames[: frames.index(common)]]


def _at(edge, stamp):
    """Rotation and translation of a child in its parent at a time within what is known."""
    after = bisect_left(edge.stamps, stamp)
    if edge.static or edge.stamps[min(after, len(edge.stamps) - 1)] == stamp:
        value = edge.values[0 if edge.static else after]
    else:
        before, later = edge.values[after - 1], edge.values[after]
        share = (stamp - edge.stamps[after - 1]) / (edge.stamps[after] - edge.stamps[after - 1])
        turn = _slerp(before[3:], later[3:], share)
        value = np.concatenate(((1 - share) * before[:3] + share * later[:3], turn))
    return _matrix(value[3:]), value[:3]


def _slerp(first, second, share):
    cosine = float(first @ second)
    if cosine < 0:  # the same rotation, the short way round
        second, cosine = -second, -cosine
    angle = math.acos(min(cosine, 1.0))
    if angle < 1e-6:
        turn = (1 - share) * first + share * second
    else:
        turn = math.sin((1 - share) * angle) * first + math.sin(share * angle) * second
    return turn / np.linalg.norm(turn)


def _matrix(quaternion):
    x, y, z, w = quaternion
    return np.array(
        (
            (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
            (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
            (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
        )
    )
