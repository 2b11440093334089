"""Predicted against seen errors, on errors that are drawn."""

import numpy as np
import pytest
import torch

from mesh_perception.evaluation.plots import calibration_plot
from mesh_perception.evaluation.sigma import calibrate


def drawn(factor=1.0, count=40_000):
    rng = np.random.default_rng(0)
    sigma = np.exp(rng.normal(np.log(0.05), 0.5, count))
    return torch.from_numpy(sigma), torch.from_numpy(factor * sigma[:, None] * rng.normal(size=(count, 3))).norm(dim=-1)


@pytest.mark.parametrize('factor', [1.0, 2.0])
def test_errors_as_large_as_predicted_lie_on_the_diagonal_and_twice_as_large_ones_twice_above_it(factor):
    found = calibrate(*drawn(factor))
    assert found.ratio == pytest.approx(factor, rel=0.02) and found.count == 40_000
    torch.testing.assert_close(found.seen, factor * found.predicted, rtol=0.05, atol=0)
    assert (found.predicted.diff() > 0).all()


def test_sigma_that_says_nothing_is_flat_in_what_is_seen():
    sigma, distances = drawn()
    found = calibrate(sigma[torch.randperm(len(sigma), generator=torch.Generator().manual_seed(0))], distances)
    assert found.seen.max() < 1.1 * found.seen.min() and found.predicted.max() > 3 * found.predicted.min()


def test_unknown_joints_and_the_root_do_not_count():
    sigma, distances = drawn(count=200)
    more = torch.cat([sigma, torch.tensor([float('nan'), 0.05, 0.0])])
    far = torch.cat([distances, torch.tensor([0.1, float('nan'), 0.1])])
    assert calibrate(more, far).count == 200
    assert calibrate(more, far).ratio == calibrate(sigma, distances).ratio
    assert calibrate(torch.full((50,), torch.nan), torch.rand(50)) is None
    assert calibrate(sigma[:9], distances[:9]) is None


def test_the_plot_shows_predicted_and_seen():
    picture = calibration_plot('Sigma', calibrate(*drawn(2.0)))
    line = picture.image.axes[0].lines[0]
    x, y = line.get_data()
    assert len(x) == 10 and np.allclose(y, 2 * np.asarray(x), rtol=0.1) and 20 < x.min() < x.max() < 200  # mm
    assert 'ratio 2.0' in picture.note
