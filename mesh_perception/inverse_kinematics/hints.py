"""Twists and leaf joints from directions that are seen on the body, as long as no network predicts them.

A hint for joint j is where HINT_AXES[j], an axis fixed in the rest pose and carried along by the joint's orientation,
points in the camera's frame, with a weight: 1 certain, 0 unknown. It fixes the twist that bones leave open.

| joints | axis in the rest pose | seen as |
|---|---|---|
| pelvis, spine, neck, hips, knees, ankles | +x, the person's left | lines from right to left; hinges of the knees |
| collars, shoulders, elbows, wrists | +y, up in the T-pose, palms down | hinges of the elbows; back of the hand |
| feet, head, hands (leaves) | +z, forward | toes, face, the thumb's side of the hand |

The pelvis' hint is not used: its three bones fix it. Functions here make directions and weights from positions, with
the signs right, so that nobody else needs to think about them.
"""

import torch
from torch import Tensor

from mesh_perception.inverse_kinematics.solver import follow_bones, rest_bones
from mesh_perception.inverse_kinematics.swing import Swings, apply, directions, lengths, twist_matrices, unit_circle
from mesh_perception.inverse_kinematics.tree import constant, tree
from mesh_perception.joints import SMPL_JOINTS, SMPL_LEAVES


def _axis(joint, name):
    if joint in SMPL_LEAVES:
        return (0.0, 0.0, 1.0)
    arm = name.endswith(('collar', 'shoulder', 'elbow', 'wrist'))
    return (0.0, 1.0, 0.0) if arm else (1.0, 0.0, 0.0)


# (24, 3) float64, each well away from its joint's bone.
_AXES = tuple(_axis(joint, name) for joint, name in enumerate(SMPL_JOINTS))
HINT_AXES = constant(_AXES, torch.device('cpu'))

# Sines of the angles from which on a plane is known at all, and certainly (15 and 37 degrees): with 2 cm of noise on
# the joints of motion capture, hips came out best around these.
_VAGUE, _CLEAR = 0.25, 0.6
# A hint seen at less than 30 degrees from the bone says less about the twist.
_ALONG = 0.5
_ELBOWS, _WRISTS = slice(18, 20), slice(20, 22)


def plane_normal(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The unit normal a x b (..., 3) of two directions' plane, and how certain it is (...,): 0 for parallel ones."""
    cross = torch.linalg.cross(directions(a), directions(b))
    sine = lengths(cross)[..., 0]
    return cross / sine[..., None], ((sine - _VAGUE) / (_CLEAR - _VAGUE)).clamp(0, 1)


def hinge_direction(upper: Tensor, lower: Tensor, limb: str) -> tuple[Tensor, Tensor]:
    """Hint (..., 3) and weight (...,) of a bent limb's upper joint (and of the lower one, if that does not twist).

    upper (..., 3) from shoulder to elbow or from hip to knee, lower from there to wrist or ankle; limb 'left_arm',
    'right_arm', 'left_leg' or 'right_leg'. Knees bend backwards: +x is upper x lower. Elbows bend forward: +y is
    lower x upper on the left, upper x lower on the right. Straight limbs have weight 0.
    """
    if limb == 'left_arm':
        return plane_normal(lower, upper)
    if limb in ('right_arm', 'left_leg', 'right_leg'):
        return plane_normal(upper, lower)
    raise ValueError(f'unknown limb {limb!r}, expected left_arm, right_arm, left_leg or right_leg')


def foot_direction(foot: Tensor, shank: Tensor) -> tuple[Tensor, Tensor]:
    """Hint (..., 3) and weight (...,) of a knee, of an ankle, and of a straight leg's hip: +x is foot x shank.

    foot (..., 3) from the heel or ankle to the toes, shank (..., 3) from knee to ankle; the same on both sides.
    """
    return plane_normal(foot, shank)


def hand_direction(across: Tensor, along: Tensor, side: str) -> tuple[Tensor, Tensor]:
    """Hint (..., 3) and weight (...,) of a wrist: the back of the hand, +y when the palm faces down.

    across (..., 3) from the little finger's knuckle to the index finger's, along (..., 3) from the wrist to the
    knuckles; side 'left' (across x along) or 'right' (along x across). Elbows need no hint of their own then.
    """
    if side not in ('left', 'right'):
        raise ValueError(f"unknown side {side!r}, expected 'left' or 'right'")
    return plane_normal(across, along) if side == 'left' else plane_normal(along, across)


def hints_from_joints(joints: Tensor) -> tuple[Tensor, Tensor]:
    """Hints (N, 24, 3) and weights (N, 24) that SMPL joints (N, 24, 3) give by themselves.

    Shoulders and hips from the hinges of bent elbows and knees, hips of straight legs from the feet at half weight, the
    spine from the lines across hips and shoulders; all others are left unknown.
    """
    hints = [torch.zeros_like(joints[:, 0])] * len(SMPL_JOINTS)  # a hint's length is its weight
    for hip, knee, ankle, toes, limb in ((1, 4, 7, 10, 'left_leg'), (2, 5, 8, 11, 'right_leg')):
        shank = joints[:, ankle] - joints[:, knee]
        hinge, bent = hinge_direction(joints[:, knee] - joints[:, hip], shank, limb)
        foot, clear = foot_direction(joints[:, toes] - joints[:, ankle], shank)
        hints[hip] = hinge * bent[..., None] + foot * ((1 - bent) * clear / 2)[..., None]
    for shoulder, elbow, wrist, limb in ((16, 18, 20, 'left_arm'), (17, 19, 21, 'right_arm')):
        hinge, bent = hinge_direction(joints[:, elbow] - joints[:, shoulder], joints[:, wrist] - joints[:, elbow], limb)
        hints[shoulder] = hinge * bent[..., None]
    hips, shoulders = directions(joints[:, 1] - joints[:, 2]), directions(joints[:, 16] - joints[:, 17])
    hints[3], hints[6], hints[9] = torch.lerp(hips, shoulders, 1 / 3), torch.lerp(hips, shoulders, 2 / 3), shoulders
    hints = torch.stack(hints, dim=1)
    return directions(hints), torch.linalg.vector_norm(hints, dim=-1).clamp(max=1)


def solve_with_hints(
    rest_joints: Tensor,
    joints: Tensor,
    hint_directions: Tensor,
    hint_weights: Tensor,
    variant: str = 'adaptive',
    guard: float = 0.015,
) -> Tensor:
    """Relative rotations (N, 24, 3, 3) like `solver.solve`, with twists and leaves from hints.

    hint_directions (N, 24, 3) of any length, hint_weights (N, 24) in [0, 1]. After its swing, a joint's twist is the
    one that brings its hint axis nearest to the hint, blended with no twist by the weight and by how well the hint is
    seen along the bone. A leaf is its parent's orientation, swung towards its hint. Half of the turn that a wrist's
    hint asks for is already made at an elbow without a hint: this is how forearms turn palms.
    """
    bones = directions(rest_bones(rest_joints.double()))
    axes = constant(_AXES, joints.device).expand_as(bones)
    across = directions(axes - (axes * bones).sum(-1, keepdim=True) * bones)
    above = torch.linalg.cross(bones, across)
    leaf_swings = Swings(axes)
    leaves = tree(joints.device).leaves[:, None, None]
    hints, weights = _share_pronation(directions(hint_directions.double()), hint_weights.double()[..., None])

    def turn(level, swung):
        here = level.joints
        wanted = apply(swung.mT, hints[:, here])
        circle = torch.stack([(across[:, here] * wanted).sum(-1), (above[:, here] * wanted).sum(-1)], dim=-1)
        weight = weights[:, here] * (lengths(circle) / _ALONG).clamp(max=1)
        turns = twist_matrices(bones[:, here], _blend(unit_circle(circle), weight))
        if level.has_leaves:
            swings = leaf_swings.onto(torch.lerp(axes[:, here], wanted, weights[:, here]), here)
            turns = torch.where(leaves[here], swings, turns)
        return turns

    return follow_bones(rest_joints, joints, turn, variant, guard)


def _blend(circle, weight):
    """Cosine and sine (..., 2) drawn towards (1, 0), no twist, by 1 - weight (..., 1): weight 0.5 halves the angle."""
    return torch.cat([1 + weight * (circle[..., :1] - 1), weight * circle[..., 1:]], dim=-1)


def _share_pronation(hints, weights):
    """Elbows and wrists share their axis: where an elbow's hint is unknown it takes the wrist's, at half weight."""
    elbow, wrist = weights[:, _ELBOWS], weights[:, _WRISTS]
    vector = elbow * hints[:, _ELBOWS] + (1 - elbow) / 2 * wrist * hints[:, _WRISTS]
    hints = torch.cat([hints[:, : _ELBOWS.start], directions(vector), hints[:, _ELBOWS.stop :]], dim=1)
    weights = torch.cat([weights[:, : _ELBOWS.start], lengths(vector).clamp(max=1), weights[:, _ELBOWS.stop :]], dim=1)
    return hints, weights
