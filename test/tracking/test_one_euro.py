"""The filter against the paper's algorithm for one number, which turns about one axis are."""

import math

import numpy as np
import pytest
import torch

from mesh_perception.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from mesh_perception.tracking import one_euro
from mesh_perception.tracking.one_euro import OneEuro, Turning

PARAMETERS = OneEuro(cutoff=1.3, slope=0.7, speed_cutoff=0.9)


def scalar_one_euro(values, steps, parameters):
    """Algorithm 1 of Casiez et al. 2012 (their names), for values taken `steps` seconds after each other."""

    def alpha(te, cutoff):
        tau = 1.0 / (2 * math.pi * cutoff)
        return 1.0 / (1.0 + tau / te)

    hatxprev, dhatxprev = values[0], 0.0
    out = [hatxprev]
    for x, te in zip(values[1:], steps, strict=True):
        dx = (x - hatxprev) / te
        edx = alpha(te, parameters.speed_cutoff) * dx + (1 - alpha(te, parameters.speed_cutoff)) * dhatxprev
        cutoff = parameters.cutoff + parameters.slope * abs(edx)
        hatx = alpha(te, cutoff) * x + (1 - alpha(te, cutoff)) * hatxprev
        hatxprev, dhatxprev = hatx, edx
        out.append(hatx)
    return np.array(out)


def about(axis, angles):
    """Rotations (N, 1, 3, 3) by angles (N,) about axes (N, 3)."""
    return axis_angle_to_matrix(axis * angles[:, None])[:, None]


def test_turns_about_an_axis_are_filtered_as_the_papers_numbers_for_everybody_at_once():
    random = np.random.default_rng(0)
    people, count = 5, 80
    angles = np.cumsum(random.normal(0, 0.1, (people, count)), 1)
    steps = random.uniform(0.005, 0.2, (people, count - 1))
    axes = torch.nn.functional.normalize(torch.from_numpy(random.normal(size=(people, 3))), dim=1)
    signal = torch.from_numpy(angles)
    turning = one_euro.start(about(axes, signal[:, 0]))
    for k in range(1, count):
        turning = one_euro.smooth(turning, about(axes, signal[:, k]), torch.from_numpy(steps[:, k - 1]), PARAMETERS)
    for i in range(people):
        expected = scalar_one_euro(angles[i], steps[i], PARAMETERS)[-1]
        left = turning.rotations[i, 0].mT @ axis_angle_to_matrix(axes[i] * expected)
        assert float(matrix_to_axis_angle(left).norm()) < 1e-6


def test_filtered_rotations_stay_rotations():
    generator = torch.Generator().manual_seed(1)
    turning = one_euro.start(axis_angle_to_matrix(torch.randn(3, 24, 3, generator=generator)))
    for _ in range(500):
        new = axis_angle_to_matrix(torch.randn(3, 24, 3, generator=generator))
        turning = one_euro.smooth(turning, new, torch.full((3,), 1 / 60), PARAMETERS)
    eye = turning.rotations @ turning.rotations.mT
    assert torch.allclose(eye, torch.eye(3).expand_as(eye), atol=1e-4)
    assert torch.allclose(turning.rotations.det(), torch.ones(3, 24), atol=1e-4)


def test_which_axes_the_world_has_makes_no_difference():
    generator = torch.Generator().manual_seed(2)
    rotations = axis_angle_to_matrix(0.3 * torch.randn(20, 2, 4, 3, generator=generator).double().cumsum(0))
    world = axis_angle_to_matrix(torch.tensor([0.4, -1.0, 2.0]).double())
    step = torch.full((2,), 0.03).double()
    here, there = one_euro.start(rotations[0]), one_euro.start(world @ rotations[0])
    for new in rotations[1:]:
        here = one_euro.smooth(here, new, step, PARAMETERS)
        there = one_euro.smooth(there, world @ new, step, PARAMETERS)
    assert torch.allclose(there.rotations, world @ here.rotations, atol=1e-9)


def test_after_a_long_time_what_is_seen_counts_and_nothing_else():
    turning = one_euro.start(torch.eye(3).expand(1, 1, 3, 3))
    new = axis_angle_to_matrix(torch.tensor([[[0.0, 1.0, 0.0]]]))
    assert torch.allclose(one_euro.smooth(turning, new, torch.tensor([1e4]), PARAMETERS).rotations, new, atol=1e-3)


@pytest.mark.parametrize('count', [0, 1])
def test_nobody_is_a_normal_case(count):
    turning = one_euro.start(torch.eye(3).expand(count, 24, 3, 3))
    turning = one_euro.smooth(turning, torch.eye(3).expand(count, 24, 3, 3), torch.ones(count), PARAMETERS)
    assert isinstance(turning, Turning) and turning.rotations.shape == (count, 24, 3, 3)
