"""Rotations as matrices, 6D, axis-angle and quaternions: batched over any leading shape, in the input's dtype.

Every function is finite in value and gradient for every finite input (lengths within 1e-12 to 1e12), degenerate ones
included, which autograd's own sqrt, acos and SVD are not.
"""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# Shorter vectors have no direction; squares of longer ones are still normal numbers in float32.
_SHORTEST = 1e-12


def matrix_to_6d(matrix: Tensor) -> Tensor:
    """(..., 3, 3) -> (..., 6): the first column, then the second (Zhou et al. 2019, eq. 15)."""
    return matrix[..., :2].transpose(-1, -2).flatten(-2)


def sixd_to_matrix(sixd: Tensor) -> Tensor:
    """(..., 6) -> (..., 3, 3) by Gram-Schmidt (Zhou et al. 2019, eq. 16).

    A first vector of zero length counts as x; a second one of zero length or parallel to the first is replaced by an
    axis perpendicular to it: the result is a rotation for every input.
    """
    first, second = sixd[..., :3], sixd[..., 3:]
    x = _unit(first, _axis(first, 0))
    second = _unit(second, _perpendicular(x))
    y = second - _dot(second, x) * x
    # What is left of a nearly parallel vector is rounding: below this share it has no direction.
    y = _unit(y, _perpendicular(x), shortest=8 * torch.finfo(sixd.dtype).eps)
    y = _unit(y - _dot(y, x) * x, _perpendicular(x))
    return torch.stack([x, y, torch.linalg.cross(x, y)], dim=-1)


def axis_angle_to_matrix(axis_angle: Tensor) -> Tensor:
    """Rotation vectors (..., 3), radians -> (..., 3, 3) (Rodrigues)."""
    square = _dot(axis_angle, axis_angle)[..., None]
    skew = _skew(axis_angle)
    half = _sinc(square / 4)
    return _identity(axis_angle) + _sinc(square) * skew + half * half / 2 * (skew @ skew)


def matrix_to_axis_angle(matrix: Tensor) -> Tensor:
    """(..., 3, 3) -> rotation vectors (..., 3), radians, of length at most pi."""
    quaternion = matrix_to_quaternion(matrix)
    vector, w = quaternion[..., :3], quaternion[..., 3:]
    square = _dot(vector, vector)
    small = square < 1e-4
    length = torch.where(small, 1, square).sqrt()
    ratio = square / torch.where(small, w, 1).square()
    series = (1 - ratio / 3 + ratio**2 / 5 - ratio**3 / 7 + ratio**4 / 9) / torch.where(small, w, 1)
    return 2 * torch.where(small, series, torch.atan2(length, w) / length) * vector


def matrix_to_quaternion(matrix: Tensor) -> Tensor:
    """(..., 3, 3) -> unit quaternions (..., 4) as x, y, z, w with w >= 0."""
    # Row k is 4 q_k q. The one with the largest q_k is at least of length 2: no square root near zero.
    row = _longest_row(_horn(matrix) + torch.eye(4, dtype=matrix.dtype, device=matrix.device))
    row = torch.where(row[..., 3:] < 0, -row, row)
    return _unit(row, _axis(row, 3))


def quaternion_to_matrix(quaternion: Tensor) -> Tensor:
    """Quaternions (..., 4) as x, y, z, w of any length -> (..., 3, 3); zero length gives the identity."""
    quaternion = _unit(quaternion, _axis(quaternion, 3))
    skew = _skew(quaternion[..., :3])
    return _identity(quaternion) + 2 * (quaternion[..., 3:, None] * skew + skew @ skew)


def rotation_between(start: Tensor, end: Tensor) -> Tensor:
    """The shortest rotation that turns `start` (..., 3) into the direction of `end` (..., 3): (..., 3, 3).

    Opposite vectors turn by pi about some axis perpendicular to `start`; if either is zero the identity is returned.
    """
    start, end = torch.broadcast_tensors(start, end)
    known = (_dot(start, start) > _SHORTEST**2) & (_dot(end, end) > _SHORTEST**2)
    x_axis = _axis(start, 0)
    start, end = (_unit(torch.where(known, v, x_axis), x_axis) for v in (start, end))
    # The arc between vectors at most a right angle apart is well conditioned. Others are first turned by half, about
    # their common normal: even where that normal is rounding alone, `start` arrives exactly at `end`.
    turned = _dot(start, end) < 0
    near = torch.where(turned, -start, start)
    arc = quaternion_to_matrix(torch.cat([torch.linalg.cross(near, end), 1 + _dot(near, end)], dim=-1))
    normal = _unit(torch.linalg.cross(start, end), _perpendicular(start), shortest=8 * torch.finfo(start.dtype).eps)
    normal = _unit(normal - _dot(normal, start) * start, _perpendicular(start))
    half_turn = 2 * normal[..., :, None] * normal[..., None, :] - _identity(start)
    return arc @ torch.where(turned[..., None], half_turn, _identity(start))


def project_to_rotation(matrix: Tensor) -> Tensor:
    """The rotation nearest to each matrix (..., 3, 3) in the Frobenius norm (Kabsch: determinant +1).

    That is U diag(1, 1, det(U V^T)) V^T of the SVD, found as Horn's quaternion (1987), a 4 x 4 matrix's eigenvector
    with the largest eigenvalue: unlike an SVD, it never makes the host wait for the device, and a matrix that is not
    finite does not fail those beside it.
    """
    return _ProjectToRotation.apply(matrix)


class _ProjectToRotation(torch.autograd.Function):
    """SVD's own gradient divides by differences of singular values, which are zero for a rotation; the polar factor's
    divides by their sums only."""

    @staticmethod
    def forward(ctx, matrix):
        ctx.save_for_backward(matrix)
        horn = _horn(matrix.double() / matrix.abs().amax((-2, -1), keepdim=True).clamp_min(_SHORTEST))
        # No eigenvalue is below zero then, and a high power leaves the largest one's eigenvector alone: 2^18 is enough
        # for a gap of 1e-4 between the two largest.
        size = torch.linalg.vector_norm(horn, dim=(-2, -1), keepdim=True)
        power = horn + size * torch.eye(4, dtype=horn.dtype, device=horn.device)
        for _ in range(3):
            power = torch.linalg.matrix_power(_of_trace_one(power), 64)
        return quaternion_to_matrix(_longest_row(_of_trace_one(power))).to(matrix.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        (matrix,) = ctx.saved_tensors
        u, values, vh = torch.linalg.svd(matrix)
        sign = torch.ones_like(values)
        sign[..., 2] = torch.linalg.det(u @ vh).sign()
        u, values = u * sign[..., None, :], values * sign
        sums = values[..., :, None] + values[..., None, :]
        # Where two values cancel the nearest rotation is not unique: bound the gradient instead of dividing by zero.
        smallest = (values[..., :1, None] * torch.finfo(values.dtype).eps).clamp_min(_SHORTEST)
        local = u.mT @ gradient @ vh.mT
        return u @ ((local - local.mT) / sums.clamp_min(smallest)) @ vh


def _horn(matrix: Tensor) -> Tensor:
    """(..., 3, 3) -> symmetric (..., 4, 4) K with q K q = trace(R(q)^T matrix) for unit quaternions q as x, y, z, w.

    Of a rotation it is 4 q q^T less the identity.
    """
    (a, b, c), (d, e, f), (g, h, i) = (row.unbind(-1) for row in matrix.unbind(-2))
    rows = [
        *(a - e - i, b + d, c + g, h - f),
        *(b + d, e - a - i, f + h, c - g),
        *(c + g, f + h, i - a - e, d - b),
        *(h - f, c - g, d - b, a + e + i),
    ]
    return torch.stack(rows, dim=-1).unflatten(-1, (4, 4))


def _longest_row(products: Tensor) -> Tensor:
    """Of q q^T (..., 4, 4) the row (..., 4) with the largest entry on the diagonal."""
    largest = products.diagonal(dim1=-2, dim2=-1).argmax(-1)
    return products.gather(-2, largest[..., None, None].expand(*largest.shape, 1, 4)).squeeze(-2)


def _of_trace_one(matrix: Tensor) -> Tensor:
    """Matrices (..., N, N) without negative eigenvalues, divided by their traces; zeros stay zeros."""
    trace = matrix.diagonal(dim1=-2, dim2=-1).sum(-1)
    return matrix / trace.clamp_min(torch.finfo(trace.dtype).tiny)[..., None, None]


def _unit(vector: Tensor, fallback: Tensor, shortest: float = _SHORTEST) -> Tensor:
    """`vector` at unit length, or `fallback` where it is too short; no gradient reaches it there."""
    square = _dot(vector, vector)
    known = square > shortest**2
    return torch.where(known, vector / torch.where(known, square, 1).sqrt(), fallback)


def _perpendicular(unit: Tensor) -> Tensor:
    """A unit vector perpendicular to each unit vector (..., 3): crossed with the axis it is farthest from."""
    axis = torch.nn.functional.one_hot(unit.detach().abs().argmin(-1), 3).to(unit.dtype)
    cross = torch.linalg.cross(unit, axis)
    return cross / _dot(cross, cross).sqrt()


def _sinc(square: Tensor) -> Tensor:
    """sin(x) / x from x squared."""
    small = square < 1e-2
    root = torch.where(small, 1, square).sqrt()
    tiny = torch.where(small, square, 0)
    series = 1 - tiny / 6 * (1 - tiny / 20 * (1 - tiny / 42 * (1 - tiny / 72)))
    return torch.where(small, series, root.sin() / root)


def _skew(vector: Tensor) -> Tensor:
    """(..., 3) -> (..., 3, 3) with skew @ p = vector x p."""
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))


def _identity(like: Tensor) -> Tensor:
    return torch.eye(3, dtype=like.dtype, device=like.device)


def _axis(like: Tensor, index: int) -> Tensor:
    """Zeros but for a one at `index`, made on the device: no copy from the host."""
    axis = torch.zeros_like(like)
    axis[..., index] = 1
    return axis


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(-1, keepdim=True)
