"""People in crops with the truth about them: what the paper's recipe is trained on."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mesh_perception.types import _Batch

_NEAREST = 0.1  # m: joints nearer to the crop's camera, or behind it, are projected as if they were at this depth
_SMALLEST = 32  # px: the longer side of a box to look at


@dataclass
class Samples(_Batch):
    """N people, crops with labels. 3D is in the frame of the camera that took the picture: the augmented one, where a
    picture was turned or mirrored. `turns` leads from it to the crop's frame, as Crops.rotations does."""

    images: Tensor  # (N, 3, S, S) uint8 RGB
    intrinsics: Tensor  # (N, 3, 3) of the crops' virtual cameras
    turns: Tensor  # (N, 3, 3) camera's frame -> crop's frame
    to_picture: Tensor  # (N, 3, 3) crop's pixels -> the picture's as it was taken, homogeneous
    sizes: Tensor  # (N, 2) width and height of the picture, px
    joints: Tensor  # (N, 24, 3) m, kinematic
    reference_joints: Tensor  # (N, 24, 3) m, P_ref: the body's regressor times the posed vertices
    rotations: Tensor  # (N, 24, 3, 3) relative to the parent, the pelvis' to the camera
    betas: Tensor  # (N, B)
    twists: Tensor  # (N, 24, 2) cosine and sine
    visible: Tensor  # (N, 24) bool: seen in the crop
    posed: Tensor  # (N,) bool: rotations, twists and reference joints are labelled
    shaped: Tensor  # (N,) bool: betas are labelled
    pictures: Tensor  # (N,) int64: equal for people of the same picture

    @property
    def size(self) -> int:
        """S, pixels."""
        return self.images.shape[-1]

    def in_crop(self, points: Tensor) -> Tensor:
        """Points (N, J, 3) of the camera's frame in the crop's."""
        return points @ self.turns.mT

    def pixels(self, points: Tensor) -> Tensor:
        """Points (N, J, 3) m of the camera's frame projected to the crop's pixels (N, J, 2)."""
        points = self.in_crop(points)
        points = torch.cat([points[..., :2], points[..., 2:].clamp_min(_NEAREST)], -1) @ self.intrinsics.mT
        return points[..., :2] / points[..., 2:]

    def in_picture(self, pixels: Tensor) -> Tensor:
        """Whether the crop's pixels (N, J, 2) show the picture, not the black around it: (N, J) bool."""
        points = torch.nn.functional.pad(pixels, (0, 1), value=1.0) @ self.to_picture.mT
        places = points[..., :2] / points[..., 2:]
        limits = self.sizes[:, None] - 1
        return ((places >= 0) & (places <= limits)).all(-1) & (points[..., 2] > 0)


def boxes_in_picture(boxes: Tensor, camera) -> tuple[Tensor, Tensor]:
    """The part of boxes (N, 4) px that is inside a camera's picture, as a detector gives it, and whether (N,) bool that
    is large enough to look at."""
    limits = boxes.new_tensor((camera.width, camera.height)).repeat(2) - 0.5
    boxes = torch.minimum(boxes.clamp_min(-0.5), limits)
    sides = boxes[:, 2:] - boxes[:, :2]
    return boxes, (sides.amin(1) > 0) & (sides.amax(1) >= _SMALLEST)


def to_unit(pixels: Tensor, size: int) -> Tensor:
    """Pixels of a crop of `size` pixels -> the crop coordinates in [-1, 1] of Eq. 7 and 13; 0 is its centre."""
    return (pixels - (size - 1) / 2) * (2 / size)
