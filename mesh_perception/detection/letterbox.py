"""Shrinks an image to a network's input, its aspect ratio kept, padding right and below."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Letterbox:
    """A network's input and how it lies in the original image."""

    pixels: Tensor  # (1, 3, h, w) float32 RGB, 0 to 255
    scale: tuple[float, float]  # input pixels to one original pixel, along x and y

    def to_image(self, points: Tensor) -> Tensor:
        """Input positions (..., 2), counted from the corner, to original pixels, counted from a pixel's centre."""
        return points / points.new_tensor(self.scale) - 0.5


def letterbox(image: Tensor, size: int, square: bool, fill: float) -> Letterbox:
    """Resizes (antialiased) the uint8 RGB `image` (H, W, 3) so that its longer side is `size`.

    Pads with `fill` to size x size where `square`, else only to multiples of 32: an upright picture costs less.
    """
    height, width = image.shape[:2]
    ratio = size / max(height, width)
    new_height, new_width = max(1, round(height * ratio)), max(1, round(width * ratio))
    right, bottom = (size - new_width, size - new_height) if square else (-new_width % 32, -new_height % 32)
    return _place(image, new_width, new_height, new_width + right, new_height + bottom, fill)


def letterbox_into(image: Tensor, width: int, height: int, fill: float) -> Letterbox:
    """Resizes (antialiased) the uint8 RGB `image` (H, W, 3) to fit width x height and pads it with `fill` to that."""
    ratio = min(width / image.shape[1], height / image.shape[0])
    new_height, new_width = (max(1, round(side * ratio)) for side in image.shape[:2])
    return _place(image, new_width, new_height, width, height, fill)


def _place(image: Tensor, new_width: int, new_height: int, width: int, height: int, fill: float) -> Letterbox:
    """The image resized to new_width x new_height, in the upper left of width x height."""
    pixels = image.permute(2, 0, 1)[None]
    if image.device.type != 'cpu':  # the CPU shrinks bytes several times faster than floats; CUDA takes floats alone
        pixels = pixels.float()
    pixels = F.interpolate(pixels, (new_height, new_width), mode='bilinear', antialias=True).float()
    pixels = F.pad(pixels, (0, width - new_width, 0, height - new_height), value=fill)
    return Letterbox(pixels, (new_width / image.shape[1], new_height / image.shape[0]))


def check_image(image) -> Tensor:
    """The image as a tensor. Raises ValueError unless it is uint8 RGB (H, W, 3) with at least one pixel."""
    image = torch.as_tensor(image)
    if image.dtype != torch.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.numel() == 0:
        raise ValueError(f'image: {image.dtype} of shape {tuple(image.shape)}, expected uint8 (height, width, 3) RGB')
    return image
