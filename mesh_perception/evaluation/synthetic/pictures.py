"""What the report shows: plots, the worst cases, and what the scenes look like."""

import cv2
import numpy as np
import torch

from mesh_perception.evaluation.plots import binned_error, curves, joint_bars, side_by_side
from mesh_perception.evaluation.report import Picture
from mesh_perception.evaluation.synthetic.summary import BREAKDOWNS
from mesh_perception.joints import SMPL_JOINTS
from mesh_perception.types import People
from mesh_perception.visualization.marks import draw_skeletons

WORST, MISSED, SHOWN = 6, 4, 12


def plots(summary, joint_errors, aligned_errors):
    """Errors by joint, by how much is hidden and by distance, and the PCK curve. joint_errors, aligned_errors (N, 24)
    mm of those who were found. -> list of Picture"""
    by_joint = {'pelvis at the origin': joint_errors.mean(0), 'after similarity alignment': aligned_errors.mean(0)}
    pictures = [joint_bars('Error by joint', SMPL_JOINTS, by_joint, 'mm')]
    for name, title in (('hidden', 'MPJPE by occlusion and truncation'), ('distance', 'MPJPE by distance')):
        bins = summary.breakdown(name)
        errors = [one.figures['mpjpe_mm'] for one in bins]
        intervals = [(error.low, error.high) for error in errors]
        values, labels = [error.value for error in errors], [one.label for one in bins]
        counts = [one.found for one in bins]
        pictures.append(binned_error(title, BREAKDOWNS[name][0], labels, values, intervals, counts, note=_BINNED))
    limits = np.arange(0, 305, 5)
    below = {
        label: [float((errors < limit).double().mean()) * 100 for limit in limits]
        for label, errors in (('pelvis at the origin', joint_errors), ('after similarity alignment', aligned_errors))
    }
    pictures.append(curves('Joints nearer to the truth than ...', limits, below, 'mm', '% of the joints found'))
    return pictures


_BINNED = 'Of those who were found; n is their number. Bars: 95 % intervals.'


def true_people(shot) -> People:
    """The truth in the form of the pipeline's answer."""
    scene, count = shot.scene, len(shot.scene.joints)
    unknown = torch.full((count, 24), float('nan'))
    return People(
        track_ids=torch.arange(1, count + 1),
        states=torch.ones(count, dtype=torch.uint8),
        scores=torch.ones(count),
        boxes=shot.labels.boxes,
        rotations=scene.rotations,
        betas=scene.betas,
        translation=scene.translation,
        joints=scene.joints,
        joints_2d=shot.labels.joints_2d,
        joint_confidence=torch.ones(count, 24),
        joint_sigma=unknown,
        velocity=unknown[:, :3],
    )


def case(overlay, shot, person, people, vertices, match, title) -> Picture:
    """One person's truth beside what was found; the bare picture first.

    overlay: Overlay; people: People of the whole scene with vertices (P, V, 3); match (T,).
    """
    truth, camera = true_people(shot), shot.scene.camera
    one = torch.tensor([person])
    panels = [shot.picture, overlay.draw(shot.picture, camera, truth[one], shot.scene.vertices[one], ['truth'])]
    if match[person] >= 0:
        found = people[match[one]]
        found.track_ids = truth.track_ids[one]
        panels.append(overlay.draw(shot.picture, camera, found, vertices[match[one]], ['found']))
    else:
        panels.append(overlay.draw(shot.picture, camera, people, vertices, ['found'] * len(people)))
    return side_by_side(title, [_around(panel, truth.joints_2d[person]) for panel in panels])


def _around(picture, joints, reach=0.8):
    """The square part of a picture around what is in it of somebody."""
    height, width = picture.shape[:2]
    joints = joints.clamp_min(0).minimum(joints.new_tensor((width, height)))
    low, high = joints.amin(0), joints.amax(0)
    half = max(float((high - low).max()) * reach, 80)
    x, y = (float(value) for value in (low + high) / 2)
    half = min(half, height / 2, width / 2)
    x, y = min(max(x, half), width - half), min(max(y, half), height - half)
    return picture[round(y - half) : round(y + half), round(x - half) : round(x + half)]


def contact_sheet(title, pictures, note='', columns=4, width=320) -> Picture:
    """Pictures as one picture, row by row."""
    height = max(round(width * p.shape[0] / p.shape[1]) for p in pictures)
    tiles = []
    for picture in pictures:
        scale = min(width / picture.shape[1], height / picture.shape[0])
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        tile = np.full((height, width, 3), 255, np.uint8)
        tile[: small.shape[0], : small.shape[1]] = small[:height, :width]
        tiles.append(tile)
    tiles += [np.full((height, width, 3), 255, np.uint8)] * (-len(tiles) % columns)
    rows = [np.concatenate(tiles[start : start + columns], 1) for start in range(0, len(tiles), columns)]
    return Picture(title, np.concatenate(rows), note)


def skeletons(shot) -> np.ndarray:
    """A scene's picture with its true joints; the persons' left side warm, their right side cool."""
    picture = shot.picture.copy()
    order = shot.labels.distances.argsort(descending=True)
    visible = shot.labels.joint_visible[order].float().numpy()
    draw_skeletons(picture, shot.labels.joints_2d[order].numpy(), visible, (order + 1).numpy())
    return picture
