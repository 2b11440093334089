"""The paper's initial skeleton f^P (Sec. 3.1): crops to joints and features, and these joints to metres in the camera.

The network knows crops alone: relative joints in the axes of the crop's virtual camera, image joints in the crop's
pixels. `metric_skeletons` combines both with the intrinsics, differentiably, and leaves the crop's frame.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from mesh_perception.geometry.absolute import absolute_position, absolute_position_weak
from mesh_perception.geometry.camera import Camera
from mesh_perception.geometry.crops import crop_to_image
from mesh_perception.skeleton.absolute import inside_image, on_rays
from mesh_perception.skeleton.heatmaps import HeatmapHead, in_view
from mesh_perception.skeleton.resnet import STRIDE, ResNet
from mesh_perception.types import Crops, Skeletons

# ImageNet's, which torchvision's checkpoints were trained with.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# The weight of joints out of view: decisive only where next to none are in view. MeTRAbs' 1e-4 lets image joints that
# are wrong by the crop's width move people by millimetres; this, by hundredths of one.
_UNSEEN = 1e-6


class SkeletonOutput(NamedTuple):
    """What the network says of N crops."""

    relative: Tensor  # (N, 24, 3) m, P_rel: relative to the pelvis, in the axes of the crop's virtual camera; float32
    pixels: Tensor  # (N, 24, 2) P_img: pixels of the crop, (0, 0) the centre of the first; float32
    features: Tensor  # (N, C, h, w) F_img, in the network's dtype


class SkeletonNetwork(nn.Module):
    """f^P: images (N, 3, S, S), RGB in [0, 1], S a multiple of 32 (the paper's: 256) -> SkeletonOutput.

    The images are normalised here, in their own dtype, and then cast to the network's. Another shape raises ValueError.
    """

    def __init__(self, depth: int = 50):
        super().__init__()
        self.backbone = ResNet(depth)
        self.head = HeatmapHead(self.backbone.channels)

    def forward(self, images: Tensor) -> SkeletonOutput:
        _, channels, height, width = images.shape
        if channels != 3 or height != width or width % STRIDE:
            shape = f'{channels}x{height}x{width}'
            raise ValueError(f'skeleton network: images are {shape}, expected 3xSxS with S a multiple of {STRIDE}')
        planes = zip(images.unbind(1), _MEAN, _DEVIATION, strict=True)
        images = torch.stack([(plane - mean) / deviation for plane, mean, deviation in planes], 1)
        features = self.backbone(images.to(self.backbone.conv1.weight.dtype))
        metric, pixels = self.head(features)
        return SkeletonOutput(metric - metric[:, :1], pixels, features)


def metric_skeletons(
    output: SkeletonOutput, crops: Crops, camera: Camera, scores: Tensor | None = None, weak: bool = False
) -> Skeletons:
    """The network's output for N crops of one camera's image -> Skeletons in its frame and its original pixels.

    The pelvis is where the relative joints project onto the image joints in view: full-perspective least squares, or
    weak perspective (`weak`, for a network that starts to train). Joints in view then lie on their rays at the depth
    that the 3D joints give; truncated ones are where the 3D joints say, and their image joints are projections.
    Confidence is 1 for joints in view, which is at least 0.75 of a stride from the crop's border and in the image, and
    else 0. scores (N,): that a person is there, as the detector says; 1 by default. Hints are zero.
    Differentiable in the output's relative joints and pixels.
    """
    intrinsics, turn = crops.intrinsics, crops.rotations
    image = crop_to_image(intrinsics, turn, output.pixels, camera)
    seen = (in_view(output.pixels, crops.images.shape[-1]) & inside_image(image, camera)).to(image)
    # X_camera = R^T X_crop: as row vectors, x R
    joints = joints_in_crop(output, intrinsics, seen, weak) @ turn
    return Skeletons(
        joints=joints,
        relative_joints=output.relative @ turn,
        image_joints=torch.where(seen[..., None] > 0, image, camera.project(joints)),
        confidence=seen,
        features=output.features,
        hint_directions=torch.zeros_like(joints),
        hint_weights=torch.zeros_like(seen),
        scores=torch.ones_like(seen[:, 0]) if scores is None else scores,
        distance_scale=torch.ones_like(seen[:, 0]),
        joint_sigma=torch.full_like(seen, torch.nan),
    )


def joints_in_crop(output: SkeletonOutput, intrinsics: Tensor, seen: Tensor, weak: bool = False) -> Tensor:
    """Absolute joints (N, 24, 3) m in the frames of crops with these intrinsics (N, 3, 3), as `metric_skeletons` has
    them; seen (N, 24): 1 for joints in view, else 0."""
    focal = intrinsics.diagonal(dim1=-2, dim2=-1)[:, None, :2]
    rays = (output.pixels - intrinsics[:, None, :2, 2]) / focal
    # Solved in the crop's frame, where the person is on the axis: weak perspective asks for that.
    root = (absolute_position_weak if weak else absolute_position)(output.relative, rays, seen + _UNSEEN)
    return on_rays(output.relative + root[:, None], rays, seen)
