"""Could this body stand like that? Centres of mass over what touches the ground.

Motion capture also has people who climb and hang. Put on the ground of a scene they would look wrong, and nothing in
a pose says so but its balance.
"""

import torch
from torch import Tensor

from mesh_perception.joints import SMPL_JOINTS

# Masses in percent of the body, and centres of mass as shares of the way from joint to joint: de Leva, J. Biomech. 29
# (1996), men and women averaged. The trunk is taken from the pelvis to the neck, the head at its joint.
_SEGMENTS = (
    ('pelvis', 'neck', 0.5, 43.0),
    ('neck', 'head', 1.0, 6.8),
    *(
        (f'{side}_{start}', f'{side}_{end}', share, mass)
        for side in ('left', 'right')
        for start, end, share, mass in (
            ('hip', 'knee', 0.39, 14.5),
            ('knee', 'ankle', 0.44, 4.6),
            ('ankle', 'foot', 0.5, 1.3),
            ('shoulder', 'elbow', 0.58, 2.6),
            ('elbow', 'wrist', 0.46, 1.5),
            ('wrist', 'hand', 0.5, 0.6),
        )
    ),
)
# What a body can rest on, and how far its joints lie inside it (m, of the open body; people differ by a centimetre).
_CONTACTS = {
    'foot': 0.03,
    'ankle': 0.08,
    'knee': 0.05,
    'hip': 0.1,
    'elbow': 0.03,
    'wrist': 0.03,
    'hand': 0.02,
    'shoulder': 0.06,
}
LARGEST_IMBALANCE = 0.35  # m: what walking, running, kicking and jumping people nearly always keep below
_SLACK = 0.05  # m: what is this little above the lowest contact touches the ground too


def _numbers(names):
    return [SMPL_JOINTS.index(name) for name in names]


_STARTS, _ENDS = (_numbers(segment[i] for segment in _SEGMENTS) for i in (0, 1))
_JOINTS = _numbers(f'{side}_{name}' for name in _CONTACTS for side in ('left', 'right'))
_DEPTHS = tuple(depth for depth in _CONTACTS.values() for _ in range(2))


def centers_of_mass(joints: Tensor) -> Tensor:
    """(N, 3) m, of joints (N, 24, 3)."""
    share, mass = (joints.new_tensor([segment[i] for segment in _SEGMENTS])[:, None] for i in (2, 3))
    start, end = joints[:, _STARTS], joints[:, _ENDS]
    return ((start + share * (end - start)) * mass).sum(1) / mass.sum()


def imbalance(joints: Tensor) -> Tensor:
    """How far (N,), m, the centre of mass lies beside what the body stands on, seen from above.

    joints (N, 24, 3) m, y up; the ground is taken to be right under the lowest contact. 0.1 is a walk's step, 0.4 a
    fast run's; people who hang from their hands have more, or happen to have less.
    """
    contacts = joints[:, _JOINTS]
    heights = contacts[..., 1] - joints.new_tensor(_DEPTHS)
    touches = heights < heights.amin(1, keepdim=True) + _SLACK
    # The support is what lies between contacts: the nearest line between two of them, one alone counting as a line.
    start = contacts[:, :, None, ::2]
    along = contacts[:, None, :, ::2] - start
    away = centers_of_mass(joints)[:, None, None, ::2] - start
    share = ((away * along).sum(-1) / along.square().sum(-1).clamp_min(1e-9)).clamp(0, 1)
    distance = (away - share[..., None] * along).norm(dim=-1)
    return distance.masked_fill(~(touches[:, :, None] & touches[:, None]), torch.inf).flatten(1).amin(1)
