"""Clips on the open body: bones point as the clip's, hinges lie where SMPL has them, twists are the data's."""

import math
import sys
from pathlib import Path

import pytest
import torch
from torch.nn.functional import normalize

from mesh_perception.body import load_body, skin_joints
from mesh_perception.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from mesh_perception.inverse_kinematics.solver import solve, twists_from_rotations
from mesh_perception.inverse_kinematics.swing import Swings
from mesh_perception.joints import SMPL_CHILD, SMPL_JOINTS, SMPL_MIRROR
from mesh_perception.synthetic.retarget import mirror, retarget

sys.path.insert(0, str(Path(__file__).parent))
import clips

BODY = load_body('open')
REST = BODY.joint_template
BENDS = torch.linspace(0, 2.2, 12)


def joints(rotations):
    return skin_joints(BODY, rotations, torch.zeros(len(rotations), BODY.num_betas), torch.zeros(len(rotations), 3))


def random_clip(frames=20, spread=0.5):
    generator = torch.Generator().manual_seed(0)
    vectors = spread * torch.randn(frames, len(clips.NAMES), 3, generator=generator)
    return clips.clip(axis_angle_to_matrix(vectors))


def bending(bone, axis):
    """One of the clip's joints bends about an axis by BENDS."""
    rotations = clips.still(len(BENDS))
    rotations[:, clips.NAMES.index(bone)] = axis_angle_to_matrix(BENDS[:, None] * normalize(torch.tensor(axis), dim=0))
    return retarget(clips.clip(rotations), REST)


def off(a, b):
    """Degrees between directions."""
    return torch.rad2deg(2 * torch.asin((normalize(a, dim=-1) - normalize(b, dim=-1)).norm(dim=-1) / 2))


def test_bones_point_as_the_clips():
    clip = random_clip()
    ours, (_, places) = joints(retarget(clip, REST)), clip.world()
    at = dict(zip(clip.names, places.unbind(1), strict=True))
    for name, start, end in (
        ('left_hip', 'lfemur', 'ltibia'),
        ('right_knee', 'rtibia', 'rfoot'),
        ('left_collar', 'lclavicle', 'lhumerus'),
        ('right_shoulder', 'rhumerus', 'rradius'),
        ('left_elbow', 'lradius', 'lwrist'),
        ('right_wrist', 'rhand', 'rfingers'),
        ('neck', 'lowerneck', 'head'),
    ):
        joint = SMPL_JOINTS.index(name)
        bone = ours[:, SMPL_CHILD[joint]] - ours[:, joint]
        assert off(bone, at[end] - at[start]).max() < 1e-3, name


@pytest.mark.parametrize(
    'bone, joint, axis, expected',
    [
        ('lradius', 'left_elbow', (0, -(0.75**0.5), 0.5), (0, -1, 0)),
        ('rradius', 'right_elbow', (0, 0.75**0.5, -0.5), (0, 1, 0)),
        ('ltibia', 'left_knee', (0.38, 0.14, 0), (1, 0, 0)),
        ('rtibia', 'right_knee', (0.38, -0.14, 0), (1, 0, 0)),
    ],
)
def test_hinges_lie_along_smpls_axes(bone, joint, axis, expected):
    j = SMPL_JOINTS.index(joint)
    rotations = bending(bone, axis)[:, j]
    # From one bend to another the joint turns about the hinge, whatever the constants of both rest poses.
    turns = matrix_to_axis_angle(rotations[4:] @ rotations[:-4].mT)
    child = SMPL_CHILD[j]
    tilt = off(REST[child] - REST[j], REST[j] - REST[j - 3 if 'knee' in joint else j - 2])  # the body's rest is bent
    assert off(turns, torch.tensor(expected, dtype=torch.float32)).max() < 3 + tilt


def test_pronation_is_shared_by_forearm_and_wrist_and_the_palm_is_the_clips():
    rotations = clips.still(1)
    rotations[:, clips.NAMES.index('lwrist')] = axis_angle_to_matrix(torch.tensor((0.8, 0, 0)))
    turned, still = retarget(clips.clip(rotations), REST), retarget(clips.clip(clips.still(1)), REST)

    def twist(rotations, joint):
        cosine, sine = twists_from_rotations(REST[None], rotations)[0, joint]
        return math.atan2(sine, cosine)

    angles = [twist(turned, joint) - twist(still, joint) for joint in (18, 20)]
    assert angles == pytest.approx([0.4, 0.4], abs=2e-3)
    world = torch.linalg.multi_dot(tuple(turned[0, [0, 3, 6, 9, 13, 16, 18, 20]]))
    down = world @ torch.tensor((0, -1.0, 0))
    assert off(down, torch.tensor((0, -math.cos(0.8), -math.sin(0.8)))) < 3  # the hand's bone is not quite level


def test_level_feet_and_an_upright_head():
    still = clips.still(1)
    still[:, clips.NAMES.index('head')] = axis_angle_to_matrix(torch.tensor((math.radians(16), 0, 0)))
    rotations = retarget(clips.clip(still), REST)
    world = rotations[:, 0] @ rotations[:, 1] @ rotations[:, 4] @ rotations[:, 7]
    # CMU's rest pose spreads the legs by 19 degrees and tilts the soles with them, but not forwards.
    assert world[0, 1, 2].abs() < 1e-6 and world[0, 1, 0].item() == pytest.approx(0.14 / math.hypot(0.14, 0.4))
    head = rotations[:, 0] @ rotations[:, 3] @ rotations[:, 6] @ rotations[:, 9] @ rotations[:, 12] @ rotations[:, 15]
    torch.testing.assert_close(head[0], torch.eye(3), atol=1e-6, rtol=0)


def test_inverse_kinematics_gives_the_rotations_back():
    rotations = retarget(random_clip(), REST)
    rest = REST.expand(len(rotations), 24, 3)
    places = joints(rotations)
    back = solve(rest, places, twists_from_rotations(rest, rotations), rotations)
    assert (joints(back) - places).norm(dim=-1).max() < 1e-5  # m
    assert torch.rad2deg(matrix_to_axis_angle(back.mT @ rotations).norm(dim=-1)).max() < 0.01


def test_rotations_are_proper_and_an_empty_clip_is_no_special_case():
    rotations = retarget(random_clip(), REST)
    torch.testing.assert_close(rotations @ rotations.mT, torch.eye(3).expand_as(rotations), atol=1e-5, rtol=0)
    assert (torch.linalg.det(rotations) > 0).all()
    assert retarget(random_clip().frames(slice(0)), REST).shape == (0, 24, 3, 3)


def test_forearms_do_not_jump_where_a_noisy_wrist_passes_half_a_turn():
    rotations = clips.still(200)
    angles = torch.linspace(0, 2 * math.pi, 200)
    rotations[:, clips.NAMES.index('lwrist')] = axis_angle_to_matrix(angles[:, None] * torch.tensor((1.0, 0, 0)))
    elbows = retarget(clips.clip(rotations), REST)[:, 18]
    steps = matrix_to_axis_angle(elbows[1:] @ elbows[:-1].mT).norm(dim=-1)
    assert steps.max() < 0.02  # rad; half of the wrist's


def test_mirrored_rotations_give_mirrored_joints():
    rotations = retarget(random_clip(), REST)
    flip = torch.tensor((-1.0, 1, 1))
    expected = joints(rotations)[:, SMPL_MIRROR] * flip
    torch.testing.assert_close(joints(mirror(rotations)), expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(mirror(mirror(rotations)), rotations)


def test_a_mirrored_clip_gives_mirrored_rotations():
    """Left and right are treated alike."""
    clip = random_clip()
    swap = {'l': 'r', 'r': 'l'}
    middle = ('root', 'lowerback', 'upperback', 'thorax', 'lowerneck', 'upperneck', 'head')
    order = [clips.NAMES.index(n if n in middle else swap[n[0]] + n[1:]) for n in clips.NAMES]
    flip = torch.tensor((-1.0, 1, 1))
    swapped = clips.clip(clip.rotations[:, : len(order)][:, order] * flip[:, None] * flip)
    torch.testing.assert_close(retarget(swapped, REST), mirror(retarget(clip, REST)), atol=2e-3, rtol=0)


def test_swings_of_a_bending_elbow_turn_about_plus_y():
    rotations = bending('lradius', (0, -(0.75**0.5), 0.5))[:, 18]
    bone = normalize(REST[20] - REST[18], dim=0)
    swing = Swings(bone.expand(len(BENDS), 1, 3)).onto((rotations @ bone)[:, None])[:, 0]
    axes = matrix_to_axis_angle(swing)[6:]
    assert off(axes, torch.tensor((0, -1.0, 0))).max() < 5
