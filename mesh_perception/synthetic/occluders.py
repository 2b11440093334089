"""Things that stand between the camera and people: boxes, tables, posts and boards, as meshes with exact depth."""

import numpy as np

from mesh_perception.synthetic.textures import muted
from mesh_perception.visualization.mesh import Mesh

_TRIES = 8
_GAP = 0.08  # m that people and things keep from each other
_CORNERS = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float64)
_SIDES = np.array(((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)))


def place_occluders(people, to_camera, share, rng):
    """Things in front of people, and some beside them.

    Args: people (N, P, 3) points of their surfaces, camera frame; to_camera (4, 4) from the world; share of the scenes
    with something between the camera and a person; rng: a numpy Generator. Returns a list of Mesh in the camera's
    frame, each of any number of convex solids. Nothing intersects anybody or comes nearer to the camera than half a
    metre.
    """
    if not len(people):
        return []
    turn, origin = to_camera[:3, :3], -to_camera[:3, :3].T @ to_camera[:3, 3]
    points = (people - to_camera[:3, 3]) @ turn  # to the world
    crowd = points.reshape(-1, 3)
    things = []
    if rng.random() < share:
        things += _try(lambda: _in_front(points[rng.integers(len(points))], origin, rng), crowd, origin)
    for _ in range(rng.integers(0, 3)):
        things += _try(lambda: _beside(points[rng.integers(len(points))], origin, rng), crowd, origin)
    colours = [muted(rng) for _ in things]
    solids = [(solid, colour) for thing, colour in zip(things, colours, strict=True) for solid in thing]
    kinds = ([pair for pair in solids if pair[0].round == kind] for kind in (False, True))
    return [_mesh(pairs, to_camera) for pairs in kinds if pairs]


def _try(draw, crowd, origin):
    for _ in range(_TRIES):
        solids = draw()
        if all(solid.clear(crowd, _GAP) and solid.clear(origin[None], 0.5) for solid in solids):
            return [solids]
    return []


class Solid:
    """A box, or a cylinder of the same size, turned about the vertical: centre and half sizes in m, heading in rad."""

    def __init__(self, centre, half, heading=0.0, round_=False):
        self.centre, self.half, self.round = np.asarray(centre, float), np.asarray(half, float), round_
        c, s = np.cos(heading), np.sin(heading)
        self.turn = np.array(((c, 0, s), (0, 1, 0), (-s, 0, c)))

    def clear(self, points, gap):
        """Whether no point (P, 3) is inside or nearer than `gap` along the solid's axes."""
        return not (np.abs((points - self.centre) @ self.turn) < self.half + gap).all(1).any()

    def surface(self):
        """Vertices (V, 3) in the world, outward normals (V, 3) and faces (F, 3), counter-clockwise from outside."""
        if self.round:
            points, normals, faces = _cylinder()
        else:
            points, faces = _CORNERS[_SIDES].reshape(-1, 3), np.arange(24).reshape(6, 4)[:, (0, 1, 2, 0, 2, 3)]
            normals = np.repeat(_CORNERS[_SIDES].mean(1), 4, axis=0)
            faces = faces.reshape(-1, 3)
        return points * self.half @ self.turn.T + self.centre, normals @ self.turn.T, faces


def _cylinder(sides=20):
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    rim = np.stack((np.cos(angle), np.zeros_like(angle), np.sin(angle)), -1)
    up = np.array((0, 1, 0))
    points = np.concatenate((rim - up, rim + up, rim + up, [up], rim - up, [-up]))
    normals = np.concatenate((rim, rim, *(np.tile(n, (sides + 2, 1)) for n in (up, -up))))
    i, n = np.arange(sides), sides + 1
    top, bottom = 2 * n, 3 * n + 1
    faces = np.concatenate(
        [
            np.stack(corners, -1)
            for corners in (
                (i, n + i, i + 1),
                (i + 1, n + i, n + i + 1),
                (top + i, np.full(sides, top + n), top + i + 1),
                (bottom + i, bottom + i + 1, np.full(sides, bottom + n)),
            )
        ]
    )
    return points, normals, faces


def _in_front(person, origin, rng):
    """Something that hides a part of a person (P, 3) from a camera at `origin`."""
    low, high = person.min(0), person.max(0)
    middle = np.array([(low[0] + high[0]) / 2, 0, (low[2] + high[2]) / 2])
    towards = (origin - middle) * (1, 0, 1)
    distance = np.linalg.norm(towards)
    towards = towards / max(distance, 1e-6)
    across = np.array((towards[2], 0, -towards[0]))
    place = middle + towards * distance * rng.uniform(0.12, 0.6) + across * rng.normal(0, 0.25)
    heading = np.arctan2(towards[0], towards[2]) + rng.normal(0, 0.3)
    kind = rng.random()
    if kind < 0.3:  # a crate or a counter
        half = np.array((rng.uniform(0.2, 0.6), rng.uniform(0.2, 0.5), rng.uniform(0.15, 0.4)))
        return [Solid(place * (1, 0, 1) + (0, half[1], 0), half, heading)]
    if kind < 0.55:  # a table
        return _table(place, heading, rng)
    if kind < 0.8:  # a post
        radius, height = rng.uniform(0.04, 0.14), rng.uniform(0.9, 3.2)
        half = (radius, height / 2, radius)
        return [Solid(place * (1, 0, 1) + (0, height / 2, 0), half, heading, rng.random() < 0.6)]
    # A board, as of a shelf or a fence.
    height = rng.uniform(low[1] + 0.2, max(high[1], low[1] + 0.3))
    return [Solid(place * (1, 0, 1) + (0, height, 0), (rng.uniform(0.3, 1), rng.uniform(0.02, 0.12), 0.03), heading)]


def _beside(person, origin, rng):
    """Furniture somewhere around or behind a person."""
    middle = (person.min(0) + person.max(0)) / 2 * (1, 0, 1)
    away = (middle - origin) * (1, 0, 1)
    away = away / max(np.linalg.norm(away), 1e-6)
    place = middle + away * rng.uniform(0.3, 2.5) + np.array((away[2], 0, -away[0])) * rng.uniform(-2.5, 2.5)
    if rng.random() < 0.3:
        return _table(place, rng.uniform(0, np.pi), rng)
    half = np.array((rng.uniform(0.15, 0.6), rng.uniform(0.15, 1.0), rng.uniform(0.15, 0.5)))
    return [Solid(place * (1, 0, 1) + np.array((0, half[1], 0)), half, rng.uniform(0, np.pi), rng.random() < 0.25)]


def _table(place, heading, rng):
    half = np.array((rng.uniform(0.35, 0.8), 0.02, rng.uniform(0.25, 0.45)))
    height = rng.uniform(0.45, 1.0)
    top = Solid(place * (1, 0, 1) + (0, height, 0), half, heading)
    legs = [
        Solid(
            top.centre + top.turn @ (np.array((x, 0, z)) * (half - 0.05)) - (0, height / 2, 0),
            (0.025, height / 2, 0.025),
            heading,
        )
        for x in (-1, 1)
        for z in (-1, 1)
    ]
    return [top, *legs]


def _mesh(pairs, to_camera):
    """Solids of one kind and their colours as a mesh in the camera's frame."""
    solids, colours = zip(*pairs, strict=True)
    points, normals, faces = zip(*(solid.surface() for solid in solids), strict=True)
    turn, move = to_camera[:3, :3], to_camera[:3, 3]
    return Mesh(np.stack(points) @ turn.T + move, faces[0], np.stack(colours), np.stack(normals) @ turn.T, False)
