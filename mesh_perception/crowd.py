"""Crowds of any size out of the footage's two actors, in pictures of any size: what benchmarks run the stages on."""

from dataclasses import dataclass, fields

import cv2
import numpy as np
import torch

from mesh_perception.geometry.camera import Camera
from mesh_perception.media import read_frames
from mesh_perception.ros.demo.footage import demo_footage
from mesh_perception.tracking.tracks import Tracks
from mesh_perception.types import Detections, Regions

ACTORS = 2
_JITTER = 0.02  # of a person's size
_FRAME = 3  # of the footage that is used


@dataclass
class Scene:
    """One picture and where its two actors are."""

    image: np.ndarray  # (H, W, 3) uint8 RGB
    camera: Camera
    tracks: Tracks  # of the two, as the tracker follows them
    detections: Detections  # of the two


def find_scene(pipeline, width, height):
    """The footage's actors in a picture of this size, its whole view shrunk to fit, as a MeshPipeline finds them.

    Raises WeightsError where the footage was not fetched, ValueError where the actors cannot be found.
    """
    path, camera = demo_footage('cam01')
    view = fit_view(camera, width, height)
    pipeline.reset()
    for index, frame in enumerate(read_frames(path)):
        image = shrink(frame.image, camera, view)
        pipeline(image, view, frame.stamp)
        if index == _FRAME:
            break
    tracks = _largest(pipeline.tracker.following)
    detections = _largest(pipeline.detect(torch.from_numpy(image)))
    if min(len(tracks), len(detections)) < ACTORS:
        raise ValueError(f"the footage's {ACTORS} actors were not found in a picture of {width}x{height}")
    return Scene(image, view, tracks, detections)


def fit_view(camera, width, height):
    """The camera whose picture of this size holds that of another, shrunk, in its middle."""
    scale = min(width / camera.width, height / camera.height)
    turn = np.array(
        [
            [scale, 0, (width - 1) / 2 - scale * (camera.width - 1) / 2],
            [0, scale, (height - 1) / 2 - scale * (camera.height - 1) / 2],
            [0, 0, 1],
        ]
    )
    return Camera(width, height, turn @ camera.k, camera.distortion, camera.model)


def shrink(image, camera, view):
    """The picture of `camera` as that of `view`, which `fit_view` made; black beside it."""
    if (view.width, view.height) == (camera.width, camera.height):
        return image
    scale = view.k[0, 0] / camera.k[0, 0]
    small = cv2.resize(image, (round(camera.width * scale), round(camera.height * scale)), interpolation=cv2.INTER_AREA)
    left, top = (view.width - small.shape[1]) // 2, (view.height - small.shape[0]) // 2
    picture = np.zeros((view.height, view.width, 3), np.uint8)
    picture[top : top + small.shape[0], left : left + small.shape[1]] = small
    return picture


def _largest(batch):
    size = (batch.boxes[:, 2:] - batch.boxes[:, :2]).prod(-1)
    return batch[size.argsort(descending=True)[:ACTORS]]


def crowd_of(batch, count):
    """`count` people out of the two actors' tracks or detections, each moved a little."""
    crowd = batch[torch.arange(count) % ACTORS]
    generator = torch.Generator().manual_seed(0)
    size = (crowd.boxes[:, 2:] - crowd.boxes[:, :2]).amax(-1, keepdim=True)
    shift = _JITTER * size * torch.randn(count, 2, generator=generator)
    crowd.boxes = crowd.boxes + shift.repeat(1, 2)
    for f in fields(crowd):
        value = getattr(crowd, f.name)
        if f.name == 'keypoints':
            crowd.keypoints = torch.cat((value[..., :2] + shift[:, None], value[..., 2:]), -1)
        elif isinstance(value, Regions):
            setattr(crowd, f.name, Regions(value.centers + shift, value.sizes, value.rolls))
    return crowd
