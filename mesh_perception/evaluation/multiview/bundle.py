"""One bundle adjustment of a person's whole clip: constant bone lengths, a smooth path, wrong views counting less."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix, csc_matrix, diags
from scipy.sparse.linalg import spsolve

from mesh_perception.evaluation.multiview.correspondence import BONES
from mesh_perception.evaluation.multiview.triangulation import SEEN

RODS = (*BONES, (0, 1), (6, 7))  # lengths that stay the same over time: limbs, and nearly so shoulders and hips
_ROD_SIGMA = np.array([0.005] * len(BONES) + [0.015, 0.01])  # m
_PIXEL_SIGMA = 4.0  # px, of a point with score 1
_PATH_SIGMA = 0.003  # m, of second differences at 60 Hz: 11 m/s^2
_CAUCHY = 2.5  # in sigmas; a view that is this far off counts half
_ROUNDS = 60
_CONVERGED = 2e-5  # m, of the mean joint's step


@dataclass
class Adjusted:
    """What the adjustment of one person gives."""

    joints: np.ndarray  # (T, 12, 3) m in the room
    lengths: np.ndarray  # (10,) m, of RODS
    weights: np.ndarray  # (C, T, 12) in [0, 1]: how much each 2D point counted at the end


def adjust(views, keypoints, joints):
    """Joints of T frames with the least robust error, from a start.

    keypoints: (C, T, 12, 3) x, y in px and score; joints: (T, 12, 3) in the room, finite. Gauss-Newton on iteratively
    reweighted least squares: Cauchy's weights for the points, which are the only ones that can be wrong. -> Adjusted.
    """
    length = len(joints)
    rays = views.rays(np.nan_to_num(keypoints[..., :2]))
    scores = np.nan_to_num(keypoints[..., 2])
    scores = np.where(scores >= SEEN, np.minimum(scores, 1), 0)
    first, second = np.array(RODS).T
    rods = np.median(np.linalg.norm(joints[:, first] - joints[:, second], axis=-1), 0)
    path = _second_differences(length) / _PATH_SIGMA
    path_normal = (path.T @ path).tocsc()
    path_normal.resize((joints.size + len(rods),) * 2)
    for _ in range(_ROUNDS):
        residuals, jacobian, weights = _reprojection(views, rays, scores, joints, len(rods))
        rod_residuals, rod_jacobian = _rods(joints, rods)
        weighted = jacobian.T @ diags(np.repeat((weights * scores).ravel(), 2))
        normal = weighted @ jacobian + rod_jacobian.T @ rod_jacobian + path_normal
        gradient = weighted @ residuals + rod_jacobian.T @ rod_residuals
        gradient[: joints.size] += path_normal[: joints.size, : joints.size] @ joints.ravel()
        normal = normal + diags(np.full(len(gradient), 1.0))  # what nothing holds stays: 1 m costs as much as a sigma
        step = spsolve(csc_matrix(normal), -gradient)
        change = step[: joints.size].reshape(joints.shape)
        change *= np.minimum(1, 0.2 / np.maximum(np.linalg.norm(change, axis=-1, keepdims=True), 1e-9))
        joints, rods = joints + change, rods + step[joints.size :]
        if np.linalg.norm(change, axis=-1).mean() < _CONVERGED:
            break
    return Adjusted(joints, rods, np.where(scores > 0, weights, 0))


def _reprojection(views, rays, scores, joints, extra):
    """Residuals in sigmas, their Jacobian, and Cauchy's weights (C, T, 12)."""
    local = views.to_cameras(joints)
    depth = np.maximum(local[..., 2], 0.1)
    seen = local[..., :2] / depth[..., None]
    scale = views.focals[:, None, None] / _PIXEL_SIGMA
    residuals = (seen - rays) * scale[..., None]
    weights = 1 / (1 + (np.linalg.norm(residuals, axis=-1) / _CAUCHY) ** 2)
    turn = views.rotations[:, None, None]
    blocks = (turn[..., :2, :] - seen[..., None] * turn[..., 2:, :]) * (scale / depth)[..., None, None]
    rows = np.arange(residuals.size).reshape(*residuals.shape, 1)
    columns = np.arange(joints.size).reshape(1, *joints.shape)[:, :, :, None, :]
    rows, columns = np.broadcast_arrays(rows, columns)
    shape = (residuals.size, joints.size + extra)
    return residuals.ravel(), coo_matrix((blocks.ravel(), (rows.ravel(), columns.ravel())), shape).tocsr(), weights


def _rods(joints, rods):
    """Residuals in sigmas (T x 10) of the lengths, and their Jacobian by joints and lengths."""
    first, second = np.array(RODS).T
    apart = joints[:, first] - joints[:, second]
    distance = np.maximum(np.linalg.norm(apart, axis=-1), 1e-6)
    residuals = (distance - rods) / _ROD_SIGMA
    along = apart / distance[..., None] / _ROD_SIGMA[:, None]
    rows = np.arange(residuals.size).reshape(residuals.shape)
    places = np.arange(joints.size).reshape(joints.shape)
    entries = [
        (along, np.broadcast_to(rows[..., None], along.shape), places[:, first]),
        (-along, np.broadcast_to(rows[..., None], along.shape), places[:, second]),
        (
            np.broadcast_to(-1 / _ROD_SIGMA, residuals.shape),
            rows,
            np.broadcast_to(joints.size + np.arange(len(rods)), residuals.shape),
        ),
    ]
    values, rows, columns = (np.concatenate([part.ravel() for part in parts]) for parts in zip(*entries, strict=True))
    return residuals.ravel(), coo_matrix((values, (rows, columns)), (residuals.size, joints.size + len(rods))).tocsr()


def _second_differences(length, width=36):
    """Sparse: joints of T frames, flattened -> their second differences."""
    count = max(length - 2, 0) * width
    ones = np.ones(count)
    return diags([ones, -2 * ones, ones], [0, width, 2 * width], shape=(count, length * width))
