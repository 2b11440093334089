"""Scenes keep what they promise: people on the ground and not inside each other, and a camera that sees them."""

import numpy as np
import pytest
import torch

from mesh_perception.body import load_body, skin
from mesh_perception.synthetic.contact import offsets_from_triangles
from mesh_perception.synthetic.poses import prior_poses
from mesh_perception.synthetic.scene import SceneSettings, sample_scene

from .solid import distance, inside, speckled

DEEPEST = 0.003  # m that the light mesh of one may be inside another's, which is a coarser surface than was kept apart
CORE = (0, 6, 9, 12, 15)


@pytest.fixture(scope='module')
def body():
    return load_body('open')


@pytest.fixture(scope='module')
def sample(body):
    poses = prior_poses()
    return lambda seed, people=None, **settings: sample_scene(poses, body, seed, people, SceneSettings(**settings))


@pytest.fixture(scope='module')
def crowds(sample):
    """Scenes of three people who are as near to each other as can be."""
    return [sample(seed, 3, interacting=1, touching=1) for seed in range(6)]


def world(scene):
    turn, shift = scene.to_camera[:3, :3].double(), scene.to_camera[:3, 3].double()
    return (scene.vertices.double() - shift) @ turn


def in_image(scene, points):
    pixels = scene.camera.project(points)
    size = torch.tensor([scene.camera.width, scene.camera.height])
    return ((pixels >= -0.5) & (pixels < size - 0.5)).all(-1) & (points[..., 2] > 0)


def test_the_parameters_are_those_of_the_meshes(body, crowds):
    for scene in crowds:
        meshes = skin(body, scene.rotations, scene.betas, scene.translation)
        torch.testing.assert_close(meshes.vertices, scene.vertices, atol=1e-4, rtol=0)
        torch.testing.assert_close(meshes.joints, scene.joints, atol=1e-4, rtol=0)
        identity = scene.rotations.mT @ scene.rotations
        torch.testing.assert_close(identity, torch.eye(3).expand_as(identity), atol=1e-4, rtol=0)
        assert scene.vertices.dtype == scene.rotations.dtype == scene.translation.dtype == torch.float32


def test_everybody_rests_on_the_ground(sample, crowds):
    for scene in [*crowds, *(sample(seed) for seed in range(10))]:
        assert world(scene)[..., 1].amin(1).abs().max() < 1e-4


def test_nobody_is_inside_anybody(body, sample, crowds):
    faces, keep = body.light_faces.numpy(), body.light_vertices
    for scene in [*crowds, *(sample(seed, 5, touching=1) for seed in range(2))]:
        light = scene.vertices[:, keep].double().numpy()
        for one in range(len(light)):
            for other in range(len(light)):
                if one != other:
                    assert depth(light[one], light[other], faces) < DEEPEST


def depth(points, vertices, faces):
    """How far the deepest of the points is inside a mesh, m; 0 if all are outside."""
    points = points[inside(points, vertices, faces)]
    offsets = offsets_from_triangles(points[:, None], vertices[faces])
    return np.linalg.norm(offsets, axis=-1).min(1).max(initial=0)


def test_somebody_inside_another_would_be_found(body, crowds):
    faces, keep = body.light_faces.numpy(), body.light_vertices
    for scene in crowds:
        one, other = torch.nonzero(scene.touching)[0]
        light = scene.vertices[:, keep].double().numpy()
        towards = (scene.joints[one, 0] - scene.joints[other, 0]).double().numpy()
        moved = light[other] + 0.06 * towards / np.linalg.norm(towards)
        assert max(depth(moved, light[one], faces), depth(light[one], moved, faces)) > DEEPEST


def test_who_touches_is_nearer_than_two_centimetres(body, sample, crowds):
    seen = set()
    for scene in [*crowds[:2], sample(2, 3, interacting=1, touching=0)]:
        points = [speckled(person, body.faces.numpy()) for person in scene.vertices]
        assert torch.equal(scene.touching, scene.touching.T)
        assert not scene.touching.diagonal().any()
        for one in range(len(points)):
            for other in range(one):
                far = distance(points[one], points[other])
                assert scene.touching[one, other] == (far < 0.02) or abs(far - 0.02) < 1e-3
                seen.add(bool(scene.touching[one, other]))
    assert seen == {True, False}


def test_those_who_come_together_are_a_group_and_near(sample, crowds):
    for scene in crowds:
        assert (scene.groups == 0).all()
        assert scene.touching.any()
    apart = sample(5, 4, interacting=0)
    assert apart.groups.tolist() == [0, 1, 2, 3]
    assert not apart.touching.any()


def test_whole_people_are_wholly_inside_the_image(sample):
    for seed in range(12):
        scene = sample(seed, truncation=0)
        assert in_image(scene, scene.vertices).float().mean() > 0.999


def test_truncated_scenes_cut_somebody_and_show_the_head_or_torso_of_somebody(sample):
    for seed in range(12):
        scene = sample(seed, truncation=1)
        assert not in_image(scene, scene.vertices).all()
        assert in_image(scene, scene.joints[:, CORE]).any()
        assert (in_image(scene, scene.joints).sum(1) >= 6).all()


def test_nobody_is_at_the_lens(sample):
    for seed in range(10):
        assert sample(seed, truncation=1, distance=(1.2, 1.6)).vertices[..., 2].min() > 0.3


def test_cameras_are_what_was_asked_for(sample):
    sizes, levels = set(), []
    for seed in range(30):
        scene = sample(
            seed, 1, sizes=((640, 480), (480, 640), (1280, 720)), fov=(40, 60), height=(0.5, 2), distance=(2, 4)
        )
        camera, longer = scene.camera, max(scene.camera.width, scene.camera.height)
        sizes.add((camera.width, camera.height))
        assert 40 <= np.degrees(2 * np.arctan(longer / 2 / camera.k[0, 0])) <= 60
        assert camera.model == 'none'
        assert scene.joints[0, 0].norm() == pytest.approx(3, abs=1.001)
        turn = scene.to_camera[:3, :3]
        torch.testing.assert_close(turn @ turn.T, torch.eye(3), atol=1e-6, rtol=0)
        assert turn.det() == pytest.approx(1, abs=1e-5)
        levels.append(float((-turn.T @ scene.to_camera[:3, 3])[1]))
        assert turn[1, 1] < -0.5 and abs(turn[0, 1]) < np.sin(np.radians(8)) + 1e-6  # upright, hardly rolled
    assert sizes == {(640, 480), (480, 640), (1280, 720)}
    assert 0.5 <= min(levels) < 1 and 1.5 < max(levels) <= 2


def test_a_seed_is_a_scene(sample):
    once, again, other = sample(11), sample(11), sample(12)
    assert same(once, again)
    assert not same(once, other)
    assert same(once, sample(11, len(once.betas)))


def same(one, other):
    names = ('rotations', 'betas', 'translation', 'vertices', 'joints', 'groups', 'touching', 'to_camera')
    return one.camera == other.camera and all(torch.equal(getattr(one, n), getattr(other, n)) for n in names)


def test_scenes_have_as_many_people_as_asked_for_and_one_to_six_else(sample):
    assert [len(sample(20 + count, count).betas) for count in range(1, 7)] == [1, 2, 3, 4, 5, 6]
    assert {len(sample(seed, interacting=0).betas) for seed in range(25)} == {1, 2, 3, 4, 5, 6}


@pytest.mark.parametrize('people', [0, 7])
def test_other_numbers_of_people_are_refused(sample, people):
    with pytest.raises(ValueError, match='expected 1 to 6'):
        sample(0, people)


@pytest.mark.parametrize(
    'settings', [{'truncation': 1.5}, {'distance': (3, 2)}, {'fov': (0, 50)}, {'sizes': ()}], ids=str
)
def test_settings_that_cannot_be_are_refused(settings):
    with pytest.raises(ValueError, match=f'scene settings: .*{next(iter(settings))}.* expected'):
        SceneSettings(**settings)
