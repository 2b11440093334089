"""Contact against closed forms of balls, and against dense samples of triangles."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from mesh_perception.body import load_body
from mesh_perception.synthetic.contact import CONTACT, Surface, approach, free_way, gap, offsets_from_triangles

RADIUS = 0.3
X = np.array((1.0, 0, 0))


@pytest.fixture(scope='module')
def ball():
    """A body whose mesh is a ball of RADIUS around the origin, to 0.5 mm."""
    rows, columns = 60, 120
    polar, turn = np.meshgrid(
        np.linspace(0, np.pi, rows + 1), np.linspace(0, 2 * np.pi, columns, endpoint=False), indexing='ij'
    )
    vertices = np.stack((np.sin(polar) * np.cos(turn), np.cos(polar), np.sin(polar) * np.sin(turn)), -1).reshape(-1, 3)
    faces = []
    for row in range(rows):
        for column in range(columns):
            a, b = row * columns + column, row * columns + (column + 1) % columns
            faces += [(a, b, a + columns), (b, b + columns, a + columns)]
    faces = [face for face in faces if len({tuple(vertices[v].round(9)) for v in face}) == 3]
    return replace(
        load_body('open'),
        v_template=torch.from_numpy(RADIUS * vertices).float(),
        faces=torch.tensor(faces),
    )


def at(ball, x, y=1.0, z=0.0):
    return Surface(ball, ball.v_template.double().numpy() + np.array((x, y, z)))


def test_offsets_are_from_the_nearest_of_all_points_of_a_triangle():
    generator = np.random.default_rng(0)
    corners, points = generator.normal(size=(40, 3, 3)), 1.5 * generator.normal(size=(40, 3))
    first, second = np.meshgrid(np.linspace(0, 1, 201), np.linspace(0, 1, 201))
    keep = first + second <= 1 + 1e-9
    shares = np.stack((first[keep], second[keep], 1 - first[keep] - second[keep]), 1)
    sampled = np.linalg.norm(points[:, None] - shares @ corners, axis=-1).min(1)
    exact = np.linalg.norm(offsets_from_triangles(points, corners), axis=-1)
    assert (exact <= sampled + 1e-12).all()
    assert (sampled - exact < 0.02).all()


@pytest.mark.parametrize('left', [0.06, 0.02, 0.003])
def test_the_gap_of_two_balls(ball, left):
    turned = (2 * RADIUS + left) * np.array((math.cos(1.1), 0, math.sin(1.1)))
    assert gap(at(ball, 0), at(ball, *turned[:1], z=turned[2])) == pytest.approx(left, abs=1e-3)


def test_the_gap_of_balls_that_cross_is_negative_and_of_far_ones_infinite(ball):
    assert gap(at(ball, 0), at(ball, 2 * RADIUS - 0.01)) < 0
    assert gap(at(ball, 0), at(ball, 2 * RADIUS + 0.2)) == math.inf
    assert gap(at(ball, 0), at(ball, 5)) == math.inf


@pytest.mark.parametrize('aside', [0, 0.2, 0.4])
@pytest.mark.parametrize('turn', [0, 1, 4])
def test_a_ball_goes_as_far_as_the_next_one(ball, aside, turn):
    way = np.array((math.cos(turn), 0, math.sin(turn)))
    across = np.array((-way[2], 0, way[0]))
    moving = at(ball, 0).moved(-2 * way + aside * across)
    exact = 2 - math.sqrt((2 * RADIUS) ** 2 - aside**2)

    safe = free_way([at(ball, 0), at(ball, 9)], moving, way)
    assert exact - 0.06 < safe < exact + 1e-3
    there = safe + approach([at(ball, 0), at(ball, 9)], moving.moved(safe * way), way)
    assert gap(at(ball, 0), moving.moved(there * way)) == pytest.approx(1.5 * CONTACT, abs=0.6 * CONTACT)
    assert exact - 0.01 < there < exact


def test_a_ball_that_passes_another_meets_nobody(ball):
    assert free_way([at(ball, 0)], at(ball, -2, z=2.5 * RADIUS), X) == math.inf
    assert free_way([at(ball, 0)], at(ball, -2, y=1 + 2.5 * RADIUS), X) == math.inf


def test_who_is_past_the_contact_already_is_told_to_go_back(ball):
    assert -0.7 < free_way([at(ball, 0)], at(ball, 0), X) < -2 * RADIUS + 1e-3


def test_who_stands_too_near_is_moved_back(ball):
    way = approach([at(ball, 0)], at(ball, -2 * RADIUS + 0.015), X)
    assert gap(at(ball, 0), at(ball, -2 * RADIUS + 0.015 + way)) > 0
