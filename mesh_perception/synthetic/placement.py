"""People on the ground of a world with y up: alone, in pairs and in groups.

Somebody joins a group in one of four ways: facing one of its people, embracing one, beside one, behind one. They come
along the ground from far away and stop at the first contact, or short of it. Groups come together likewise, and stop
farther apart.
"""

import math
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from mesh_perception.body.model import BodyModel
from mesh_perception.synthetic.cameras import uniform
from mesh_perception.synthetic.contact import TOUCHING, Surface, approach, free_way, gap

_SHORT = (0.02, 0.3)  # m that somebody who joins without contact stops short
_APART = (0.3, 2.0)  # m between groups, along their way
_ASIDE = 0.8  # m, largest: groups do not aim at each other's middle
_NO_CLOSER = 0.15  # m between two pelvises along the way, where nothing else stops somebody


@dataclass(frozen=True)
class _Relation:
    """How somebody stands to their partner; degrees, from where the partner faces; the rest are the largest random
    deviations and how many tries there are for the nearest place."""

    bearings: tuple  # where they stand
    heading: float  # where they face
    bearing_off: float
    heading_off: float
    aside: float  # m, beside their bearing
    tries: int
    contact: bool = False  # always


_RELATIONS = (
    _Relation((0,), 180, 20, 25, 0.1, 3),  # facing
    _Relation((0,), 180, 35, 35, 0.25, 16, contact=True),  # embracing: where arms go past each other
    _Relation((-90, 90), 0, 20, 20, 0.15, 3),  # beside
    _Relation((180,), 0, 15, 20, 0.1, 3),  # behind
)


@dataclass(frozen=True)
class Placement:
    """Where N people stand: turns x + places is the world's point of x, which is relative to the pelvis."""

    turns: Tensor  # (N, 3, 3) about y
    places: Tensor  # (N, 3) of the pelvis, m; the lowest vertex lies on the ground, y = 0
    groups: Tensor  # (N,) int64: equal for those who are together
    touching: Tensor  # (N, N) bool


@dataclass(frozen=True)
class _Standing:
    """Somebody at a place: turned by `angle` they face `heading`, both radians from z towards x."""

    surface: Surface
    spot: np.ndarray  # (3,) m, on the ground under the pelvis
    angle: float
    heading: float

    def moved(self, shift: np.ndarray) -> '_Standing':
        return replace(self, surface=self.surface.moved(shift), spot=self.spot + shift)


def place(body: BodyModel, vertices: Tensor, facing: Tensor, settings, generator: torch.Generator) -> Placement:
    """Places people of `body`: vertices (N, V, 3) upright, relative to the pelvis; facing (N,): where they face,
    radians from z towards x; settings: SceneSettings.

    Nobody's surface is inside anybody's. Those of a group touch or are near each other.
    """
    lowest = vertices[..., 1].amin(1)
    upright = vertices.double().numpy()
    upright[..., 1] -= lowest.double().numpy()[:, None]
    groups = _draw_groups(len(upright), settings, generator)
    standing = {}
    for group in range(max(groups) + 1):
        together = {}
        for person in (k for k, other in enumerate(groups) if other == group):
            someone = body, upright[person], float(facing[person])
            if together:
                together[person] = _join(someone, list(together.values()), settings, generator)
            else:
                together[person] = _stand(*someone, uniform(0, 2 * math.pi, generator))
        shift = _bring(list(together.values()), list(standing.values()), generator) if standing else np.zeros(3)
        standing |= {person: one.moved(shift) for person, one in together.items()}
    standing = [standing[person] for person in range(len(upright))]

    touching = torch.zeros(len(upright), len(upright), dtype=torch.bool)
    for one, other in combinations(range(len(upright)), 2):
        near = gap(standing[one].surface, standing[other].surface) < TOUCHING
        touching[one, other] = touching[other, one] = near
    places = torch.from_numpy(np.stack([one.spot for one in standing])).float()
    places[:, 1] = -lowest
    angles = torch.tensor([one.angle for one in standing])
    return Placement(turns_about_y(angles), places, torch.tensor(groups), touching)


def _draw_groups(count, settings, generator) -> list:
    """Each one's group, numbered as they first appear."""
    groups = [0]
    for _ in range(count - 1):
        joins = uniform(0, 1, generator) < settings.interacting
        friend = int(torch.randint(len(groups), (), generator=generator))
        groups.append(groups[friend] if joins else max(groups) + 1)
    return groups


def _stand(body, upright, facing, heading) -> _Standing:
    """Somebody, given upright and where they face, turned to a heading, over the origin."""
    angle = heading - facing
    turn = turns_about_y(torch.tensor([angle], dtype=torch.float64))[0].numpy()
    return _Standing(Surface(body, upright @ turn.T), np.zeros(3), angle, heading)


def _join(someone, together, settings, generator) -> _Standing:
    """Somebody who comes to one of those who are together: of some tries the one that ends nearest."""
    partner = together[int(torch.randint(len(together), (), generator=generator))]
    relation = _RELATIONS[int(torch.randint(len(_RELATIONS), (), generator=generator))]
    surfaces = [one.surface for one in together]
    contact = uniform(0, 1, generator) < settings.touching or relation.contact
    nearest = -math.inf
    for _ in range(relation.tries):
        bearing = relation.bearings[int(torch.randint(len(relation.bearings), (), generator=generator))]
        bearing = partner.heading + _near(bearing, relation.bearing_off, generator)
        way = -np.array((math.sin(bearing), 0, math.cos(bearing)))
        aside = uniform(-relation.aside, relation.aside, generator) * np.array((way[2], 0, -way[0]))
        heading = partner.heading + _near(relation.heading, relation.heading_off, generator)
        guest = _stand(*someone, heading).moved(partner.spot + aside)
        far = min(free_way(surfaces, guest.surface, way), -_NO_CLOSER)
        if far > nearest:
            nearest, best, direction = far, guest.moved(far * way), way
    if not contact:
        return best.moved(-uniform(*_SHORT, generator) * direction)
    return best.moved(approach(surfaces, best.surface, direction) * direction) if nearest < -_NO_CLOSER else best


def _bring(together, everybody, generator) -> np.ndarray:
    """The shift that brings a group to the others, apart from them."""
    bearing = uniform(0, 2 * math.pi, generator)
    way = np.array((math.sin(bearing), 0, math.cos(bearing)))
    shift = sum(one.spot for one in everybody) / len(everybody) - sum(one.spot for one in together) / len(together)
    shift += uniform(-_ASIDE, _ASIDE, generator) * np.array((way[2], 0, -way[0]))
    surfaces = [one.surface for one in everybody]
    far = min(0, *(free_way(surfaces, one.surface.moved(shift), way) for one in together))
    return shift + (far - uniform(*_APART, generator)) * way


def _near(degrees, off, generator) -> float:
    """An angle within `off` of another, degrees; in radians."""
    return math.radians(degrees + uniform(-off, off, generator))


def turns_about_y(angles: Tensor) -> Tensor:
    """Rotations (N, 3, 3) by angles (N,), radians, from z towards x."""
    cosine, sine, zero, one = angles.cos(), angles.sin(), torch.zeros_like(angles), torch.ones_like(angles)
    rows = [(cosine, zero, sine), (zero, one, zero), (-sine, zero, cosine)]
    return torch.stack([torch.stack(row, -1) for row in rows], -2)
