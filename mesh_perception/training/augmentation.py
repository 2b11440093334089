"""What makes more of a picture with known truth: MeTRAbs' and HybrIK's augmentations, with exact labels.

A picture is mirrored and turned about its optical axis as a whole, as if another camera had taken it, so that people
who stand together still do. What is left is each crop's own: its scale, its shift, patches in front of it, its colours.
Turn, scale and shift move the crop's virtual camera alone: nothing is resampled twice.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from mesh_perception.geometry.crops import crop, virtual_cameras
from mesh_perception.joints import SMPL_MIRROR
from mesh_perception.synthetic.retarget import mirror
from mesh_perception.training.datasets.samples import Samples
from mesh_perception.types import Regions

_PATCHES = 3  # in front of one crop, at most
_PATCH = (0.08, 0.35)  # of the crop's side: half axes of a patch together
_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class AugmentationSettings:
    """How much is varied; zeros vary nothing. Raises ValueError for what cannot be."""

    roll: float = 30.0  # degrees either way, of the camera about its optical axis
    scale: float = 0.25  # of a crop's side, either way
    shift: float = 0.1  # of a crop's side, radius of the disc in which its centre lies
    flip: float = 0.5  # chance that a picture is mirrored
    occlusion: float = 0.5  # chance of patches in front of a crop
    colour: float = 1.0  # strength

    def __post_init__(self):
        for name, most in (('roll', 180), ('scale', 0.9), ('shift', 1), ('flip', 1), ('occlusion', 1), ('colour', 1)):
            value = getattr(self, name)
            if not 0 <= value <= most:
                raise ValueError(f'augmentation: {name} is {value}, expected a number from 0 to {most}')


NONE = AugmentationSettings(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class View:
    """Another camera in the place of the one that took a picture: turned about its axis, then mirrored."""

    roll: float = 0.0  # radians; the picture's content turns clockwise
    mirrored: bool = False

    def turn(self, like: Tensor) -> Tensor:
        """The turn (3, 3) alone: X of the camera that took the picture is turn X for the other one."""
        c, s = math.cos(self.roll), math.sin(self.roll)
        return like.new_tensor(((c, -s, 0), (s, c, 0), (0, 0, 1)))


def draw_view(settings: AugmentationSettings, generator: torch.Generator) -> View:
    """A View of a picture."""
    roll, flip = torch.rand(2, generator=generator).tolist()
    return View(math.radians(settings.roll) * (2 * roll - 1), flip < settings.flip)


def draw_regions(regions: Regions, settings: AugmentationSettings, generator: torch.Generator) -> Regions:
    """Regions of another size and place."""
    numbers = torch.rand(len(regions), 3, generator=generator).to(regions.sizes)
    sizes = regions.sizes * (1 + settings.scale * (2 * numbers[:, 0] - 1))
    radius, angle = settings.shift * sizes * numbers[:, 1].sqrt(), 2 * math.pi * numbers[:, 2]
    return replace(
        regions, sizes=sizes, centers=regions.centers + torch.stack((radius * angle.cos(), radius * angle.sin()), -1)
    )


def crop_people(image: Tensor, camera, regions: Regions, truth: Samples, view: View, size: int = 256) -> Samples:
    """Crops of a picture's people as the camera of `view` would show them, with all labels of `truth` changed alike.

    image (H, W, 3) uint8 RGB of `camera`, which has no distortion; regions: N upright squares in it; truth: Samples
    of which everything but images, intrinsics, turns, to_picture and sizes is used. A crop is upright for the camera of
    the view. Raises ValueError for a camera with distortion.
    """
    if camera.model != 'none':
        raise ValueError(f'training picture: its camera has distortion {camera.model!r}, expected an undistorted one')
    turn = view.turn(truth.joints)
    rolls = _rolls(camera, regions, turn, size)
    crops = crop(image, camera, replace(regions, rolls=rolls), size)
    lens = camera.matrix(crops.intrinsics.device, crops.intrinsics.dtype)
    samples = replace(
        truth,
        images=(crops.images * 255).round().to(torch.uint8),
        intrinsics=crops.intrinsics,
        turns=crops.rotations @ turn.T,
        to_picture=lens @ crops.rotations.mT @ torch.linalg.inv(crops.intrinsics),
        sizes=lens.new_tensor((camera.width, camera.height)).expand(len(regions), 2),
        joints=truth.joints @ turn.T,
        reference_joints=truth.reference_joints @ turn.T,
        rotations=torch.cat((turn @ truth.rotations[:, :1], truth.rotations[:, 1:]), 1),
    )
    return flip(samples) if view.mirrored else samples


def flip(samples: Samples) -> Samples:
    """Everything mirrored left to right, as a mirrored camera has it: people's left and right sides are exchanged.

    The shape stays: bodies are symmetric. Twice is the identity.
    """
    across = samples.joints.new_tensor((-1, 1, 1))
    swap = torch.tensor(SMPL_MIRROR, device=across.device)
    columns = torch.diag(across)
    columns[0, 2] = samples.size - 1
    return replace(
        samples,
        images=samples.images.flip(-1),
        turns=samples.turns * across[:, None] * across,
        to_picture=samples.to_picture @ columns,
        joints=samples.joints[:, swap] * across,
        reference_joints=samples.reference_joints[:, swap] * across,
        rotations=mirror(samples.rotations),
        twists=samples.twists[:, swap] * samples.twists.new_tensor((1, -1)),
        visible=samples.visible[:, swap],
    )


def change_appearance(samples: Samples, settings: AugmentationSettings, generator: torch.Generator) -> Samples:
    """Patches in front of crops, with what they hide, and other colours."""
    images = samples.images.float() / 255
    images, hidden = _patch(images, settings.occlusion, generator)
    size = samples.size
    column, row = samples.pixels(samples.joints).round().clamp(0, size - 1).long().unbind(-1)
    behind = hidden[torch.arange(len(hidden), device=hidden.device)[:, None], row, column]
    images = _recolour(images, settings.colour, generator)
    return replace(samples, images=(images * 255).round().to(torch.uint8), visible=samples.visible & ~behind)


def _rolls(camera, regions, turn, size):
    """The turns (N,) of upright regions with which crops are upright for a camera turned about its optical axis."""
    upright = virtual_cameras(camera, regions, size)[1]
    ray = upright[:, 2] @ turn.T
    across = torch.stack((ray[:, 2], torch.zeros_like(ray[:, 0]), -ray[:, 0]), -1) @ turn
    return torch.atan2((across * upright[:, 1]).sum(-1), (across * upright[:, 0]).sum(-1))


def _patch(images, chance, generator):
    """Rectangles and ellipses of coarse noise in front of images (N, 3, S, S) -> (images, where (N, S, S) bool)."""
    count, size = len(images), images.shape[-1]
    numbers = torch.rand(count, _PATCHES, 6, generator=generator).to(images.device)
    many = torch.rand(count, 2, generator=generator).to(images.device)
    texture = torch.rand(count, 3, 6, 6, generator=generator).to(images.device)
    steps = (torch.arange(size, device=images.device) + 0.5) / size
    low, high = _PATCH
    half = (low + (high - low) * numbers[..., :2])[..., None, None] / 2
    down = (steps[:, None] - numbers[..., 2, None, None]) / half[:, :, 0]
    across = (steps - numbers[..., 3, None, None]) / half[:, :, 1]
    round_one = (numbers[..., 4] < 0.5)[..., None, None]
    inside = torch.where(round_one, down.square() + across.square() < 1, torch.maximum(down.abs(), across.abs()) < 1)
    drawn = (many[:, :1] < chance) & (torch.arange(_PATCHES, device=images.device) <= many[:, 1:] * _PATCHES)
    hidden = (inside & drawn[..., None, None]).any(1)
    flat = texture.mean((2, 3), keepdim=True)
    strength = numbers[:, 0, 5, None, None, None]
    texture = interpolate(flat + strength * (texture - flat), (size, size), mode='bilinear', align_corners=True)
    return torch.where(hidden[:, None], texture, images), hidden


def _recolour(images, strength, generator):
    """Gamma, gain of all and of each channel, contrast and saturation of images in [0, 1]; black stays black, as around
    a picture."""
    black = images.amax(1, keepdim=True) == 0
    numbers = strength * (2 * torch.rand(len(images), 7, 1, 1, generator=generator).to(images) - 1)
    gain, gamma, contrast, saturation = (1.35 ** numbers[:, k, None] for k in range(4))
    images = images.clamp_min(1e-4) ** gamma * gain * 1.12 ** numbers[:, 4:]
    grey = (images * images.new_tensor(_LUMA)[:, None, None]).sum(1, keepdim=True)
    images = grey + saturation * (images - grey)
    middle = images.mean((1, 2, 3), keepdim=True)
    return (middle + contrast * (images - middle)).clamp(0, 1).masked_fill(black, 0)
