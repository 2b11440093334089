"""Perspective-correct crops: what a virtual camera turned to a person would see, and the way back.

The virtual camera looks along the ray through the region's centre, has square pixels and no lens distortion, and the
image's up stays up (MeTRAbs, Sarandi et al. 2020, and its `turn_towards`).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate, normalize, pad

from mesh_perception.geometry.camera import Camera
from mesh_perception.geometry.distortion import LARGEST_RADIUS
from mesh_perception.types import Crops, Regions

_LEVELS = 11  # of the image pyramid, half an octave apart: the last is 32 times smaller
# Crop pixels between the points that are projected, linear in between: within 0.02 crop pixels of the exact position
# for views of up to 80 degrees, 0.15 up to 147.
_SPACING = 4
_FARTHEST = 1e5  # px, farther than any image reaches
_NEAREST_COSINE = 0.1  # a region's sides are held within 84 degrees of its centre: nothing is behind the crop
_NARROWEST = 1e-4  # of the virtual field of view, radians
_NEAREST = 1e-3  # depth at which points beside or behind a virtual camera are projected, as in Camera.project


def crop(image: Tensor, camera: Camera, regions: Regions, size: int = 256) -> Crops:
    """Cuts a view of size x size pixels for every region out of an RGB image (H, W, 3), uint8, on the regions' device.

    The crop's centre, pixel (size - 1) / 2, shows the region's centre; the longer of the region's reprojected width
    and height spans `size` pixels; what lies outside the image is black, and so is a region of NaN. Antialiased where
    the image is shrunk, up to 32 times. Raises ValueError for another image type or a size that is not the camera's.
    """
    if image.dtype != torch.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f'image: {image.dtype} of shape {tuple(image.shape)}, expected uint8 (height, width, 3) RGB')
    if image.shape[:2] != (camera.height, camera.width):
        raise ValueError(
            f"image: {image.shape[1]}x{image.shape[0]}, expected the camera's {camera.width}x{camera.height}"
        )
    intrinsics, rotations = virtual_cameras(camera, regions, size)
    if len(regions) == 0:
        return Crops(intrinsics.new_zeros(0, 3, size, size), intrinsics, rotations)
    count = max(2, size // _SPACING + 1)
    steps = torch.linspace(0, size - 1, count, device=image.device, dtype=intrinsics.dtype)
    pixels = torch.stack(torch.meshgrid(steps, steps, indexing='xy'), dim=-1).view(1, count * count, 2)
    rays = _rays(intrinsics, rotations, pixels)
    # What the lens cannot see goes far outside of the image, the way it already went: in between lies no image.
    principal = camera.project(_homogeneous(rays.new_zeros(2)))
    away = torch.where(camera.covers(rays), 1.0, 1e3)[..., None]
    sources = (principal + away * (camera.project(rays) - principal)).clamp(-_FARTHEST, _FARTHEST)
    sources = sources.nan_to_num(nan=_FARTHEST)  # a region that is no number shows nothing
    levels = (2 * torch.log2(regions.sizes.clamp_min(1) / size)).round().clamp(0, _LEVELS - 1).nan_to_num().long()
    images = _sample(image, sources.view(-1, count, count, 2), levels, size)
    return Crops(images, intrinsics, rotations)


def virtual_cameras(camera: Camera, regions: Regions, size: int = 256) -> tuple[Tensor, Tensor]:
    """The virtual cameras of square regions: intrinsics (N, 3, 3) and rotations (N, 3, 3) from the camera's frame."""
    half = regions.sizes[:, None].clamp_min(1) / 2
    across = torch.stack([regions.rolls.cos(), regions.rolls.sin()], dim=-1)
    down = torch.stack([-across[:, 1], across[:, 0]], dim=-1)
    middles = [regions.centers + side * half * axis for axis in (across, down) for side in (-1, 1)]
    rays = camera.unproject(torch.stack([regions.centers, *middles], dim=1))
    center = rays[:, 0]
    center = center / (center.norm(dim=-1, keepdim=True) / LARGEST_RADIUS).clamp_min(1)
    rotations = _upright(center, across, down)
    rays = normalize(_homogeneous(rays[:, 1:]), dim=-1) @ rotations.mT
    left, right, top, bottom = (rays[..., :2] / rays[..., 2:].clamp_min(_NEAREST_COSINE)).unbind(1)
    span = torch.maximum((right - left).norm(dim=-1), (bottom - top).norm(dim=-1))
    focal = size / span.clamp_min(_NARROWEST)
    middle = torch.full_like(focal, (size - 1) / 2)
    zero, one = torch.zeros_like(focal), torch.ones_like(focal)
    intrinsics = torch.stack([focal, zero, middle, zero, focal, middle, zero, zero, one], dim=-1)
    return intrinsics.view(-1, 3, 3), rotations


def crop_to_image(intrinsics: Tensor, rotations: Tensor, pixels: Tensor, camera: Camera) -> Tensor:
    """Pixels (N, P, 2) of crops with the given virtual cameras -> pixels of the original image, with distortion."""
    return camera.project(_rays(intrinsics, rotations, pixels))


def image_to_crop(intrinsics: Tensor, rotations: Tensor, pixels: Tensor, camera: Camera) -> Tensor:
    """Pixels (N, P, 2) of the original image -> pixels of the crops; the inverse of `crop_to_image`."""
    rays = _homogeneous(camera.unproject(pixels)) @ rotations.mT
    points = rays / rays[..., 2:].clamp_min(_NEAREST)
    return (points @ intrinsics.mT)[..., :2]


def regions_from_boxes(boxes: Tensor, scale: float = 1.25) -> Regions:
    """Upright squares around boxes (N, 4) x0, y0, x1, y1: side `scale` times the longer one."""
    corners = boxes.unflatten(-1, (2, 2))
    sizes = (corners[:, 1] - corners[:, 0]).amax(dim=-1) * scale
    return Regions(centers=corners.mean(dim=1), sizes=sizes, rolls=torch.zeros_like(sizes))


def _upright(center: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """Rows: the virtual camera's axes. z is the ray; a vertical line of the image through the centre stays vertical."""
    z = normalize(_homogeneous(center), dim=-1)
    x = torch.stack([z[:, 2], torch.zeros_like(z[:, 0]), -z[:, 0]], dim=-1)  # the image's down crossed with z
    x = normalize(x, dim=-1)
    y = torch.linalg.cross(z, x)
    return torch.stack([across[:, :1] * x + across[:, 1:] * y, down[:, :1] * x + down[:, 1:] * y, z], dim=1)


def _rays(intrinsics: Tensor, rotations: Tensor, pixels: Tensor) -> Tensor:
    """Crop pixels (N or 1, P, 2) -> rays (N, P, 3) in the camera's frame."""
    offset = pixels - intrinsics[:, None, :2, 2]
    return _homogeneous(offset / intrinsics[:, None, :1, 0]) @ rotations


def _homogeneous(points: Tensor) -> Tensor:
    return pad(points, (0, 1), value=1.0)


@dataclass(frozen=True)
class _Level:
    """One level of the pyramid: the window of the image it shows (right and bottom exclusive) and its own size."""

    index: int
    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, pixels."""
        shrink = 2 ** (-self.index / 2)
        return max(1, round((self.bottom - self.top) * shrink)), max(1, round((self.right - self.left) * shrink))


def _sample(image: Tensor, sources: Tensor, levels: Tensor, size: int) -> Tensor:
    """Bilinear samples of each crop's pyramid level -> (N, 3, size, size).

    `sources` (N, m, m, 2) are the original pixels shown by m x m points from the crop's first to its last pixel. The
    levels lie side by side in one atlas with black between them, so that one call samples all people.
    """
    plan = _plan(image, sources, levels)
    height, width = max(level.size[0] for level in plan) + 2, sum(level.size[1] + 2 for level in plan)
    atlas = sources.new_zeros(3, height, width)
    place = 1
    for level in plan:
        part = image[level.top : level.bottom, level.left : level.right].permute(2, 0, 1)
        if level.index:
            # The CPU resizes bytes several times faster than floats; CUDA resizes floats only.
            part = part if image.device.type == 'cpu' else part.to(sources.dtype)
            part = interpolate(part[None], level.size, mode='bilinear', antialias=True)[0]
        atlas[:, 1 : 1 + part.shape[1], place : place + part.shape[2]] = part
        place += part.shape[2] + 2
    scale, offset, lowest, highest = _placement(plan, sources.dtype, image.device)[levels][:, :, None, None].unbind(1)
    grid = (sources * scale + offset).permute(0, 3, 1, 2).contiguous()
    grid = interpolate(grid, (size, size), mode='bilinear', align_corners=True).permute(0, 2, 3, 1)
    grid = grid.clamp(lowest, highest)  # beyond its level a crop reads the black around it
    return grid_sample(atlas.expand(len(grid), -1, -1, -1), grid, mode='bilinear', align_corners=True).div_(255)


def _plan(image: Tensor, sources: Tensor, levels: Tensor) -> tuple[_Level, ...]:
    """The levels to build. On the CPU only those in use, around what they show; elsewhere asking would make the host
    wait for the device, so it is all of them, whole."""
    height, width = image.shape[:2]
    if image.device.type != 'cpu':
        return tuple(_Level(index, 0, 0, width, height) for index in range(_LEVELS))
    low, high = sources.amin((1, 2)), sources.amax((1, 2))
    plan = []
    for index in levels.unique().tolist():
        margin = 3 * 2 ** (index / 2)  # twice the antialiasing filter's reach, and one more pixel of the level
        left, top = (low[levels == index].amin(0) - margin).floor().int().tolist()
        right, bottom = (high[levels == index].amax(0) + margin).ceil().int().tolist()
        left, top = min(max(left, 0), width - 1), min(max(top, 0), height - 1)
        plan.append(_Level(index, left, top, min(max(right, left + 1), width), min(max(bottom, top + 1), height)))
    return tuple(plan)


@lru_cache(maxsize=16)
def _placement(plan: tuple[_Level, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """(levels, 4, 2): scale and offset from original pixels to the atlas in grid_sample's units (-1 and 1 are the
    centres of its first and last pixels), and the lowest and highest position of a level, in the black around it."""
    table = np.zeros((_LEVELS, 4, 2))
    unit = 2 / np.array([sum(level.size[1] + 2 for level in plan) - 1, max(level.size[0] for level in plan) + 1])
    place = np.array([1, 1])
    for level in plan:
        size = np.array(level.size[::-1])
        start = np.array([level.left, level.top])
        scale = size / (level.right - level.left, level.bottom - level.top)
        offset = (0.5 - start) * scale - 0.5 + place
        table[level.index] = scale * unit, offset * unit - 1, (place - 1) * unit - 1, (place + size) * unit - 1
        place[0] += size[0] + 2
    return torch.tensor(table, dtype=dtype, device=device)
