"""CMU's clips on SMPL's 24 joints.

A body's joint takes over the global rotation of the clip's joint that does its work, times one constant that brings
the body's rest pose onto the clip's; what is left between its bone and the clip's is one shortest turn. So the twist
is the data's. The constants:

- Limbs, collars, neck: the shortest turn between the two rest poses' bones.
- Upper arms and forearms: in CMU's skeletons elbows bend about an axis that is turned by 30 degrees about the bone
  from the body's +y (their files say `axis 180 30 90`), on both arms. Hands are not turned: there the palm is down.
- Head: people who look ahead hold CMU's head bone 16 degrees forwards (measured: 18 over all clips).
- Feet: turned sideways as far as the shins are spread, as CMU's toes and ankles are. The ankle's bone is not followed:
  its slope is another in every foot, and soles would not be level.
"""

import math

import torch
from torch import Tensor

from mesh_perception.geometry.rotations import axis_angle_to_matrix, rotation_between
from mesh_perception.inverse_kinematics.swing import twist_matrices, twists_of
from mesh_perception.joints import SMPL_CHILD, SMPL_JOINTS, SMPL_MIRROR, SMPL_PARENTS
from mesh_perception.synthetic.motion import Clip

_SOURCES = {
    'pelvis': 'root',
    'spine1': 'lowerback',
    'spine2': 'upperback',
    'spine3': 'thorax',
    'neck': 'upperneck',
    'head': 'head',
    'hip': 'femur',
    'knee': 'tibia',
    'ankle': 'foot',
    'foot': 'toes',
    'collar': 'clavicle',
    'shoulder': 'humerus',
    'elbow': 'radius',
    'wrist': 'hand',
    'hand': 'fingers',
}
# The clip's joints between which the bones run that a body's bones follow.
_BONES = {
    'neck': ('lowerneck', 'head'),
    'hip': ('femur', 'tibia'),
    'knee': ('tibia', 'foot'),
    'collar': ('clavicle', 'humerus'),
    'shoulder': ('humerus', 'radius'),
    'elbow': ('radius', 'wrist'),
    'wrist': ('hand', 'fingers'),
}
# About +x, in both arms and for the head.
_ROLLS = {'shoulder': -math.pi / 6, 'elbow': -math.pi / 6, 'head': math.radians(-16)}
# Of the turn of the hand about the forearm, what the forearm takes: CMU's bends at the elbow alone, and all of it at
# the wrist would wring the mesh. Beyond a quarter turn, which is noise of the data, it takes less again, so that
# nothing jumps at half a turn.
_FOREARM = 0.5
_ELBOWS, _WRISTS = slice(18, 20), slice(20, 22)


def retarget(clip: Clip, rest_joints: Tensor) -> Tensor:
    """The body's rotations (T, 24, 3, 3) relative to the parent, the pelvis' to the clip's world (y up).

    rest_joints (24, 3) m. Raises ValueError for a clip without one of CMU's joints.
    """
    turns, places = clip.world()
    rest, rest_joints = clip.rest(), rest_joints.to(turns)
    world = []
    for joint, name in enumerate(SMPL_JOINTS):
        side, part = (name[0], name.split('_')[1]) if '_' in name else ('', name)
        turn = turns[:, _find(clip, side + _SOURCES[part])] @ _roll(part, turns)
        if part in _BONES:
            start, end = (_find(clip, side + one) for one in _BONES[part])
            bone = rest_joints[SMPL_CHILD[joint]] - rest_joints[joint]
            turn = turn @ rotation_between(bone, rest[end] - rest[start])
            turn = rotation_between(turn @ bone, places[:, end] - places[:, start]) @ turn
        elif part in ('ankle', 'foot'):
            shin = rest[_find(clip, f'{side}foot')] - rest[_find(clip, f'{side}tibia')]
            turn = turn @ rotation_between(shin.new_tensor((0, -1, 0)), shin * shin.new_tensor((1, 1, 0)))
        world.append(turn)
    world = torch.stack(world, 1)
    forearms = (rest_joints[_WRISTS] - rest_joints[_ELBOWS]).expand(len(world), 2, 3)
    axes = forearms / forearms.norm(dim=-1, keepdim=True)
    sine = twists_of(axes, world[:, _ELBOWS].mT @ world[:, _WRISTS])[..., 1]
    share = _FOREARM * torch.asin(sine.clamp(-1, 1))
    world[:, _ELBOWS] = world[:, _ELBOWS] @ twist_matrices(axes, torch.stack((share.cos(), share.sin()), -1))
    return torch.cat((world[:, :1], world[:, SMPL_PARENTS[1:]].mT @ world[:, 1:]), 1)


def mirror(rotations: Tensor) -> Tensor:
    """Relative rotations (..., 24, 3, 3) of the person's mirror image, left and right swapped (the plane is x = 0)."""
    flip = rotations.new_tensor((-1, 1, 1))
    return rotations[..., SMPL_MIRROR, :, :] * flip[:, None] * flip


def _find(clip: Clip, name: str) -> int:
    if name not in clip.names:
        raise ValueError(f"motion clip: no joint {name!r} in it, expected the joints of CMU's skeletons")
    return clip.names.index(name)


def _roll(part: str, like: Tensor) -> Tensor:
    return axis_angle_to_matrix(like.new_tensor((_ROLLS.get(part, 0.0), 0, 0)))
