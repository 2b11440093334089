"""Swings and twists of bones: the two turns that a joint's rotation is made of (the paper's Eq. 1-4)."""

import torch
from torch import Tensor

_SHORTEST = 1e-9  # m, or without unit: shorter vectors have no direction
_OPPOSITE = 1e-7  # rad: nearer to pi than this, a swing's axis is noise


class Swings:
    """The shortest turns of fixed bones (N, J, 3), of any length, onto targets: Eq. 1 and 2.

    With a and b the directions of bone and target and h halfway between them, the Rodrigues formula about a x b equals
    the mirror image in the plane across a followed by the one in the plane across h: no angle, no division by its sine,
    and exact up to swings of pi. There, any h perpendicular to the bone will do; if bone or target has no length
    the swing is the identity. Value and gradient are always finite.
    """

    def __init__(self, bones: Tensor):
        length = bones.square().sum(-1, keepdim=True)
        self._known = length > _SHORTEST**2
        x_axis = torch.zeros_like(bones)
        x_axis[..., 0] = 1
        self._unit = torch.where(self._known, bones / torch.where(self._known, length, 1).sqrt(), x_axis)
        self._mirror = _mirror(self._unit, torch.ones_like(length))
        x, y, z = self._unit.detach().unbind(-1)
        zero = torch.zeros_like(x)
        self._perpendicular = torch.where(
            z.abs()[..., None] < 0.7, torch.stack([-y, x, zero], -1), torch.stack([zero, -z, y], -1)
        )

    def onto(self, targets: Tensor, joints: slice = slice(None)) -> Tensor:
        """Swings (N, k, 3, 3) of these joints' bones into the directions of `targets` (N, k, 3)."""
        unit = self._unit[:, joints]
        length = targets.square().sum(-1, keepdim=True)
        known = self._known[:, joints] & (length > _SHORTEST**2)
        halfway = unit + torch.where(known, targets / torch.where(known, length, 1).sqrt(), unit)
        square = halfway.square().sum(-1, keepdim=True)
        opposite = square < _OPPOSITE**2
        halfway = torch.where(opposite, self._perpendicular[:, joints], halfway)
        square = torch.where(opposite, halfway.square().sum(-1, keepdim=True), square)
        return _mirror(halfway, square) @ self._mirror[:, joints]


def twist_matrices(axes: Tensor, twists: Tensor) -> Tensor:
    """Turns (..., 3, 3) about unit axes (..., 3) by angles given as (..., 2) cosine and sine: Eq. 3.

    An axis of no length gives the identity.
    """
    cosine, sine = unit_circle(twists)[..., None, None, :].unbind(-1)
    identity = torch.eye(3, dtype=axes.dtype, device=axes.device)
    cross = torch.linalg.cross(identity.expand(*axes.shape, 3), axes[..., None, :])
    return identity + sine * cross + (1 - cosine) * (cross @ cross)


def twists_of(axes: Tensor, rotations: Tensor) -> Tensor:
    """Cosine and sine (..., 2) of what is left of rotations (..., 3, 3) without the swings of unit axes (..., 3).

    An axis of no length has no twist: (1, 0). For swings of pi the twist is the one that goes with `Swings`.
    """
    twist = Swings(axes).onto(apply(rotations, axes)).mT @ rotations
    vector = torch.stack(
        [twist[..., 2, 1] - twist[..., 1, 2], twist[..., 0, 2] - twist[..., 2, 0], twist[..., 1, 0] - twist[..., 0, 1]],
        dim=-1,
    )
    sine = (axes * vector).sum(-1)
    cosine = torch.where(axes.square().sum(-1) > 0.5, twist.diagonal(dim1=-2, dim2=-1).sum(-1) - 1, 2)
    return unit_circle(torch.stack([cosine, sine], -1))


def unit_circle(vectors: Tensor) -> Tensor:
    """(..., 2) at unit length; (1, 0) where there is no direction."""
    square = vectors.square().sum(-1, keepdim=True)
    known = square > _SHORTEST**2
    none = torch.zeros_like(vectors)
    none[..., 0] = 1
    return torch.where(known, vectors / torch.where(known, square, 1).sqrt(), none)


def directions(vectors: Tensor) -> Tensor:
    """(..., 3) at unit length; those shorter than a nanometre stay as good as zero."""
    return vectors / lengths(vectors)


def lengths(vectors: Tensor) -> Tensor:
    """(..., 1), at least a nanometre, so that dividing by it is finite."""
    return vectors.square().sum(-1, keepdim=True).clamp_min(_SHORTEST**2).sqrt()


def apply(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Matrices (..., 3, 3) times vectors (..., 3)."""
    return (matrices @ vectors[..., None])[..., 0]


def _mirror(normals: Tensor, squares: Tensor) -> Tensor:
    """The mirror images (..., 3, 3) in the planes across normals (..., 3) of these squared lengths (..., 1)."""
    identity = torch.eye(3, dtype=normals.dtype, device=normals.device)
    return identity - (normals * (2 / squares))[..., None] * normals[..., None, :]
