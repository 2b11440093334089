"""What is taken out of a predicted pose before it is compared: size and orientation, or the bones' lengths."""

import torch
from torch import Tensor


def check_shapes(predicted: Tensor, truth: Tensor, valid: Tensor | None, width: int):
    """Raises ValueError unless both are (..., P, width) alike and `valid` is (..., P) bool or None."""
    if predicted.shape != truth.shape or predicted.dim() < 2 or predicted.shape[-1] != width:
        raise ValueError(
            f'predicted {tuple(predicted.shape)} and truth {tuple(truth.shape)}: expected the same shape '
            f'(..., points, {width})'
        )
    if valid is not None and (valid.shape != predicted.shape[:-1] or valid.dtype != torch.bool):
        raise ValueError(
            f'valid {tuple(valid.shape)} {valid.dtype}: expected {tuple(predicted.shape[:-1])} of torch.bool'
        )


def known(truth: Tensor, valid: Tensor | None) -> Tensor:
    """Which points (..., P) bool of truth (..., P, D) count: those marked valid whose coordinates are finite."""
    finite = truth.isfinite().all(-1)
    return finite if valid is None else finite & valid


def similarity_align(predicted: Tensor, truth: Tensor, valid: Tensor | None = None) -> Tensor:
    """Predicted points moved, turned and scaled onto the true ones, with the least sum of squared distances.

    Umeyama 1991 (Eq. 34-43): the rotation's determinant is +1, so a mirrored pose stays wrong. Each sample is fitted by
    itself, whatever the batch's size.

    predicted, truth: (..., P, 3) in one unit; valid: (..., P) bool, the points to fit (None: all). Points of the truth
    that are not finite are left out of the fit. -> (..., P, 3) float64, all points moved; NaN for a sample with no
    point to fit or with a predicted point among them that is not finite. If all predicted points coincide, the scale
    is 1.

    Raises ValueError for shapes that do not fit.
    """
    check_shapes(predicted, truth, valid, 3)
    predicted, truth = predicted.double(), truth.double()
    used = known(truth, valid)[..., None]
    weight = used.double()
    count = weight.sum(-2, keepdim=True)
    fitted = predicted.where(used, 0)
    broken = ~fitted.isfinite().all(-1, keepdim=True).all(-2, keepdim=True) | (count == 0)
    # One value that is not finite would fail the decomposition of the whole batch.
    fitted, target = fitted.where(~broken, 0), truth.where(used & ~broken, 0)
    center = fitted.sum(-2, keepdim=True) / count.clamp_min(1)
    target_center = target.sum(-2, keepdim=True) / count.clamp_min(1)
    spread = (fitted - center) * weight
    u, singular, vh = torch.linalg.svd((target - target_center).mT @ spread)
    signs = torch.ones_like(singular)
    signs[..., 2] = torch.where(torch.linalg.det(u @ vh) < 0, -1.0, 1.0)
    rotation = (u * signs[..., None, :]) @ vh
    variance = spread.square().sum((-2, -1))
    scale = torch.where(variance > 0, (singular * signs).sum(-1) / variance.where(variance > 0, 1), 1.0)
    aligned = scale[..., None, None] * ((predicted - center) @ rotation.mT) + target_center
    return aligned.where(~broken, torch.nan)


def rescale_bones(predicted: Tensor, truth: Tensor, parents: tuple[int, ...]) -> Tensor:
    """The predicted pose with each bone as long as the true one: directions kept, the root where it was.

    MuPoTS-3D's normalisation (Mehta et al. 2018): on its universal skeletons only the pose is compared.

    predicted, truth: (..., J, 3); parents: J indices, -1 at the one root, in any order. -> (..., J, 3) float64. A
    predicted bone of length zero has no direction: its joint and all after it are NaN.

    Raises ValueError for shapes that do not fit and for parents that are no tree.
    """
    check_shapes(predicted, truth, None, 3)
    predicted, truth = predicted.double(), truth.double()
    joints = range(predicted.shape[-2])
    done = [joint for joint in joints if parents[joint] < 0] if len(parents) == len(joints) else []
    placed = {joint: predicted[..., joint, :] for joint in done}
    for parent in done:  # grows as children are reached
        for joint in joints:
            if parents[joint] == parent:
                bone = predicted[..., joint, :] - predicted[..., parent, :]
                length = (truth[..., joint, :] - truth[..., parent, :]).norm(dim=-1, keepdim=True)
                placed[joint] = placed[parent] + bone * (length / bone.norm(dim=-1, keepdim=True))
                done.append(joint)
    if len(placed) != len(joints) or sum(parent < 0 for parent in parents) != 1:
        raise ValueError(f'parents {parents}: expected a tree over {len(joints)} joints with one root')
    return torch.stack([placed[joint] for joint in joints], -2)
