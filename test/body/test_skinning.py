import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mesh_perception.body import load_body, regress_joints, rest_joints, skin, skin_joints
from mesh_perception.geometry.rotations import axis_angle_to_matrix
from mesh_perception.joints import SMPL_PARENTS

sys.path.insert(0, str(Path(__file__).parent))
from smpl_files import body_arrays


def random_parameters(count, dtype=torch.float64, device='cpu', seed=0):
    generator = torch.Generator().manual_seed(seed)
    rotations = axis_angle_to_matrix(torch.randn(count, 24, 3, generator=generator, dtype=torch.float64))
    betas, translation = (torch.randn(count, n, generator=generator, dtype=torch.float64) for n in (10, 3))
    return tuple(t.to(device=device, dtype=dtype) for t in (rotations, betas, translation))


def with_pose_blend_shapes(body):
    """The open body has none; random ones for every 40th of its vertices' numbers, the rest zero."""
    posedirs = torch.zeros(len(body.v_template), 3, 207, dtype=body.v_template.dtype)
    posedirs[::40] = torch.randn(posedirs[::40].shape, generator=torch.Generator().manual_seed(1)) * 0.01
    return replace(body, posedirs=posedirs)


@pytest.mark.parametrize('pose_blend_shapes', [False, True])
def test_agrees_with_smplx(pose_blend_shapes):
    smplx = pytest.importorskip('smplx')
    body = load_body('open', dtype=torch.float64)
    if pose_blend_shapes:
        body = with_pose_blend_shapes(body)
    posedirs = body.posedirs if pose_blend_shapes else torch.zeros(len(body.v_template), 3, 207, dtype=torch.float64)
    data = SimpleNamespace(
        v_template=body.v_template.numpy(),
        shapedirs=body.shapedirs.numpy(),
        posedirs=posedirs.numpy(),
        J_regressor=body.regressor.numpy(),
        weights=body.weights.numpy(),
        f=body.faces.numpy(),
        kintree_table=np.stack([np.array(SMPL_PARENTS) % 2**32, np.arange(24)]),
    )
    count = 5
    reference = smplx.SMPL('', data_struct=data, batch_size=count, dtype=torch.float64)
    rotations, betas, translation = random_parameters(count)
    expected = reference(
        betas=betas, body_pose=rotations[:, 1:], global_orient=rotations[:, :1], transl=translation, pose2rot=False
    )
    meshes = skin(body, rotations, betas, translation)
    assert (meshes.vertices - expected.vertices).abs().max() < 1e-9
    assert (meshes.joints - expected.joints[:, :24]).abs().max() < 1e-9
    assert (skin_joints(body, rotations, betas, translation) - expected.joints[:, :24]).abs().max() < 1e-9


def test_identity_pose_is_the_rest_pose_and_translation_is_smpls():
    body = load_body('open', dtype=torch.float64)
    _, betas, translation = random_parameters(3)
    eye = torch.eye(3, dtype=torch.float64).expand(3, 24, 3, 3)
    meshes = skin(body, eye, betas, translation)
    rest = body.v_template + torch.einsum('vcb,nb->nvc', body.shapedirs, betas)
    assert (meshes.vertices - rest - translation[:, None]).abs().max() < 1e-12
    assert (meshes.joints - rest_joints(body, betas) - translation[:, None]).abs().max() < 1e-12
    assert (regress_joints(body, rest) - rest_joints(body, betas)).abs().max() < 1e-12


def test_float32_is_within_a_hundredth_of_a_millimetre():
    exact = skin(load_body('open', dtype=torch.float64), *random_parameters(4))
    single = skin(load_body('open'), *random_parameters(4, torch.float32))
    assert single.vertices.dtype == torch.float32
    assert (single.vertices - exact.vertices).abs().max() < 1e-5
    assert (single.joints - exact.joints).abs().max() < 1e-5


@pytest.mark.parametrize('pose_blend_shapes', [False, True])
def test_nobody_is_a_normal_case(pose_blend_shapes):
    body = load_body('open')
    body = with_pose_blend_shapes(body) if pose_blend_shapes else body
    parameters = random_parameters(0, torch.float32)
    meshes = skin(body, *parameters)
    assert meshes.vertices.shape == (0, len(body.v_template), 3) and meshes.joints.shape == (0, 24, 3)
    assert skin_joints(body, *parameters).shape == rest_joints(body, parameters[1]).shape == (0, 24, 3)
    assert regress_joints(body, meshes.vertices).shape == (0, 24, 3)


def test_gradients_agree_with_finite_differences(tmp_path):
    np.savez(tmp_path / 'small.npz', **body_arrays())
    body = load_body(tmp_path / 'small.npz', dtype=torch.float64)
    parameters = [p.requires_grad_() for p in random_parameters(2)]

    def vertices_and_joints(*parameters):
        meshes = skin(body, *parameters)
        return meshes.vertices, meshes.joints

    assert torch.autograd.gradcheck(vertices_and_joints, parameters, atol=1e-6, fast_mode=True)


class Skin(torch.nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, rotations, betas, translation):
        meshes = skin(self.body, rotations, betas, translation)
        return meshes.vertices, meshes.joints


def test_exports_with_any_number_of_people():
    parameters = random_parameters(2, torch.float32)
    people = {0: torch.export.Dim('people', min=1, max=64)}
    program = torch.export.export(Skin(load_body('open')), parameters, dynamic_shapes=(people, people, people)).module()
    others = random_parameters(5, torch.float32, seed=1)
    expected = skin(load_body('open'), *others)
    vertices, joints = program(*others)
    assert torch.allclose(vertices, expected.vertices, atol=1e-6)
    assert torch.allclose(joints, expected.joints, atol=1e-6)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device')
def test_cuda_agrees_with_the_cpu():
    body = load_body('open')
    expected = skin(with_pose_blend_shapes(body), *random_parameters(4, torch.float32))
    meshes = skin(with_pose_blend_shapes(body).to('cuda'), *random_parameters(4, torch.float32, 'cuda'))
    assert meshes.vertices.is_cuda
    assert (meshes.vertices.cpu() - expected.vertices).abs().max() < 1e-4
