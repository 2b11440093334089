"""Open bodies in front of a camera."""

import math

import numpy as np
import pytest
import torch

from mesh_perception.body import load_body, skin
from mesh_perception.geometry.camera import Camera
from mesh_perception.geometry.rotations import axis_angle_to_matrix
from mesh_perception.types import People


@pytest.fixture(scope='session')
def body():
    return load_body('open')


@pytest.fixture(scope='session')
def camera():
    return Camera.from_intrinsics(320, 240, 250, 260, 163, 115)


@pytest.fixture
def make_scene(body):
    """make_scene(camera, ids): People side by side, 2.5 m away and more, facing the camera, and their vertices."""

    def make(camera, ids=(1, 2)):
        count = len(ids)
        turns = torch.zeros(count, 24, 3)
        turns[:, 0, 0] = math.pi  # y up becomes y down
        turns[:, 16, 2], turns[:, 17, 2] = -1.1, 0.9
        rotations = axis_angle_to_matrix(turns)
        step = torch.arange(count, dtype=torch.float32)
        translation = torch.stack([0.5 * step - 0.25, 0 * step, 2.5 + 0.6 * step], -1)
        betas = torch.zeros(count, body.num_betas)
        meshes = skin(body, rotations, betas, translation)
        pixels = camera.project(meshes.vertices)
        boxes = torch.cat([pixels.amin(1), pixels.amax(1)], 1)
        people = People(
            torch.tensor(ids, dtype=torch.int64),
            torch.ones(count, dtype=torch.uint8),
            torch.ones(count),
            boxes,
            rotations,
            betas,
            translation,
            meshes.joints,
            camera.project(meshes.joints),
            torch.ones(count, 24),
            torch.full((count, 24), torch.nan),
            torch.full((count, 3), torch.nan),
        )
        return people, meshes.vertices

    return make


@pytest.fixture
def noise():
    """noise(camera): an image of its size."""
    return lambda camera: np.random.default_rng(0).integers(0, 256, (camera.height, camera.width, 3), dtype=np.uint8)
