"""The types between the stages: batched over people, one device, empty tensors where there is nothing.

All 3D is in the camera's optical frame (x right, y down, z forward), metres; image coordinates are pixels of the
original image with (0, 0) the centre of the top-left pixel; float32 unless said otherwise.
"""

from dataclasses import dataclass, fields

import torch
from torch import Tensor


class _Batch:
    """Indexing and moving for dataclasses whose every field is a tensor with people along the first axis."""

    def __getitem__(self, index):
        return type(self)(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def __len__(self):
        return len(getattr(self, fields(self)[0].name))

    def to(self, *args, **kwargs):
        return type(self)(**{f.name: getattr(self, f.name).to(*args, **kwargs) for f in fields(self)})

    def clone(self):
        return type(self)(**{f.name: getattr(self, f.name).clone() for f in fields(self)})

    @classmethod
    def cat(cls, batches):
        """Concatenates along people; at least one batch."""
        parts = {f.name: [getattr(b, f.name) for b in batches] for f in fields(cls)}
        return cls(**{n: type(p[0]).cat(p) if isinstance(p[0], _Batch) else torch.cat(p) for n, p in parts.items()})

    def tensors(self, prefix=''):
        """{dotted name: tensor}, those of batches within batches too: what a file holds."""
        named = {}
        for f in fields(self):
            value, name = getattr(self, f.name), prefix + f.name
            named |= value.tensors(f'{name}.') if isinstance(value, _Batch) else {name: value.contiguous()}
        return named

    @classmethod
    def of_tensors(cls, tensors, prefix=''):
        """The inverse of `tensors`. Raises KeyError for one that is missing."""
        return cls(
            **{
                f.name: f.type.of_tensors(tensors, f'{prefix}{f.name}.')
                if issubclass(f.type, _Batch)
                else tensors[prefix + f.name]
                for f in fields(cls)
            }
        )

    @classmethod
    def where(cls, mask, a, b):
        """Row i of `a` where mask[i], else of `b`; mask (N,) bool."""
        pairs = {f.name: (getattr(a, f.name), getattr(b, f.name)) for f in fields(cls)}
        return cls(
            **{
                name: type(x).where(mask, x, y)
                if isinstance(x, _Batch)
                else torch.where(mask.reshape(-1, *[1] * (x.dim() - 1)), x, y)
                for name, (x, y) in pairs.items()
            }
        )


@dataclass
class Detections(_Batch):
    """What a detector saw in one image."""

    boxes: Tensor  # (N, 4) x0, y0, x1, y1 in pixels
    scores: Tensor  # (N,) in [0, 1]
    keypoints: Tensor  # (N, 17, 3) COCO x, y in pixels and score; scores 0 where the detector gives none


@dataclass
class Regions(_Batch):
    """Where to crop: squares in the original image."""

    centers: Tensor  # (N, 2) pixels
    sizes: Tensor  # (N,) side in pixels
    rolls: Tensor  # (N,) radians, the clockwise turn of the square in the image (0: upright)


@dataclass
class Crops(_Batch):
    """Perspective-correct, undistorted square views, each with its virtual camera.

    A point X in the camera's frame is R X in the crop's, and K_crop (R X) in the crop's pixels.
    """

    images: Tensor  # (N, 3, S, S) RGB in [0, 1]
    intrinsics: Tensor  # (N, 3, 3) of the virtual cameras
    rotations: Tensor  # (N, 3, 3) camera frame -> virtual camera's frame


@dataclass
class Skeletons(_Batch):
    """The skeleton stage's output, in the camera's frame and in original pixels: nothing later knows crops."""

    joints: Tensor  # (N, 24, 3) absolute, m
    relative_joints: Tensor  # (N, 24, 3) relative to the pelvis, m
    image_joints: Tensor  # (N, 24, 2) px
    confidence: Tensor  # (N, 24) in [0, 1]
    features: Tensor  # (N, C, h, w) or (N, C)
    hint_directions: Tensor  # (N, 24, 3) unit vectors: where the body's HINT_AXES[j], carried by joint j, points
    hint_weights: Tensor  # (N, 24) in [0, 1], 0 where the direction is unknown
    scores: Tensor  # (N,) in [0, 1], that a person is there
    distance_scale: Tensor  # (N,) what the network says the distance of least squares is to be multiplied by
    joint_sigma: Tensor  # (N, 24) m, standard deviation along each axis of relative_joints, NaN while unknown


@dataclass
class Sightings(_Batch):
    """What one look at N crops gives: the skeletons, and where to look for the same people in the next frame."""

    skeletons: Skeletons
    next: Regions


@dataclass
class BodyParameters(_Batch):
    """SMPL-family parameters of one body model: not interchangeable between bodies."""

    rotations: Tensor  # (N, 24, 3, 3) relative to the parent; joint 0 relative to the camera
    betas: Tensor  # (N, B)
    translation: Tensor  # (N, 3) m: vertices = model(pose, betas) + translation
    camera: Tensor  # (N, 3) s, tx, ty: the orthographic projection of Eq. 7 and 13 in crop coordinates


@dataclass
class Meshes(_Batch):
    """Posed bodies in the camera's frame."""

    vertices: Tensor  # (N, V, 3) m
    joints: Tensor  # (N, 24, 3) m, the kinematic joints


@dataclass
class People(_Batch):
    """The pipeline's result for one image: what messages, files and overlays are made of."""

    track_ids: Tensor  # (N,) int64
    states: Tensor  # (N,) uint8, see tracking.State
    scores: Tensor  # (N,)
    boxes: Tensor  # (N, 4) px, around the projected joints, unclipped
    rotations: Tensor  # (N, 24, 3, 3)
    betas: Tensor  # (N, B)
    translation: Tensor  # (N, 3) m
    joints: Tensor  # (N, 24, 3) m, the body's kinematic joints
    joints_2d: Tensor  # (N, 24, 2) px, `joints` projected through the camera with its distortion
    joint_confidence: Tensor  # (N, 24)
    joint_sigma: Tensor  # (N, 24) m, NaN while unknown
    velocity: Tensor  # (N, 3) m/s, NaN while unknown
