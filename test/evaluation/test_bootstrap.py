"""Bootstrap intervals against what theory says of them."""

import numpy as np
import pytest

from mesh_perception.evaluation.bootstrap import Bootstrap


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution():
    values = np.random.default_rng(1).normal(10, 2, 400)
    estimate = Bootstrap(400, repeats=4000).mean(values, np.arange(400))
    half = 1.96 * values.std() / 20
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.low == pytest.approx(values.mean() - half, abs=0.05 * 2 * half)
    assert estimate.high == pytest.approx(values.mean() + half, abs=0.05 * 2 * half)


def test_what_belongs_to_one_sample_is_drawn_together():
    """100 samples of ten equal values say as much as 100 values, not as 1000."""
    values = np.random.default_rng(2).normal(0, 1, 100)
    one = Bootstrap(100).mean(values, np.arange(100))
    ten = Bootstrap(100).mean(values.repeat(10), np.arange(100).repeat(10))
    assert ten == pytest.approx(one)


def test_missing_values_do_not_count():
    estimate = Bootstrap(6).mean([1, 2, 3, 4, 5, np.nan], range(6))
    assert estimate.value == pytest.approx(3) and 1 <= estimate.low < 3 < estimate.high <= 5


def test_a_ratio_is_that_of_the_sums():
    assert Bootstrap(5).ratio([1, 0, 2, 1, 1], [1, 4, 2, 2, 1]).value == pytest.approx(0.5)


def test_of_few_samples_there_is_no_interval_and_of_none_no_value():
    few = Bootstrap(50).mean([1.0, 2.0], [7, 8])
    assert few.value == 1.5 and np.isnan([few.low, few.high]).all() and few.text() == '1.5'
    none = Bootstrap(50).mean([], [])
    assert np.isnan(none).all() and none.text() is None


def test_the_same_figures_give_the_same_interval():
    values = np.arange(30.0)
    assert Bootstrap(30).mean(values, range(30)) == Bootstrap(30).mean(values, range(30))
