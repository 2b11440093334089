"""How far apart people are in the image and in the room, and the best one-to-one assignment."""

import torch
from scipy.optimize import linear_sum_assignment

from mesh_perception.geometry.boxes import greedy, overlaps
from mesh_perception.geometry.limbs import limb_distance
from mesh_perception.joints import SMPL_LIMBS


def diagonal(boxes):
    """Length (N,) of the boxes' diagonals, at least one pixel."""
    return (boxes[:, 2:] - boxes[:, :2]).norm(dim=-1).clamp_min(1)


def keypoint_distance(joints, boxes, detections):
    """Mean distance (T, M) of T people's joints (T, 24, 2) from M detections' keypoints, over the box's diagonal.

    Where a detector gives fewer than four keypoints, boxes are compared instead: 0.5 (1 - IoU), so that 0.2 means
    an overlap of 0.6.
    """
    distance, seen = limb_distance(joints[:, None], detections.keypoints)
    distance = distance / diagonal(detections.boxes)
    return torch.where(seen >= 4, distance, 0.5 * (1 - overlaps(boxes, detections.boxes)))


def assign(cost, limit):
    """The one-to-one assignment of least total cost (T, M); pairs over `limit` stay apart.

    -> (T,) int64: the column of each row, -1 for none.
    """
    match = torch.full((len(cost),), -1, dtype=torch.int64)
    if cost.numel():
        # Beyond the limit all pairs are equally impossible: they must not pull possible ones apart.
        rows, columns = linear_sum_assignment(cost.clamp_max(limit).numpy())
        rows, columns = torch.as_tensor(rows), torch.as_tensor(columns)
        good = cost[rows, columns] < limit
        match[rows[good]] = columns[good]
    return match


def duplicates(joints, boxes, priority, limit=0.06):
    """Which of N people (N, 24, 2) are a second copy of one that stays, with a smaller `priority` (N,) -> (N,) bool.

    Two are the same when their limbs lie within `limit` of the smaller box's diagonal on average.
    """
    limbs = joints[:, SMPL_LIMBS]
    distance = (limbs[:, None] - limbs[None]).norm(dim=-1).mean(-1)
    size = diagonal(boxes)
    same = distance < limit * torch.minimum(size[:, None], size[None])
    order = priority.argsort(stable=True)
    copies = torch.zeros(len(joints), dtype=torch.bool)
    copies[order] = ~greedy(same[order][:, order])
    return copies
