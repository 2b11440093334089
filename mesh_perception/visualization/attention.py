"""What the refiner looks at: links between one joint and others, inside a person and between people (Fig. 3)."""

import cv2
import numpy as np

from mesh_perception.joints import SMPL_JOINTS
from mesh_perception.visualization.marks import line_width
from mesh_perception.visualization.palette import track_colors

LINKS = 8  # the strongest drawn inside each person, and as many to others
_DIM = 0.45  # of the image, so that brightness can say something
_FAINTEST = 0.25
_FARTHEST = 30000  # px; beyond lies the range of OpenCV's coordinates
_SHIFT = 4


def joint_number(joint):
    """The number of a joint given by SMPL's name or number. Raises ValueError that lists the names."""
    if joint in SMPL_JOINTS:
        return SMPL_JOINTS.index(joint)
    if str(joint).isdecimal() and int(joint) < len(SMPL_JOINTS):
        return int(joint)
    raise ValueError(
        f'unknown joint {joint!r}: expected 0 to {len(SMPL_JOINTS) - 1} or one of {", ".join(SMPL_JOINTS)}'
    )


def strongest_links(attention, joint, links=LINKS):
    """The links from `joint` of each person, weakest first: lists of (person, other person, other joint, strength).

    Args: attention (M, 24, M, 24), see refinement.refine_with_attention; joint: number; links: how many of the
    strongest inside each person and, again, to others. Strength is relative to the person's strongest link, in
    (0, 1]; the joint's attention to itself is no link.
    """
    found = []
    for person, weights in enumerate(np.asarray(attention, np.float64)[:, joint]):
        weights = weights.copy()
        weights[person, joint] = 0
        inside = np.zeros_like(weights, dtype=bool)
        inside[person] = True
        for part in (np.where(inside, weights, 0), np.where(inside, 0, weights)):
            for place in np.argsort(-part, axis=None, kind='stable')[:links]:
                other, other_joint = (int(i) for i in np.unravel_index(place, part.shape))
                if part[other, other_joint] > 0:
                    strength = float(part[other, other_joint] / weights.max())
                    found.append((person, other, other_joint, strength))
    return sorted(found, key=lambda link: link[3])


def draw_attention(image, people, attention, joint, links=LINKS):
    """Where each person's `joint` looks: the brighter and thicker a line, the stronger; in the person's colour.

    Args: image (H, W, 3) uint8 RGB; people: the M People on the CPU; attention (M, 24, M, 24) of the same people, see
    refinement.refine_with_attention; joint: SMPL's name or number; links: how many inside each person, and again to
    others. Returns a new (H, W, 3) uint8 RGB, the image darkened. Raises ValueError for an unknown joint or an
    attention of other people.
    """
    joint = joint_number(joint)
    count = len(people)
    if tuple(attention.shape) != (count, 24, count, 24):
        raise ValueError(f'attention: expected ({count}, 24, {count}, 24), got {tuple(attention.shape)}')
    picture = np.round(np.asarray(image) * _DIM).astype(np.uint8)
    width = line_width(picture)
    joints = people.joints_2d.double().numpy()
    known = (np.abs(joints) < _FARTHEST).all(-1)  # NaN is not
    points = np.round(np.where(known[..., None], joints, 0) * 2**_SHIFT).astype(int).tolist()
    colors = track_colors(people.track_ids)
    for person, color in enumerate(colors.tolist()):
        for place in np.nonzero(known[person])[0]:
            _dot(picture, points[person][place], 1.2 * width, [round(c * 0.6) for c in color])
    for person, other, other_joint, strength in strongest_links(attention.float().numpy(), joint, links):
        if known[person, joint] and known[other, other_joint]:
            color = [round(c * (_FAINTEST + (1 - _FAINTEST) * strength)) for c in colors[person].tolist()]
            ends = points[person][joint], points[other][other_joint]
            cv2.line(picture, *ends, color, max(1, round(4 * width * strength)), cv2.LINE_AA, _SHIFT)
            _dot(picture, ends[1], 2 * width, color)
    for person in np.nonzero(known[:, joint])[0]:
        _dot(picture, points[person][joint], 4.5 * width, (255, 255, 255))
        _dot(picture, points[person][joint], 3 * width, colors[person].tolist())
    return picture


def _dot(picture, point, radius, color):
    cv2.circle(picture, point, round(radius * 2**_SHIFT), color, -1, cv2.LINE_AA, _SHIFT)
