"""Bootstrap intervals against what theory says of them."""

import numpy as np
import pytest

from mesh_perception.evaluation.bootstrap import Bootstrap, Estimate


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
    # A constant ratio has an interval of no width, however much the samples weigh; one of nothing is not drawn.
    weights = np.r_[np.zeros(60), [1, 2, 3, 4, 5, 50]]
    assert Bootstrap(66).ratio(3 * weights, weights) == pytest.approx((3, 3, 3))


def test_large_samples_weigh_more_in_a_mean():
    assert Bootstrap(2).mean([1, 1, 1, 5], [0, 0, 0, 1]).value == pytest.approx(2)


def test_every_sample_is_drawn_as_often_as_told():
    draws = Bootstrap(7, repeats=3000).draws
    assert draws.shape == (3000, 7) and (draws.sum(1) == 7).all()
    assert draws.mean(0) == pytest.approx(np.ones(7), abs=0.1) and draws.var(0) == pytest.approx(6 / 7, abs=0.1)


def test_as_text_with_its_interval_if_it_has_one():
    assert Estimate(62.123, 58.0, 66.26).text() == '62.1 (58.0 to 66.3)'
    assert Estimate(0.62123, 0.58, 0.6626).text(decimals=2) == '0.62 (0.58 to 0.66)'
    assert Estimate(0.62123, np.nan, np.nan).text(decimals=3) == '0.621'


def test_of_few_samples_there_is_no_interval_and_of_none_no_value():
    few = Bootstrap(50).mean([1.0, 2.0], [7, 8])
    assert few.value == 1.5 and np.isnan([few.low, few.high]).all() and few.text() == '1.5'
    none = Bootstrap(50).mean([], [])
    assert np.isnan(none).all() and none.text() is None


def test_the_same_figures_give_the_same_interval():
    values = np.arange(30.0)
    assert Bootstrap(30).mean(values, range(30)) == Bootstrap(30).mean(values, range(30))
