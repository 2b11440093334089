import math

import pytest
import torch

from mesh_perception.evaluation.multiview.figures import compare, intervals, jitter_mm, means
from mesh_perception.evaluation.multiview.joints import HIPS

FRAMES = 30


@pytest.fixture
def truth():
    """A person 4 m away on the optical axis: the mid-hip is exactly there. (T, 12, 3)"""
    points = torch.randn(FRAMES, 12, 3, generator=torch.Generator().manual_seed(0)).double() * 0.3
    points = points - points[:, HIPS, :].mean(1, keepdim=True)
    return points + torch.tensor([0.0, 0.0, 4.0])


def compared(points, truth, ids=None):
    ids = torch.ones(FRAMES, dtype=torch.int64) if ids is None else ids
    return compare(points, truth, torch.ones(FRAMES, dtype=torch.bool), ids)


def test_the_reference_itself_has_no_error(truth):
    mean = means([compared(truth, truth)])
    assert mean['found'] == 1 and mean['id_switches'] == 0
    for name in ('mpjpe_mm', 'pa_mpjpe_mm', 'depth_error_m', 'depth_bias_m', 'across_error_m', 'absolute_mpjpe_mm'):
        assert mean[name] == pytest.approx(0, abs=1e-9), name
    assert mean['jitter_mm'] == pytest.approx(mean['reference_jitter_mm'])


def test_a_person_put_elsewhere_has_errors_along_and_across_the_ray_alone(truth):
    mean = means([compared(truth + torch.tensor([0.3, -0.4, -0.2]), truth)])
    assert mean['depth_bias_m'] == pytest.approx(-0.2)
    assert mean['depth_error_m'] == pytest.approx(0.2)
    assert mean['depth_error_percent'] == pytest.approx(5)
    assert mean['across_error_m'] == pytest.approx(0.5)
    assert mean['across_error_percent'] == pytest.approx(12.5)
    assert mean['absolute_mpjpe_mm'] == pytest.approx(1e3 * math.sqrt(0.29))
    assert mean['mpjpe_mm'] == pytest.approx(0, abs=1e-9)


def test_depth_is_measured_along_the_ray_to_the_person_not_along_the_optical_axis(truth):
    aside = truth + torch.tensor([3.0, 0, 0])  # the root is at (3, 0, 4), 5 m away
    mean = means([compared(aside * 1.1, aside)])
    assert mean['depth_bias_m'] == pytest.approx(0.5)
    assert mean['across_error_m'] == pytest.approx(0, abs=1e-9)


def test_a_larger_body_has_an_mpjpe_but_no_procrustes_error(truth):
    root = truth[:, HIPS, :].mean(1, keepdim=True)
    mean = means([compared(root + 1.1 * (truth - root), truth)])
    assert mean['mpjpe_mm'] == pytest.approx(100 * float((truth - root).norm(dim=-1).mean()))
    assert mean['pa_mpjpe_mm'] == pytest.approx(0, abs=1e-6)


def test_one_point_off_counts_one_twelfth(truth):
    points = truth.clone()
    points[:, 4, 1] += 0.06  # a wrist: not part of the root
    result = compared(points, truth)
    assert float(result.mpjpe_mm.mean()) == pytest.approx(5)
    assert result.joints_mm.mean(0).tolist() == pytest.approx([60 if j == 4 else 0 for j in range(12)], abs=1e-9)


def test_frames_without_the_person_count_as_not_found_and_are_in_no_mean(truth):
    points, ids = truth + torch.tensor([0.0, 0.0, 0.1]), torch.ones(FRAMES, dtype=torch.int64)
    points[10:16], ids[10:16] = torch.nan, -1
    result = compared(points, truth, ids)
    mean = means([result])
    assert mean['found'] == pytest.approx(24 / 30)
    assert mean['depth_error_m'] == pytest.approx(0.1)
    assert result.id_switches == 0  # found again under the same id
    assert result.jitter_mm.isnan().nonzero()[:, 0].tolist() == [0, *range(9, 17), 29]


def test_a_joint_that_the_reference_does_not_know_counts_nowhere(truth):
    points = truth.clone()
    points[:, 5] += 1.0
    truth[:, 5] = torch.nan
    mean = means([compared(points, truth)])
    assert mean['mpjpe_mm'] == pytest.approx(0, abs=1e-9) and mean['pa_mpjpe_mm'] == pytest.approx(0, abs=1e-6)


def test_frames_that_the_reference_does_not_know_are_neither_found_nor_missed(truth):
    counts = torch.arange(FRAMES) < 20
    points = truth.clone()
    points[10:] = torch.nan
    mean = means([compare(points, truth, counts, torch.where(torch.arange(FRAMES) < 10, 1, -1))])
    assert mean['found'] == pytest.approx(0.5)


def test_every_change_of_the_id_is_a_switch(truth):
    ids = torch.tensor([1] * 10 + [2] * 5 + [1] * 15)
    assert compared(truth, truth, ids).id_switches == 2


def test_jitter_is_the_acceleration_in_mm_per_frame_squared():
    t = torch.arange(FRAMES).double()
    thrown = torch.stack((0.01 * t, 0.5 * 0.002 * t**2, t * 0), -1)[:, None].expand(-1, 12, -1)
    assert jitter_mm(thrown)[1:-1].tolist() == pytest.approx([2.0] * (FRAMES - 2))
    shaken = torch.stack((0.001 * (-1.0) ** t, t * 0, t * 0), -1)[:, None]  # 1 mm to and fro
    assert jitter_mm(shaken)[1:-1].tolist() == pytest.approx([4.0] * (FRAMES - 2))


@pytest.mark.parametrize('frames', [0, 1, 2, 3])
def test_short_clips_have_no_jitter_at_their_ends(frames):
    jitter = jitter_mm(torch.zeros(frames, 12, 3))
    assert len(jitter) == frames
    assert int((~jitter.isnan()).sum()) == max(frames - 2, 0)


def test_the_means_over_people_count_each_frame_alike(truth):
    near, far = truth + torch.tensor([0.0, 0.0, 0.1]), truth + torch.tensor([0.0, 0.0, 0.4])
    far[10:] = torch.nan
    both = [compared(near, truth), compared(far, truth)]
    assert means(both)['depth_error_m'] == pytest.approx((30 * 0.1 + 10 * 0.4) / 40)
    low, high = intervals(both, 5)['depth_error_m']
    assert 0.1 <= low < means(both)['depth_error_m'] < high <= 0.25


def test_jitter_is_the_points_own_and_that_of_the_root_is_apart(truth):
    still = truth[:1].expand(FRAMES, -1, -1)
    shaken = still + 0.001 * (-1.0) ** torch.arange(FRAMES)[:, None, None] * torch.tensor([0.0, 0.0, 1.0])
    mean = means([compared(shaken, still)])
    assert mean['jitter_mm'] == pytest.approx(0, abs=1e-6)
    assert mean['root_jitter_mm'] == pytest.approx(4)


def test_a_frame_that_does_not_count_is_in_no_mean_even_if_somebody_was_found(truth):
    points = truth + torch.tensor([0.0, 0.0, 0.1])
    points[20:] += 1.0
    result = compare(points, truth, torch.arange(FRAMES) < 20, torch.ones(FRAMES, dtype=torch.int64))
    assert means([result])['depth_error_m'] == pytest.approx(0.1)
    assert means([result])['found'] == 1
