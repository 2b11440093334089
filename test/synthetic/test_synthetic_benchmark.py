"""The benchmark's scenes are the same everywhere, and its fingerprint says so."""

from dataclasses import replace

import pytest
import torch

from mesh_perception.body import load_body
from mesh_perception.synthetic.benchmark import VERSION, benchmark_scenes, fingerprint
from mesh_perception.synthetic.poses import prior_poses

# Of the first 12 scenes. If this fails on purpose, the benchmark is another one: give VERSION the next number, and
# FINGERPRINT what a whole run of `mesh-perception evaluate synthetic` reports.
FIRST = ('synthetic-1', '445860cf94704809')


@pytest.fixture(scope='module')
def body():
    return load_body('open')


@pytest.fixture(scope='module')
def scenes(body):
    return list(benchmark_scenes(prior_poses(), body, 12))


def test_the_benchmark_is_that_of_its_version(scenes):
    assert (VERSION, fingerprint(scenes)) == FIRST


def test_scenes_hold_one_to_six_people(scenes):
    counts = [len(scene.joints) for scene in scenes]
    assert all(1 <= count <= wanted for count, wanted in zip(counts, [1, 2, 3, 4, 5, 6] * 2, strict=True))
    assert sum(counts) >= 36


def test_the_same_seed_makes_the_same_scenes_and_another_makes_others(body, scenes):
    again = list(benchmark_scenes(prior_poses(), body, 3))
    for one, two in zip(scenes, again, strict=False):
        assert torch.equal(one.vertices, two.vertices) and one.camera == two.camera and one.seed == two.seed
    assert fingerprint(again) != fingerprint(benchmark_scenes(prior_poses(), body, 3, seed=1))


def test_fewer_scenes_are_the_first_of_more(body, scenes):
    few = list(benchmark_scenes(prior_poses(), body, 2))
    assert fingerprint(few) == fingerprint(scenes[:2]) != fingerprint(scenes)


def test_rounding_errors_leave_the_fingerprint_and_other_poses_do_not(scenes):
    rounded = [replace(scene, joints=scene.joints + 1e-7 * torch.randn_like(scene.joints)) for scene in scenes]
    assert fingerprint(rounded) == fingerprint(scenes)
    other = [replace(scene, joints=scene.joints + 0.1 * torch.rand_like(scene.joints)) for scene in scenes]
    assert fingerprint(other) != fingerprint(scenes)
