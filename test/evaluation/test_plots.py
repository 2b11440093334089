"""Plots say what they were given."""

import numpy as np
import pytest

from mesh_perception.evaluation.plots import binned_error, curves, joint_bars, side_by_side


def test_bars_are_as_long_as_the_errors_and_named():
    axes = joint_bars('By joint', ['left_knee', 'head'], {'a': [10, 20], 'b': [1, 2]}).image.axes[0]
    assert [patch.get_width() for patch in axes.patches] == [10, 20, 1, 2]
    assert [label.get_text() for label in axes.get_yticklabels()] == ['left knee', 'head']


def test_bins_show_value_interval_and_number():
    nan = float('nan')
    picture = binned_error(
        't', 'distance', ['near', 'far', 'none'], [5, 7, nan], [[4, 8], [nan, nan], [nan, nan]], [30, 2, 0]
    )
    axes = picture.image.axes[0]
    assert axes.lines[0].get_ydata()[:2].tolist() == [5, 7]
    (bar, *_) = axes.collections[0].get_segments()
    assert bar[:, 1] == pytest.approx([4, 8])
    assert [label.get_text() for label in axes.get_xticklabels()] == ['near\nn = 30', 'far\nn = 2', 'none\nn = 0']


def test_every_curve_is_drawn_and_named():
    axes = curves('t', [0, 1, 2], {'a': [0, 1, 2], 'b': [2, 1, 0], 'c': [1, 1, 1]}, 'x', 'y').image.axes[0]
    assert [line.get_label() for line in axes.lines] == ['a', 'b', 'c']


def test_pictures_stand_in_one_row_at_one_height():
    small, large = np.full((10, 20, 3), 50, np.uint8), np.full((40, 20, 3), 90, np.uint8)
    image = side_by_side('t', [small, large], height=20).image
    assert image.shape == (20, 40 + 6 + 10, 3)
    assert (image[:, :40] == 50).all() and (image[:, 40:46] == 255).all() and (image[:, 46:] == 90).all()
