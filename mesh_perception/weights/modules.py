"""The open networks as torch modules: an imported graph with its input checks and, for MoveNet, the reading of its
heat maps.

Every module takes any number of images, none included, runs its body in its dtype, and reads coordinates and returns
its outputs in float32.
"""

from dataclasses import replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mesh_perception.weights.engine import GraphModule
from mesh_perception.weights.graph import Graph


class BlazePoseOutput(NamedTuple):
    """BlazePose's raw outputs. `landmarks` (N, 195): 39 x (x, y, z in crop pixels, visibility and presence before the
    sigmoid);
    `presence` (N, 1): probability of a person in the crop; `world` (N, 117): 39 x (x, y, z) metres from the middle of
    the hips; `features` (N, 1152): the 2 x 2 cells of 288 channels that all three are linear in, in [0, 6]."""

    landmarks: Tensor
    presence: Tensor
    world: Tensor
    features: Tensor


class NanoDetLevel(NamedTuple):
    """One level of NanoDet on an n x n grid, rows first. `scores` (N, n * n, 80): COCO classes, in [0, 1];
    `distances` (N, n * n, 44): for
    left, top, right and bottom the logits of 11 distances from the cell's centre, 0 to 10 cells."""

    scores: Tensor
    distances: Tensor


class BlazePose(nn.Module):
    """BlazePose GHUM's landmark network: images (N, 3, 256, 256), RGB in [0, 1], to `BlazePoseOutput`. The
    segmentation is left out."""

    def __init__(self, graph: Graph, dtype: torch.dtype = torch.float32):
        super().__init__()
        makers = {node.output: node for node in graph.nodes}
        bottleneck = makers[makers[graph.outputs[0]].inputs[0]].inputs[0]
        self.network = GraphModule(replace(graph, outputs=(*graph.outputs, bottleneck)), dtype)

    @torch.inference_mode()
    def forward(self, images: Tensor) -> BlazePoseOutput:
        """Raises ValueError for images of another shape."""
        if images.dim() != 4 or images.shape[1:] != (3, 256, 256):
            raise ValueError(f'BlazePose takes images (N, 3, 256, 256), not {tuple(images.shape)}')
        if len(images) == 0:
            return BlazePoseOutput(*(images.new_zeros((0, size), dtype=torch.float32) for size in (195, 1, 117, 1152)))
        *outputs, features = self.network(images)
        return BlazePoseOutput(*outputs, features.flatten(1))


class NanoDet(nn.Module):
    """NanoDet: images (N, 3, 416, 416), BGR, normalised by `NANODET_MEAN` and `NANODET_STD`, to three `NanoDetLevel`,
    n = 52, 26, 13."""

    def __init__(self, graph: Graph, dtype: torch.dtype = torch.float32):
        super().__init__()
        self.network = GraphModule(graph, dtype)

    @torch.inference_mode()
    def forward(self, images: Tensor) -> list[NanoDetLevel]:
        """Raises ValueError for images of another shape."""
        if images.dim() != 4 or images.shape[1:] != (3, 416, 416):
            raise ValueError(f'NanoDet takes images (N, 3, 416, 416), not {tuple(images.shape)}')
        if len(images) == 0:
            empty = images.new_zeros((0, 1), dtype=torch.float32)
            return [NanoDetLevel(empty.new_zeros(0, n * n, 80), empty.new_zeros(0, n * n, 44)) for n in (52, 26, 13)]
        values = self.network(images)
        return [NanoDetLevel(*level) for level in zip(values[:3], values[3:], strict=True)]


class MoveNet(nn.Module):
    """MoveNet-MultiPose: images (N, 3, H, W), RGB 0 to 255, H and W multiples of 32, to (N, 6, 56).

    Each of the six rows is 17 COCO keypoints as (y, x, score), the box (y0, x0, y1, x1) and the person's score, all
    coordinates as fractions of the image. Rows are sorted by the centre's heat; a row without a person has score 0.
    """

    def __init__(self, graph: Graph, dtype: torch.dtype = torch.float32):
        super().__init__()
        self.network = GraphModule(graph, dtype)

    @torch.inference_mode()
    def forward(self, images: Tensor) -> Tensor:
        """Raises ValueError for images of another shape."""
        if (
            images.dim() != 4
            or images.shape[1] != 3
            or min(images.shape[2:]) < 32
            or images.shape[2] % 32
            or images.shape[3] % 32
        ):
            raise ValueError(f'MoveNet takes images (N, 3, H, W), H and W multiples of 32, not {tuple(images.shape)}')
        if len(images) == 0:
            return images.new_zeros((0, 6, 56), dtype=torch.float32)
        return read_movenet(*self.network(images))


NANODET_MEAN, NANODET_STD = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)  # B, G, R


def read_movenet(
    centres: Tensor, scales: Tensor, offsets: Tensor, heat: Tensor, regressed: Tensor, shifts: Tensor
) -> Tensor:
    """MoveNet-MultiPose's six maps (N, C, h, w), C = 1, 2, 2, 17, 34, 34, to (N, 6, 56), as the graph's own last part
    does.

    A person is a peak of the centre map. Each of its keypoints is the peak of that keypoint's heat map, weighted by a
    Gaussian around the position regressed at the centre, inside the person's box.
    """
    count, _, height, width = centres.shape
    centres, heat = centres.sigmoid(), heat.sigmoid()
    peaks = centres * ((centres - F.max_pool2d(centres, 5, 1, 2)).abs() < 1.0132789611816406e-06)
    score, place = peaks.flatten(1).topk(6)
    row, column = place // width, place % width
    cell = torch.stack((row, column), -1).float()

    def at(maps: Tensor) -> Tensor:  # (N, C, h, w) at the six places -> (N, 6, C)
        return maps.flatten(2).transpose(1, 2).gather(1, place[..., None].expand(-1, -1, maps.shape[1]))

    limits = cell.new_tensor((height, width))
    middle, half = cell + at(offsets), at(scales).clamp(min=0) / 2
    corners = [torch.minimum((middle + side * half).clamp(min=0), limits) for side in (-1, 1)]
    guess = cell[:, :, None] + at(regressed).view(count, 6, 17, 2)

    def near(axis: int, size: int) -> Tensor:  # (N, 6, 17, size): the Gaussian and the box along one axis
        grid = torch.arange(size, device=cell.device, dtype=cell.dtype)
        inside = (grid >= corners[0][..., axis, None]) & (grid < corners[1][..., axis, None])
        return (
            torch.exp(-((grid - guess[..., axis, None]) ** 2) / (min(height, width) * 0.300048828125))
            * inside[:, :, None]
        )

    near_row, near_column = near(0, height), near(1, width)
    # the best column of each row, then the best row: the weights are products of one factor along each axis
    best, best_column = (heat[:, None] * near_column[:, :, :, None]).max(-1)
    best_row = (best * near_row).argmax(-1, keepdim=True)
    best_column = best_column.gather(-1, best_row)
    spot = (best_row * width + best_column).transpose(1, 2).flatten(2)  # (N, 17, 6)

    # the graph scores a keypoint by the largest weighted heat at its place over *all* persons, not by its own alone
    by_joint_row = (
        best_row[..., 0].transpose(1, 2)[:, :, None].expand(-1, -1, 6, -1)
    )  # (N, 17, any person, place of person)
    by_joint_column = best_column[..., 0].transpose(1, 2)[:, :, None].expand(-1, -1, 6, -1)
    weight = near_row.transpose(1, 2).gather(-1, by_joint_row) * near_column.transpose(1, 2).gather(-1, by_joint_column)
    joint_score = (heat.flatten(2).gather(-1, spot) * weight.amax(2)).transpose(1, 2)  # (N, 6, 17)

    shift = shifts.view(count, 17, 2, -1).gather(-1, spot[:, :, None].expand(-1, -1, 2, -1)).permute(0, 3, 1, 2)
    places = torch.cat((best_row, best_column), -1) + shift
    joints = torch.cat((places / limits, joint_score[..., None]), -1).flatten(2)
    box = (torch.cat(corners, -1) / limits.repeat(2)).clamp(0, 1)
    seen = joint_score > 0.126953125
    person = score * (joint_score * seen).sum(-1) / seen.sum(-1).clamp(min=1)
    return torch.cat((joints, box, person[..., None]), -1)
