import math

import numpy as np
import pytest
import torch

from mesh_perception.evaluation.multiview.bootstrap import mean_interval


def autoregressive(count, frames, memory, rng):
    """Stationary AR(1) series (count, frames) of variance 1."""
    noise = rng.normal(size=(frames, count))
    values = [rng.normal(size=count)]
    for step in noise[1:]:
        values.append(memory * values[-1] + math.sqrt(1 - memory**2) * step)
    return np.stack(values, 1)


def width(interval):
    return interval[1] - interval[0]


def test_intervals_are_as_wide_as_means_of_many_series_scatter():
    rng = np.random.default_rng(0)
    frames, memory = 1000, 0.8
    scatter = autoregressive(4000, frames, memory, rng).mean(1).std()
    widths = [
        width(mean_interval(torch.from_numpy(series), block=40)) for series in autoregressive(30, frames, memory, rng)
    ]
    assert np.mean(widths) == pytest.approx(2 * 1.96 * scatter, rel=0.12)


def test_single_frames_as_blocks_are_too_sure_of_frames_that_resemble_their_neighbours():
    series = torch.from_numpy(autoregressive(1, 2000, 0.9, np.random.default_rng(1))[0])
    assert width(mean_interval(series, block=60)) > 2.5 * width(mean_interval(series, block=1))


def test_independent_frames_have_the_textbook_interval():
    values = torch.from_numpy(np.random.default_rng(2).normal(5, 2, 4000))
    low, high = mean_interval(values, block=1)
    half = 1.96 * float(values.std()) / math.sqrt(len(values))
    assert low == pytest.approx(float(values.mean()) - half, abs=0.15 * half)
    assert high == pytest.approx(float(values.mean()) + half, abs=0.15 * half)


def test_cameras_that_see_the_same_moments_do_not_count_as_more_moments():
    one = torch.from_numpy(autoregressive(1, 300, 0.8, np.random.default_rng(3))[0])
    assert mean_interval(one[:, None].expand(-1, 4), block=15) == mean_interval(one, block=15)


def test_missing_frames_are_left_out():
    values = torch.full((20, 2), torch.nan)
    values[::2, 0] = 3.0
    assert mean_interval(values, block=4) == (3.0, 3.0)
    assert all(math.isnan(end) for end in mean_interval(torch.full((9,), torch.nan), block=3))


@pytest.mark.parametrize('block', [0, 11])
def test_a_block_longer_than_the_clip_is_refused(block):
    with pytest.raises(ValueError, match=f'block of {block} frames: expected 1 to the 10'):
        mean_interval(torch.zeros(10), block)
