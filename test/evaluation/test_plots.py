"""Plots say what they were given."""

import numpy as np
import pytest

from mesh_perception.evaluation.plots import around, binned_error, curves, joint_bars, side_by_side
from mesh_perception.geometry.camera import Camera


def words(axes):
    legend = axes.get_legend()
    return axes.get_xlabel(), axes.get_ylabel(), [text.get_text() for text in legend.get_texts()] if legend else None


def test_bars_are_as_long_as_the_errors_and_named():
    picture = joint_bars('By joint', ['left_knee', 'head'], {'a': [10, 20], 'b': [1, 2]}, 'px', 'A note')
    axes = picture.image.axes[0]
    assert (picture.title, picture.note) == ('By joint', 'A note') and words(axes) == ('px', '', ['a', 'b'])
    assert [patch.get_width() for patch in axes.patches] == [10, 20, 1, 2]
    assert [label.get_text() for label in axes.get_yticklabels()] == ['left knee', 'head']
    # From above: a and b of the knee, a and b of the head; nothing lies on anything else.
    edges = [(patch.get_y(), patch.get_y() + patch.get_height()) for patch in axes.patches]
    knee_a, head_a, knee_b, head_b = edges
    assert all(a[1] <= b[0] + 1e-9 for a, b in ((knee_a, knee_b), (knee_b, head_a), (head_a, head_b)))
    assert axes.yaxis_inverted()


def test_bars_of_one_series_need_no_name():
    axes = joint_bars('t', ['a', 'b'], [3, 4]).image.axes[0]
    assert [patch.get_width() for patch in axes.patches] == [3, 4] and words(axes) == ('mm', '', None)
    assert not axes.spines['top'].get_visible() and axes.get_axisbelow()


def test_bins_show_value_interval_and_number():
    nan = float('nan')
    picture = binned_error(
        't',
        'distance',
        ['near', 'far', 'none'],
        [5, 7, nan],
        [[4, 8], [nan, nan], [nan, nan]],
        [30, 2, 0],
        note='A note',
    )
    axes = picture.image.axes[0]
    assert picture.note == 'A note' and words(axes) == ('distance', 'mm', None) and axes.get_ylim()[0] == 0
    assert axes.lines[0].get_ydata()[:2].tolist() == [5, 7]
    (bar, *_) = axes.collections[0].get_segments()
    assert bar[:, 1] == pytest.approx([4, 8])
    assert [label.get_text() for label in axes.get_xticklabels()] == ['near\nn = 30', 'far\nn = 2', 'none\nn = 0']
    with pytest.raises(ValueError):
        binned_error('t', 'distance', ['near', 'far'], [5, 7], [[4, 8]] * 2, [30, 2, 0])


def test_every_curve_is_drawn_and_named():
    series = {'a': [0, 1, 2], 'b': [2, 1, 0], 'c': [1, 1, 1], 'd': [5, 4, 3]}
    for count in (1, 2, 3, 4):
        names = list(series)[:count]
        axes = curves('t', [0, 10, 30], {name: series[name] for name in names}, 'time', 'error').image.axes[0]
        assert [line.get_label() for line in axes.lines] == names
        for line in axes.lines:
            assert line.get_xdata().tolist() == [0, 10, 30]
            assert line.get_ydata().tolist() == series[line.get_label()]
        assert words(axes) == ('time', 'error', names if count > 1 else None)
    place = axes.get_legend().get_bbox_to_anchor().transformed(axes.transAxes.inverted())
    assert place.x0 == pytest.approx(1)  # beside the lines: four names would cover them


def test_pictures_stand_in_one_row_at_one_height():
    small, large = np.full((10, 20, 3), 50, np.uint8), np.full((40, 20, 3), 90, np.uint8)
    image = side_by_side('t', [small, large], height=20).image
    assert image.shape == (20, 40 + 6 + 10, 3)
    assert (image[:, :40] == 50).all() and (image[:, 40:46] == 255).all() and (image[:, 46:] == 90).all()


def test_around_a_box_there_is_room_for_limbs_within_the_picture():
    camera = Camera.from_fov(640, 480, 60)
    rows, columns = around([100, 200, 150, 300], camera)  # a margin of 0.3 x 100 px
    assert (rows.start, rows.stop, columns.start, columns.stop) == (170, 330, 70, 180)
    rows, columns = around([-50, 300, 250, 700], camera)
    assert (rows.start, rows.stop, columns.start, columns.stop) == (180, 480, 0, 370)
    picture = np.zeros((480, 640))
    for outside in ([900, 100, 950, 200], [100, -400, 150, -200]):
        assert picture[around(outside, camera)].shape == (480, 640)
