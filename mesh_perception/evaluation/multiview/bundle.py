"""One bundle adjustment of a person's whole clip: constant bone lengths, a smooth path, wrong views counting less.

The footage does not fit its calibration to the pixel: in some views people are 5 to 25 px beside where the other views
see them, always the same way (cam03 most). So one constant offset of each view's image is an unknown, too.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solveh_banded
from scipy.sparse import block_diag, coo_matrix, diags, tril

from mesh_perception.evaluation.multiview.correspondence import BONES
from mesh_perception.evaluation.multiview.triangulation import SEEN

RODS = (*BONES, (0, 1), (6, 7))  # lengths that stay the same over time: limbs, and nearly so shoulders and hips
_ROD_SIGMA = np.array([0.005] * len(BONES) + [0.015, 0.01])  # m
_SIDES = ((0, 2), (1, 3), (4, 6), (5, 7))  # of RODS: left and right of a body are nearly as long
_SIDE_SIGMA = 0.01  # m
_PIXEL_SIGMA = 4.0  # px, of a point with score 1
_PATH_SIGMA = 0.003  # m, of second differences at 60 Hz: 11 m/s^2
_OFFSET_SIGMA = 8.0  # px, of a view's constant offset
_CAUCHY = 2.5  # in sigmas; a view that is this far off counts half
_COARSE, _FINER = 12.0, 0.8  # in the first round it is this wide, and in each a share of the one before
_DAMPING = 1.0  # 1/m^2, for joints that nothing holds
_LONGEST = 0.2  # m that a joint moves in a round
_ROUNDS = 60
_CONVERGED = 2e-5  # m, of the mean joint's step


@dataclass
class Adjusted:
    """What the adjustment of one person gives."""

    joints: np.ndarray  # (T, 12, 3) m in the room
    lengths: np.ndarray  # (10,) m, of RODS
    offsets: np.ndarray  # (C, 2) px: where the view's image lies beside what its calibration says
    weights: np.ndarray  # (C, T, 12) in [0, 1]: how much each 2D point counted at the end


def adjust(views, keypoints, joints):
    """Joints of T frames with the least robust error, from a start.

    keypoints: (C, T, 12, 3) x, y in px and score; joints: (T, 12, 3) in the room, finite. Gauss-Newton on iteratively
    reweighted least squares: Cauchy's weights for the points, which are the only ones that can be wrong. -> Adjusted.
    """
    rays = views.rays(np.nan_to_num(keypoints[..., :2]))
    scores = np.nan_to_num(keypoints[..., 2])
    scores = np.where(scores >= SEEN, np.minimum(scores, 1), 0)
    first, second = np.array(RODS).T
    rods = np.median(np.linalg.norm(joints[:, first] - joints[:, second], axis=-1), 0)
    offsets = np.zeros((len(rays), 2))  # in sigmas
    free, total = joints.size, joints.size + rods.size + offsets.size
    path = _second_differences(len(joints)) / _PATH_SIGMA
    fixed = path.T @ path + diags(np.full(free, _DAMPING))
    fixed.resize(total, total)
    sides = np.zeros((len(_SIDES), len(rods)))
    for row, (left, right) in enumerate(_SIDES):
        sides[row, [left, right]] = 1, -1
    prior = float(len(joints))  # once a frame: the networks' errors are not independent, and would sum up against it
    sides *= prior**0.5 / _SIDE_SIGMA
    fixed += block_diag((diags(np.zeros(free)), sides.T @ sides, diags(np.full(offsets.size, prior))))
    for round_ in range(_ROUNDS):
        cauchy = max(_CAUCHY, _COARSE * _FINER**round_)
        residuals, jacobian, weights = _reprojection(views, rays, scores, joints, offsets, cauchy, total)
        rod_residuals, rod_jacobian = _rods(joints, rods, total)
        weighted = jacobian.T @ diags(np.repeat((weights * scores).ravel(), 2))
        normal = weighted @ jacobian + rod_jacobian.T @ rod_jacobian + fixed
        gradient = weighted @ residuals + rod_jacobian.T @ rod_residuals
        gradient[:free] += path.T @ (path @ joints.ravel())
        gradient[free : total - offsets.size] += sides.T @ (sides @ rods)
        gradient[total - offsets.size :] += prior * offsets.ravel()
        step = -_solve(normal.tocsr(), gradient, free)
        change = step[:free].reshape(joints.shape)
        change *= np.minimum(1, _LONGEST / np.maximum(np.linalg.norm(change, axis=-1, keepdims=True), 1e-9))
        joints, rods = joints + change, rods + step[free : free + len(rods)]
        offsets = offsets + step[free + len(rods) :].reshape(offsets.shape)
        if cauchy == _CAUCHY and np.linalg.norm(change, axis=-1).mean() < _CONVERGED:
            break
    return Adjusted(joints, rods, offsets * _OFFSET_SIGMA, np.where(scores > 0, weights, 0))


def _reprojection(views, rays, scores, joints, offsets, cauchy, total):
    """Residuals in sigmas, their Jacobian by all unknowns, and Cauchy's weights (C, T, 12)."""
    local = views.to_cameras(joints)
    depth = np.maximum(local[..., 2], 0.1)
    seen = local[..., :2] / depth[..., None]
    scale = views.focals[:, None, None] / _PIXEL_SIGMA
    residuals = (seen - rays) * scale[..., None] + offsets[:, None, None] * (_OFFSET_SIGMA / _PIXEL_SIGMA)
    weights = 1 / (1 + (np.linalg.norm(residuals, axis=-1) / cauchy) ** 2)
    turn = views.rotations[:, None, None]
    blocks = (turn[..., :2, :] - seen[..., None] * turn[..., 2:, :]) * (scale / depth)[..., None, None]
    rows = np.arange(residuals.size).reshape(residuals.shape)
    columns = np.arange(joints.size).reshape(1, *joints.shape)[:, :, :, None, :]
    by_joint = [np.broadcast_to(part, blocks.shape).ravel() for part in (blocks, rows[..., None], columns)]
    places = np.arange(total - offsets.size, total).reshape(-1, 1, 1, 2)
    by_offset = [
        np.broadcast_to(part, rows.shape).ravel() for part in (np.array(_OFFSET_SIGMA / _PIXEL_SIGMA), rows, places)
    ]
    return residuals.ravel(), _sparse([by_joint, by_offset], (residuals.size, total)), weights


def _sparse(entries, shape):
    """A matrix from [(values, rows, columns)]."""
    values, rows, columns = (np.concatenate(parts) for parts in zip(*entries, strict=True))
    return coo_matrix((values, (rows, columns)), shape).tocsr()


def _rods(joints, rods, total):
    """Residuals in sigmas (T x 10) of the lengths, and their Jacobian by all unknowns."""
    first, second = np.array(RODS).T
    apart = joints[:, first] - joints[:, second]
    distance = np.maximum(np.linalg.norm(apart, axis=-1), 1e-6)
    along = apart / distance[..., None] / _ROD_SIGMA[:, None]
    residuals = (distance - rods) / _ROD_SIGMA
    rows = np.arange(residuals.size).reshape(residuals.shape)
    places = np.arange(joints.size).reshape(joints.shape)
    three = np.repeat(rows.ravel(), 3)
    lengths = np.broadcast_to(joints.size + np.arange(len(rods)), rows.shape)
    entries = [
        (along.ravel(), three, places[:, first].ravel()),
        (-along.ravel(), three, places[:, second].ravel()),
        (np.broadcast_to(-1 / _ROD_SIGMA, rows.shape).ravel(), rows.ravel(), lengths.ravel()),
    ]
    return residuals.ravel(), _sparse(entries, (residuals.size, total))


def _solve(normal, right, count):
    """Of a sparse symmetric system whose first `count` unknowns are a band along the diagonal: the solution."""
    band = tril(normal[:count, :count]).tocoo()
    lower = np.zeros((3 * 36, count))  # a joint meets those of its own frame and of the two before
    lower[band.row - band.col, band.col] = band.data
    border = normal[:count, count:].toarray()
    solved = solveh_banded(lower, np.column_stack((right[:count], border)), lower=True, check_finite=False)
    free, by_border = solved[:, 0], solved[:, 1:]
    rest = np.linalg.solve(normal[count:, count:].toarray() - border.T @ by_border, right[count:] - border.T @ free)
    return np.concatenate((free - by_border @ rest, rest))


def _second_differences(length, width=36):
    """Sparse: joints of T frames, flattened -> their second differences."""
    count = max(length - 2, 0) * width
    ones = np.ones(count)
    return diags([ones, -2 * ones, ones], [0, width, 2 * width], shape=(count, length * width))
