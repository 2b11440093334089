"""Where a reader of the multi-view benchmark would rather look: joints, time, and the worst frames."""

from itertools import islice

import cv2
import numpy as np
import torch

from mesh_perception.evaluation.multiview import footage
from mesh_perception.evaluation.multiview.joints import PARENTS, keypoints, plain_joints, with_root
from mesh_perception.evaluation.multiview.keypoints import LIMB_JOINTS
from mesh_perception.evaluation.plots import curves, joint_bars, side_by_side
from mesh_perception.evaluation.sigma import calibrate
from mesh_perception.visualization.marks import draw_label, draw_skeletons
from mesh_perception.visualization.overlay import Overlay

_NAMES = ('mid_hip', *LIMB_JOINTS)
_SIDE = 480  # px of the square pictures of a worst frame
_WORST = 3  # frames of a scene that are shown, each of another camera and person
_SPAN = 1.9  # m across the views from the side and from above


def error_by_joint(result, has_baseline):
    """Bars: the mean error of each of the 12 points."""
    of = {pair.person: [] for pair in result.pairs}
    for pair, figures in zip(result.pairs, result.figures, strict=True):
        of[pair.person].append(figures)
    if has_baseline:
        of |= {'all, without trained heads': result.baseline}
    values = {label: torch.cat([one.joints_mm for one in figures]).nanmean(0).tolist() for label, figures in of.items()}
    return joint_bars(f'{result.scene}: error by joint', LIMB_JOINTS, values, note='Roots (mid-hips) at one place.')


def sigma_of(result):
    """The Calibration of the 12 points, by the joints of the same names; None where no sigma is known."""
    sigma = torch.cat([plain_joints(pair.sigma[..., None])[..., 0] for pair in result.pairs])
    return calibrate(sigma, torch.cat([one.joints_mm for one in result.figures]) / 1e3)


def errors_over_time(result):
    """Curves: MPJPE and depth error of every camera and person."""
    seconds = np.arange(len(result.pairs[0].counts)) / footage.RATE
    labels = [f'{pair.camera_name} {pair.person}' for pair in result.pairs]
    plots = {
        'MPJPE': ('mm', [one.mpjpe_mm for one in result.figures]),
        'root error along the ray (positive: too far)': ('m', [one.along_m for one in result.figures]),
    }
    return [
        curves(
            f'{result.scene}: {title} over time',
            seconds,
            {label: one.tolist() for label, one in zip(labels, values, strict=True)},
            's',
            unit,
        )
        for title, (unit, values) in plots.items()
    ]


def worst_frames(result, pipeline):
    """The frames with the largest MPJPE: body, skeleton, the reference's, and both from the side and from above."""
    worst = []
    for pair, figures in zip(result.pairs, result.figures, strict=True):
        if pair.found.any():
            errors = figures.mpjpe_mm.nan_to_num(nan=-1)
            worst.append((float(errors.max()), int(errors.argmax()), pair))
    worst = sorted(worst, key=lambda one: -one[0])[:_WORST]
    with Overlay(pipeline.body, label=False) as overlay:
        return [_worst(result, pipeline, overlay, *one) for one in worst]


def _worst(result, pipeline, overlay, error, frame, pair):
    image = next(islice(footage.frames(result.scene, pair.camera_name), frame, None))
    followed = result.followed[pair.camera_name]
    person = followed.people[pair.index[frame : frame + 1]]
    ours, theirs = (with_root(points) for points in (keypoints(pair.joints[frame]), pair.truth[frame]))
    window = _window(torch.cat([pair.camera.project(points) for points in (ours, theirs)]), image.shape)
    body = overlay.draw(image, pair.camera, person, pipeline.meshes(person))
    pictures = [_cut(body, window, 'body')]
    for label, points in (('its keypoints', ours), ('the reference', theirs)):
        drawn = _skeleton(image.copy(), pair.camera.project(points))
        pictures.append(_cut(drawn, window, label))
    pictures += [_views(ours, theirs, axes, label) for axes, label in (((2, 1), 'side'), ((0, 2), 'above'))]
    note = (
        f'{pair.camera_name}, {pair.person}, frame {frame}: {error:.0f} mm. Left limbs are orange, right ones blue. '
        'From the side and from above, roots at one place: the body thick, the reference thin; the camera looks to the '
        'right (side) and up (above).'
    )
    return side_by_side(f'{result.scene}: one of the worst frames', pictures, note)


def _skeleton(picture, pixels, sure=1.0):
    """13 points (13, 2) px drawn into a picture."""
    confidence = np.full((1, len(pixels)), sure)
    return draw_skeletons(picture, pixels[None].numpy(), confidence, [0], _NAMES, PARENTS)


def _window(pixels, shape):
    """x, y and side of a square around points, inside of the image as far as that goes."""
    known = pixels[pixels.isfinite().all(-1)]
    low, high = known.amin(0), known.amax(0)
    side = min(int(1.4 * float((high - low).max())) + 1, *shape[:2])
    corner = ((low + high) / 2 - side / 2).round()
    x, y = (int(min(max(c, 0), limit - side)) for c, limit in zip(corner.tolist(), (shape[1], shape[0]), strict=True))
    return x, y, side


def _cut(picture, window, label):
    x, y, side = window
    cut = cv2.resize(picture[y : y + side, x : x + side], (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    return draw_label(cut, label, (8, 8), (255, 255, 255), (0, 0))


def _views(ours, theirs, axes, label):
    """Both skeletons (13, 3) m, relative to their roots, along two of the camera's axes."""
    picture = np.full((_SIDE, _SIDE, 3), 60, np.uint8)
    signs = torch.tensor([1.0, 1.0 if axes[1] == 1 else -1.0])  # depth goes up, the image's y down
    for points, sure in ((ours, 1.0), (theirs, 0.0)):
        flat = (points - points[0])[:, axes] * signs
        _skeleton(picture, flat * (_SIDE / _SPAN) + _SIDE / 2, sure)
    return draw_label(picture, label, (8, 8), (255, 255, 255), (0, 0))
