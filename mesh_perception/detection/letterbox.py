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
    pixels = image.permute(2, 0, 1)[None]
    if image.device.type != 'cpu':  # the CPU shrinks bytes several times faster than floats; CUDA takes floats alone
        pixels = pixels.float()
    pixels = F.interpolate(pixels, (new_height, new_width), mode='bilinear', antialias=True).float()
    right, bottom = (size - new_width, size - new_height) if square else (-new_width % 32, -new_height % 32)
    return Letterbox(F.pad(pixels, (0, right, 0, bottom), value=fill), (new_width / width, new_height / height))


def check_image(image) -> Tensor:
    """The image as a tensor. Raises ValueError unless it is uint8 RGB (H, W, 3) with at least one pixel."""
    image = torch.as_tensor(image)
    if image.dtype != torch.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.numel() == 0:
        raise ValueError(f'image: {image.dtype} of shape {tuple(image.shape)}, expected uint8 (height, width, 3) RGB')
    return image
