"""People as TF: one frame a joint, in a tree from the camera over the pelvis to hands, feet and head.

A frame sits at its joint and is turned as the body model turns it: at rest x points to the person's left, y up and z
forward, right-handed. Its parent is the nearest published ancestor, so that `lookup_transform` between two joints of
one person gives the body's own angles, and the pelvis hangs in the camera's optical frame.
"""

import torch

from mesh_perception.geometry.rotations import matrix_to_quaternion
from mesh_perception.joints import SMPL_JOINTS, SMPL_LEVELS, SMPL_PARENTS
from mesh_perception.ros.cdr import CdrWriter


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
    """Serialised tf2_msgs/TFMessages for a stream of images, each transform at most once for a stamp."""

    def __init__(self, prefix='smpl_', joints=SMPL_JOINTS):
        """prefix: put before '<id>_<joint>'. joints: names out of SMPL_JOINTS, in any order."""
        self.prefix = prefix
        self.joints = sorted(SMPL_JOINTS.index(name) for name in joints)
        self._last = None

    def reset(self):
        """Forgets the last stamp: time starts over, and so must the people's names."""
        self._last = None

    def encode(self, people, names, header):
        """One image's TFMessage as bytes, or None where its stamp is not later than the last (TF takes none twice).

        people: People with CPU tensors. names: N strings. header: the image's std_msgs/Header.
        """
        stamp = (header.stamp.sec, header.stamp.nanosec)
        if self._last is not None and stamp <= self._last:
            return None
        self._last = stamp
        translations, quaternions = relative_transforms(people, self.joints)
        parents = published_parents(self.joints)
        writer = CdrWriter()
        writer.pack('I', len(people) * len(self.joints))
        for name, offsets, turns in zip(names, translations.tolist(), quaternions.tolist(), strict=True):
            # The camera's frame comes last, where the parent -1 finds it.
            frames = [f'{self.prefix}{name}_{SMPL_JOINTS[j]}' for j in self.joints] + [header.frame_id]
            for parent, frame, offset, turn in zip(parents, frames[:-1], offsets, turns, strict=True):
                writer.pack('iI', *stamp)
                writer.string(frames[parent])
                writer.string(frame)
                writer.pack('7d', *offset, *turn)  # translation, rotation xyzw
        return writer.bytes()
