"""Whether points are inside closed meshes, and how far from surfaces: in float64, and unlike the product's way."""

import numpy as np
from scipy.spatial import cKDTree


def inside(points, vertices, faces):
    """Whether the mesh's faces surround each point (P,): its winding number, the sum of the solid angles (Van Oosterom
    and Strackee, 1983), over a half. Only asked within planes of 100 directions that the mesh touches."""
    points, vertices = np.asarray(points, np.float64), np.asarray(vertices, np.float64)
    directions = np.random.default_rng(0).normal(size=(3, 100))
    along = vertices @ directions
    near = np.flatnonzero(((points @ directions >= along.min(0)) & (points @ directions <= along.max(0))).all(1))
    numbers = np.zeros(len(points))
    for one in near:
        to = vertices - points[one]
        length = np.linalg.norm(to, axis=-1)
        (a, b, c), (la, lb, lc) = to[faces.T], length[faces.T]
        volume = (a * np.cross(b, c)).sum(-1)
        scale = la * lb * lc + (a * b).sum(-1) * lc + (b * c).sum(-1) * la + (c * a).sum(-1) * lb
        numbers[one] = np.arctan2(volume, scale).sum() / (2 * np.pi)
    return numbers > 0.5


def speckled(vertices, faces, count=60_000):
    """Points all over a surface (count, 3); 60 000 are 5 mm from each other on a person."""
    generator = np.random.default_rng(0)
    triangles = np.asarray(vertices, np.float64)[faces]
    areas = np.linalg.norm(np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]), axis=-1)
    shares = generator.dirichlet((1, 1, 1), count)[:, :, None]
    return (shares * triangles[generator.choice(len(faces), count, p=areas / areas.sum())]).sum(1)


def distance(one, other):
    """The smallest distance between two sets of points."""
    return cKDTree(one).query(other, distance_upper_bound=0.1)[0].min()
