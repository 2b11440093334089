"""Motion capture poses for the open body: CMU clips of the 38-joint form (see fit_joint_mapping.py for the format)."""

import numpy as np
import torch

from mesh_perception.geometry.rotations import axis_angle_to_matrix, rotation_between
from mesh_perception.joints import SMPL_CHILD, SMPL_PARENTS

# The clip's joint whose global rotation each SMPL joint takes over.
_SOURCE = (
    'hips',
    'l_hip',
    'r_hip',
    'spine_base',
    'l_knee',
    'r_knee',
    'spine_mid',
    'l_ankle',
    'r_ankle',
    'thorax',
    'l_toe',
    'r_toe',
    'neck_low',
    'l_collar_base',
    'r_collar_base',
    'neck_high',
    'l_shoulder',
    'r_shoulder',
    'l_elbow',
    'r_elbow',
    'l_wrist',
    'r_wrist',
    'l_fingers',
    'r_fingers',
)
_LIMBS = (1, 2, 4, 5, 7, 8, 16, 17, 18, 19)


def load_poses(path, count, split, generator):
    """`count` random frames of a split's clips -> relative rotations (count, 38, 3, 3), and the rest offsets."""
    with np.load(path, allow_pickle=False) as data:
        names, parents, offsets = list(data['joint_names']), data['parents'], data['offsets_m']
        clips = [data[k] for k in data.files if k.startswith(f'clip/{split}/') and k.endswith('local_rotvec')]
    frames = torch.from_numpy(np.concatenate(clips)).float()
    chosen = frames[torch.randint(len(frames), (count,), generator=generator)]
    return axis_angle_to_matrix(chosen), names, parents, torch.from_numpy(offsets).float()


def retarget(local, names, parents, offsets, rest_joints):
    """Clip rotations (N, 38, 3, 3) -> the body's relative rotations (N, 24, 3, 3).

    Both rest poses are T-poses with common axes, so global rotations carry over; limbs whose rest bones differ in
    direction get one constant alignment each.
    """
    world = [local[:, 0]]
    for j in range(1, len(names)):
        world.append(world[parents[j]] @ local[:, j])
    world = torch.stack([world[names.index(s)] for s in _SOURCE], 1)
    for j in _LIMBS:
        source = offsets[names.index(_SOURCE[SMPL_CHILD[j]])]
        target = rest_joints[SMPL_CHILD[j]] - rest_joints[j]
        world[:, j] = world[:, j] @ rotation_between(target[None], source[None])[0]
    parents24 = torch.tensor(SMPL_PARENTS)
    relative = world.clone()
    relative[:, 1:] = world[:, parents24[1:]].transpose(-1, -2) @ world[:, 1:]
    return relative
