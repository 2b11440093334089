"""What a reader would rather look at than read: errors by joint, errors against a quantity, curves, worst cases."""

import cv2
import numpy as np
from matplotlib.figure import Figure

from mesh_perception.evaluation.report import Picture

_BLUE, _ORANGE, _GREY = '#0072b2', '#d55e00', '#8a8f94'  # Okabe and Ito's, which everybody can tell apart


def joint_bars(title, names, values, unit='mm', note='') -> Picture:
    """One bar a joint, in the order given. values: numbers, or {label: numbers} for bars side by side."""
    series = values if isinstance(values, dict) else {'': values}
    figure = Figure(figsize=(8, 0.55 + 0.24 * len(names) * max(1, 0.75 * len(series))), layout='constrained')
    axes = figure.subplots()
    places, height = np.arange(len(names)), 0.8 / len(series)
    colors = (_BLUE, _ORANGE, _GREY)
    for i, (label, numbers) in enumerate(series.items()):
        shift = (i - (len(series) - 1) / 2) * height
        axes.barh(places + shift, np.asarray(numbers, float), height, color=colors[i % 3], label=label)
    axes.set_yticks(places, [name.replace('_', ' ') for name in names])
    axes.margins(y=0.01)
    axes.invert_yaxis()
    axes.set_xlabel(unit)
    if len(series) > 1:
        axes.legend(frameon=False)
    return Picture(title, _plain(axes, 'x'), note)


def binned_error(title, quantity, labels, values, intervals, counts, unit='mm', note='') -> Picture:
    """An error in bins of a quantity: points with their intervals (low, high), and how many are in each bin.

    labels: of B bins; values (B,); intervals (B, 2), NaN where there is none; counts (B,).
    """
    figure = Figure(figsize=(8, 3.6), layout='constrained')
    axes = figure.subplots()
    values, intervals = np.asarray(values, float), np.asarray(intervals, float).reshape(-1, 2)
    reach = np.abs(intervals.T - values)
    axes.errorbar(range(len(labels)), values, reach, fmt='o-', color=_BLUE, ecolor=_GREY, capsize=4)
    axes.set_xticks(range(len(labels)), [f'{label}\nn = {count}' for label, count in zip(labels, counts, strict=True)])
    axes.set_xlabel(quantity)
    axes.set_ylabel(unit)
    axes.set_ylim(bottom=0)
    return Picture(title, _plain(axes, 'y'), note)


def curves(title, x, series, x_label, y_label, note='') -> Picture:
    """Lines over common x: {label: values}."""
    figure = Figure(figsize=(8, 3.6), layout='constrained')
    axes = figure.subplots()
    for i, (label, values) in enumerate(series.items()):
        axes.plot(x, np.asarray(values, float), color=f'C{i}' if i > 1 else (_BLUE, _ORANGE)[i], label=label)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    if len(series) > 3:
        axes.legend(frameon=False, loc='center left', bbox_to_anchor=(1, 0.5))  # it would cover the lines
    elif len(series) > 1:
        axes.legend(frameon=False)
    return Picture(title, _plain(axes, 'both'), note)


def calibration_plot(title, calibration) -> Picture:
    """Seen against predicted errors of a sigma.Calibration, and the diagonal that they should lie on."""
    figure = Figure(figsize=(4.6, 4.2), layout='constrained')
    axes = figure.subplots()
    predicted, seen = 1e3 * calibration.predicted.numpy(), 1e3 * calibration.seen.numpy()
    axes.plot(predicted, seen, 'o-', color=_BLUE)
    end = 1.05 * max(predicted.max(), seen.max())
    axes.plot([0, end], [0, end], '--', color=_GREY)
    axes.set(xlim=(0, end), ylim=(0, end), xlabel='predicted, mm', ylabel='seen, mm')
    note = (
        f'Root mean squares along one axis, of {calibration.count} joints in bins of as many each; '
        f'error over sigma: ratio {calibration.ratio:.2f}.'
    )
    return Picture(title, _plain(axes, 'both'), note)


def side_by_side(title, images, note='', height=480) -> Picture:
    """Images, uint8 RGB, in one row, all of the same height: the worst cases, truth beside prediction."""
    rows = [
        cv2.resize(i, (round(i.shape[1] * height / i.shape[0]), height), interpolation=cv2.INTER_AREA) for i in images
    ]
    gap = np.full((height, 6, 3), 255, np.uint8)
    return Picture(title, np.concatenate([part for row in rows for part in (row, gap)][:-1], 1), note)


def around(box, camera) -> tuple[slice, slice]:
    """The part of a camera's picture around a box (4,) px, with room for the limbs: rows and columns.

    All of the picture where the box is outside it.
    """
    x0, y0, x1, y1 = (float(edge) for edge in box)
    margin = 0.3 * max(x1 - x0, y1 - y0)
    left, right = (int(np.clip(x, 0, camera.width)) for x in (x0 - margin, x1 + margin))
    top, bottom = (int(np.clip(y, 0, camera.height)) for y in (y0 - margin, y1 + margin))
    inside = right - left > 8 and bottom - top > 8
    return np.s_[top:bottom, left:right] if inside else np.s_[:, :]


def _plain(axes, grid):
    for side in ('top', 'right'):
        axes.spines[side].set_visible(False)
    axes.grid(True, axis=grid, color='#e3e6e9', linewidth=0.8)
    axes.set_axisbelow(True)
    return axes.figure
