"""What landmarks of hands, feet and face tell about twists and leaf joints, beside what the joints tell."""

import torch
import torch.nn.functional as F

from mesh_perception.inverse_kinematics.hints import hand_direction, hints_from_joints
from mesh_perception.joints import BLAZEPOSE_LANDMARKS, SMPL_JOINTS

_LANDMARK = {name: i for i, name in enumerate(BLAZEPOSE_LANDMARKS)}
_JOINT = {name: i for i, name in enumerate(SMPL_JOINTS)}
# The chain whose certainty a joint's own hint needs.
_CHAINS = {
    f'{side}_{joint}': tuple(f'{side}_{part}' for part in chain)
    for side in ('left', 'right')
    for joint, chain in {
        'hip': ('hip', 'knee', 'ankle'),
        'shoulder': ('shoulder', 'elbow', 'wrist'),
    }.items()
}


def landmark_hints(landmarks, certain, joints):
    """Hints for `solve_with_hints`: directions (N, 24, 3) of HINT_AXES and weights (N, 24).

    landmarks: (N, 33, 3) m and joints: (N, 24, 3) m, both with the camera's axes; certain: (N, 33) in [0, 1].
    Elbow and knee planes and the lines across hips and shoulders come from the joints; the palm's plane turns the
    forearm and the wrist, the line through the ears the neck, the face the head, heel and toes the foot.
    """

    def at(name):
        return landmarks[:, _LANDMARK[name]]

    def certainty(*names):
        return torch.stack([certain[:, _LANDMARK[name]] for name in names]).amin(0)  # a list as index is uploaded

    directions, weights = hints_from_joints(joints)
    directions, weights = directions.clone(), weights.clone()

    def give(joint, direction, weight):
        directions[:, _JOINT[joint]] = F.normalize(direction, dim=-1)
        weights[:, _JOINT[joint]] = weight

    for joint, chain in _CHAINS.items():
        weights[:, _JOINT[joint]] *= certainty(*chain)
    for side in ('left', 'right'):
        wrist, index, pinky = (f'{side}_{part}' for part in ('wrist', 'index', 'pinky'))
        back, clear = hand_direction(at(index) - at(pinky), (at(index) + at(pinky)) / 2 - at(wrist), side)
        give(wrist, back, clear * certainty(wrist, index, pinky))
        heel, toes = f'{side}_heel', f'{side}_foot_index'
        give(f'{side}_foot', at(toes) - at(heel), certainty(heel, toes))
    ears = (at('left_ear') + at('right_ear')) / 2
    face = (at('nose') + at('left_eye') + at('right_eye')) / 3
    give('neck', at('left_ear') - at('right_ear'), certainty('left_ear', 'right_ear', 'nose'))
    give('head', face - ears, certainty('left_ear', 'right_ear', 'nose'))
    return directions, weights
