"""The prior that comes along: its density is what it says, its samples could be people, and it holds no poses."""

import math

import numpy as np
import pytest
import torch

from mesh_perception.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from mesh_perception.joints import SMPL_JOINTS
from mesh_perception.resources import data_file
from mesh_perception.synthetic.capture import shown_joints
from mesh_perception.synthetic.motion import SOURCE
from mesh_perception.synthetic.pose_prior import (
    PAIRS,
    PRIOR,
    hands_inside,
    levelled,
    line_distances,
    log_components,
    turned,
)
from mesh_perception.synthetic.poses import prior_poses
from mesh_perception.synthetic.support import LARGEST_IMBALANCE, imbalance


@pytest.fixture(scope='module')
def prior():
    return prior_poses()


@pytest.fixture(scope='module')
def samples(prior):
    return prior.sample(300, torch.Generator().manual_seed(0))


def test_the_density_is_a_mixture_of_gaussians(prior):
    stats = pytest.importorskip('scipy.stats')
    x = prior.coordinates(prior.propose(20, torch.Generator().manual_seed(0))).double()
    parts = [one.double() for one in (prior.weights, prior.means, prior.factors, prior.noise)]
    expected = [
        np.log(w.item()) + stats.multivariate_normal(m.numpy(), (f @ f.T + n * torch.eye(len(m))).numpy()).logpdf(x)
        for w, m, f, n in zip(*parts, strict=True)
    ]
    np.testing.assert_allclose(log_components(x, *parts).numpy(), np.stack(expected, 1), rtol=1e-6)
    np.testing.assert_allclose(prior.log_density(x.float()), np.logaddexp.reduce(expected), rtol=1e-3, atol=1e-2)


def test_proposals_have_the_mixtures_mean_and_covariance(prior):
    x = prior.coordinates(prior.propose(20000, torch.Generator().manual_seed(0)))
    mean = prior.weights @ prior.means
    spread = prior.factors @ prior.factors.mT + prior.noise[:, None, None] * torch.eye(len(mean))
    away = prior.means - mean
    covariance = (prior.weights[:, None, None] * (spread + away[:, :, None] * away[:, None])).sum(0)
    torch.testing.assert_close(x.mean(0), mean, atol=0.05, rtol=0)
    torch.testing.assert_close(torch.cov(x.T), covariance, atol=0.12, rtol=0)


def test_the_chart_goes_there_and_back_and_leaves_the_heading_out(prior, samples):
    upright = prior.poses(prior.coordinates(samples))
    # A third of a degree may be lost: of the pelvis' turn about the vertical, which is not free.
    torch.testing.assert_close(upright, levelled(samples), atol=1e-2, rtol=0)
    angles = torch.linspace(-3, 3, len(samples))
    torch.testing.assert_close(
        prior.coordinates(turned(samples, angles)), prior.coordinates(samples), atol=2e-3, rtol=0
    )


def test_samples_are_proper_rotations_with_any_heading(samples):
    torch.testing.assert_close(samples @ samples.mT, torch.eye(3).expand_as(samples), atol=1e-4, rtol=0)
    assert (torch.linalg.det(samples) > 0).all()
    facing = torch.atan2(samples[:, 0, 0, 2], samples[:, 0, 2, 2])
    quarters = torch.histc(facing, 4, -math.pi, math.pi)
    assert quarters.min() > 45  # of 75 each


def test_samples_stay_within_what_people_do(prior, samples):
    joints = shown_joints(prior.body, samples)
    assert (imbalance(joints) < LARGEST_IMBALANCE).all()
    assert (line_distances(joints) > prior.clearances).all() and not hands_inside(prior.body, samples, joints).any()
    degrees = torch.rad2deg(matrix_to_axis_angle(samples))
    knees, elbows = degrees[:, 4:6, 0], degrees[:, 18:20, 1] * torch.tensor((-1.0, 1))
    assert knees.min() > -15 and 100 < knees.max() < 150  # knees bend back, and no further than they can
    assert elbows.min() > -15 and 80 < elbows.max() < 150
    assert (samples[:, 0, 1, 1] > math.cos(math.radians(70))).all()  # nobody lies


def test_samples_keep_left_and_right_alike(samples):
    bends = matrix_to_axis_angle(samples)[:, [4, 5], 0].mean(0)
    assert torch.rad2deg((bends[0] - bends[1]).abs()) < 8


def test_a_pose_that_nobody_can_take_is_refused(prior):
    poses = prior.poses(prior.means)
    assert prior.accepts(poses).float().mean() > 0.7
    for joint, vector in (('left_knee', (-1.2, 0, 0)), ('right_elbow', (0, -2.5, 0)), ('head', (0, 2.5, 0))):
        bad = poses.clone()
        bad[:, SMPL_JOINTS.index(joint)] = axis_angle_to_matrix(torch.tensor(vector))
        assert not prior.accepts(bad).any(), joint


def test_distances_between_lines(prior):
    generator = torch.Generator().manual_seed(0)
    joints = torch.randn(40, 24, 3, generator=generator)
    found = line_distances(joints)
    assert found.shape == (40, len(PAIRS))
    steps = torch.linspace(0, 1, 201)[:, None]
    left, right = (
        joints[:, [SMPL_JOINTS.index(f'{side}_{one}') for one in ('elbow', 'hand')]] for side in ('left', 'right')
    )
    lines = [(1 - steps) * one[:, :1] + steps * one[:, 1:] for one in (left, right)]
    expected = torch.cdist(*lines).amin((1, 2))  # the first pair, by trying
    torch.testing.assert_close(found[:, 0], expected, atol=0.02, rtol=0)


def test_the_same_generator_gives_the_same_poses(prior):
    one, other = (prior.sample(5, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one, other) and prior.sample(0, torch.Generator()).shape == (0, 24, 3, 3)


def test_the_file_is_small_says_where_it_is_from_and_holds_few_numbers():
    """A few dozen means; the poses they were fitted to are thousands."""
    path = data_file(PRIOR)
    assert path.stat().st_size < 200_000
    with np.load(path, allow_pickle=False) as arrays:
        assert SOURCE in str(arrays['about'])
        assert len(arrays['means']) <= 32


def test_a_hand_inside_the_body_is_seen(prior):
    """An upper arm that hangs, and a forearm that is turned from the front into the belly."""
    poses = torch.eye(3).repeat(2, 24, 1, 1)
    poses[:, SMPL_JOINTS.index('left_shoulder')] = axis_angle_to_matrix(torch.tensor((0, 0, -1.45)))
    elbow = SMPL_JOINTS.index('left_elbow')
    # The bone hangs along -y, and the elbow's own x with it: its y turns the forearm sideways, its z to the front.
    world = axis_angle_to_matrix(torch.tensor([[-1.5, 0, 0], [0, 0, -1.5]]))
    shoulder = poses[0, SMPL_JOINTS.index('left_shoulder')]
    poses[:, elbow] = shoulder.T @ world @ shoulder
    joints = shown_joints(prior.body, poses)
    assert joints[0, 20, 2] > joints[0, 18, 2] + 0.1  # the first forearm points forwards
    assert hands_inside(prior.body, poses, joints).tolist() == [False, True]
