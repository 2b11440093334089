"""People as TF: one frame a joint, in a tree from the camera over the pelvis to hands, feet and head.

A frame sits at its joint and is turned as the body model turns it: at rest x points to the person's left, y up and z
forward, right-handed. Its parent is the nearest published ancestor, so that `lookup_transform` between two joints of
one person gives the body's own angles, and the pelvis hangs in the camera's optical frame.
"""

import torch

from mesh_perception.geometry.rotations import matrix_to_quaternion
from mesh_perception.joints import SMPL_JOINTS, SMPL_LEVELS, SMPL_PARENTS
from mesh_perception.ros.cdr import CdrWriter
from mesh_perception.tracking import State


def global_rotations(rotations):
    """Rotations relative to the parents (N, 24, 3, 3) -> relative to the camera (N, 24, 3, 3)."""
    result = rotations.clone()
    for level in SMPL_LEVELS[1:]:
        joints = list(level)
        parents = [SMPL_PARENTS[j] for j in joints]
        result[:, joints] = result[:, parents] @ rotations[:, joints]
    return result


def published_parents(joints):
    """For each of some joint indices, the position in `joints` of its nearest ancestor there; -1 for the camera."""
    parents = []
    for joint in joints:
        ancestor = SMPL_PARENTS[joint]
        while ancestor >= 0 and ancestor not in joints:
            ancestor = SMPL_PARENTS[ancestor]
        parents.append(joints.index(ancestor) if ancestor >= 0 else -1)
    return parents


def relative_transforms(people, joints):
    """Translations (N, J, 3) m and quaternions xyzw (N, J, 4) of some joints in their published parents, float64."""
    parents = published_parents(joints)
    rotations = global_rotations(people.rotations.double())[:, joints]
    positions = people.joints.double()[:, joints]
    # The camera is put at the end, where the parent -1 finds it.
    count = len(people)
    frames = torch.cat([rotations, torch.eye(3, dtype=torch.float64).expand(count, 1, 3, 3)], 1)[:, parents]
    origins = torch.cat([positions, positions.new_zeros(count, 1, 3)], 1)[:, parents]
    translations = ((positions - origins).unsqueeze(-2) @ frames).squeeze(-2)
    return translations.numpy(), matrix_to_quaternion(frames.mT @ rotations).numpy()


class PeopleTransforms:
    """The joints' frames of people."""

    def __init__(self, prefix='smpl_', joints=SMPL_JOINTS):
        """prefix: put before '<id>_<joint>'. joints: names out of SMPL_JOINTS, in any order."""
        self.prefix = prefix
        self.joints = sorted(SMPL_JOINTS.index(name) for name in joints)

    def __call__(self, people, names, camera_frame):
        """[(parent, child, translation (3,) m, quaternion xyzw (4,))] of all people, in lists of floats.

        people: People with CPU tensors. names: N strings. camera_frame: the name of the frame that they are in.
        """
        translations, quaternions = relative_transforms(people, self.joints)
        parents = published_parents(self.joints)
        result = []
        for name, offsets, turns in zip(names, translations.tolist(), quaternions.tolist(), strict=True):
            # The camera's frame comes last, where the parent -1 finds it.
            frames = [f'{self.prefix}{name}_{SMPL_JOINTS[j]}' for j in self.joints] + [camera_frame]
            result += zip([frames[parent] for parent in parents], frames[:-1], offsets, turns, strict=True)
        return result


class TransformEncoder:
    """Serialised tf2_msgs/TFMessages for a stream of images, each transform at most once for a stamp."""

    def __init__(self):
        self._last = None

    def reset(self):
        """Forgets the last stamp: time starts over, and so must the people's names."""
        self._last = None

    def encode(self, frames, stamp):
        """One image's TFMessage as bytes, or None where its stamp is not later than the last (TF takes none twice).

        frames: [(parent, child, translation, quaternion xyzw)]. stamp: the image's builtin_interfaces/Time.
        """
        stamp = (stamp.sec, stamp.nanosec)
        if self._last is not None and stamp <= self._last:
            return None
        self._last = stamp
        writer = CdrWriter()
        writer.pack('I', len(frames))
        for parent, child, offset, turn in frames:
            writer.pack('iI', *stamp)
            writer.string(parent)
            writer.string(child)
            writer.pack('7d', *offset, *turn)
        return writer.bytes()


class FrameChoice:
    """Who gets frames where there are more people than frames may be: the nearest."""

    # Who has frames keeps them against others who are hardly nearer, so that frames do not come and go.
    LOYALTY = 0.8

    def __init__(self):
        self._chosen = set()

    def reset(self):
        """Forgets who has frames."""
        self._chosen.clear()

    def __call__(self, people, limit):
        """Indices of those who get frames, of the people who are confirmed; in their order."""
        tracks = people.track_ids.tolist()
        distances = people.joints[:, 0].norm(dim=-1).tolist()
        confirmed = (people.states == State.CONFIRMED).nonzero()[:, 0].tolist()
        order = sorted(confirmed, key=lambda i: distances[i] * (self.LOYALTY if tracks[i] in self._chosen else 1))
        chosen = sorted(order[:limit])
        self._chosen = {tracks[i] for i in chosen}
        return chosen
