"""Whether estimated standard deviations are right: predicted against seen, in bins of what was predicted."""

from dataclasses import dataclass

import torch
from torch import Tensor

BINS = 10


@dataclass
class Calibration:
    """Root mean squares along one axis, m, in bins that hold the same number of joints."""

    predicted: Tensor  # (B,)
    seen: Tensor  # (B,)
    ratio: float  # root mean square of error over sigma: 1 where sigma is right, over 1 where it is too small
    count: int  # joints


def calibrate(sigma: Tensor, distances: Tensor, bins: int = BINS) -> Calibration | None:
    """sigma, distances (...) m: of joints, sigma along each of three axes; how far each joint is from the truth.

    Joints whose sigma or distance is not known (NaN), or whose sigma is 0 (the root's), do not count; None where fewer
    than `bins` are left.
    """
    known = sigma.isfinite() & distances.isfinite() & (sigma > 0)
    sigma, distances = sigma[known].double(), distances[known].double()
    if len(sigma) < bins:
        return None
    order = sigma.argsort()
    variance, error = sigma[order].square(), distances[order].square() / 3  # along one of three axes
    parts = zip(variance.tensor_split(bins), error.tensor_split(bins), strict=True)
    predicted, seen = zip(*((a.mean().sqrt(), b.mean().sqrt()) for a, b in parts), strict=True)
    ratio = (error / variance).mean().sqrt().item()
    return Calibration(torch.stack(predicted), torch.stack(seen), ratio, len(sigma))
