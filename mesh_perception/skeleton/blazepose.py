"""BlazePose as the skeleton network: 33 image landmarks and 33 metric landmarks for all people at once."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mesh_perception.geometry.crops import crop_to_image
from mesh_perception.joints import BLAZEPOSE_MIRROR
from mesh_perception.types import Regions, _Batch
from mesh_perception.weights.networks import load_network

REGION_SCALE = 1.25  # the crop's side over the diameter of the circle around the whole body (MediaPipe's)
SIZE = 256  # px a side of a crop
CPU_BATCH = 10  # people at once on a CPU: two tens take 128 ms with blazepose_full, twenty at once 208 ms
CENTER, CIRCLE = 33, 34  # auxiliary landmarks: the hips' centre, and a point on the circle around the body, above it


@dataclass
class Landmarks(_Batch):
    """What the network says of N crops."""

    image: Tensor  # (N, 33, 2) original pixels
    world: Tensor  # (N, 33, 3) m, relative to the hips' centre, in the axes of the crop's virtual camera
    rotations: Tensor  # (N, 3, 3) camera frame -> virtual camera's frame
    visibility: Tensor  # (N, 33) in [0, 1]: inside the crop and not hidden
    presence: Tensor  # (N, 33) in [0, 1]: inside the crop
    scores: Tensor  # (N,) in [0, 1], that a person is there
    features: Tensor  # (N, 1152) in [0, 6], what the network makes all of these of
    next: Regions  # where to crop in the next frame, or in a second pass


class BlazePose:
    """The network on a device; `network` is blazepose_full or blazepose_heavy.

    flip: looks at each crop's mirror image too, in the same batch, and takes the mean of both.
    """

    def __init__(self, network, device='cpu', dtype=torch.float32, flip=False):
        self.network = load_network(network, device=device, dtype=dtype)
        self.dtype = dtype
        self.flip = flip

    @torch.inference_mode()
    def __call__(self, crops, camera):
        """crops: Crops of N people, cut from `camera`'s image, on the network's device -> Landmarks."""
        images = crops.images.to(self.dtype)
        if self.flip:
            images = torch.cat((images, images.flip(-1)))
        # A CPU's caches hold the activations of few people: many are quicker in turns.
        parts = images.split(CPU_BATCH) if images.device.type == 'cpu' and len(images) > CPU_BATCH else [images]
        outputs = [torch.cat(values).float() for values in zip(*map(self.network, parts), strict=True)]
        return decode(*(mean_with_mirror(*outputs) if self.flip else outputs), crops, camera)


def mean_with_mirror(landmarks, presence, world, features):
    """The network's raw outputs of N crops and then of their mirror images, (2 N, ...) -> what it says of the N crops.

    Landmarks and presence are means; the auxiliary landmarks, which say where to look next, and the features are those
    of the crops themselves.
    """
    n = len(presence) // 2
    landmarks, world = landmarks.view(2 * n, 39, 5), world.view(2 * n, 39, 3)
    mirrored = (
        torch.cat((SIZE - landmarks[n:, :, :1], landmarks[n:, :, 1:]), -1),
        torch.cat((-world[n:, :, :1], world[n:, :, 1:]), -1),
    )
    means = []
    for own, other in zip((landmarks[:n], world[:n]), mirrored, strict=True):
        points = (own[:, :33] + torch.stack([other[:, j] for j in BLAZEPOSE_MIRROR], 1)) / 2
        means.append(torch.cat((points, own[:, 33:]), 1).flatten(1))
    return means[0], (presence[:n] + presence[n:]) / 2, means[1], features[:n]


def decode(landmarks, presence, world, features, crops, camera):
    """The network's raw outputs (N, 195), (N, 1), (N, 117), (N, 1152) as Landmarks."""
    n = len(landmarks)
    values = landmarks.reshape(n, 39, 5)
    # The network counts from the crop's edge; pixels here count from the first pixel's centre.
    image = crop_to_image(crops.intrinsics, crops.rotations, values[..., :2] - 0.5, camera)
    logits = values[:, :33, 3:5].sigmoid()
    center, up = image[:, CENTER], image[:, CIRCLE] - image[:, CENTER]
    following = Regions(center, 2 * REGION_SCALE * up.norm(dim=-1), torch.atan2(up[:, 0], -up[:, 1]))
    return Landmarks(
        image=image[:, :33],
        world=world.reshape(n, 39, 3)[:, :33],
        rotations=crops.rotations,
        visibility=logits[..., 0],
        presence=logits[..., 1],
        scores=presence.reshape(n),
        features=features,
        next=following,
    )


def regions_of_detections(detections, minimum=0.2):
    """First crops for new people: around the hips where keypoints show them, else around the box.

    detections: Detections; minimum: score from which a keypoint counts. -> Regions (N).
    """
    points, seen = detections.keypoints[..., :2], detections.keypoints[..., 2] > minimum
    low, high = detections.boxes[:, :2], detections.boxes[:, 2:]
    torso = seen[:, [5, 6, 11, 12]].all(1)
    hips, shoulders = points[:, [11, 12]].mean(1), points[:, [5, 6]].mean(1)
    spine = shoulders - hips
    reach = ((points - hips[:, None]).norm(dim=-1) * seen).amax(1)
    radius = torch.maximum(reach, 1.4 * spine.norm(dim=-1))
    return Regions(
        torch.where(torso[:, None], hips, (low + high) / 2),
        REGION_SCALE * torch.where(torso, 2 * radius, (high - low).amax(1)),
        torch.where(torso, torch.atan2(spine[:, 0], -spine[:, 1]), torch.zeros_like(radius)),
    )
