"""A Kalman filter with constant velocity, for many people at once: where they are, how fast they go, how sure that is.

Between two measurements a velocity changes by white acceleration of a given intensity q (unit^2/s^3), so that
prediction is exact for any time step: Bar-Shalom et al., "Estimation with Applications to Tracking and Navigation",
2001, Sec. 6.2.2. float64 throughout.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from mesh_perception.types import _Batch


@dataclass
class Motion(_Batch):
    """Where N things are in D dimensions and how fast they go."""

    mean: Tensor  # (N, 2, D) place and velocity
    covariance: Tensor  # (N, 2 D, 2 D), the place's D numbers first

    @property
    def place(self) -> Tensor:
        """(N, D)."""
        return self.mean[..., 0, :]

    @property
    def velocity(self) -> Tensor:
        """(N, D) a second."""
        return self.mean[..., 1, :]

    def resting(self):
        """The same with a velocity of zero, as uncertain as it was."""
        return Motion(torch.stack((self.place, torch.zeros_like(self.place)), -2), self.covariance)


def start(place: Tensor, noise: Tensor, speed: Tensor) -> Motion:
    """From a first measurement: place (N, D), its covariance (N, D, D), and the standard deviation (N, D) of the
    velocity, which is unknown and zero on average."""
    place = place.double()
    n, d = place.shape
    covariance = place.new_zeros(n, 2 * d, 2 * d)
    covariance[:, :d, :d] = noise
    covariance[:, d:, d:] = torch.diag_embed(speed.double().square())
    return Motion(torch.stack((place, torch.zeros_like(place)), 1), covariance)


def predict(motion: Motion, step: float, intensity: Tensor) -> Motion:
    """`step` seconds later; intensity (N, D): q of each dimension's acceleration."""
    d = motion.mean.shape[-1]
    mean = torch.stack((motion.place + step * motion.velocity, motion.velocity), 1)
    turn = torch.eye(2 * d, dtype=mean.dtype, device=mean.device)
    turn[:d, d:] = step * turn[:d, :d]
    q = torch.diag_embed(intensity.double())
    top = torch.cat((step**3 / 3 * q, step**2 / 2 * q), -1)
    bottom = torch.cat((step**2 / 2 * q, step * q), -1)
    return Motion(mean, turn @ motion.covariance @ turn.T + torch.cat((top, bottom), -2))


def correct(motion: Motion, measured: Tensor, noise: Tensor) -> Motion:
    """With measured places (N, D) of covariance (N, D, D). In Joseph's form: the covariance stays one."""
    d = measured.shape[-1]
    gain = torch.linalg.solve(motion.covariance[:, :d, :d] + noise, motion.covariance[:, :d]).mT  # (N, 2 D, D)
    change = (gain @ (measured - motion.place)[..., None])[..., 0]
    keep = torch.eye(2 * d, dtype=gain.dtype, device=gain.device).repeat(len(gain), 1, 1)
    keep[:, :, :d] -= gain
    covariance = keep @ motion.covariance @ keep.mT + gain @ noise @ gain.mT
    return Motion(motion.mean + change.unflatten(-1, (2, d)), covariance)


def surprise(motion: Motion, measured: Tensor, noise: Tensor) -> Tensor:
    """How unlikely measured places (..., D) of covariance (..., D, D) are for predictions: squared Mahalanobis
    distances (...); leading dimensions broadcast. Of what belongs together: chi-square with D degrees of freedom."""
    d = measured.shape[-1]
    apart = measured - motion.place
    covariance = motion.covariance[..., :d, :d] + noise
    return (apart * torch.linalg.solve(covariance, apart[..., None])[..., 0]).sum(-1)
