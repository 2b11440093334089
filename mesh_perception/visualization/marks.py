"""Lines and letters on pictures. Everything here draws into the given uint8 RGB picture and returns it."""

import cv2
import numpy as np

from mesh_perception.joints import SMPL_JOINTS, SMPL_PARENTS
from mesh_perception.visualization.palette import LEFT, MIDDLE, RIGHT, track_colors

CONFIDENT = 0.3  # bones with a joint below this are drawn thin
_FARTHEST = 30000  # px; beyond lies the range of OpenCV's coordinates
_SHIFT = 4


def draw_skeletons(image, joints_2d, confidence, track_ids, names=SMPL_JOINTS, parents=SMPL_PARENTS):
    """Bones and joints: the person's left side warm (orange), the right side cool (light blue), so that a swap
    of left and right can be seen; the middle white, the joints in the track's colour.

    Args: joints_2d (N, J, 2) px, not finite where unknown; confidence (N, J); track_ids (N,); names and parents of the
    J joints. Bones between doubtful joints are thin.
    """
    joints_2d, confidence = np.asarray(joints_2d, np.float64), np.asarray(confidence)
    width = line_width(image)
    sides = [{'left': LEFT, 'right': RIGHT}.get(name.split('_')[0], MIDDLE) for name in names]
    for joints, sure, color in zip(joints_2d, confidence >= CONFIDENT, track_colors(track_ids).tolist(), strict=True):
        known = (np.abs(joints) < _FARTHEST).all(-1)  # NaN is not
        points = [tuple(p) for p in np.round(np.where(known[:, None], joints, 0) * 2**_SHIFT).astype(int).tolist()]
        bones = [(j, p) for j, p in enumerate(parents) if p >= 0 and known[j] and known[p]]
        for joint, parent in bones:  # a dark rim keeps the lines readable on any ground
            if sure[joint] and sure[parent]:
                cv2.line(image, points[joint], points[parent], (20, 20, 20), 2 * width + 2, cv2.LINE_AA, _SHIFT)
        for joint, parent in bones:
            thickness = 2 * width if sure[joint] and sure[parent] else 1
            cv2.line(image, points[joint], points[parent], sides[joint], thickness, cv2.LINE_AA, _SHIFT)
        for joint in np.nonzero(known & sure)[0]:
            cv2.circle(image, points[joint], int(2.3 * width * 2**_SHIFT), color, -1, cv2.LINE_AA, _SHIFT)
    return image


def draw_boxes(image, boxes, track_ids):
    """Rectangles in the tracks' colours. Args: boxes (N, 4) x0, y0, x1, y1 px; track_ids (N,)."""
    for box, color in zip(np.asarray(boxes, np.float64), track_colors(track_ids).tolist(), strict=True):
        if np.isfinite(box).all():
            x0, y0, x1, y1 = np.clip(np.round(box), -_FARTHEST, _FARTHEST).astype(int).tolist()
            cv2.rectangle(image, (x0, y0), (x1, y1), color, line_width(image))
    return image


def draw_label(image, text, corner, color, anchor=(0, 1)):
    """Text on a plate of `color` whose `anchor` (0 left or top, 1 right or bottom, 0.5 the middle) lies at `corner`
    (px), pushed into the picture where it would leave it."""
    scale = 0.45 * line_width(image)
    (width, height), base = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, line_width(image))
    pad = 2 * line_width(image)
    plate = np.array([width + 2 * pad, height + base + pad])
    room = np.maximum(np.array([image.shape[1], image.shape[0]]) - plate, 0)
    x, y = np.clip(np.round(np.asarray(corner) - np.asarray(anchor) * plate), 0, room).astype(int).tolist()
    cv2.rectangle(image, (x, y), (x + int(plate[0]), y + int(plate[1])), color, -1)
    ink = (0, 0, 0) if np.dot(color, (0.299, 0.587, 0.114)) > 110 else (255, 255, 255)
    cv2.putText(
        image, text, (x + pad, y + height + pad), cv2.FONT_HERSHEY_SIMPLEX, scale, ink, line_width(image), cv2.LINE_AA
    )
    return image


def line_width(image):
    """Pixels of a thin line that is well seen in a picture of this size."""
    return max(1, round(min(image.shape[:2]) / 480))
