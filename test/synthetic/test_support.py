"""Balance, on bodies whose balance is known."""

import math

import pytest
import torch

from mesh_perception.body import load_body, skin, skin_joints
from mesh_perception.geometry.rotations import axis_angle_to_matrix
from mesh_perception.joints import SMPL_JOINTS
from mesh_perception.synthetic.support import LARGEST_IMBALANCE, centers_of_mass, imbalance

BODY = load_body('open')


def joints(**degrees):
    """The body with some joints turned: name=(x, y, z), a rotation vector in degrees."""
    rotations = torch.eye(3).repeat(1, 24, 1, 1)
    for name, vector in degrees.items():
        rotations[0, SMPL_JOINTS.index(name)] = axis_angle_to_matrix(torch.tensor(vector).deg2rad())
    return skin_joints(BODY, rotations, torch.zeros(1, BODY.num_betas), torch.zeros(1, 3))


def test_the_centre_of_mass_is_near_the_meshs_volume_centre():
    eye = torch.eye(3).repeat(1, 24, 1, 1)
    vertices = skin(BODY, eye, torch.zeros(1, BODY.num_betas), torch.zeros(1, 3)).vertices[0].double()
    corners = vertices[BODY.faces]
    volumes = torch.linalg.det(corners)  # six times the signed tetrahedron's
    expected = (corners.sum(1) / 4 * volumes[:, None]).sum(0) / volumes.sum()
    torch.testing.assert_close(centers_of_mass(joints())[0].double(), expected, atol=0.04, rtol=0)


@pytest.mark.parametrize(
    'pose, low, high',
    [
        ({}, 0, 0.08),
        ({'pelvis': (25.0, 0, 0)}, 0.2, 0.35),  # leans forwards, stiff
        ({'pelvis': (50.0, 0, 0)}, LARGEST_IMBALANCE, 0.9),
        ({'left_hip': (-60.0, 0, 0), 'right_hip': (-60.0, 0, 0)}, LARGEST_IMBALANCE, 1),  # hangs with raised legs
        ({'left_hip': (-90.0, 0, 0), 'right_hip': (-90.0, 0, 0)}, 0, 0.1),  # sits on the ground
        ({'pelvis': (85.0, 0, 0), 'left_hip': (-80.0, 0, 0), 'right_hip': (-80.0, 0, 0)}, 0.1, 0.45),  # bends down
        (
            {'pelvis': (180.0, 0, 0), 'left_shoulder': (0, 0, 90.0), 'right_shoulder': (0, 0, -90.0)},
            0,
            0.12,  # a handstand
        ),
    ],
)
def test_who_stands_is_told_from_who_would_fall(pose, low, high):
    assert low <= imbalance(joints(**pose)).item() < high


def test_heading_and_place_do_not_matter_and_nobody_is_no_special_case():
    turned = joints(pelvis=(0, 100.0, 0), left_hip=(-30.0, 0, 0)) + torch.tensor((3.0, -2, 5))
    straight = joints(left_hip=(-30.0, 0, 0))
    assert imbalance(turned).item() == pytest.approx(imbalance(straight).item(), abs=1e-3)
    assert imbalance(straight[:0]).shape == (0,)


def test_one_foot_alone_carries():
    """Standing on the left foot under the centre of mass."""
    lean = math.degrees(math.atan2(0.1, 0.9))
    pose = {'pelvis': (0, 0, -lean), 'right_knee': (90.0, 0, 0), 'left_hip': (0, 0, 0.0)}
    assert imbalance(joints(**pose)).item() < 0.12
