"""How people stand to each other, of people whose place is easy to tell."""

import math

import pytest
import torch

from mesh_perception.body import load_body, skin
from mesh_perception.synthetic import placement
from mesh_perception.synthetic.placement import place, turns_about_y
from mesh_perception.synthetic.scene import SceneSettings

RELATIONS = ('facing', 'embracing', 'beside', 'behind')
ARMS = 0.4  # radians that the arms are away from the body


@pytest.fixture(scope='module')
def pair():
    """Two people who stand with their arms down, around the pelvis; the second faces 2 rad from z towards x."""
    body = load_body('open')
    poses = torch.eye(3).repeat(2, 24, 1, 1)
    for joint, sign in ((16, -1), (17, 1)):
        angle = torch.tensor(sign * (math.pi / 2 - ARMS))
        poses[:, joint, :2, :2] = torch.tensor([[angle.cos(), -angle.sin()], [angle.sin(), angle.cos()]])
    poses[1, 0] = turns_about_y(torch.tensor([2.0]))[0]
    vertices = skin(body, poses, torch.zeros(2, body.num_betas), -body.joint_template[:1].expand(2, 3)).vertices
    return body, vertices, torch.tensor([0.0, 2.0])


def test_turns_go_from_z_towards_x():
    (turn,) = turns_about_y(torch.tensor([math.pi / 2]))
    torch.testing.assert_close(turn @ torch.tensor([0, 0, 1.0]), torch.tensor([1.0, 0, 0]), atol=1e-6, rtol=0)
    torch.testing.assert_close(turn @ torch.tensor([0, 1.0, 0]), torch.tensor([0, 1.0, 0]), atol=1e-6, rtol=0)


@pytest.mark.parametrize('relation', RELATIONS)
@pytest.mark.parametrize('touching', [0, 1])
def test_people_stand_to_each_other_as_the_relation_says(pair, monkeypatch, relation, touching):
    monkeypatch.setattr(placement, '_RELATIONS', (placement._RELATIONS[RELATIONS.index(relation)],))
    body, vertices, facing = pair
    settings = SceneSettings(interacting=1, touching=touching)
    for seed in range(4):
        made = place(body, vertices, facing, settings, torch.Generator().manual_seed(seed))
        assert made.groups.tolist() == [0, 0]
        forward = torch.stack([facing.sin(), torch.zeros(2), facing.cos()], -1)
        forward = (made.turns @ forward[..., None])[..., 0]
        between = made.places[1] - made.places[0]
        far, ahead = between.norm(), between @ forward[0] / between.norm()
        agreement = forward[0] @ forward[1]
        expected = {'facing': (1, -1), 'embracing': (1, -1), 'beside': (0, 1), 'behind': (-1, 1)}[relation]
        assert (float(ahead), float(agreement)) == pytest.approx(expected, abs=0.65)
        assert 0.15 < far < 1.2
        if touching or relation == 'embracing':
            assert made.touching.tolist() == [[False, True], [True, False]]
        else:
            assert not made.touching.any()
