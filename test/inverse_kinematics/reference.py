"""Skeletons, poses and forward kinematics for these tests: plain numpy and scipy in float64."""

import numpy as np
from scipy.spatial.transform import Rotation

from mesh_perception.joints import SMPL_PARENTS

# A T-pose roughly like SMPL's, in metres: x to the person's left, y up, z forward.
T_POSE = np.array(
    [
        [0, -0.22, 0.03],
        [0.07, -0.31, 0.01],
        [-0.07, -0.31, 0.01],
        [0, -0.10, 0],
        [0.11, -0.69, 0.01],
        [-0.11, -0.69, 0.01],
        [0, 0.03, 0.01],
        [0.09, -1.1, -0.03],
        [-0.09, -1.1, -0.03],
        [0, 0.08, 0.03],
        [0.12, -1.15, 0.09],
        [-0.12, -1.15, 0.09],
        [0, 0.29, -0.01],
        [0.08, 0.2, -0.01],
        [-0.08, 0.2, -0.01],
        [0.01, 0.38, 0.04],
        [0.17, 0.23, -0.02],
        [-0.17, 0.23, -0.02],
        [0.43, 0.21, -0.04],
        [-0.43, 0.21, -0.04],
        [0.68, 0.22, -0.05],
        [-0.68, 0.22, -0.05],
        [0.76, 0.21, -0.06],
        [-0.76, 0.21, -0.06],
    ]
)


def rest_poses(rng, count):
    """(count, 24, 3) T-poses with bones of random length and slightly random direction."""
    parents = list(SMPL_PARENTS[1:])
    bones = (T_POSE[1:] - T_POSE[parents]) * rng.uniform(0.7, 1.3, (count, 23, 1)) + rng.normal(0, 0.01, (count, 23, 3))
    joints = np.zeros((count, 24, 3))
    joints[:, 0] = rng.normal(0, 0.1, (count, 3))
    for joint in range(1, 24):
        joints[:, joint] = joints[:, SMPL_PARENTS[joint]] + bones[:, joint - 1]
    return joints


def random_rotations(rng, count):
    """(count, 24, 3, 3), uniform over all rotations: far beyond what a body can do."""
    return Rotation.random(count * 24, random_state=rng).as_matrix().reshape(count, 24, 3, 3)


def forward(rest, rotations):
    """Joints (N, 24, 3) and global orientations (N, 24, 3, 3) of posed skeletons; joint 0 stays at its rest place."""
    joints, frames = rest.copy(), rotations.copy()
    for joint in range(1, 24):
        parent = SMPL_PARENTS[joint]
        frames[:, joint] = frames[:, parent] @ rotations[:, joint]
        offset = rest[:, joint] - rest[:, parent]
        joints[:, joint] = joints[:, parent] + np.einsum('nij,nj->ni', frames[:, parent], offset)
    return joints, frames


def angles_between(a, b):
    """Radians between rotations (..., 3, 3), exact for small ones."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    difference = np.einsum('...ji,...jk->...ik', a, b)
    return np.linalg.norm(Rotation.from_matrix(difference.reshape(-1, 3, 3)).as_rotvec(), axis=-1).reshape(a.shape[:-2])
