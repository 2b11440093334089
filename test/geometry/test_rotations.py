"""Rotations against scipy and transforms3d, and their values and gradients where the formulas degenerate."""

import math

import numpy as np
import pytest
import torch
import transforms3d
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from mesh_perception.geometry.rotations import (
    axis_angle_to_matrix,
    matrix_to_6d,
    matrix_to_axis_angle,
    matrix_to_quaternion,
    project_to_rotation,
    quaternion_to_matrix,
    rotation_between,
    sixd_to_matrix,
)

GENERATOR = np.random.default_rng(0)


def units(count):
    axes = GENERATOR.normal(size=(count, 3))
    return axes / np.linalg.norm(axes, axis=1, keepdims=True)


def rotation_vectors():
    """Any, nearly none, nearly half a turn, exactly half a turn about the axes, exactly none."""
    near = 10.0 ** GENERATOR.uniform(-12, -1, (2000, 1))
    half = np.pi * np.concatenate([np.eye(3), -np.eye(3)])
    return np.concatenate(
        [
            Rotation.random(5000, GENERATOR).as_rotvec(),
            units(2000) * near,
            units(2000) * (np.pi - near),
            half,
            np.zeros((1, 3)),
        ]
    )


VECTORS = torch.from_numpy(rotation_vectors())
MATRICES = torch.from_numpy(Rotation.from_rotvec(VECTORS.numpy()).as_matrix())


def angles_between(a, b):
    """Radians, accurate for small ones: |A - B| is 2 sqrt 2 sin(angle / 2)."""
    return 2 * torch.asin(((a - b).double().flatten(-2).norm(dim=-1) / 8**0.5).clamp_max(1))


def test_axis_angle_agrees_with_scipy():
    assert (axis_angle_to_matrix(VECTORS) - MATRICES).abs().max() < 1e-14
    back = matrix_to_axis_angle(MATRICES)
    assert back.norm(dim=-1).max() < math.pi + 1e-14
    assert (torch.from_numpy(Rotation.from_rotvec(back.numpy()).as_matrix()) - MATRICES).abs().max() < 1e-14
    apart = VECTORS.norm(dim=-1) < math.pi - 1e-6  # nearer to pi the sign of the axis is open
    assert (back - VECTORS)[apart].abs().max() < 1e-13


def test_axis_angle_of_longer_vectors_wraps():
    vectors = VECTORS[:1000] * 5
    expected = Rotation.from_rotvec(vectors.numpy()).as_matrix()
    assert np.abs(axis_angle_to_matrix(vectors).numpy() - expected).max() < 1e-13


def test_quaternions_agree_with_scipy_and_transforms3d():
    quaternions = matrix_to_quaternion(MATRICES)
    assert quaternions[:, 3].min() >= 0
    expected = torch.from_numpy(Rotation.from_matrix(MATRICES.numpy()).as_quat(canonical=True))
    aligned = quaternions * (quaternions * expected).sum(-1, keepdim=True).sign()  # w = 0 leaves the sign open
    assert (aligned - expected).abs().max() < 1e-14
    assert (quaternion_to_matrix(3 * quaternions) - MATRICES).abs().max() < 1e-14
    for quaternion, matrix in zip(quaternions[::50].tolist(), MATRICES[::50].numpy(), strict=True):
        assert np.allclose(transforms3d.quaternions.quat2mat(quaternion[3:] + quaternion[:3]), matrix, atol=1e-12)
    for vector, matrix in zip(VECTORS[::50].numpy(), MATRICES[::50].numpy(), strict=True):
        angle = np.linalg.norm(vector)
        if angle > 0:
            assert np.allclose(transforms3d.axangles.axangle2mat(vector, angle), matrix, atol=1e-12)


def test_sixd_holds_the_first_two_columns_and_comes_back():
    sixd = matrix_to_6d(MATRICES)
    assert torch.equal(sixd, torch.cat([MATRICES[:, :, 0], MATRICES[:, :, 1]], dim=-1))
    assert (sixd_to_matrix(sixd) - MATRICES).abs().max() < 1e-14
    scaled = torch.cat([2 * sixd[:, :3], 0.5 * sixd[:, 3:] - 0.7 * sixd[:, :3]], dim=-1)
    assert (sixd_to_matrix(scaled) - MATRICES).abs().max() < 1e-13


def test_float32_is_within_a_microradian():
    matrices = MATRICES.float()
    for back in (
        axis_angle_to_matrix(matrix_to_axis_angle(matrices)),
        sixd_to_matrix(matrix_to_6d(matrices)),
        quaternion_to_matrix(matrix_to_quaternion(matrices)),
        project_to_rotation(matrices),
    ):
        assert back.dtype == torch.float32
        assert angles_between(back, MATRICES).max() < 1e-6


def test_rotation_between_is_the_shortest_arc():
    start, end = torch.from_numpy(units(3000)), torch.from_numpy(units(3000))
    rotations = rotation_between(2 * start, 0.1 * end)
    assert ((rotations @ start[..., None]).squeeze(-1) - end).abs().max() < 1e-13
    cos = (start * end).sum(-1).clamp(-1, 1)
    axis = torch.nn.functional.normalize(torch.linalg.cross(start, end), dim=-1)
    assert (rotations - axis_angle_to_matrix(axis * cos.acos()[:, None])).abs().max() < 1e-9


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_rotation_between_nearly_opposite_vectors_still_carries_one_onto_the_other(dtype):
    start, side = torch.from_numpy(units(1000)), torch.from_numpy(units(1000))
    for apart in (0, 1e-16, 1e-12, 1e-8, 1e-7, 1e-6, 1e-4, 1e-2):
        end = -start + apart * side
        rotations = rotation_between(start.to(dtype), end.to(dtype))
        eps = torch.finfo(dtype).eps
        assert (rotations @ rotations.mT - torch.eye(3)).abs().max() < 10 * eps
        turned = (rotations.double() @ start[..., None]).squeeze(-1)
        assert (turned - torch.nn.functional.normalize(end, dim=-1)).norm(dim=-1).max() < 10 * eps


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_degenerate_inputs_give_rotations_and_finite_gradients(dtype):
    zero, x, y = torch.zeros(3), torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 1, 0])
    pairs = [(x, x), (x, -x), (y, -y), (zero, x), (x, zero), (zero, zero), (x + y, -3 * (x + y)), (1e-20 * x, y)]
    starts, ends = (torch.stack(v).to(dtype).requires_grad_() for v in zip(*pairs, strict=True))
    sixd = torch.cat([starts, ends], dim=-1).detach().requires_grad_()
    half_turns = torch.cat([torch.eye(3)[None], torch.diag_embed(2 * torch.eye(3) - 1)]).to(dtype)
    matrices = half_turns.clone().requires_grad_()
    vectors = (torch.cat([torch.zeros(1, 3), torch.eye(3) * math.pi])).to(dtype).requires_grad_()
    quaternions = torch.cat([torch.zeros(1, 4), torch.eye(4)]).to(dtype).requires_grad_()
    flat = torch.stack([torch.zeros(3, 3), torch.ones(3, 3), -torch.eye(3), torch.diag(x), torch.diag(x + y)])
    flat = flat.to(dtype).requires_grad_()
    for result, inputs in (
        (rotation_between(starts, ends), (starts, ends)),
        (sixd_to_matrix(sixd), (sixd,)),
        (axis_angle_to_matrix(vectors), (vectors,)),
        (axis_angle_to_matrix(matrix_to_axis_angle(matrices)), (matrices,)),
        (quaternion_to_matrix(matrix_to_quaternion(matrices)), (matrices,)),
        (quaternion_to_matrix(quaternions), (quaternions,)),
        (project_to_rotation(flat), (flat,)),
    ):
        eye = torch.eye(3, dtype=dtype)
        assert (result @ result.mT - eye).abs().max() < 50 * torch.finfo(dtype).eps
        assert (torch.linalg.det(result) - 1).abs().max() < 1e-5
        weights = torch.arange(9, dtype=dtype).view(3, 3)
        for gradient in torch.autograd.grad((result * weights).sum(), inputs):
            assert gradient.isfinite().all()
    assert torch.equal(rotation_between(zero, x), torch.eye(3))


def test_projection_of_what_is_not_finite_does_not_fail_its_neighbours():
    matrices = torch.eye(3).repeat(3, 1, 1)
    matrices[1, 0, 0] = float('nan')
    assert torch.allclose(project_to_rotation(matrices)[[0, 2]], torch.eye(3), atol=1e-6)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_projection_is_right_for_flat_and_nearly_ambiguous_matrices_of_any_size(dtype):
    matrices = torch.randn(500, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    u, _, vh = torch.linalg.svd(matrices)
    values = torch.tensor([1.0, 0.02, 0.0], dtype=torch.float64)  # two bones only, nearly parallel
    for scale in (1e-6, 1.0, 1e6):
        flat = (scale * u * values) @ vh
        expected = u @ torch.diag_embed(torch.stack([*torch.ones(2, 500), torch.linalg.det(u @ vh)], -1).double()) @ vh
        tolerance = 1e-12 if dtype == torch.float64 else 1e-5
        assert (project_to_rotation(flat.to(dtype)) - expected).abs().max() < tolerance


def test_projection_is_scipys_nearest_rotation():
    noisy = MATRICES[:500] + 0.2 * torch.from_numpy(GENERATOR.normal(size=(500, 3, 3)))
    noisy[::2, :, 0] *= -1  # improper ones
    expected = torch.stack(
        [torch.from_numpy(Rotation.align_vectors(matrix, np.eye(3))[0].as_matrix()) for matrix in noisy.mT.numpy()]
    )
    rotations = project_to_rotation(noisy)
    assert (torch.linalg.det(rotations) - 1).abs().max() < 1e-12
    assert (rotations - expected).abs().max() < 1e-9


def test_gradients_agree_with_finite_differences():
    def check(function, *inputs):
        return torch.autograd.gradcheck(function, tuple(v.detach().clone().requires_grad_() for v in inputs))

    six, matrices = torch.from_numpy(GENERATOR.normal(size=(5, 6))), MATRICES[:5]
    assert check(axis_angle_to_matrix, torch.cat([VECTORS[:3], VECTORS[5000:5003], VECTORS[-1:]]))
    assert check(sixd_to_matrix, six)
    assert check(rotation_between, six[:, :3], six[:, 3:])
    assert check(matrix_to_axis_angle, matrices)
    assert check(matrix_to_quaternion, matrices)
    assert check(quaternion_to_matrix, six[:, :4])
    assert check(project_to_rotation, matrices)  # equal singular values, where SVD's own gradient fails
    assert check(project_to_rotation, matrices * torch.tensor([-1.5, 1, 0.3]))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=6, max_size=6))
def test_any_six_numbers_are_a_rotation(numbers):
    sixd = torch.tensor(numbers, dtype=torch.float32).requires_grad_()
    matrix = sixd_to_matrix(sixd)
    assert (matrix @ matrix.mT - torch.eye(3)).abs().max() < 1e-5
    between = rotation_between(sixd[:3], sixd[3:])
    assert (between @ between.mT - torch.eye(3)).abs().max() < 1e-5
    assert torch.autograd.grad(matrix.sum() + between.sum(), sixd)[0].isfinite().all()


def test_leading_shapes_and_empty_batches_are_kept():
    for shape in ((0,), (0, 24), (2, 3)):
        matrices = torch.eye(3).expand(*shape, 3, 3)
        assert axis_angle_to_matrix(matrix_to_axis_angle(matrices)).shape == (*shape, 3, 3)
        assert quaternion_to_matrix(matrix_to_quaternion(matrices)).shape == (*shape, 3, 3)
        assert sixd_to_matrix(matrix_to_6d(matrices)).shape == (*shape, 3, 3)
        assert project_to_rotation(matrices).shape == (*shape, 3, 3)
        assert rotation_between(torch.zeros(*shape, 3), torch.zeros(3)).shape == (*shape, 3, 3)
