"""A tiny skeleton with CMU's joints, and clips of it."""

import numpy as np
import torch

from mesh_perception.geometry.rotations import matrix_to_axis_angle
from mesh_perception.synthetic.motion import clip_of_bones

_SIDE = (
    ('hipjoint', 'root', (0.08, -0.1, 0.04)),
    ('femur', 'hipjoint', (0.14, -0.38, 0)),
    ('tibia', 'femur', (0.14, -0.4, 0)),
    ('foot', 'tibia', (0.01, -0.02, 0.13)),
    ('toes', 'foot', (0, 0, 0.06)),
    ('clavicle', 'thorax', (0.18, 0.06, -0.02)),
    ('humerus', 'clavicle', (0.28, 0, 0)),
    ('radius', 'humerus', (0.19, 0, 0)),
    ('wrist', 'radius', (0.09, 0, 0)),
    ('hand', 'wrist', (0.04, 0, 0)),
    ('fingers', 'hand', (0.03, 0, 0)),
)
_BONES = [
    ('root', None, (0, 0, 0)),
    ('lowerback', 'root', (0, 0.115, -0.01)),
    ('upperback', 'lowerback', (0, 0.115, 0)),
    ('thorax', 'upperback', (0, 0.115, 0)),
    ('lowerneck', 'thorax', (0, 0.09, 0.01)),
    ('upperneck', 'lowerneck', (0, 0.09, 0)),
    ('head', 'upperneck', (0, 0.09, 0)),
]
for _side, _sign in (('l', 1), ('r', -1)):
    for _name, _parent, (_x, _y, _z) in _SIDE:
        _parent = _parent if _parent in ('root', 'thorax') else _side + _parent
        _BONES.append((_side + _name, _parent, (_sign * _x, _y, _z)))

NAMES = tuple(name for name, _, _ in _BONES)
PARENTS = tuple(NAMES.index(parent) if parent else -1 for _, parent, _ in _BONES)
VECTORS = torch.tensor([vector for _, _, vector in _BONES])


def clip(rotations, root=None):
    """A clip from relative rotations (T, J, 3, 3) of the bones in NAMES."""
    root = torch.zeros(len(rotations), 3) if root is None else root
    return clip_of_bones(NAMES, PARENTS, VECTORS, rotations, root, 30.0)


def still(frames):
    return torch.eye(3).repeat(frames, len(NAMES), 1, 1)


def write(path, clips):
    """An .npz file of the bones form: {'07_01': (rotations (T, J, 3, 3) of the bones in NAMES, root (T, 3))}."""
    arrays = {'fps': np.float32(30)}
    for name, (rotations, root) in clips.items():
        turns, places = (one[:, : len(NAMES)] for one in clip(rotations, root).world())
        subject = name.split('_')[0]
        arrays[f'subject/{subject}/joint_names'] = np.array(NAMES)
        arrays[f'subject/{subject}/parents'] = np.array(PARENTS, np.int16)
        arrays[f'clip/{name}/positions_m'] = (places + (turns @ VECTORS[..., None])[..., 0]).numpy()
        arrays[f'clip/{name}/local_rotvec'] = matrix_to_axis_angle(rotations).numpy()
    np.savez(path, **arrays)
    return path
