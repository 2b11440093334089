"""Which predicted person is which true one, by 2D joints in one image, as each benchmark decides it.

T true people against P predicted ones; a match is (T,) int64 on the CPU: the index of each true person's prediction,
-1 for none. Ties go to the first. Where coordinates are not finite nothing matches. No people on either side: no match.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from mesh_perception.tracking.association import assign


def mean_distances(truth: Tensor, predicted: Tensor, valid: Tensor | None = None) -> Tensor:
    """Mean 2D distances (T, P) px of joints (T, J, 2) from (P, J, 2) over the valid (T, J) bool ones.

    Infinite where a true person has no valid joint, and where a prediction is not finite at one.
    """
    _check(truth, predicted)
    distances = (truth.double()[:, None] - predicted.double()[None]).norm(dim=-1)
    counts = truth.isfinite().all(-1) if valid is None else truth.isfinite().all(-1) & valid
    means = distances.where(counts[:, None], 0).sum(-1) / counts.sum(-1)[:, None]
    return means.nan_to_num(nan=torch.inf, posinf=torch.inf)


def match_least_total(distances: Tensor, limit: float) -> Tensor:
    """The match of distances (T, P) with the least total (Hungarian method); pairs at the finite limit or over it stay
    apart."""
    return assign(distances.cpu().nan_to_num(nan=limit), limit)


def match_greedy(distances: Tensor, limit: float) -> Tensor:
    """The match of distances (T, P) that takes the nearest free pair below the limit again and again."""
    match = torch.full((len(distances),), -1, dtype=torch.int64)
    distances = distances.detach().cpu().clone().nan_to_num(nan=torch.inf, posinf=torch.inf)
    while distances.numel() and distances.min() < limit:
        true, found = divmod(int(distances.argmin()), distances.shape[1])
        match[true] = found
        distances[true], distances[:, found] = torch.inf, torch.inf
    return match


def match_most_joints(
    truth: Tensor, predicted: Tensor, predicted_visible: Tensor | None = None, limit: float = 40.0
) -> Tensor:
    """MuPoTS-3D's match of its matching joints (T, J, 2) and (P, J, 2) px (neck to ankles: 1 to 13 of its 17).

    True people choose in their order: the free prediction with the most joints less than `limit` away in x and in y, at
    least one. Predicted joints that are not visible (P, J) bool do not count; without it, those at exactly (0, 0),
    which is how the benchmark marks them.
    """
    _check(truth, predicted)
    if predicted_visible is None:
        predicted_visible = (predicted != 0).any(-1)
    near = ((truth[:, None] - predicted[None]).abs() < limit).all(-1) & predicted_visible
    votes = near.sum(-1).cpu()
    match = torch.full((len(truth),), -1, dtype=torch.int64)
    for true in range(len(truth)):
        if votes.shape[1] and votes[true].max() > 0:
            match[true] = votes[true].argmax()
            votes[:, match[true]] = 0
    return match


class AgoraMatch(NamedTuple):
    """One image's match and what AGORA counts."""

    match: Tensor  # (T,) int64, -1 for none
    misses: Tensor  # (T,) bool: valid, but unmatched
    false_positives: Tensor  # (P,) bool: unmatched, also those that lie on a true person who is not valid


def match_agora(
    truth: Tensor, predicted: Tensor, valid: Tensor | None = None, least_overlap: float = 0.1
) -> AgoraMatch:
    """AGORA's match of joints (T, K, 2) and (P, L, 2) in its 3840 x 2160 px, K and L at least 24 -> AgoraMatch.

    After its published evaluation code, with what that does besides what it says:
    - Pairs are taken by ascending distance of the first 24 joints, but that is the spectral norm of the (24, 2)
      differences, not the mean of 24 distances.
    - A pair is matched if both are free and the boxes around all their joints overlap (IoU, counting both edge pixels)
      by `least_overlap` at least.
    - Each pair that overlaps less uses up one of P attempts, as a match does; with none left the rest stay apart.
    - A true person who is not valid (T,) bool takes no prediction, and is no miss; the prediction stays free for
      others, and is a false positive if it finds none.

    Raises ValueError for shapes that do not fit.
    """
    joints = 24
    if any(p.dim() != 3 or p.shape[1] < joints or p.shape[2] != 2 for p in (truth, predicted)):
        raise ValueError(
            f'truth {tuple(truth.shape)} and predicted {tuple(predicted.shape)}: expected (people, 24 or more, 2)'
        )
    truth, predicted = truth.detach().cpu().double(), predicted.detach().cpu().double()
    valid = torch.ones(len(truth), dtype=torch.bool) if valid is None else valid.cpu()
    match = torch.full((len(truth),), -1, dtype=torch.int64)
    differences = truth[:, None, :joints] - predicted[None, :, :joints]
    finite = truth.isfinite().all(-1).all(-1)[:, None] & predicted.isfinite().all(-1).all(-1)[None]
    distances = torch.linalg.matrix_norm(differences.where(finite[..., None, None], 0), 2)
    overlaps = _pixel_overlaps(truth, predicted)
    # The benchmark runs over predictions first: that decides ties.
    pairs = [divmod(index, len(truth)) for index in distances.mT.flatten().argsort(stable=True).tolist()]
    closed, taken, attempts = torch.zeros_like(valid), set(), 0
    for found, true in pairs:
        if closed.all() or attempts >= len(predicted):
            break
        if not finite[true, found]:
            continue
        overlapping = bool(overlaps[true, found] >= least_overlap)
        if overlapping and (closed[true] or found in taken):
            continue
        if not valid[true]:
            closed[true] = True
            attempts += not overlapping
        elif overlapping:
            match[true], closed[true] = found, True
            taken.add(found)
            attempts += 1
        else:
            attempts += 1
    false_positives = torch.tensor([found not in taken for found in range(len(predicted))], dtype=torch.bool)
    return AgoraMatch(match, valid & (match < 0), false_positives)


def _pixel_overlaps(truth: Tensor, predicted: Tensor) -> Tensor:
    low = torch.maximum(truth.amin(1)[:, None], predicted.amin(1)[None])
    high = torch.minimum(truth.amax(1)[:, None], predicted.amax(1)[None])
    common = (high - low + 1).clamp_min(0).prod(-1)
    areas = [(points.amax(1) - points.amin(1) + 1).prod(-1) for points in (truth, predicted)]
    return common / (areas[0][:, None] + areas[1][None] - common)


def _check(truth: Tensor, predicted: Tensor):
    if truth.dim() != 3 or predicted.dim() != 3 or truth.shape[1:] != predicted.shape[1:] or truth.shape[2] != 2:
        raise ValueError(
            f'truth {tuple(truth.shape)} and predicted {tuple(predicted.shape)}: expected (people, joints, 2) with the '
            'same joints'
        )
