"""Clothes by body region: hands and faces bare, left and right alike, everybody different."""

import numpy as np
import pytest

from mesh_perception.body import load_body
from mesh_perception.joints import SMPL_JOINTS
from mesh_perception.synthetic.appearance import Wardrobe


@pytest.fixture(scope='module')
def body():
    return load_body('open')


@pytest.fixture(scope='module')
def people(body):
    """Colours (40, V, 3) of forty people."""
    wardrobe = Wardrobe(body)
    return np.stack([wardrobe.dress(np.random.default_rng(seed)) for seed in range(40)])


@pytest.fixture(scope='module')
def part(body):
    names = np.array(SMPL_JOINTS)[body.weights.argmax(1).numpy()]
    return lambda *which: np.isin(names, which)


def test_colours_are_colours(people, body):
    assert people.shape == (40, *body.v_template.shape)
    assert people.dtype == np.float32
    assert people.min() >= 0
    assert people.max() <= 1


def test_somebody_is_dressed_the_same_again_and_others_otherwise(body, people):
    again = Wardrobe(body).dress(np.random.default_rng(3))
    np.testing.assert_array_equal(again, people[3])
    assert np.abs(people[:-1] - people[1:]).mean((1, 2)).min() > 0.01


def test_skin_tones_span_from_dark_to_light(body, people):
    nose = body.v_template[:, 2].where(body.weights.argmax(1) == 15, -1).argmax()
    brightness = people[:, nose].mean(-1)
    assert brightness.min() < 0.3
    assert brightness.max() > 0.75
    assert (people[:, nose, 0] >= people[:, nose, 2]).all()  # skin is red rather than blue


def test_hands_are_bare_on_most_and_as_the_face(people, part):
    hands = np.median(people[:, part('left_hand', 'right_hand')], axis=1)
    throat = np.median(people[:, part('head')], axis=1)
    assert 0.75 < (np.abs(hands - throat).max(-1) < 0.02).mean()


def test_eyes_are_on_both_sides_of_the_face(body, people):
    rest = body.v_template.numpy()
    white = (np.abs(people - 0.92) < 1e-6).all(-1) & (body.weights.argmax(1) == 15).numpy()
    for eyes in white:
        left, right = rest[eyes & (rest[:, 0] > 0)], rest[eyes & (rest[:, 0] < 0)]
        assert len(left) > 5
        assert len(right) > 5
        np.testing.assert_allclose(left.mean(0), right.mean(0) * (-1, 1, 1), atol=2e-3)
        assert np.abs(left[:, 0].mean() - 0.03) < 0.004  # the open body's eyeballs
        assert np.abs(left[:, 1].mean() - 0.679) < 0.006
        assert (left[:, 2] > 0.09).all()


def test_trousers_and_sleeves_come_in_several_lengths(people, part):
    """The calves and the forearms are bare on some and covered on others."""
    for limb, joints in {'shin': ('left_knee',), 'forearm': ('left_elbow',)}.items():
        skin = np.median(people[:, part('left_hand')], axis=1)
        bare = np.abs(np.median(people[:, part(*joints)], axis=1) - skin).max(-1) < 0.05
        assert 0.1 < bare.mean() < 0.9, limb


def test_clothes_are_alike_on_both_sides_unless_patterned(people, part):
    for joint in ('hip', 'knee', 'foot', 'elbow', 'hand'):
        left, right = (np.median(people[:, part(f'{side}_{joint}')], axis=1) for side in ('left', 'right'))
        assert (np.abs(left - right).max(-1) < 0.1).mean() > 0.7
