"""Joint rotations from joint positions by swing and twist (the paper's Sec. 3.2, Eq. 1-4).

A joint's rotation relative to its parent is R = R_sw R_tw: a turn about the bone of the rest pose by the twist angle,
then the shortest turn that brings this bone onto the observed one. Two things come from HybrIK: the pelvis is aligned
with its three children at once, and the *adaptive* variant lets a bone aim at the observed child from where the chain
built so far has put the joint, so that wrong bone lengths do not add up along the chain. The joints of one depth of
the tree are solved together.

Everything is computed in float64 and returned in the input's dtype: a swing near pi magnifies rounding by its inverse
distance from pi, and 24 joints cost next to nothing. Values and gradients stay finite for any finite input: a bone of
no length, observed or in the rest pose, swings nothing; opposite bones turn by pi about some perpendicular axis.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from mesh_perception.geometry.rotations import project_to_rotation
from mesh_perception.inverse_kinematics.swing import Swings, apply, directions, lengths, twist_matrices, twists_of
from mesh_perception.inverse_kinematics.tree import tree

VARIANTS = ('adaptive', 'naive')


def solve(
    rest_joints: Tensor,
    joints: Tensor,
    twists: Tensor,
    leaf_rotations: Tensor,
    variant: str = 'adaptive',
    guard: float = 0.015,
) -> Tensor:
    """Relative rotations (N, 24, 3, 3) that pose a skeleton onto observed joints.

    rest_joints (N, 24, 3) m, the person's rest pose; joints (N, 24, 3) m, observed, in the camera's frame;
    twists (N, 24, 2) cosine and sine of each joint's twist, of any length ((1, 0) or (0, 0): none; the pelvis' and the
    leaves' are not used); leaf_rotations (N, 24, 3, 3) relative rotations, used at the joints without a child
    (identity: the parent's orientation). variant 'adaptive' or 'naive' (the bone between the two observed joints);
    where the adaptive bone's end differs from the naive one's by more than `guard` metres, that joint of that person
    uses the naive one. Raises ValueError for another variant or shape.
    """
    _check_skeletons(rest_joints, joints)
    _check('twists', twists, (len(joints), 24, 2))
    _check('leaf_rotations', leaf_rotations, (len(joints), 24, 3, 3))
    twist_turns = twist_matrices(directions(rest_bones(rest_joints.double())), twists.double())
    leaves = tree(joints.device).leaves[:, None, None]
    turns = torch.where(leaves, leaf_rotations.double(), twist_turns)
    return follow_bones(rest_joints, joints, lambda level, frames: turns[:, level.joints], variant, guard)


def follow_bones(
    rest_joints: Tensor, joints: Tensor, turn: Callable, variant: str = 'adaptive', guard: float = 0.015
) -> Tensor:
    """The walk down the tree that every solver here shares; other arguments and result as for `solve`.

    turn(level: tree.Level, frames (N, k, 3, 3)) -> (N, k, 3, 3): the turn of each of the level's joints before its
    swing (a twist, or a leaf's whole rotation), given the swung orientations in the camera's frame. All in float64.
    """
    if variant not in VARIANTS:
        raise ValueError(f'inverse kinematics: unknown variant {variant!r}, expected one of {", ".join(VARIANTS)}')
    _check_skeletons(rest_joints, joints)
    dtype = joints.dtype
    rest_joints, joints = rest_joints.double(), joints.double()
    smpl = tree(joints.device)
    offsets = rest_joints - rest_joints[:, smpl.parents]
    bones = rest_bones(rest_joints)
    swings = Swings(bones)
    ends = joints[:, smpl.children]
    naive = ends - joints
    rescaled = naive * (lengths(bones) / lengths(naive))

    # Kabsch over the pelvis' three children; the determinant is kept at +1.
    frames = project_to_rotation((joints[:, 1:4] - joints[:, :1]).mT @ offsets[:, 1:4])[:, None]
    places = joints[:, :1]
    rotations = [frames]
    for level in smpl.levels:
        here = level.joints
        frames, places = frames[:, level.parents], places[:, level.parents]
        places = places + apply(frames, offsets[:, here])
        targets = naive[:, here]
        if variant == 'adaptive':
            adaptive = ends[:, here] - places
            apart = (adaptive - rescaled[:, here]).square().sum(-1, keepdim=True) > guard**2
            targets = torch.where(apart, targets, adaptive)
        swing = swings.onto(apply(frames.mT, targets), here)
        swung = frames @ swing
        turns = turn(level, swung)
        rotations.append(swing @ turns)
        frames = swung @ turns
    return torch.cat(rotations, dim=1).to(dtype)


def twists_from_rotations(rest_joints: Tensor, rotations: Tensor) -> Tensor:
    """Cosine and sine (N, 24, 2) of the true twists: what `solve` needs to give back relative rotations (N, 24, 3, 3).

    rest_joints (N, 24, 3) m. Also for swings of pi, and in float64 inside; leaves, and bones of no length, have none:
    (1, 0). The pelvis' is the twist about the bone to spine1.
    """
    return twists_of(directions(rest_bones(rest_joints.double())), rotations.double()).to(rotations)


def rest_bones(rest_joints: Tensor) -> Tensor:
    """(N, 24, 3) from each joint to the child it points to (the pelvis': spine1); zero for leaves."""
    return rest_joints[:, tree(rest_joints.device).children] - rest_joints


def _check_skeletons(rest_joints: Tensor, joints: Tensor):
    _check('rest_joints', rest_joints, (len(joints), 24, 3))
    _check('joints', joints, (len(joints), 24, 3))


def _check(name: str, tensor: Tensor, shape: tuple):
    if tensor.shape != shape:
        raise ValueError(f'inverse kinematics: {name} has shape {tuple(tensor.shape)}, expected {shape}')
