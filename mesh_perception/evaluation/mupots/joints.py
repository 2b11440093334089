"""MuPoTS-3D's 17 joints, and how a body comes to them from SMPL's 24.

The paper does not say how it does. Two ways are offered:

- SMPL's bodies and the user's J_regressor_h36m.npy: Human3.6M's 17 joints, regressed from the vertices, are taken by
  name. Its `torso` is the spine here, and its `nose` (others call it head or jaw) the head.
- Otherwise the kinematic joints of any body are taken by name: hips, knees, ankles, shoulders, elbows, wrists, neck,
  head and pelvis. The spine is spine2, in SMPL half way between pelvis and neck as Human3.6M's is; it does not
  count itself, but what is above hangs on it. There is no top of the head: it is the vertex that is highest in the rest
  pose, a T-pose with y up.

Bones are made as long as the true ones before anything is measured, so that of each bone only the direction counts. The
bones are those of the benchmark's own code: head and top of the head both hang on the neck.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from mesh_perception.body import BodyModel
from mesh_perception.evaluation.joint_sets import H36M_17
from mesh_perception.joints import SMPL_JOINTS

JOINTS = (
    'head_top',
    'neck',
    'right_shoulder',
    'right_elbow',
    'right_wrist',
    'left_shoulder',
    'left_elbow',
    'left_wrist',
    'right_hip',
    'right_knee',
    'right_ankle',
    'left_hip',
    'left_knee',
    'left_ankle',
    'pelvis',
    'spine',
    'head',
)
PARENTS = (1, 15, 1, 2, 3, 1, 5, 6, 14, 8, 9, 14, 11, 12, -1, 14, 1)
ROOT = JOINTS.index('pelvis')
MATCHED = slice(1, 14)  # neck to ankles: who is who
COUNTED = slice(0, 14)  # top of the head to ankles: 3DPCK
COUNTED_NAMES = JOINTS[COUNTED]

_SMPL_NAMES = {'spine': 'spine2', 'head_top': 'head'}  # the second only keeps the place of the vertex
_H36M_NAMES = {'spine': 'torso', 'head': 'nose'}
SMPL_TO_MUPOTS = tuple(SMPL_JOINTS.index(_SMPL_NAMES.get(name, name)) for name in JOINTS)
H36M_TO_MUPOTS = tuple(H36M_17.index(_H36M_NAMES.get(name, name)) for name in JOINTS)


@dataclass(frozen=True)
class Mapping:
    """One of the two ways."""

    name: str
    take: Callable[[Tensor, Tensor], Tensor]  # kinematic joints (N, 24, 3), vertices (N, V, 3) -> (N, 17, 3)


def kinematic(body: BodyModel) -> Mapping:
    """The joints that the body is posed by, and its highest vertex."""
    top = int(body.v_template[:, 1].argmax())

    def take(joints, vertices):
        named = joints[:, SMPL_TO_MUPOTS].clone()
        named[:, 0] = vertices[:, top]
        return named

    return Mapping("the body's kinematic joints and its highest vertex", take)


def regressed(regressor: Tensor) -> Mapping:
    """By J_regressor_h36m (17, 6890), for SMPL's vertices."""

    def take(joints, vertices):
        return (regressor @ vertices)[:, H36M_TO_MUPOTS]

    return Mapping('joints regressed by J_regressor_h36m.npy', take)
