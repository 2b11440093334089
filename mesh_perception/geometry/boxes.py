"""Arithmetic of boxes (x0, y0, x1, y1) and non-maximum suppression."""

import torch
from torch import Tensor


def areas(boxes: Tensor) -> Tensor:
    """Areas (N,) of boxes (N, 4); 0 for one turned inside out."""
    return (boxes[:, 2:] - boxes[:, :2]).clamp_min(0).prod(-1)


def around(points: Tensor, margin: float = 0.05) -> Tensor:
    """Boxes (N, 4) around points (N, P, 2), wider by a share of their size: limbs end beyond their joints."""
    low, high = points.amin(1), points.amax(1)
    extra = margin * (high - low).amax(1, keepdim=True)
    return torch.cat((low - extra, high + extra), 1)


def intersections(a: Tensor, b: Tensor) -> Tensor:
    """Areas (A, B) common to boxes (A, 4) and (B, 4)."""
    low = torch.maximum(a[:, None, :2], b[None, :, :2])
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    return (high - low).clamp_min(0).prod(-1)


def overlaps(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union (A, B) of boxes (A, 4) and (B, 4); 0 for empty boxes."""
    common = intersections(a, b)
    return common / (areas(a)[:, None] + areas(b)[None] - common).clamp_min(1e-9)


def greedy(similar: Tensor) -> Tensor:
    """Which of N candidates, best first, greedy suppression keeps: (N,) bool from `similar` (N, N) bool.

    A candidate is dropped if it is similar to a better one that is kept. All candidates are decided at once, again and
    again until nothing changes: the n-th is right after n rounds at most, in practice all are after two or three.
    """
    better = similar.triu(1)
    keep = torch.ones(len(similar), dtype=torch.bool, device=similar.device)
    while True:
        now = ~(better & keep[:, None]).any(0)
        if torch.equal(now, keep):
            return keep
        keep = now


def suppress(boxes: Tensor, scores: Tensor, limit: float, classes: Tensor | None = None) -> Tensor:
    """Non-maximum suppression: indices (K,), best first, of boxes (N, 4) over `limit` of no better kept one.

    With `classes` (N,) a box suppresses only those of its own class.
    """
    order = scores.argsort(descending=True, stable=True)
    ranked = boxes[order]
    similar = overlaps(ranked, ranked) > limit
    if classes is not None:
        kinds = classes[order]
        similar &= kinds[:, None] == kinds[None]
    return order[greedy(similar)]
