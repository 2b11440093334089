"""What each of 3DPW's protocols compares: which people count, which of their points, from which root.

The same points are taken from a true and from a predicted body:

- spin: SPIN's (Kolotouros et al. 2019) and most tables', the paper's Table 1 among them. 14 joints regressed from the
  vertices by J_regressor_h36m.npy, about the pelvis that it regresses, too. Truth is SMPL of the person's gender.
  Everybody counts in frames with a valid camera (SPIN cuts around 2D keypoints: without any, nobody does).
- romp: VIBE's (Kocabas et al. 2020), whose data ROMP (Sun et al. 2021) is measured on. The same 14 joints, about the
  middle of the hips; vertices about SMPL's own origin. Truth is the neutral SMPL whatever the gender. Only people with
  7 of the 12 limb keypoints seen count.
- challenge: the 3DPW challenge's of 2020. SMPL's 24 kinematic joints about joint 0, and rotations. All splits.
- common: the only one that needs no SMPL files, and nobody's table. The 12 joints of the limbs, about the middle of the
  hips, against the dataset's own joints. Bodies differ in where inside a limb a joint lies: centimetres of the figure.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mesh_perception.evaluation.joint_sets import (
    COMMON_HIPS,
    COMMON_JOINTS,
    H36M_PELVIS,
    H36M_TO_LSP,
    LSP_14,
    LSP_HIPS,
    common_joints,
    middle,
)
from mesh_perception.evaluation.threedpw.sequences import Sequence
from mesh_perception.joints import SMPL_JOINTS, SMPL_PARENTS

ORIENTED_JOINTS = (0, 1, 2, 4, 5, 16, 17, 18, 19)  # of the challenge's MPJAE
_LIMB_KEYPOINTS = (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13)  # OpenPose's 18: shoulders to wrists, hips to ankles
_VIBE_SEEN, _VIBE_KEYPOINTS = 0.3, 7


@dataclass
class Posed:
    """N bodies as a protocol sees them; what only meshes have is None for the common joints."""

    joints: Tensor  # (N, 24, 3) kinematic
    vertices: Tensor | None = None  # (N, V, 3)
    rotations: Tensor | None = None  # (N, 24, 3, 3) relative to the parent
    translation: Tensor | None = None  # (N, 3)


@dataclass
class Points:
    """What is compared of N bodies."""

    joints: Tensor  # (N, J, 3)
    roots: Tensor  # (N, 3) of the joints
    vertices: Tensor | None = None  # (N, V, 3)
    vertex_roots: Tensor | None = None  # (N, 3)
    turns: Tensor | None = None  # (N, 9, 3, 3) of ORIENTED_JOINTS in the camera's frame


@dataclass(frozen=True)
class Protocol:
    """A protocol, without the user's regressor."""

    name: str
    title: str
    joints: tuple  # their names
    take: Callable[[Posed, Tensor | None], Points]  # points of bodies, given J_regressor_h36m (17, 6890)
    counts: Callable[[Sequence], Tensor]  # who counts, (P, N) bool
    splits: tuple = ('test',)
    bodies: tuple = ('m', 'f')  # SMPL files of the truth
    regressed: bool = False  # needs J_regressor_h36m.npy
    published: bool = True  # a protocol of the field


def with_keypoints(sequence: Sequence) -> Tensor:
    """Who has a valid camera and any 2D keypoint, (P, N) bool."""
    return sequence.valid & (sequence.keypoints != 0).flatten(2).any(-1)


def _with_limbs(sequence):
    seen = sequence.keypoints[:, :, _LIMB_KEYPOINTS, 2] > _VIBE_SEEN
    return sequence.valid & (seen.sum(-1) >= _VIBE_KEYPOINTS)


def _about_regressed_pelvis(posed, regressor):
    regressed = regressor @ posed.vertices
    pelvis = regressed[:, H36M_PELVIS]
    return Points(regressed[:, H36M_TO_LSP], pelvis, posed.vertices, pelvis)


def _about_middle_of_hips(posed, regressor):
    joints = (regressor @ posed.vertices)[:, H36M_TO_LSP]
    return Points(joints, middle(joints, LSP_HIPS), posed.vertices, posed.translation)


def _about_kinematic_pelvis(posed, regressor):
    turns = global_rotations(posed.rotations)[:, ORIENTED_JOINTS]
    return Points(posed.joints, posed.joints[:, 0], turns=turns)


def _named_joints(posed, regressor):
    joints = common_joints(posed.joints)
    return Points(joints, middle(joints, COMMON_HIPS))


def global_rotations(rotations: Tensor) -> Tensor:
    """Rotations (N, 24, 3, 3) of joints in the frame that the root's is given in, from those relative to parents."""
    turns = []
    for joint, parent in enumerate(SMPL_PARENTS):
        turns.append(rotations[:, joint] if parent < 0 else turns[parent] @ rotations[:, joint])
    return torch.stack(turns, 1)


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            'spin',
            'SPIN: 14 joints about the regressed pelvis',
            LSP_14,
            _about_regressed_pelvis,
            with_keypoints,
            regressed=True,
        ),
        Protocol(
            'romp',
            'VIBE and ROMP: 14 joints about the middle of the hips',
            LSP_14,
            _about_middle_of_hips,
            _with_limbs,
            bodies=('neutral',),
            regressed=True,
        ),
        Protocol(
            'challenge',
            '3DPW challenge: 24 joints about joint 0',
            SMPL_JOINTS,
            _about_kinematic_pelvis,
            with_keypoints,
            splits=('train', 'validation', 'test'),
        ),
        Protocol(
            'common',
            "not the paper's protocol: 12 joints that all bodies name, about the middle of the hips",
            COMMON_JOINTS,
            _named_joints,
            with_keypoints,
            bodies=(),
            published=False,
        ),
    )
}
