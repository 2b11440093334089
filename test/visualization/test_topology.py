"""Smooth normals against the closed form and a plain loop; topologies found again."""

import numpy as np
import pytest

from mesh_perception.visualization.topology import Topology, TopologyCache

from .shapes import sphere


def test_a_spheres_normals_point_away_from_its_middle():
    vertices, faces = sphere(np.zeros(3), 1.0)
    vertices = np.concatenate([vertices, 3 * vertices + 5])
    normals = Topology(faces, vertices.shape[1]).normals(vertices)
    assert normals.dtype == np.float32
    away = vertices[0]
    inner = np.abs(away[:, 2]) < 0.99  # the poles and the seam have doubled vertices
    assert (np.einsum('nvk,vk->nv', normals, away)[:, inner] > 0.995).all()


def test_normals_equal_a_plain_loop():
    rng = np.random.default_rng(0)
    vertices, faces = rng.normal(size=(3, 30, 3)), rng.integers(0, 29, (50, 3))  # vertex 29 has no face
    expected = np.zeros_like(vertices)
    for person in range(3):
        for a, b, c in faces:
            area = np.cross(vertices[person, b] - vertices[person, a], vertices[person, c] - vertices[person, a])
            for corner in (a, b, c):
                expected[person, corner] += area
    expected /= np.maximum(np.linalg.norm(expected, axis=-1, keepdims=True), 1e-20)
    normals = Topology(faces, 30).normals(vertices.astype(np.float32))
    np.testing.assert_allclose(normals, expected, atol=1e-4)
    assert (normals[:, 29] == 0).all()


def test_nobody_and_nothing_give_empty_normals():
    assert Topology(np.zeros((0, 3), int), 4).normals(np.zeros((2, 4, 3))).shape == (2, 4, 3)
    assert Topology(np.array([[0, 1, 2]]), 3).normals(np.zeros((0, 3, 3))).shape == (0, 3, 3)


def test_faces_outside_the_vertices_are_refused():
    with pytest.raises(ValueError, match='faces'):
        Topology(np.array([[0, 1, 4]]), 4)
    with pytest.raises(ValueError, match='faces'):
        Topology(np.array([[0, 1, -1]]), 4)


def test_the_cache_knows_faces_by_value_and_forgets_the_oldest():
    cache = TopologyCache(size=2)
    faces = np.array([[0, 1, 2]])
    first = cache.get(faces, 4)
    assert cache.get(faces.copy(), 4) is first
    assert cache.get(faces, 5) is not first
    cache.get(np.array([[0, 2, 1]]), 4)
    assert cache.get(faces, 4) is not first
