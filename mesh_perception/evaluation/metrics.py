"""The figures of the field's tables, as batched functions: one value a sample, then `mean` over the samples.

Positions come in metres (2D: pixels); names that end in _mm give millimetres; PCK, AUC, precision, recall and F1 are
fractions in [0, 1]. Everything is computed and returned in float64 on the inputs' device.

What is missing, the same everywhere:
- A point whose truth is not finite or not marked valid does not count.
- A prediction that is not finite where the truth is known is infinitely wrong: wrong for PCK and AUC, infinite for
  mean errors. It is never left out, so that failing does not pay; a person who was missed can be given as NaN.
- A sample without a point that counts is NaN, and `mean` leaves it out; `mean` of nothing is NaN.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from mesh_perception.evaluation.alignment import check_shapes, known, similarity_align


def mean(values: Tensor) -> Tensor:
    """Mean of per-sample values (any shape) that are defined -> scalar; NaN if none is.

    Each sample counts alike, as in the field's code; where samples differ in their number of valid joints this is not
    the mean over all joints.
    """
    return values.double().nanmean()


def mean_over_points(values: Tensor, valid: Tensor | None = None) -> Tensor:
    """Means (...) of values (..., P) over points that are valid (..., P) and not NaN; NaN where there are none."""
    counts = ~values.isnan() if valid is None else ~values.isnan() & valid
    return values.where(counts, 0).sum(-1) / counts.sum(-1)


def _distances(predicted: Tensor, truth: Tensor) -> Tensor:
    predicted, truth = predicted.double(), truth.double()
    distances = (predicted - truth).norm(dim=-1).where(predicted.isfinite().all(-1), torch.inf)
    return distances.where(known(truth, None), torch.nan)


def position_errors_mm(
    predicted: Tensor, truth: Tensor, predicted_roots: Tensor | None = None, truth_roots: Tensor | None = None
) -> Tensor:
    """Distances between predicted and true points (..., P, 3) m, joints or vertices -> (..., P) mm.

    With roots (..., 3) m, of both or of neither, each is first moved to have its root at the origin. Which point is the
    root (SMPL's joint 0, the mid-hip, a regressed pelvis) is the protocol's: they differ by about a millimetre.

    Raises ValueError for shapes that do not fit and for one root without the other.
    """
    check_shapes(predicted, truth, None, 3)
    if (predicted_roots is None) != (truth_roots is None):
        raise ValueError('roots: expected both predicted_roots and truth_roots, or neither')
    if predicted_roots is not None:
        for name, roots in (('predicted_roots', predicted_roots), ('truth_roots', truth_roots)):
            if roots.shape != (*truth.shape[:-2], 3):
                raise ValueError(f'{name} {tuple(roots.shape)}: expected {(*truth.shape[:-2], 3)}')
        predicted = predicted.double() - predicted_roots.double()[..., None, :]
        truth = truth.double() - truth_roots.double()[..., None, :]
    return 1000 * _distances(predicted, truth)


def mpjpe_mm(
    predicted: Tensor,
    truth: Tensor,
    predicted_roots: Tensor | None = None,
    truth_roots: Tensor | None = None,
    valid: Tensor | None = None,
) -> Tensor:
    """Mean per-joint position error of joints (..., J, 3) m over valid (..., J) bool ones -> (...) mm.

    Roots as in `position_errors_mm`; without them the error is absolute.
    """
    check_shapes(predicted, truth, valid, 3)
    return mean_over_points(position_errors_mm(predicted, truth, predicted_roots, truth_roots), valid)


def pa_mpjpe_mm(predicted: Tensor, truth: Tensor, valid: Tensor | None = None) -> Tensor:
    """MPJPE after `similarity_align` of each sample over its valid joints (..., J) bool -> (...) mm.

    One joint that is not finite makes its sample's error infinite: there is nothing to align.
    """
    return mpjpe_mm(similarity_align(predicted, truth, valid), truth, valid=valid)


def mve_mm(predicted: Tensor, truth: Tensor, predicted_roots: Tensor, truth_roots: Tensor) -> Tensor:
    """Mean vertex error (MVE, PVE) of vertices (..., V, 3) m with roots (..., 3) m at the origin -> (...) mm.

    The roots are of the skeletons, not of the vertices: those of the protocol's MPJPE.
    """
    return mean_over_points(position_errors_mm(predicted, truth, predicted_roots, truth_roots))


def pck(errors: Tensor, threshold: float | Tensor, valid: Tensor | None = None) -> Tensor:
    """Fraction of valid points (..., P) bool with errors (..., P) strictly below the threshold -> (...).

    threshold: in the errors' unit, a number or something that broadcasts over errors. Strictly, as the code of
    MPI-INF-3DHP and MuPoTS-3D has it: nothing is correct at threshold 0.
    """
    return mean_over_points((errors < threshold).double().where(~errors.isnan(), torch.nan), valid)


def pck_3d(
    predicted: Tensor,
    truth: Tensor,
    predicted_roots: Tensor,
    truth_roots: Tensor,
    valid: Tensor | None = None,
    threshold_mm: float = 150.0,
) -> Tensor:
    """3DPCK (Mehta et al. 2017): `pck` of joints (..., J, 3) m with roots (..., 3) m at the origin -> (...)."""
    check_shapes(predicted, truth, valid, 3)
    return pck(position_errors_mm(predicted, truth, predicted_roots, truth_roots), threshold_mm, valid)


def pck_abs(predicted: Tensor, truth: Tensor, valid: Tensor | None = None, threshold_mm: float = 150.0) -> Tensor:
    """PCK_abs: `pck` of joints (..., J, 3) m where they are in the camera's frame, not moved -> (...).

    MuPoTS-3D's evaluation of absolute poses (Moon et al. 2019) keeps the relative one's 150 mm.
    """
    check_shapes(predicted, truth, valid, 3)
    return pck(position_errors_mm(predicted, truth), threshold_mm, valid)


def auc(errors_mm: Tensor, valid: Tensor | None = None, limit_mm: float = 150.0, step_mm: float = 5.0) -> Tensor:
    """Area under the PCK curve of errors (..., P) mm: the mean of `pck` at 0, step, ..., limit -> (...).

    0 to 150 mm in steps of 5, 31 thresholds, for MPI-INF-3DHP and MuPoTS-3D; the 3DPW challenge goes to 200. As nothing
    is correct at threshold 0, perfect poses reach 30/31, not 1.
    """
    thresholds = torch.arange(0, limit_mm + step_mm / 2, step_mm, dtype=torch.float64, device=errors_mm.device)
    below = (errors_mm[..., None] < thresholds).double().mean(-1)
    return mean_over_points(below.where(~errors_mm.isnan(), torch.nan), valid)


def pck_2d(
    predicted: Tensor, truth: Tensor, sizes: Tensor, valid: Tensor | None = None, fraction: float = 0.5
) -> Tensor:
    """PCK of keypoints (..., J, 2) px: nearer than `fraction` of each person's size (...) px -> (...).

    The size is the protocol's: the head's length gives PCKh@0.5, the torso's or the box's PCK@0.2. A person whose size
    is not finite and positive does not count.
    """
    check_shapes(predicted, truth, valid, 2)
    if sizes.shape != truth.shape[:-2]:
        raise ValueError(f'sizes {tuple(sizes.shape)}: expected {tuple(truth.shape[:-2])}')
    sizes = sizes.double().where(sizes.isfinite() & (sizes > 0), torch.nan)[..., None]
    errors = _distances(predicted, truth)
    return pck(errors.where(~sizes.isnan(), torch.nan), fraction * sizes, valid)


def acceleration_error_mm(
    predicted: Tensor, truth: Tensor, valid: Tensor | None = None, frame_rate: float = 1.0
) -> Tensor:
    """Mean distance between predicted and true accelerations of one person's joints (T, J, 3) m -> (T - 2,).

    Second differences of consecutive frames (Kanazawa et al. 2019): mm/frame^2, or mm/s^2 with the frame rate in 1/s.
    A joint that is not valid (T, J) bool in one frame does not count in the three differences it is part of. Fewer than
    three frames: empty.
    """
    check_shapes(predicted, truth, valid, 3)
    counts = known(truth, valid)
    counts = counts[:-2] & counts[1:-1] & counts[2:]
    accelerations = [(p[:-2] - 2 * p[1:-1] + p[2:]) * frame_rate**2 for p in (predicted.double(), truth.double())]
    return mean_over_points(1000 * _distances(*accelerations), counts)


class DetectionScores(NamedTuple):
    """Scalars, or one value a bin; NaN where undefined."""

    precision: Tensor  # of the predicted people, how many are true: NaN without predictions
    recall: Tensor  # of the true people, how many were found: NaN without truth
    f1: Tensor  # their harmonic mean, TP / (TP + (FP + FN) / 2): NaN without either


def detection_scores(true_positives, false_positives, false_negatives) -> DetectionScores:
    """Precision, recall and F1 of counts: numbers, or tensors of one shape such as one count a bin."""
    tp, fp, fn = (
        torch.as_tensor(count, dtype=torch.float64) for count in (true_positives, false_positives, false_negatives)
    )
    return DetectionScores(tp / (tp + fp), tp / (tp + fn), tp / (tp + 0.5 * (fp + fn)))


def normalized_error_mm(error_mm, f1) -> Tensor:
    """AGORA's NMJE of an MPJPE in mm, or NMVE of an MVE: the error over the F1 score, so that misses cost, too.

    Infinite where F1 is 0. AGORA's server rounds the error to 0.1 mm and F1 to 0.01 before it divides.
    """
    error_mm, f1 = torch.as_tensor(error_mm, dtype=torch.float64), torch.as_tensor(f1, dtype=torch.float64)
    return (error_mm / f1).where(f1 != 0, torch.inf)
