"""Cameras look where they are told to."""

import math

import pytest
import torch

from mesh_perception.synthetic.cameras import look_at, move, sample_camera
from mesh_perception.synthetic.scene import SceneSettings

EYE, TARGET = torch.tensor([1.0, 1.5, 4.0]), torch.tensor([0.5, 1.0, 0.0])


def test_the_target_lies_on_the_axis_and_the_world_upright():
    matrix = look_at(EYE, TARGET)
    torch.testing.assert_close(move(matrix, EYE), torch.zeros(3), atol=1e-6, rtol=0)
    torch.testing.assert_close(
        move(matrix, TARGET), torch.tensor([0, 0, float((TARGET - EYE).norm())]), atol=1e-6, rtol=0
    )
    above = move(matrix, TARGET + torch.tensor([0, 0.1, 0]))
    assert above[0] == pytest.approx(0, abs=1e-6) and above[1] < 0
    right = move(matrix, TARGET + torch.tensor([0.4, 0, -0.05]))  # it looks along -z, so that x is to the right
    assert right[0] > 0 and right[1] == pytest.approx(0, abs=1e-6)


def test_roll_turns_the_camera_clockwise_and_so_the_picture_the_other_way():
    above = move(look_at(EYE, TARGET, math.radians(10)), TARGET + torch.tensor([0, 0.1, 0]))
    assert math.degrees(math.atan2(-above[0], -above[1])) == pytest.approx(10, abs=1e-3)


def test_who_cannot_be_seen_is_not_seen_and_somebody_always_is():
    joints = torch.rand(2, 24, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([0.3, 1.7, 0.3])
    joints[1, :, 1] += 500
    settings = SceneSettings(distance=(2, 4), truncation=1)
    for seed in range(5):
        view = sample_camera(joints, joints, settings, torch.Generator().manual_seed(seed))
        assert view.seen.sum() == 1


def test_settings_without_a_camera_that_sees_somebody_are_refused():
    joints = torch.rand(1, 24, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([0.3, 1.7, 0.3])
    with pytest.raises(ValueError, match='no camera of these sees anybody'):
        sample_camera(joints, joints, SceneSettings(distance=(0.05, 0.1)), torch.Generator().manual_seed(0))
