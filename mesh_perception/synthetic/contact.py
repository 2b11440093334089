"""How far apart posed bodies are, and how far one slides along the ground before it meets others.

A slide is two steps: depth maps along the direction of the slide say where the bodies would meet, on the safe side by
a few centimetres whatever their shapes; exact distances then close the gap, no step longer than the gap itself, so
that nothing passes through anything. All in float64 numpy.
"""

import math
from functools import cached_property, lru_cache

import numpy as np
import torch
from scipy.ndimage import minimum_filter
from scipy.spatial import cKDTree

from mesh_perception.body.model import BodyModel

TOUCHING = 0.02  # m: surfaces nearer than this touch
CONTACT = 0.002  # m that a slide into contact leaves
_REACH = 0.08  # m: distances beyond it are not told apart
_STEPS, _ROUNDS = 4, 6
_BACK = 0.01  # m


class Surface:
    """A posed body at its place: vertices (V, 3), m, in a world with y up."""

    def __init__(self, body: BodyModel, vertices: np.ndarray):
        self._place(_Shape(body, vertices), np.zeros(3))

    def moved(self, shift: np.ndarray) -> 'Surface':
        """The same body elsewhere, by shift (3,)."""
        other = Surface.__new__(Surface)
        other._place(self._shape, self._shift + shift)
        return other

    def _place(self, shape, shift):
        self._shape, self._shift = shape, shift
        self.vertices = shape.vertices + shift
        self.low, self.high = shape.low + shift, shape.high + shift

    @property
    def spread(self) -> float:
        """How far the surface's points are from a vertex at most, m, nearly everywhere."""
        return self._shape.spread

    def close(self, points: np.ndarray) -> np.ndarray:
        """Those of the points (P, 3) that are near this body's box."""
        return points[((points > self.low - _REACH) & (points < self.high + _REACH)).all(1)]

    def nearest(self, points: np.ndarray) -> tuple[float, np.ndarray]:
        """The smallest distance of any of the points (P, 3), negative inside, inf if all are farther than some 8 cm,
        from the faces around the nearest vertices; and each point's distance from a vertex (P,), inf beyond."""
        return self._shape.nearest(points - self._shift)


class _Shape:
    def __init__(self, body, vertices):
        self.vertices, self.low, self.high = vertices, vertices.min(0), vertices.max(0)
        self.spread, self.faces_around = _spread(body), _faces_around(body)

    @cached_property
    def tree(self):
        return cKDTree(self.vertices, balanced_tree=False, compact_nodes=False)

    def nearest(self, points):
        distances, vertices = self.tree.query(points, distance_upper_bound=_REACH)
        close = distances < min(distances.min(initial=np.inf) + self.spread, _REACH)
        if not close.any():
            return np.inf, distances
        points, vertices = points[close], vertices[close]
        corners = self.vertices[self.faces_around[vertices]]  # (P, D, 3, 3)
        offsets = offsets_from_triangles(points[:, None], corners)
        best = (offsets**2).sum(-1).argmin(1)[:, None, None]
        offsets = np.take_along_axis(offsets, best, 1)[:, 0]
        outwards = np.cross(corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0]).sum(1)
        signs = np.where((offsets * outwards).sum(-1) < 0, -1, 1)
        return float((signs * np.linalg.norm(offsets, axis=-1)).min()), distances


def gap(one: Surface, other: Surface) -> float:
    """The distance between two surfaces, m; negative if they cross, inf beyond some 8 cm."""
    if (one.low > other.high + _REACH).any() or (other.low > one.high + _REACH).any():
        return np.inf
    pairs = ((one, one.close(other.vertices)), (other, other.close(one.vertices)))
    return min(surface.nearest(points)[0] for surface, points in pairs)


def free_way(fixed: list, moving: Surface, direction: np.ndarray) -> float:
    """How far `moving` goes along a horizontal unit vector (3,), coming from far away, before it meets one of `fixed`;
    on the safe side by a few centimetres at most. Negative if it is past that place already, inf if it meets nobody.
    """
    cell = moving.spread
    across = np.array((direction[2], 0, -direction[0])) / cell
    still = fixed[0].vertices if len(fixed) == 1 else np.concatenate([surface.vertices for surface in fixed])
    columns, rows, depths = zip(
        *((points @ across, points[:, 1] / cell, points @ direction) for points in (still, moving.vertices)),
        strict=True,
    )
    left, right = (max(c.min() for c in columns) - 3, min(c.max() for c in columns) + 3)
    width, height = int(right - left) + 1, int(min(r.max() for r in rows)) + 3
    if width < 1:
        return np.inf
    maps = []
    for column, row, depth in zip(columns, rows, (depths[0], -depths[1]), strict=True):
        column, row = np.floor(column - left), np.floor(row)
        inside = (column >= 0) & (column < width) & (row < height)
        cells = (row[inside] * width + column[inside]).astype(np.int64)
        nearest = np.full(width * height, np.inf)
        np.minimum.at(nearest, np.maximum(cells, 0), depth[inside])
        maps.append(nearest.reshape(height, width))
    # A vertex stands for the surface a cell around it, on both bodies.
    return float((minimum_filter(maps[0], 5, mode='nearest') + maps[1]).min()) - cell


def approach(fixed: list, moving: Surface, direction: np.ndarray) -> float:
    """How far `moving`, free at a place that `free_way` gave, goes on along a horizontal unit vector (3,) to first
    contact with one of `fixed`: until CONTACT or a little more is left. Back, if it was nearer."""
    way = 0.0
    for _ in range(_ROUNDS):
        further, settled = _steps(fixed, moving.moved(way * direction), direction)
        way += further
        if settled:
            break
    while min(gap(moving.moved(way * direction), surface) for surface in fixed) <= 0:
        way -= _BACK
    return way


def _steps(fixed, moving, direction):
    """The way that `moving` can go by some steps no longer than the gap, up to _REACH together: what is farther than
    that from each other at first need not be looked at again. And whether it came into contact."""
    sides = [(surface, surface.close(moving.vertices), direction) for surface in fixed]
    sides += [(moving, moving.close(surface.vertices), -direction) for surface in fixed]
    way = 0.0
    for count in range(_STEPS):
        found = [surface.nearest(points + way * forwards) for surface, points, forwards in sides]
        if count == 0:
            near = [distances < _REACH for _, distances in found]
            sides = [(s, points[n], f) for (s, points, f), n in zip(sides, near, strict=True) if n.any()]
        left = min([distance for distance, _ in found] + [_REACH]) - CONTACT
        way += min(left, _REACH - CONTACT - way)
        if abs(left) < CONTACT:
            return way, True
    return way, False


def offsets_from_triangles(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """From the nearest point of each triangle (..., 3, 3) to points (..., 3)."""
    edges = np.roll(corners, -1, -2) - corners
    relative = points[..., None, :] - corners
    along = (relative * edges).sum(-1) / np.maximum((edges**2).sum(-1), 1e-18)
    to_edges = relative - np.clip(along, 0, 1)[..., None] * edges
    best = (to_edges**2).sum(-1).argmin(-1)
    offsets = np.take_along_axis(to_edges, best[..., None, None], -2)[..., 0, :]
    normal = np.cross(edges[..., 0, :], edges[..., 1, :])
    above = (np.cross(edges, relative) * normal[..., None, :]).sum(-1).min(-1) >= 0
    height = (relative[..., 0, :] * normal).sum(-1) / np.maximum((normal**2).sum(-1), 1e-30)
    return np.where(above[..., None], height[..., None] * normal, offsets)


@lru_cache(maxsize=4)
def _spread(body: BodyModel) -> float:
    """The radius of the circle around an equilateral triangle as long as all but 1 % of the edges, at rest."""
    corners = body.v_template[body.faces]
    return float(torch.quantile((corners - corners.roll(1, 1)).norm(dim=-1), 0.99)) / math.sqrt(3)


@lru_cache(maxsize=4)
def _faces_around(body: BodyModel) -> np.ndarray:
    """The faces around each vertex as their corners' numbers (V, D, 3), the first repeated where there are fewer."""
    faces = body.faces.cpu().numpy()
    order = np.argsort(faces.ravel(), kind='stable')
    counts = np.bincount(faces.ravel(), minlength=len(body.v_template))
    starts = np.cumsum(counts) - counts
    column = np.arange(counts.max())
    places = starts[:, None] + np.where(column < counts[:, None], column, 0)
    return faces[order[np.minimum(places, len(order) - 1)] // 3]
