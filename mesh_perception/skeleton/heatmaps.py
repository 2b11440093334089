"""Features to joints by heatmaps: metric-scale 3D ones and image-space 2D ones (Sec. 3.1; MeTRAbs, Sarandi 2020).

A metric-scale heatmap's cells span a box of 2.2 m in all three directions whatever the crop shows: the network has to
know the person's size, and joints beyond the crop's border have a place in it. The 3D joints are known up to an offset
alone and are compared relative to the pelvis.
"""

import torch
from torch import Tensor, nn

from mesh_perception.skeleton.resnet import STRIDE

JOINTS = 24
DEPTH = 8  # cells of a 3D heatmap along the viewing ray
BOX = 2.2  # m, the side of the metric box
BORDER = 0.75 * STRIDE  # px: nearer to the crop's border, a soft-argmax cannot be trusted to have reached the joint


class HeatmapHead(nn.Module):
    """Features (N, channels, h, w) -> joints (N, 24, 3) in metres in the box, and (N, 24, 2) in pixels of the crop.

    Two 1x1 convolutions in parallel. The volume's channels are depth-major: channel d * 24 + j is joint j's slice d.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.volumes = nn.Conv2d(channels, DEPTH * JOINTS, 1)
        self.planes = nn.Conv2d(channels, JOINTS, 1, bias=False)  # a softmax over all of a plane would cancel it

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        cells = features.shape[-1]
        volumes = self.volumes(features).unflatten(1, (DEPTH, JOINTS)).transpose(1, 2)
        metric = cells_to_metres(soft_argmax(volumes), cells)
        return metric, cells_to_pixels(soft_argmax(self.planes(features)), cells)


def soft_argmax(logits: Tensor) -> Tensor:
    """Heatmaps (N, J, [d,] h, w) -> the mean positions (N, J, 2 or 3) as x, y[, z], each from 0 at the first cell's
    centre to 1 at the last one's.

    Computed and returned in float32 (float64 if the logits are), also under autocast: bfloat16 would round positions in
    the box to a centimetre.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    shares = logits.flatten(2).softmax(-1).unflatten(2, logits.shape[2:])
    axes = range(logits.dim() - 1, 1, -1)
    coordinates = []
    for axis in axes:
        marginal = shares.sum([other for other in axes if other != axis])
        steps = torch.linspace(0, 1, logits.shape[axis], dtype=shares.dtype, device=shares.device)
        coordinates.append((marginal * steps).sum(-1))
    return torch.stack(coordinates, -1)


def cells_to_pixels(coordinates: Tensor, cells: int = 8) -> Tensor:
    """x, y of `soft_argmax` -> pixels of a crop that is `cells` cells wide; centred stride: 16 to 240 of 256."""
    return coordinates * (STRIDE * (cells - 1)) + STRIDE / 2


def cells_to_metres(coordinates: Tensor, cells: int = 8) -> Tensor:
    """x, y, z of `soft_argmax` -> metres: the crop's pixels stretched to the box; the depth's cells span all of it."""
    plane = cells_to_pixels(coordinates[..., :2], cells) * (BOX / (STRIDE * cells))
    return torch.cat([plane, coordinates[..., 2:] * BOX], -1)


def in_view(pixels: Tensor, size: int = 256) -> Tensor:
    """Whether pixels (..., 2) of a crop are 0.75 of a stride or more from its border, 24 to 232 of 256: (...), bool."""
    return ((pixels >= BORDER) & (pixels <= size - BORDER)).all(-1)
