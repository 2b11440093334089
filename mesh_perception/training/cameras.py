"""Many pinhole cameras at once, one a sample, for code that is written for the one camera of an image."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class PinholeBatch:
    """N cameras without distortion, in place of a `geometry.camera.Camera` where tensors have a sample a row."""

    intrinsics: Tensor  # (N, 3, 3)
    sizes: Tensor  # (N, 2) width and height, px

    @property
    def width(self):
        return self.sizes[:, :1]

    @property
    def height(self):
        return self.sizes[:, 1:]

    def project(self, points: Tensor) -> Tensor:
        """Points (N, P, 3) m -> (N, P, 2) px."""
        focal, center = self._numbers()
        return points[..., :2] / points[..., 2:] * focal + center

    def unproject(self, pixels: Tensor) -> Tensor:
        """Pixels (N, P, 2) -> x/z and y/z (N, P, 2)."""
        focal, center = self._numbers()
        return (pixels - center) / focal

    def _numbers(self):
        focal = torch.stack((self.intrinsics[:, 0, 0], self.intrinsics[:, 1, 1]), -1)
        return focal[:, None], self.intrinsics[:, None, :2, 2]
