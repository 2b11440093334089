"""SMPL's people as REP-155's human: the frames of its links, and the angles of its joints.

The model is the URDF of ROS 4 HRI's package human_description. Its frames have x forward, y to the person's left and z
up where somebody stands upright with hanging arms. The lower end of a limb's link is on its -z, and an elbow or a knee
turns about y; so the links of an arm or a leg follow from where its joints are, and the URDF, moved by the angles,
points them in the same directions.
"""

import torch

from mesh_perception.joints import SMPL_JOINTS
from mesh_perception.ros.transforms import global_rotations

# SMPL's axes (left, up, forward) in the order of REP-103 (forward, left, up).
_FORWARD_LEFT_UP = [2, 0, 1]
_J = {name: index for index, name in enumerate(SMPL_JOINTS)}
_SIDES = (('l', 'left', 1), ('r', 'right', -1))
# Upper link, lower link, end; 1 if it bends to the front, -1 to the back.
_LIMBS = (('shoulder', 'elbow', 'wrist', 1), ('hip', 'knee', 'ankle', -1))

# The links with a TF frame; body is their root.
LINKS = (
    *('body', 'waist', 'torso', 'head'),
    *('l_shoulder', 'l_elbow', 'l_wrist', 'l_hip', 'l_knee', 'l_ankle'),
    *('r_shoulder', 'r_elbow', 'r_wrist', 'r_hip', 'r_knee', 'r_ankle'),
)
# The joints of the URDF that move, in the order of `joint_angles`.
JOINTS = (
    *('waist', 'r_head', 'y_head', 'p_head'),
    *('l_y_shoulder', 'l_p_shoulder', 'l_r_shoulder', 'l_elbow'),
    *('r_y_shoulder', 'r_p_shoulder', 'r_r_shoulder', 'r_elbow'),
    *('l_y_hip', 'l_p_hip', 'l_r_hip', 'l_knee'),
    *('r_y_hip', 'r_p_hip', 'r_r_hip', 'r_knee'),
)
# Sines of a limb's bend: from the second on, the plane in which it bends is that of its three joints; below the first,
# where noise would turn that plane round, it is the body model's; in between, in between.
STRAIGHT, BENT = 0.1, 0.35


def link_frames(people):
    """Rotations (N, 16, 3, 3) and origins (N, 16, 3) m of LINKS in the camera's frame, float64."""
    turned = global_rotations(people.rotations.double())[..., _FORWARD_LEFT_UP]
    joints = people.joints.double()
    chest, hips = turned[:, _J['spine3']], joints[:, [_J['left_hip'], _J['right_hip']]].mean(1)
    frames = {
        'body': (turned[:, _J['pelvis']], hips),
        'waist': (chest, hips),
        'torso': (chest, joints[:, [_J['left_shoulder'], _J['right_shoulder']]].mean(1)),
        'head': (turned[:, _J['head']], joints[:, _J['head']]),
    }
    for side, name, _ in _SIDES:
        for *links, bend in _LIMBS:
            points = [joints[:, _J[f'{name}_{link}']] for link in links]
            upper, lower = _limb(points, turned[:, _J[f'{name}_{links[0]}'], :, 0], bend)
            for link, rotation, origin in zip(links, (upper, lower, lower), points, strict=True):
                frames[f'{side}_{link}'] = (rotation, origin)
    return torch.stack([frames[link][0] for link in LINKS], 1), torch.stack([frames[link][1] for link in LINKS], 1)


def joint_angles(rotations):
    """Angles (N, 20) rad of JOINTS from the links' rotations (N, 16, 3, 3) of `link_frames`.

    The URDF has one joint for the whole trunk, which bends forward: what the trunk leans aside or twists is left out
    of it, and head and arms turn relative to the trunk as the URDF has it, so that they point where they should.
    """
    of = {link: rotations[:, index] for index, link in enumerate(LINKS)}
    up = (of['body'].mT @ of['torso'])[..., 2]
    waist = torch.atan2(up[:, 0], up[:, 2])
    trunk = of['body'] @ _about_y(waist)
    m = trunk.mT @ of['head']  # Rx(r) Rz(y) Ry(-p)
    angles = {
        'waist': waist,
        'r_head': torch.atan2(m[:, 2, 1], m[:, 1, 1]),
        'y_head': -m[:, 0, 1].clamp(-1, 1).asin(),
        'p_head': -torch.atan2(m[:, 0, 2], m[:, 0, 0]),
    }
    for side, _, sign in _SIDES:
        m = trunk.mT @ of[f'{side}_shoulder']  # Rz(-sign y) Rx(sign p) Rz(sign r)
        sine = m[:, :2, 2].norm(dim=-1)
        hangs = sine < 1e-6  # or points straight up: then y and r are one, which r takes
        y = torch.where(hangs, 0.0, torch.atan2(sign * m[:, 0, 2], -sign * m[:, 1, 2]))
        r = torch.where(hangs, torch.atan2(-m[:, 0, 1], m[:, 0, 0]), torch.atan2(sign * m[:, 2, 0], sign * m[:, 2, 1]))
        angles[f'{side}_y_shoulder'], angles[f'{side}_r_shoulder'] = -sign * y, sign * r
        angles[f'{side}_p_shoulder'] = torch.atan2(sine, m[:, 2, 2])
        angles[f'{side}_elbow'] = _hinge(of[f'{side}_shoulder'], of[f'{side}_elbow'])
        m = of['body'].mT @ of[f'{side}_hip']  # Rz(-y) Rx(sign p) Ry(-r)
        angles[f'{side}_y_hip'] = torch.atan2(m[:, 0, 1], m[:, 1, 1])
        angles[f'{side}_p_hip'] = sign * m[:, 2, 1].clamp(-1, 1).asin()
        angles[f'{side}_r_hip'] = torch.atan2(m[:, 2, 0], m[:, 2, 2])
        angles[f'{side}_knee'] = _hinge(of[f'{side}_hip'], of[f'{side}_knee'])
    return torch.stack([angles[joint] for joint in JOINTS], -1)


def _limb(points, forward, bend):
    """Rotations (N, 3, 3) of the upper and lower link of a limb with joints at three points (N, 3).

    forward: (N, 3), where the body model has the upper link's front. bend: 1 if it bends to the front, -1 to the back.
    """
    upper, lower = _unit(points[1] - points[0]), _unit(points[2] - points[1])
    across = lower - (lower * upper).sum(-1, keepdim=True) * upper
    sine = across.norm(dim=-1, keepdim=True)
    forward = _unit(forward - (forward * upper).sum(-1, keepdim=True) * upper)
    trust = ((sine - STRAIGHT) / (BENT - STRAIGHT)).clamp(0, 1)
    front = _unit((1 - trust) * forward + trust * bend * _unit(across))
    hinge = torch.linalg.cross(front, upper)  # z x x = y, and upper is -z
    lower = _unit(lower - (lower * hinge).sum(-1, keepdim=True) * hinge)
    return (
        torch.stack([front, hinge, -upper], -1),
        torch.stack([torch.linalg.cross(hinge, -lower), hinge, -lower], -1),
    )


def _unit(vectors):
    return vectors / vectors.norm(dim=-1, keepdim=True).clamp_min(1e-9)


def _about_y(angles):
    c, s, zero = angles.cos(), angles.sin(), torch.zeros_like(angles)
    return torch.stack([c, zero, s, zero, zero + 1, zero, -s, zero, c], -1).unflatten(-1, (3, 3))


def _hinge(upper, lower):
    """The angle about -y from one link to the next."""
    z = (upper.mT @ lower)[..., 2]
    return -torch.atan2(z[:, 0], z[:, 2])
