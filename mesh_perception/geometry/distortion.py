"""Lens distortion of normalised image coordinates, OpenCV's models, forth and back, with a bounded valid range.

`plumb_bob` and `rational_polynomial` are OpenCV's (k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4), `equidistant` is
cv2.fisheye's (k1, k2, k3, k4). A radial polynomial folds back beyond some radius; what lies outside is held at it.
"""

import functools
import math

import numpy as np
import torch
from torch import Tensor

# Rays farther from the axis than 89.94 degrees are held there: x/z has no use for more, and r**7 stays in float32.
LARGEST_RADIUS = 1000.0
# Newton converges quadratically from the distorted point, usually in three to six steps; the rest is for lenses used
# close to the fold, where a step halves the error.
_ITERATIONS = 8


def distort(points: Tensor, model: str, coefficients: tuple) -> Tensor:
    """Normalised coordinates (..., 2) -> distorted normalised coordinates (..., 2), differentiable."""
    if model == 'none':
        return points
    if model == 'equidistant':
        return _fisheye_distort(points, coefficients)
    points = _hold(points, valid_radius(model, coefficients))
    return torch.stack(_polynomial(points, _padded(coefficients)), dim=-1)


def undistort(points: Tensor, model: str, coefficients: tuple) -> Tensor:
    """Distorted normalised coordinates (..., 2) -> normalised coordinates (..., 2); the inverse of `distort`.

    Newton's method outside autograd and a last step inside it, whose gradient is the exact one. Points that no ray
    reaches come back at the edge of the valid range: finite.
    """
    if model == 'none':
        return points
    if model == 'equidistant':
        return _fisheye_undistort(points, coefficients)
    limit = valid_radius(model, coefficients)
    coefficients = _padded(coefficients)
    with torch.no_grad():
        estimate = _hold(points, limit)
        for _ in range(_ITERATIONS):
            previous, estimate = estimate, _hold(_newton_step(estimate, points, coefficients), limit)
            if _settled(previous, estimate):
                break
    return _hold(_newton_step(estimate, points, coefficients), limit)


@functools.lru_cache(maxsize=64)
def valid_radius(model: str, coefficients: tuple) -> float:
    """The undistorted radius x/z up to which the distorted radius grows with it, at most LARGEST_RADIUS."""
    if model == 'none':
        return math.inf
    if model == 'equidistant':
        return math.tan(_largest_angle(coefficients))
    k = _padded(coefficients)
    # d/dr (r N / D) = (N D + 2 s (N' D - N D')) / D^2 with s = r^2; a zero of D is a pole.
    numerator = np.polynomial.Polynomial([1, k[0], k[1], k[4]])
    denominator = np.polynomial.Polynomial([1, k[5], k[6], k[7]])
    slope = numerator * denominator + np.polynomial.Polynomial([0, 2]) * (
        numerator.deriv() * denominator - numerator * denominator.deriv()
    )
    first = min(_first_positive_root(slope), _first_positive_root(denominator))
    # A hair inside: at the fold itself the inverse has no slope.
    return min(0.999 * math.sqrt(first), LARGEST_RADIUS)


@functools.lru_cache(maxsize=64)
def _largest_angle(coefficients: tuple) -> float:
    k1, k2, k3, k4 = coefficients
    slope = np.polynomial.Polynomial([1, 3 * k1, 5 * k2, 7 * k3, 9 * k4])
    return min(0.999 * math.sqrt(_first_positive_root(slope)), math.atan(LARGEST_RADIUS))


def _first_positive_root(polynomial: np.polynomial.Polynomial) -> float:
    polynomial = polynomial.trim(1e-20)  # a smaller leading coefficient has no root within LARGEST_RADIUS worth having
    roots = polynomial.roots() if polynomial.degree() else np.zeros(0)
    real = roots.real[(np.abs(roots.imag) < 1e-9) & (roots.real > 0)]
    return real.min().item() if real.size else math.inf


def _settled(previous: Tensor, estimate: Tensor) -> bool:
    """Whether the next Newton step is below rounding. Elsewhere than on the CPU asking would cost more than steps."""
    if estimate.device.type != 'cpu':
        return False
    return bool(((estimate - previous).abs() <= 1e-4 * torch.finfo(estimate.dtype).eps ** 0.25).all())


def _padded(coefficients: tuple) -> tuple:
    return (*coefficients, *[0.0] * (12 - len(coefficients)))


def _hold(points: Tensor, radius: float) -> Tensor:
    """Points beyond the radius are drawn back to it."""
    square = (points * points).sum(-1, keepdim=True)
    return points * (radius * square.clamp_min(radius**2).rsqrt()).clamp_max(1)


def _radial(square: Tensor, k: tuple) -> tuple[Tensor, Tensor]:
    numerator = 1 + square * (k[0] + square * (k[1] + square * k[4]))
    slope = k[0] + square * (2 * k[1] + square * 3 * k[4])
    if not any(k[5:8]):
        return numerator, slope
    denominator = 1 + square * (k[5] + square * (k[6] + square * k[7]))
    factor = numerator / denominator
    return factor, (slope - factor * (k[5] + square * (2 * k[6] + square * 3 * k[7]))) / denominator


def _polynomial(points: Tensor, k: tuple) -> tuple[Tensor, Tensor]:
    x, y = points.unbind(-1)
    square = x * x + y * y
    factor = _radial(square, k)[0]
    p1, p2 = k[2:4]
    tangential = 2 * (p1 * y + p2 * x)
    # p2 (r^2 + 2 x^2) + 2 p1 x y, the form OpenCV gives it, is x times the tangential factor and p2 r^2
    s1, s2, s3, s4 = k[8:]
    if not any(k[8:]):
        return x * (factor + tangential) + p2 * square, y * (factor + tangential) + p1 * square
    return (
        x * (factor + tangential) + square * (p2 + s1 + s2 * square),
        y * (factor + tangential) + square * (p1 + s3 + s4 * square),
    )


def _newton_step(estimate: Tensor, target: Tensor, k: tuple) -> Tensor:
    x, y = estimate.unbind(-1)
    square = x * x + y * y
    factor, slope = _radial(square, k)
    p1, p2 = k[2:4]
    s1, s2, s3, s4 = k[8:]
    tangential = 2 * (p1 * y + p2 * x)
    both = factor + tangential
    across, down = 2 * (slope * x + p2), 2 * (slope * y + p1)  # of `both`
    prism_x, prism_y = (
        (2 * (p2 + s1 + 2 * s2 * square), 2 * (p1 + s3 + 2 * s4 * square)) if any(k[8:]) else (2 * p2, 2 * p1)
    )
    a, b = both + x * across + x * prism_x, x * down + y * prism_x
    c, d = y * across + x * prism_y, both + y * down + y * prism_y
    distorted_x, distorted_y = _polynomial(estimate, k)
    dx, dy = target[..., 0] - distorted_x, target[..., 1] - distorted_y
    # Coefficients of no lens make entries whose products leave float32: the matrix is scaled.
    scale = torch.stack((a, b, c, d)).detach().abs().amax(0).clamp_min(1)
    a, b, c, d, dx, dy = a / scale, b / scale, c / scale, d / scale, dx / scale, dy / scale
    determinant = (a * d - b * c).clamp_min(1e-6)  # positive wherever the lens is invertible
    steps = torch.stack([(d * dx - b * dy) / determinant, (a * dy - c * dx) / determinant], dim=-1)
    return estimate + steps


def _fisheye_distort(points: Tensor, k: tuple) -> Tensor:
    square = (points * points).sum(-1, keepdim=True)
    small = square < 1e-4
    radius = torch.where(small, 1, square).sqrt()
    angle = radius.atan().clamp_max(_largest_angle(k))
    tiny = torch.where(small, square, 0)
    series = 1 - tiny / 3 + tiny**2 / 5 - tiny**3 / 7 + tiny**4 / 9  # atan(r) / r
    ratio = torch.where(small, series, angle / radius)
    turned = torch.where(small, tiny * series * series, angle * angle)
    return points * ratio * _fisheye_factor(turned, k)


def _fisheye_undistort(points: Tensor, k: tuple) -> Tensor:
    limit = _largest_angle(k)
    square = (points * points).sum(-1, keepdim=True)
    small = square < 1e-8
    distorted = torch.where(small, 1e-4, square).sqrt()
    with torch.no_grad():
        angle = distorted.clamp_max(limit)
        for _ in range(_ITERATIONS):
            previous, angle = angle, _fisheye_step(angle, distorted, k).clamp(0, limit)
            if _settled(previous, angle):
                break
    angle = _fisheye_step(angle, distorted, k).clamp(0, limit)
    # tan(angle) / distorted is 1 + (1/3 - k1) distorted^2 + ... near the axis
    return points * torch.where(small, 1 + (1 / 3 - k[0]) * square, angle.tan() / distorted)


def _fisheye_step(angle: Tensor, target: Tensor, k: tuple) -> Tensor:
    square = angle * angle
    slope = 1 + square * (3 * k[0] + square * (5 * k[1] + square * (7 * k[2] + square * 9 * k[3])))
    return angle + (target - angle * _fisheye_factor(square, k)) / slope.clamp_min(1e-6)


def _fisheye_factor(square: Tensor, k: tuple) -> Tensor:
    return 1 + square * (k[0] + square * (k[1] + square * (k[2] + square * k[3])))
