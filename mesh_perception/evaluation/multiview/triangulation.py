"""Points of several calibrated cameras to points in the room, robust against views that are wrong."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch

SEEN = 0.1  # score from which a 2D point counts
_CAUCHY = 8.0  # px; a view that is this far off counts half
_TRUNCATED = 40.0  # px; a view that is farther off than this says nothing against a hypothesis
_ROUNDS = 8
_LEFT_RIGHT = (1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10)  # of the 12 limb joints
_ARMS, _LEGS = slice(0, 6), slice(6, 12)


@dataclass(frozen=True)
class Views:
    """C cameras in one room: a point X is at rotations X + translations in their optical frames."""

    names: tuple
    cameras: tuple  # of Camera
    rotations: np.ndarray  # (C, 3, 3)
    translations: np.ndarray  # (C, 3) m
    focals: np.ndarray  # (C,) px, what normalised coordinates are measured by

    @classmethod
    def of(cls, cameras, names):
        """From {name: (Camera, pose)} as `footage.cameras` gives it, the named ones in this order."""
        poses = np.linalg.inv(np.stack([cameras[name][1] for name in names]))
        models = tuple(cameras[name][0] for name in names)
        focals = np.array([(model.k[0, 0] + model.k[1, 1]) / 2 for model in models])
        return cls(tuple(names), models, poses[:, :3, :3], poses[:, :3, 3], focals)

    def rays(self, pixels):
        """Pixels (C, ..., 2) -> undistorted normalised coordinates (C, ..., 2)."""
        return np.stack([c.unproject(torch.from_numpy(p)).numpy() for c, p in zip(self.cameras, pixels, strict=True)])

    def to_cameras(self, points):
        """Points (..., 3) in the room -> (C, ..., 3) in every camera's optical frame."""
        return np.stack([points @ r.T + t for r, t in zip(self.rotations, self.translations, strict=True)])

    def project(self, points):
        """Points (..., 3) in the room -> pixels (C, ..., 2), with distortion."""
        local = torch.from_numpy(self.to_cameras(points))
        return np.stack([camera.project(p).numpy() for camera, p in zip(self.cameras, local, strict=True)])


def least_squares(views, rays, weights):
    """Points (N, 3) in the room from normalised coordinates (C, N, 2) with weights (C, N), least squares in pixels.

    NaN where fewer than two views have a weight.
    """
    known = (weights > 0).sum(0) >= 2
    rays = np.where(weights[..., None] > 0, rays, 0)
    # x Z = X, y Z = Y with X = R point + t: two linear equations a view.
    rows = views.rotations[:, None, :2] - rays[..., None] * views.rotations[:, None, 2:]
    right = rays * views.translations[:, None, 2:] - views.translations[:, None, :2]
    scale = views.focals[:, None] ** 2 * weights
    points = np.full((rays.shape[1], 3), np.nan)
    depth = np.ones_like(weights)
    for _ in range(2):  # once more with the depths known, for an error in pixels
        weight = scale / depth**2
        normal = np.einsum('cn,cnri,cnrj->nij', weight, rows, rows)[known]
        target = np.einsum('cn,cnri,cnr->ni', weight, rows, right)[known]
        points[known] = np.linalg.solve(normal + 1e-9 * np.eye(3), target[..., None])[..., 0]
        depth = np.nan_to_num(views.to_cameras(points)[..., 2], nan=1.0)
        depth = np.where(np.abs(depth) < 0.1, 0.1, depth)
    return points


def errors(views, rays, points):
    """Distances (C, N) in px of points (N, 3) from the views' rays (C, N, 2); behind a camera: infinite."""
    local = views.to_cameras(points)
    depth = local[..., 2:]
    with np.errstate(invalid='ignore', divide='ignore'):
        distance = np.linalg.norm(local[..., :2] / depth - rays, axis=-1) * views.focals[:, None]
    return np.where(depth[..., 0] < 0, np.inf, distance)


def triangulate(views, keypoints):
    """Points (N, 3) in the room from x, y in px and score (C, N, 3), and the robust cost (N,) of each.

    The best of what every pair of views and all views say, then iteratively reweighted with Cauchy's weights. NaN, and
    a cost of the worst, where fewer than two views see the point.
    """
    rays = views.rays(np.nan_to_num(keypoints[..., :2]))
    scores = np.where(np.nan_to_num(keypoints[..., 2]) >= SEEN, np.nan_to_num(keypoints[..., 2]), 0)
    count = len(views.names)
    best, cost = np.full((rays.shape[1], 3), np.nan), np.full(rays.shape[1], np.inf)
    for chosen in [*combinations(range(count), 2), range(count)]:
        used = np.zeros_like(scores)
        used[list(chosen)] = scores[list(chosen)]
        used *= (scores[list(chosen)] > 0).all(0)
        points = least_squares(views, rays, used)
        value = _cost(views, rays, scores, points)
        better = value < cost
        best[better], cost[better] = points[better], value[better]
    for _ in range(_ROUNDS):
        error = np.nan_to_num(errors(views, rays, best), nan=0.0, posinf=1e6)
        refined = least_squares(views, rays, scores / (1 + (error / _CAUCHY) ** 2))
        value = _cost(views, rays, scores, refined)
        better = value < cost
        best[better], cost[better] = refined[better], value[better]
    return best, np.where(np.isfinite(cost), cost, 1.0)


def _cost(views, rays, scores, points):
    """Between 0 and 1: squared distances, truncated, weighted by score; infinite where there is no point."""
    error = np.nan_to_num(errors(views, rays, points), nan=np.inf, posinf=np.inf)
    share = np.minimum(error / _TRUNCATED, 1) ** 2
    value = (share * scores).sum(0) / np.maximum(scores.sum(0), 1e-9)
    return np.where(np.isfinite(points).all(-1), value, np.inf)


def repair_sides(views, keypoints):
    """The same (C, T, 12, 3), left and right exchanged where one view against the others has mixed them up.

    In every frame, for the arms and for the legs, of no exchange and one in each view, what the views agree on best.
    Two views cannot tell who of them is wrong: nothing is changed. An exchange must halve the cost.
    """
    if len(views.names) < 3:
        return keypoints
    result = keypoints.copy()
    length = keypoints.shape[1]
    for part in (_ARMS, _LEGS):
        options = [keypoints[:, :, part]]
        for view in range(len(views.names)):
            option = keypoints.copy()
            option[view] = option[view][:, _LEFT_RIGHT]
            options.append(option[:, :, part])
        costs = np.stack([triangulate(views, o.reshape(len(o), -1, 3))[1].reshape(length, -1).sum(1) for o in options])
        costs[1:] = 2 * costs[1:] + 0.05  # of six joints' costs, so that agreement is not disturbed for nothing
        best = costs.argmin(0)
        for frame in range(length):
            result[:, frame, part] = options[best[frame]][:, frame]
    return result
