"""From a body to the joints that protocols compare: regressed from SMPL's vertices, or named alike in all bodies."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mesh_perception.body import BodyModel
from mesh_perception.joints import SMPL_JOINTS

SMPL_VERTICES = 6890

# The rows of J_regressor_h36m.npy as SPIN reads them: the left leg first. Files called ..._correct.npy have the right
# one first; protocols use the same rows of both, so that no figure depends on it, but the names of legs do.
H36M_17 = (
    'pelvis',
    'left_hip',
    'left_knee',
    'left_ankle',
    'right_hip',
    'right_knee',
    'right_ankle',
    'torso',
    'neck',
    'nose',
    'head_top',
    'left_shoulder',
    'left_elbow',
    'left_wrist',
    'right_shoulder',
    'right_elbow',
    'right_wrist',
)
# The 14 joints of LSP, in its order, that 3DPW's and Human3.6M's tables are about.
LSP_14 = (
    'right_ankle',
    'right_knee',
    'right_hip',
    'left_hip',
    'left_knee',
    'left_ankle',
    'right_wrist',
    'right_elbow',
    'right_shoulder',
    'left_shoulder',
    'left_elbow',
    'left_wrist',
    'neck',
    'head_top',
)
H36M_PELVIS = H36M_17.index('pelvis')
H36M_TO_LSP = tuple(H36M_17.index(name) for name in LSP_14)
LSP_HIPS = (LSP_14.index('right_hip'), LSP_14.index('left_hip'))

# Where SMPL-like bodies place a joint at the same place by name: in the middle of a limb's joint. Spine, neck, head,
# collars, feet and hands are wherever a body's rig has them.
COMMON_JOINTS = tuple(
    f'{side}_{joint}' for joint in ('hip', 'knee', 'ankle', 'shoulder', 'elbow', 'wrist') for side in ('left', 'right')
)
SMPL_TO_COMMON = tuple(SMPL_JOINTS.index(name) for name in COMMON_JOINTS)
COMMON_HIPS = (COMMON_JOINTS.index('left_hip'), COMMON_JOINTS.index('right_hip'))


class JointSetError(ValueError):
    """A body or a regressor that cannot give a protocol's joints; one line that says which was expected."""


def require_smpl(body: BodyModel, what: str):
    """Raises JointSetError unless a body has SMPL's 6890 vertices; `what` needs them."""
    count = len(body.v_template)
    if count != SMPL_VERTICES:
        raise JointSetError(
            f"{what}: needs SMPL's {SMPL_VERTICES} vertices, and the body {body.id} has {count}; give an SMPL file "
            'as --body'
        )


def load_regressor(path, joints: int) -> Tensor:
    """A J_regressor_*.npy of (joints, 6890) that takes SMPL's vertices to joints: float32. Nothing in it is run.

    Raises JointSetError, one line that names the file, for one that is missing or is something else.
    """
    path = Path(path)
    expected = f'expected an array ({joints}, {SMPL_VERTICES}) of numbers whose rows sum to 1'
    try:
        with path.open('rb') as file:
            array = np.load(file, allow_pickle=False)
    except OSError as error:
        raise JointSetError(f'{path}: {error.strerror or error}; {expected}') from None
    except Exception:  # a damaged file raises nearly anything
        raise JointSetError(f'{path}: not a readable .npy file; {expected}') from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in 'iuf':
        raise JointSetError(f'{path}: no array of numbers; {expected}')
    if array.shape != (joints, SMPL_VERTICES):
        raise JointSetError(f'{path}: an array {array.shape}; {expected}')
    sums = array.sum(1, dtype=np.float64)
    if not np.isfinite(array).all() or np.abs(sums - 1).max() > 0.02:
        raise JointSetError(f'{path}: rows that sum to {sums.min():.3g} to {sums.max():.3g}; {expected}')
    return torch.from_numpy(array.astype(np.float32))


def common_joints(joints: Tensor) -> Tensor:
    """The COMMON_JOINTS (..., 12, 3) of a body's kinematic joints (..., 24, 3)."""
    return joints[..., SMPL_TO_COMMON, :]


def middle(joints: Tensor, pair: tuple[int, int]) -> Tensor:
    """The point (..., 3) between two of the joints (..., J, 3): the mid-hip root."""
    return joints[..., pair, :].mean(-2)
