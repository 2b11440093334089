"""The paper's losses, Eq. 6 to 15 (Sec. 3.4), as plain functions: one value a sample, then `masked_mean`.

Norms are the equations' own: sums over joints and coordinates, not means. Metres for 3D, crop coordinates in [-1, 1]
for images, 6D rotations for the pose, as the paper's Sec. 3.2 has it. A sample's unlabelled joints are masked and count
nothing, and what their truth holds does not matter (NaN is fine); gradients stay finite where a difference is zero.
Everything works in the inputs' dtype.
"""

import torch
from torch import Tensor


def masked_mean(values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean of values (N,) over samples with a label, mask (N,) bool; zero where no sample has one -> scalar."""
    if mask is None:
        return values.sum() / max(len(values), 1)
    return torch.where(mask, values, 0).sum() / mask.sum().clamp_min(1)


def orthographic(points: Tensor, camera: Tensor) -> Tensor:
    """Pi of Eq. 7 and 13: points (N, J, 3) m, root-relative, with camera (N, 3) s, tx, ty -> (N, J, 2) in [-1, 1]."""
    return camera[:, None, :1] * (points[..., :2] + camera[:, None, 1:])


def skeleton_losses(
    absolute: Tensor,
    relative: Tensor,
    image: Tensor,
    projected: Tensor,
    true_absolute: Tensor,
    true_relative: Tensor,
    true_image: Tensor,
    mask: Tensor | None = None,
) -> dict[str, Tensor]:
    """The four terms of Eq. 7 by name, each (N,): L1 norms.

    Args: absolute, relative (N, J, 3) m; image, projected (N, J, 2) in crop coordinates, the second being
    `orthographic` of the relative joints; the truth of each alike; mask (N, J) bool, which joints are labelled.
    """
    return {
        'absolute': _l1(absolute, true_absolute, mask),
        'relative': _l1(relative, true_relative, mask),
        'image': _l1(image, true_image, mask),
        'projected': _l1(projected, true_image, mask),
    }


def twist_loss(twists: Tensor, truth: Tensor, mask: Tensor | None = None) -> Tensor:
    """Eq. 9: mean over the labelled joints of the distance between (cos, sin) pairs (N, K, 2) -> (N,).

    mask (N, K) bool; a sample with no label gives zero.
    """
    distances = _difference(twists, truth, mask).norm(dim=-1)
    if mask is None:
        return distances.mean(-1)
    return distances.sum(-1) / mask.sum(-1).clamp_min(1)


def shape_loss(betas: Tensor, truth: Tensor) -> Tensor:
    """Eq. 10: distance between shapes (N, B) -> (N,)."""
    return (betas - truth).norm(dim=-1)


def mesh_losses(sixd: Tensor, betas: Tensor, true_sixd: Tensor, true_betas: Tensor) -> dict[str, Tensor]:
    """The two terms of Eq. 12 by name, each (N,): distances between poses (N, 24, 6) and shapes (N, B)."""
    return {'pose': (sixd - true_sixd).flatten(1).norm(dim=-1), 'shape': shape_loss(betas, true_betas)}


def pose_losses(
    joints: Tensor, projected: Tensor, true_relative: Tensor, true_image: Tensor, mask: Tensor | None = None
) -> dict[str, Tensor]:
    """The two terms of Eq. 13 by name, each (N,): squared distances of P_ref (N, J, 3) m, root-relative, and of its
    orthographic projection (N, J, 2) in crop coordinates."""
    return {
        'joints': _difference(joints, true_relative, mask).square().sum((-2, -1)),
        'projection': _difference(projected, true_image, mask).square().sum((-2, -1)),
    }


def discriminator_loss(fake: Tensor, real: Tensor) -> Tensor:
    """One discriminator's part of Eq. 14 (LSGAN): its outputs (N, D) for estimates should be 0, (M, D) for real
    samples 1 -> scalar."""
    return fake.square().sum(-1).mean() + (real - 1).square().sum(-1).mean()


def generator_loss(fake: Tensor) -> Tensor:
    """One discriminator's part of Eq. 15: its outputs (N, D) for estimates should be 1 -> (N,)."""
    return (fake - 1).square().sum(-1)


def _difference(predicted, truth, mask):
    difference = predicted - truth
    return difference if mask is None else torch.where(mask[..., None], difference, 0)


def _l1(predicted, truth, mask):
    return _difference(predicted, truth, mask).abs().sum((-2, -1))
