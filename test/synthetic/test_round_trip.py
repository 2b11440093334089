"""What retargeting and inverse kinematics keep of a clip: the figures that `round_trip` states."""

import sys
from pathlib import Path

import torch

from mesh_perception.body import load_body
from mesh_perception.geometry.rotations import axis_angle_to_matrix
from mesh_perception.synthetic.capture import shown_joints
from mesh_perception.synthetic.retarget import retarget
from mesh_perception.synthetic.round_trip import BONES, bone_angles, round_trip

sys.path.insert(0, str(Path(__file__).parent))
import clips

FOLLOWED = [k for k, bone in enumerate(BONES) if bone != 'trunk' and 'foot' not in bone]


def random_trip(spread):
    generator = torch.Generator().manual_seed(0)
    vectors = spread * torch.randn(200, len(clips.NAMES), 3, generator=generator)
    return round_trip(clips.clip(axis_angle_to_matrix(vectors)), load_body('open'))


def test_inverse_kinematics_gives_joints_and_rotations_back():
    trip = random_trip(0.4)
    assert 1e3 * trip.joints.max() < 0.01  # mm
    assert trip.rotations.max() < 0.01  # degrees


def test_limbs_point_as_the_clips_and_the_rest_nearly():
    trip = random_trip(0.4)
    assert trip.bones.shape == (200, len(BONES))
    assert trip.bones[:, FOLLOWED].max() < 1e-3  # degrees
    assert random_trip(0.05).bones.max() < 25  # the trunk's and the feet's rest poses differ


def test_a_wrong_bone_is_seen():
    """The measure itself: a thigh 10 degrees off is 10 degrees off."""
    body = load_body('open')
    still = clips.clip(clips.still(1))
    bent = clips.still(1)
    bent[:, clips.NAMES.index('lfemur')] = axis_angle_to_matrix(torch.tensor((torch.pi / 18, 0, 0)))
    angles = bone_angles(still, shown_joints(body, retarget(clips.clip(bent), body.joint_template)))[0]
    thigh = clips.VECTORS[clips.NAMES.index('lfemur')]
    turned = axis_angle_to_matrix(torch.tensor((torch.pi / 18, 0, 0))) @ thigh
    expected = torch.rad2deg(torch.acos((thigh @ turned) / thigh.square().sum()))
    torch.testing.assert_close(angles[list(BONES).index('left thigh')], expected, atol=1e-2, rtol=0)
