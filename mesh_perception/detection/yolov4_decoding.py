"""YOLOv4's raw outputs to boxes with a score for each class, and the ones that stay."""

from typing import NamedTuple

import torch
from torch import Tensor

from mesh_perception.detection.yolov4 import CLASSES, STRIDES
from mesh_perception.geometry.boxes import suppress

# For each head its anchors' widths and heights in input pixels, and how far a centre may leave its cell (scale_x_y):
# those with which YOLOv4 was trained on COCO.
ANCHORS = (
    ((12, 16), (19, 36), (40, 28)),
    ((36, 75), (76, 55), (72, 146)),
    ((142, 110), (192, 243), (459, 401)),
)
SCALES = (1.2, 1.1, 1.05)
_CANDIDATES = 1000  # pairs of box and class in an image that suppression looks at, at most


class Objects(NamedTuple):
    """What was found in one image, best score first."""

    boxes: Tensor  # (K, 4) x0, y0, x1, y1 in pixels
    scores: Tensor  # (K,) in [0, 1]: objectness times the class's probability
    classes: Tensor  # (K,) int64, of COCO's 80; 0 is a person


def decode(heads) -> tuple[Tensor, Tensor]:
    """Boxes (N, A, 4) as corners in input pixels, counted from the corner, and scores (N, A, 80), of all A anchors.

    `heads`: the network's three outputs (N, 255, H/s, W/s). Half precision is decoded in float32. Anchors come head by
    head, the finest first, in a head anchor by anchor, in an anchor row by row.
    """
    levels = [_decode_head(head, *rest) for head, *rest in zip(heads, ANCHORS, STRIDES, SCALES, strict=True)]
    boxes, scores = zip(*levels, strict=True)
    return torch.cat(boxes, 1), torch.cat(scores, 1)


def _decode_head(head: Tensor, anchors, stride: int, scale: float) -> tuple[Tensor, Tensor]:
    count, _, height, width = head.shape
    head = head.to(torch.promote_types(head.dtype, torch.float32))
    head = head.view(count, len(anchors), 5 + CLASSES, height, width).movedim(2, -1)
    row, column = torch.meshgrid(
        torch.arange(height, device=head.device), torch.arange(width, device=head.device), indexing='ij'
    )
    cells = torch.stack((column, row), -1)  # (height, width, 2)
    centers = (head[..., :2].sigmoid() * scale - (scale - 1) / 2 + cells) * stride
    halves = head[..., 2:4].exp() * (head.new_tensor(anchors) / 2)[:, None, None]
    boxes = torch.cat((centers - halves, centers + halves), -1)
    scores = head[..., 4:5].sigmoid() * head[..., 5:].sigmoid()
    return boxes.flatten(1, 3), scores.flatten(1, 3)


def select(boxes: Tensor, scores: Tensor, threshold: float, overlap: float) -> Objects:
    """What one image shows, of its boxes (A, 4) with scores (A, C) for classes 0 to C - 1.

    As in Darknet, a box counts for each class that scores at least `threshold`, and suppression drops a box that
    overlaps a better kept one of its class by more than `overlap`. Boxes that are not finite are dropped.
    """
    number = scores.shape[1]
    scores, pairs = scores.flatten().topk(min(_CANDIDATES, scores.numel()))
    boxes, classes = boxes[pairs // number], pairs % number
    sure = (scores >= threshold) & boxes.isfinite().all(1)
    boxes, scores, classes = boxes[sure], scores[sure], classes[sure]
    kept = suppress(boxes, scores, overlap, classes)
    return Objects(boxes[kept], scores[kept], classes[kept])
