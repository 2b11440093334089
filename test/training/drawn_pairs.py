"""Pairs of posed bodies and of landmarks drawn around their joints: what pairs look like, without any network."""

import torch

from mesh_perception.body import regress_joints, rest_joints, skin
from mesh_perception.geometry.rotations import axis_angle_to_matrix
from mesh_perception.inverse_kinematics.solver import twists_from_rotations
from mesh_perception.skeleton.blazepose import Landmarks
from mesh_perception.training.cameras import PinholeBatch
from mesh_perception.training.pairs import Pairs, Truth
from mesh_perception.types import Regions

# For each of the 33 landmarks a joint near it.
NEAREST = [15] * 11 + [16, 17, 18, 19, 20, 21] + [22, 23] * 3 + [1, 2, 4, 5, 7, 8, 7, 8, 10, 11]


def drawn_pairs(body, scenes=(1, 2, 3, 4, 5, 10), noise=0.03, seed=0):
    """Two looks at 1, 2, 3, 4, 1, ... people of each scene, with landmarks near the joints."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator)

    people = [(scene, look, person) for i, scene in enumerate(scenes) for look in (0, 1) for person in range(1 + i % 4)]
    n = len(people)
    numbers, looks, persons = torch.tensor(people).T
    turn = axis_angle_to_matrix(torch.tensor([torch.pi, 0, 0]))  # y up to y down
    rotations = axis_angle_to_matrix(0.2 * draw(n, 24, 3))
    rotations[:, 0] = turn @ rotations[:, 0]
    betas = draw(n, body.num_betas)
    translation = torch.stack((0.8 * persons - 1.0, 0 * persons, 4 + 0.2 * draw(n)), 1)
    mesh = skin(body, rotations, betas, translation)
    turns = axis_angle_to_matrix(0.1 * draw(n, 3))
    intrinsics = torch.tensor([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]).expand(n, 3, 3).clone()
    sizes = torch.tensor([640.0, 480]).expand(n, 2).clone()
    points = mesh.joints[:, NEAREST] + noise * draw(n, 33, 3)
    world = 0.85 * (points - points[:, 23:25].mean(1, keepdim=True)) @ turns.mT  # people are taken for smaller, nearer
    landmarks = Landmarks(
        image=PinholeBatch(intrinsics, sizes).project(points),
        world=world,
        rotations=turns,
        visibility=torch.ones(n, 33),
        presence=torch.ones(n, 33),
        scores=torch.ones(n),
        features=draw(n, 1152).clamp(0, 6).half().float(),
        next=Regions(draw(n, 2), draw(n), draw(n)),
    )
    truth = Truth(
        rotations=rotations,
        betas=betas,
        translation=translation,
        joints=mesh.joints,
        reference_joints=regress_joints(body, mesh.vertices),
        twists=twists_from_rotations(rest_joints(body, betas), rotations),
        joint_visible=torch.ones(n, 24, dtype=torch.bool),
        shares=torch.tensor([1.0, 0, 0]).repeat(n, 1),
        touching=persons == 0,
    )
    return Pairs(landmarks, intrinsics, sizes, truth, numbers, persons, looks)
