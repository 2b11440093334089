"""Refiners small enough for quick tests, and people for them."""

import pytest
import torch

from mesh_perception.body import load_body
from mesh_perception.geometry.rotations import axis_angle_to_matrix
from mesh_perception.refinement import Refiner
from mesh_perception.types import BodyParameters

SMALL = {'feature_size': 7, 'num_betas': 10, 'width': 32, 'heads': 2, 'head_size': 8, 'mlp': 48}


@pytest.fixture(scope='session')
def body():
    return load_body('open')


@pytest.fixture
def make_refiner():
    """make_refiner(loud=True, **options): a small Refiner in evaluation; loud: with outputs that are well seen."""

    def make(loud=True, seed=0, **options):
        torch.manual_seed(seed)
        refiner = Refiner(**{**SMALL, **options}).eval()
        if loud:
            for last in (refiner.pose_head, refiner.betas_head[-1], refiner.camera_head[-1]):
                torch.nn.init.normal_(last.weight, std=0.3)
            for merge in (refiner.merge_betas, refiner.merge_camera):
                torch.nn.init.normal_(merge.weight, std=0.3)
        return refiner

    return make


@pytest.fixture
def make_inputs():
    """make_inputs(groups, present=None, ...): the Refiner's arguments, random."""

    def make(groups, present=None, people=3, feature_size=7, num_betas=10, seed=1):
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape):
            return torch.randn(groups, people, *shape, generator=generator)

        if present is None:
            present = torch.ones(groups, people, dtype=torch.bool)
        return normal(feature_size), normal(24, 6), normal(num_betas), normal(3), present

    return make


@pytest.fixture
def make_people():
    """make_people(M, size): features (M, size), and BodyParameters of M people standing about, in front of a camera."""

    def make(count, size=7, seed=2):
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape):
            return torch.randn(count, *shape, generator=generator)

        rotations = axis_angle_to_matrix(0.3 * normal(24, 3))
        translation = normal(3) * torch.tensor([1.5, 0.2, 1.0]) + torch.tensor([0.0, 0.0, 6.0])
        camera = torch.tensor([0.9, 0, 0]).repeat(count, 1)
        return normal(size), BodyParameters(rotations, 0.5 * normal(10), translation, camera)

    return make
