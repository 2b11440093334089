"""The benchmark's figures: of every frame of one person in one camera, and means over many."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mesh_perception.evaluation.metrics import mpjpe_mm, pa_mpjpe_mm, position_errors_mm
from mesh_perception.evaluation.multiview.bootstrap import mean_interval
from mesh_perception.evaluation.multiview.joints import keypoints, limb_lengths, mid_hip


@dataclass
class Figures:
    """Of T frames; NaN where the person was not found, or the reference does not know: such frames are in no mean.

    Root: mid-hip. Along and across: relative to the ray from the camera to the reference's root; along is positive
    where the person was put too far away. Percent: of the reference's distance. Jitter: the mean over the 12 points of
    |x(t+1) - 2 x(t) + x(t-1)|, x relative to the root, in mm; of the root: the same of the root alone.
    """

    joints_mm: Tensor  # (T, 12) errors of the points, roots at the origin
    mpjpe_mm: Tensor  # (T,)
    pa_mpjpe_mm: Tensor  # (T,)
    absolute_mpjpe_mm: Tensor  # (T,) nothing aligned
    along_m: Tensor  # (T,) signed
    across_m: Tensor  # (T,)
    distance_m: Tensor  # (T,) of the reference's root
    size: Tensor  # (T,) length of arms and legs over the reference's
    jitter_mm: Tensor  # (T,)
    root_jitter_mm: Tensor  # (T,)
    reference_jitter_mm: Tensor  # (T,)
    found: Tensor  # (T,) 1 or 0; NaN where the frame does not count
    id_switches: int  # how often a person that was found again, or still, had another id than before


def figures(pair) -> Figures:
    """Figures of a Pair."""
    return compare(keypoints(pair.joints), pair.truth, pair.counts, pair.track_ids)


def compare(points: Tensor, truth: Tensor, counts: Tensor, track_ids: Tensor) -> Figures:
    """Keypoints (T, 12, 3) m against the reference's (T, 12, 3), NaN where that is unknown: Figures.

    counts (T,) bool: frames in which the reference knows the person; track_ids (T,) int64, -1 where nobody was found.
    """
    points, truth = points.double(), truth.double()
    found = counts & (track_ids >= 0)
    roots, true_roots = mid_hip(points), mid_hip(truth)

    def where_found(values):
        return values.where(found.reshape(-1, *[1] * (values.dim() - 1)), torch.nan)

    distance = true_roots.norm(dim=-1)
    off = roots - true_roots
    along = (off * true_roots).sum(-1) / distance
    across = (off - along[:, None] * true_roots / distance[:, None]).norm(dim=-1)
    lengths, true_lengths = limb_lengths(points), limb_lengths(truth)
    size = lengths.where(true_lengths.isfinite(), 0).sum(-1) / true_lengths.nansum(-1)
    relative = where_found(points - roots[:, None])
    ids = track_ids[found]
    return Figures(
        joints_mm=where_found(position_errors_mm(points, truth, roots, true_roots)),
        mpjpe_mm=where_found(mpjpe_mm(points, truth, roots, true_roots)),
        pa_mpjpe_mm=where_found(pa_mpjpe_mm(points, truth)),
        absolute_mpjpe_mm=where_found(mpjpe_mm(points, truth)),
        along_m=where_found(along),
        across_m=where_found(across),
        distance_m=where_found(distance),
        size=where_found(size),
        jitter_mm=jitter_mm(relative),
        root_jitter_mm=jitter_mm(where_found(roots)[:, None]),
        reference_jitter_mm=jitter_mm(truth - true_roots[:, None]),
        found=found.double().where(counts, torch.nan),
        id_switches=int((ids[1:] != ids[:-1]).sum()),
    )


def jitter_mm(points: Tensor) -> Tensor:
    """Mean length of the second differences of points (T, P, 3) m -> (T,) mm, of the middle frame of three.

    NaN at both ends, and where one of the three frames lacks all points; points that are not finite do not count.
    """
    lengths = 1e3 * (points[2:] - 2 * points[1:-1] + points[:-2]).norm(dim=-1)
    ends = points.new_full((min(len(points), 1),), torch.nan)
    return torch.cat((ends, lengths.nanmean(-1), ends))[: len(points)]


# What is printed: name -> values (T,) of a frame. Means are over all frames that have one.
PER_FRAME = {
    'mpjpe_mm': lambda f: f.mpjpe_mm,
    'pa_mpjpe_mm': lambda f: f.pa_mpjpe_mm,
    'depth_error_m': lambda f: f.along_m.abs(),
    'jitter_mm': lambda f: f.jitter_mm,
    'found': lambda f: f.found,
    'depth_error_percent': lambda f: 100 * f.along_m.abs() / f.distance_m,
    'depth_bias_m': lambda f: f.along_m,
    'size': lambda f: f.size,
    'across_error_m': lambda f: f.across_m,
    'across_error_percent': lambda f: 100 * f.across_m / f.distance_m,
    'absolute_mpjpe_mm': lambda f: f.absolute_mpjpe_mm,
    'root_jitter_mm': lambda f: f.root_jitter_mm,
    'reference_jitter_mm': lambda f: f.reference_jitter_mm,
}


def means(of: list[Figures]) -> dict[str, float]:
    """Means of several Figures, each frame alike, and `id_switches`, their sum."""
    result = {name: float(torch.cat([values(one) for one in of]).nanmean()) for name, values in PER_FRAME.items()}
    return result | {'id_switches': sum(one.id_switches for one in of)}


def intervals(of: list[Figures], block: int) -> dict[str, tuple[float, float]]:
    """95 % intervals of `means`: people and cameras of one scene, whose frames were taken together."""
    return {
        name: mean_interval(torch.stack([values(one) for one in of], 1), block) for name, values in PER_FRAME.items()
    }
