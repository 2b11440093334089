"""NanoDet: boxes of people, small and hidden ones too, without keypoints."""

import torch
from torch import Tensor

from mesh_perception.detection.letterbox import letterbox
from mesh_perception.geometry.boxes import suppress
from mesh_perception.types import Detections
from mesh_perception.weights.modules import NANODET_MEAN, NANODET_STD
from mesh_perception.weights.networks import load_network

SIZE = 416
_PERSON = 0  # COCO's class
_CANDIDATES = 200  # boxes that suppression looks at, at most
_OVERLAP = 0.6  # of two boxes of one person
_GREY = 114  # what the network was trained to see around an image


class NanoDet:
    """Finds people's boxes in an image."""

    def __init__(self, threshold: float, device='cpu', dtype=torch.float32):
        """Raises what `load_network` raises."""
        self.threshold = threshold
        self.network = load_network('nanodet', device, dtype)
        self.mean, self.std = (torch.tensor(v, device=device).view(3, 1, 1) for v in (NANODET_MEAN, NANODET_STD))

    def __call__(self, image: Tensor) -> Detections:
        """People with a score of at least the threshold in a uint8 RGB image (H, W, 3), best first, no keypoints."""
        box = letterbox(image, SIZE, square=True, fill=_GREY)
        levels = self.network((box.pixels.flip(1) - self.mean) / self.std)
        scores = torch.cat([level.scores[0, :, _PERSON] for level in levels])
        scores, best = scores.topk(_CANDIDATES)
        boxes = torch.cat([decode(level.distances[0]) for level in levels])[best]
        sure = scores >= self.threshold
        boxes, scores = boxes[sure], scores[sure]
        kept = suppress(boxes, scores, _OVERLAP)
        boxes, scores = boxes[kept], scores[kept]
        boxes = box.to_image(boxes.view(-1, 2, 2)).flatten(1)
        return Detections(boxes, scores, boxes.new_zeros(len(boxes), 17, 3))


def decode(distances: Tensor) -> Tensor:
    """A level's boxes (n * n, 4) in input pixels from its 4 x 11 logits (n * n, 44) a cell.

    A side's distance from the cell's centre is the expectation over 0 to 10 cells (generalised focal loss, Li et al.
    2020).
    """
    n = round(len(distances) ** 0.5)
    stride = SIZE / n
    bins = torch.arange(11, device=distances.device, dtype=distances.dtype)
    left, top, right, bottom = ((distances.view(-1, 4, 11).softmax(-1) @ bins) * stride).unbind(1)
    row, column = torch.meshgrid(bins.new_tensor(range(n)), bins.new_tensor(range(n)), indexing='ij')
    x, y = ((column.flatten() + 0.5) * stride), ((row.flatten() + 0.5) * stride)
    return torch.stack((x - left, y - top, x + right, y + bottom), -1)
