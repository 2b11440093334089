"""Links of attention over the image."""

import numpy as np
import pytest
import torch

from mesh_perception.joints import SMPL_JOINTS
from mesh_perception.visualization.attention import draw_attention, joint_number, strongest_links
from mesh_perception.visualization.palette import track_colors

NECK, HEAD, KNEE, WRIST = (SMPL_JOINTS.index(name) for name in ('neck', 'head', 'left_knee', 'right_wrist'))


@pytest.fixture
def attention():
    """Two people; the first one's neck looks at their own knee most and at the other's wrist half as much."""
    weights = torch.zeros(2, 24, 2, 24)
    weights[0, NECK, 0, KNEE] = 0.4
    weights[0, NECK, 1, WRIST] = 0.2
    weights[0, NECK, 0, NECK] = 0.3
    weights[0, NECK, 0, HEAD] = 0.1
    weights[1, NECK, 1, NECK] = 1
    return weights


def middle(picture, start, end):
    """The brightest of a few pixels around the middle of a line."""
    x, y = np.round((np.asarray(start) + np.asarray(end)) / 2).astype(int)
    patch = picture[y - 1 : y + 2, x - 1 : x + 2].reshape(-1, 3).astype(int)
    return patch[patch.sum(1).argmax()]


def test_links_are_ranked_inside_and_between_people(attention):
    links = strongest_links(attention.numpy(), NECK)
    assert [link[:3] for link in links] == [(0, 0, HEAD), (0, 1, WRIST), (0, 0, KNEE)]
    np.testing.assert_allclose([link[3] for link in links], [0.25, 0.5, 1])
    assert [link[:3] for link in strongest_links(attention.numpy(), NECK, links=1)] == [(0, 1, WRIST), (0, 0, KNEE)]
    assert strongest_links(attention.numpy(), KNEE) == []


def test_strong_links_are_brighter_and_thicker_in_the_persons_colour(camera, make_scene, attention):
    people, _ = make_scene(camera, (1, 2))
    people.joints_2d[0, NECK] = torch.tensor([60.0, 40])
    people.joints_2d[0, KNEE] = torch.tensor([60.0, 200])
    people.joints_2d[1, WRIST] = torch.tensor([220.0, 40])
    picture = draw_attention(np.full((240, 320, 3), 40, np.uint8), people, attention, 'neck')
    color = track_colors([1])[0].astype(float)
    np.testing.assert_allclose(middle(picture, (60, 40), (60, 200)), color, atol=2)
    np.testing.assert_allclose(middle(picture, (60, 40), (220, 40)), color * 0.625, atol=2)
    thick = (picture[120, 54:67] != 18).any(-1).sum()
    thin = (picture[34:47, 140] != 18).any(-1).sum()
    assert thick > thin


def test_people_that_were_left_out_take_their_links_along(camera, make_scene, attention):
    people, _ = make_scene(camera, (1, 2))
    keep = torch.tensor([True, False])
    picture = draw_attention(np.zeros((240, 320, 3), np.uint8), people[keep], attention[keep][:, :, keep], NECK)
    joints = people.joints_2d.numpy()
    assert (middle(picture, joints[0, NECK], joints[0, KNEE]) > 0).any()
    assert picture.shape == (240, 320, 3) and picture.dtype == np.uint8


def test_unknown_joints_and_nobody_are_no_trouble(camera, make_scene, attention, noise):
    people, _ = make_scene(camera, (1, 2))
    people.joints_2d[0, KNEE], people.joints_2d[1, WRIST] = torch.nan, 1e9
    image = noise(camera)
    before = image.copy()
    draw_attention(image, people, attention.half(), '12')
    nobody = draw_attention(image, people[:0], attention[:0, :, :0], NECK)
    assert (image == before).all() and np.abs(nobody - image * 0.45).max() <= 0.5


def test_mistakes_are_named(camera, make_scene, attention, noise):
    people, _ = make_scene(camera, (1, 2))
    with pytest.raises(ValueError, match="unknown joint 'nose': expected 0 to 23 or one of pelvis, left_hip"):
        draw_attention(noise(camera), people, attention, 'nose')
    with pytest.raises(ValueError, match=r'attention: expected \(1, 24, 1, 24\), got \(2, 24, 2, 24\)'):
        draw_attention(noise(camera), people[:1], attention, NECK)
    for joint in (24, -1, ''):
        with pytest.raises(ValueError, match='unknown joint'):
            joint_number(joint)
