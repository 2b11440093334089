"""Things in the scene: solid, turned outwards, and out of everybody's way."""

import numpy as np
import pytest

from mesh_perception.synthetic.occluders import Solid, place_occluders

TO_CAMERA = np.array([[1.0, 0, 0, 0], [0, -1, 0, 1.2], [0, 0, -1, 4], [0, 0, 0, 1]])  # 4 m from the world's origin


@pytest.mark.parametrize('round_', [False, True])
def test_surfaces_are_closed_and_turned_outwards(round_):
    solid = Solid((1, 2, 3), (0.5, 1.0, 0.5), heading=0.7, round_=round_)
    points, normals, faces = solid.surface()
    corners = points[faces]
    areas = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]) / 2
    volume = (areas * corners[:, 0]).sum() / 3
    # Twenty sides instead of a circle.
    assert volume == pytest.approx(2 * (10 * np.sin(np.pi / 10) * 0.25 if round_ else 1), rel=1e-9)
    np.testing.assert_allclose(areas.sum(0), 0, atol=1e-12)  # closed
    np.testing.assert_allclose(np.linalg.norm(normals, axis=-1), 1)
    assert ((normals[faces].mean(1) * areas).sum(-1) > 0).all()


def test_a_solid_knows_what_is_inside():
    solid = Solid((0, 1, 0), (0.5, 1, 0.1), heading=np.pi / 2)  # its long side along z
    assert not solid.clear(np.array([[0.0, 0.5, 0.4]]), 0)
    assert solid.clear(np.array([[0.4, 0.5, 0.0]]), 0)
    assert not solid.clear(np.array([[0.15, 0.5, 0.0]]), 0.08)


def crowd(rng):
    """Three upright cylinders of points around the world's origin, in the camera's frame."""
    angle, height = rng.uniform(0, 2 * np.pi, (3, 400)), rng.uniform(0, 1.8, (3, 400))
    middle = np.array([[0, 0, 0], [1.0, 0, 0.5], [-0.9, 0, -0.6]])[:, None]
    points = middle + np.stack([0.2 * np.cos(angle), height, 0.2 * np.sin(angle)], -1)
    return points @ TO_CAMERA[:3, :3].T + TO_CAMERA[:3, 3]


def test_nothing_touches_people_or_the_camera_or_sinks_into_the_ground():
    count = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        people = crowd(rng)
        things = place_occluders(people, TO_CAMERA, 1.0, rng)
        for corners in (solid for thing in things for solid in thing.vertices):
            count += 1
            ground = (corners - TO_CAMERA[:3, 3]) @ TO_CAMERA[:3, :3]
            assert ground[:, 1].min() > -1e-6
            assert np.linalg.norm(corners, axis=1).min() > 0.5
            gaps = np.linalg.norm(people.reshape(-1, 1, 3) - corners, axis=-1)
            assert gaps.min() > 0.05
    assert count > 60


def test_the_share_of_scenes_with_something_in_front_is_kept():
    def in_front(seed, share):
        rng = np.random.default_rng(seed)
        people = crowd(rng)
        things = place_occluders(people, TO_CAMERA, share, rng)
        return any((thing.vertices[..., 2] < people[..., 2].min()).all(1).any() for thing in things)

    none, all_ = (np.mean([in_front(seed, share) for seed in range(40)]) for share in (0.0, 1.0))
    assert none < 0.1
    assert all_ > 0.5
