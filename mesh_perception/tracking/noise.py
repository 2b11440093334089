"""How exact what is seen is, and how people move: the numbers of the tracker's filters.

Measured on the demo footage (12 tracks of 100 frames at 60 Hz, people 2.3 to 4.5 m away) against what three other
cameras see. The root's error, in percent of the distance: along the viewing ray 2.5 (1.5 to 5), of which 0.6 change
from frame to frame; the rest lasts, its correlation falls to 1/e within 0.13 s. Across the ray 0.06 change from frame
to frame; the other 0.4 hang together with the pose and do not look like motion.
"""

import torch
from torch import Tensor

ALONG = 0.025  # standard deviation along the ray, of the distance
LASTS = 0.13  # s after which an error along the ray has fallen to 1/e
ACROSS = 0.003  # the same across the ray
ACCELERATION = 1.0  # m^2/s^3, intensity of people's acceleration: after 1 s a velocity is unknown by 1 m/s
SPEED = 1.0  # m/s, standard deviation of the velocity of somebody who was just found

BOX_CENTER = 0.05  # standard deviation of the box's middle, of its diagonal
BOX_SIZE = (0.25, 0.12)  # of the logarithms of its width and height: limbs swing
BODY = 1.8  # m, what a box's diagonal is taken for where metres a second become pixels
RESIZING = 0.1  # 1/s^3, intensity of the logarithms' acceleration


def root_noise(roots: Tensor, certainty: Tensor, step: Tensor | None = None) -> Tensor:
    """Covariances (N, 3, 3) m^2 of roots (N, 3) m, long along the ray, thin across.

    certainty: (N,) in [0, 1], the share of the body that was seen: of half a body depth is twice as uncertain. step:
    (N,) s since the measurement before, if there is one. Errors that last (an AR(1) process) then count as white ones
    of the same effect over time: more, the more often they repeat.
    """
    roots = roots.double()
    square = (roots * roots).sum(-1)[:, None, None].clamp_min(1e-4)
    ray = roots[:, :, None] * roots[:, None] / square
    kept = 0.0 if step is None else torch.exp(-step / LASTS).clamp_max(0.99)
    along = (ALONG / certainty.double().clamp(0.1, 1)).square() * (1 + kept) / (1 - kept)
    eye = torch.eye(3, dtype=roots.dtype)
    return square * (along[:, None, None] * ray + ACROSS**2 * (eye - ray) + 1e-9 * eye)


def root_intensity(roots: Tensor) -> Tensor:
    """(N, 3) m^2/s^3 for roots (N, 3)."""
    return torch.full_like(roots, ACCELERATION, dtype=torch.float64)


def root_speed(roots: Tensor) -> Tensor:
    """(N, 3) m/s, standard deviation of a velocity that nothing is known of, for roots (N, 3)."""
    return torch.full_like(roots, SPEED, dtype=torch.float64)


def box_state(boxes: Tensor) -> Tensor:
    """Boxes (N, 4) px as what is filtered (N, 4): the middle in px, and the logarithms of width and height."""
    boxes = boxes.double()
    return torch.cat(((boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]).clamp_min(1).log()), -1)


def box_noise(boxes: Tensor) -> Tensor:
    """Covariances (N, 4, 4) of `box_state`."""
    size = _diagonal(boxes)
    center, limbs = (BOX_CENTER * size)[:, None].expand(-1, 2), size.new_tensor(BOX_SIZE).expand(len(size), 2)
    return torch.diag_embed(torch.cat((center, limbs), 1).square())


def box_intensity(boxes: Tensor) -> Tensor:
    """(N, 4) of `box_state` a second^3."""
    size = _diagonal(boxes)
    return _pairs(ACCELERATION * (size / BODY).square(), torch.full_like(size, RESIZING))


def box_speed(boxes: Tensor) -> Tensor:
    """(N, 4) of `box_state` a second, standard deviation of what nothing is known of."""
    size = _diagonal(boxes)
    return _pairs(SPEED * size / BODY, torch.full_like(size, 0.3))


def _diagonal(boxes):
    return (boxes[:, 2:] - boxes[:, :2]).double().norm(dim=-1).clamp_min(1)


def _pairs(center, size):
    return torch.stack((center, center, size, size), -1)
