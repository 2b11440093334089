"""The 24-to-17 mapping, on bodies at rest and on a regressor whose rows are known."""

import numpy as np
import torch

from mesh_perception.body import load_body, rest_joints, skin
from mesh_perception.evaluation.alignment import rescale_bones
from mesh_perception.evaluation.joint_sets import H36M_17
from mesh_perception.evaluation.mupots.joints import COUNTED, JOINTS, MATCHED, PARENTS, ROOT, kinematic, regressed
from mesh_perception.joints import SMPL_JOINTS


def posed(people=2):
    body = load_body('open')
    eye = torch.eye(3).expand(people, 24, 3, 3)
    return body, skin(body, eye, torch.zeros(people, body.num_betas), torch.zeros(people, 3))


def test_joints_are_the_benchmarks_in_its_order():
    # mpii_get_joints('relevant') of the benchmark's code: names shortened, parents counted from 1.
    short = 'top neck r_s r_e r_w l_s l_e l_w r_h r_k r_a l_h l_k l_a pelvis spine head'.split()
    assert len(JOINTS) == 17
    for name, own in zip(short, JOINTS, strict=True):
        side = {'r': 'right', 'l': 'left'}.get(name[0]) if name[1] == '_' else None
        assert own.startswith(f'{side}_{name[2]}' if side else '') and (side or name in own)
    parents = [2, 16, 2, 3, 4, 2, 6, 7, 15, 9, 10, 15, 12, 13, 0, 15, 2]
    assert [parent + 1 for parent in PARENTS] == parents
    assert JOINTS[ROOT] == 'pelvis'
    assert JOINTS[MATCHED] == JOINTS[1:14] and JOINTS[COUNTED] == JOINTS[:14]


def test_bones_are_rescaled_in_the_benchmarks_safe_order():
    rng = np.random.default_rng(0)
    predicted, truth = rng.normal(size=(2, 17, 3))
    expected = predicted.copy()
    for joint in np.array([16, 2, 1, 17, 3, 4, 5, 6, 7, 8, *range(9, 15)]) - 1:
        bone = predicted[joint] - predicted[PARENTS[joint]]
        length = np.linalg.norm(truth[joint] - truth[PARENTS[joint]])
        expected[joint] = expected[PARENTS[joint]] + bone / np.linalg.norm(bone) * length
    rescaled = rescale_bones(torch.from_numpy(predicted), torch.from_numpy(truth), PARENTS)
    np.testing.assert_allclose(rescaled, expected)


def test_any_body_gives_17_joints_by_name():
    body, meshes = posed()
    joints = dict(zip(JOINTS, kinematic(body).take(meshes.joints, meshes.vertices).unbind(1), strict=True))
    rest = dict(zip(SMPL_JOINTS, rest_joints(body, torch.zeros(2, body.num_betas)).unbind(1), strict=True))
    for name in JOINTS:
        if name not in ('head_top', 'spine'):
            torch.testing.assert_close(joints[name], rest[name])
    torch.testing.assert_close(joints['spine'], rest['spine2'])
    # Highest of all, above the head by half of one or so.
    assert (joints['head_top'][:, 1] == meshes.vertices[..., 1].amax(1)).all()
    assert 0.1 < float(joints['head_top'][0, 1] - joints['head'][0, 1]) < 0.3
    assert abs(float(joints['head_top'][0, 0])) < 0.05


def test_the_top_of_the_head_turns_with_the_head():
    body, rest = posed(1)
    turn = torch.eye(3).repeat(1, 24, 1, 1)
    turn[:, SMPL_JOINTS.index('head')] = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # nods by a right angle
    meshes = skin(body, turn, torch.zeros(1, body.num_betas), torch.zeros(1, 3))
    take = kinematic(body).take
    before, after = (take(each.joints, each.vertices)[0] for each in (rest, meshes))
    up = before[0] - before[16]
    assert (after[0] - after[16] - torch.stack([up[0], -up[2], up[1]])).norm() < 0.03


def test_regressed_joints_are_taken_by_name():
    regressor = torch.zeros(17, 6890)
    regressor[range(17), range(100, 117)] = 1
    vertices = torch.randn(3, 6890, 3)
    joints = regressed(regressor).take(torch.zeros(3, 24, 3), vertices)
    names = {'spine': 'torso', 'head': 'nose'}
    for place, name in enumerate(JOINTS):
        row = H36M_17.index(names.get(name, name))
        torch.testing.assert_close(joints[:, place], vertices[:, 100 + row])


def test_nobody_gives_nobody():
    body = load_body('open')
    nobody = torch.zeros(0, 24, 3), torch.zeros(0, len(body.v_template), 3)
    assert kinematic(body).take(*nobody).shape == (0, 17, 3)
    assert regressed(torch.zeros(17, 6890)).take(nobody[0], torch.zeros(0, 6890, 3)).shape == (0, 17, 3)
