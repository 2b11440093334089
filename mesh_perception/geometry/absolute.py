"""Where a person is: the translation that carries root-relative 3D joints onto their image positions."""

import torch
from torch import Tensor

# Added to the mean squared spread of the image points (0.03 px at a focal length of 1000): negligible beside a person
# (4e-5 of the depth at 100 m), decisive where all points coincide and the depth is unknown.
_RIDGE = 1e-9
NEAREST = 0.1  # m; the returned depth is never less


def absolute_position(relative: Tensor, normalised: Tensor, weights: Tensor) -> Tensor:
    """Weighted linear least squares under full perspective (MeTRAbs, Sarandi et al. 2020, sec. III-D).

    Minimises sum_j w_j |(X, Y) + (dx, dy)_j - (x, y)_j (Z + dz_j)|^2 over (X, Y, Z), where (x, y) are undistorted
    normalised image coordinates. `relative` (N, J, 3) m, `normalised` (N, J, 2), `weights` (N, J) >= 0 (all zero counts
    as all equal) -> (N, 3) m, to be added to `relative`. The depth is at least 0.1 m; where the joints do not
    determine it (one joint, coinciding image points) it is that bound. Differentiable.
    """
    weights = _normalised_weights(weights)
    # X - x Z = x dz - dx, and Y alike. Subtracting weighted means eliminates X and Y: what stays is one unknown, and
    # small differences are taken before they are squared, so that float32 is enough.
    right = normalised * relative[..., 2:] - relative[..., :2]
    mean_image, mean_right = (weights * normalised).sum(1), (weights * right).sum(1)
    spread = normalised - mean_image[:, None]
    correlation = (weights * spread * (right - mean_right[:, None])).sum((1, 2))
    depth = -correlation / ((weights * spread * spread).sum((1, 2)) + _RIDGE)
    depth = depth.clamp_min(NEAREST)[:, None]
    return torch.cat([mean_right + mean_image * depth, depth], dim=-1)


def absolute_position_weak(relative: Tensor, normalised: Tensor, weights: Tensor) -> Tensor:
    """The same under weak perspective: depth from the ratio of the 3D and 2D spreads.

    Less exact, but steady for the unformed joints of a network that starts to train; same arguments and bounds as
    `absolute_position`.
    """
    weights = _normalised_weights(weights)
    mean_relative, mean_image = (weights * relative).sum(1), (weights * normalised).sum(1)
    size = (weights * (relative - mean_relative[:, None])[..., :2].square()).sum((1, 2))
    image_size = (weights * (normalised - mean_image[:, None]).square()).sum((1, 2))
    depth = ((size + _RIDGE) / (image_size + _RIDGE)).sqrt()
    depth = torch.maximum(depth, mean_relative[:, 2] + NEAREST)[:, None]
    return torch.cat([mean_image, torch.ones_like(depth)], dim=-1) * depth - mean_relative


def _normalised_weights(weights: Tensor) -> Tensor:
    """(N, J) -> (N, J, 1) with sum 1."""
    total = weights.sum(-1, keepdim=True)
    weights = torch.where(total > 0, weights, 1)
    return (weights / weights.sum(-1, keepdim=True))[..., None]
