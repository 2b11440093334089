"""The figures of 3DPW's protocols, one value a person; the challenge's own are worked out here."""

import math

import torch
from torch import Tensor

from mesh_perception.evaluation.alignment import similarity_align
from mesh_perception.evaluation.metrics import (
    mean,
    mpjpe_mm,
    mve_mm,
    normalized_error_mm,
    pa_mpjpe_mm,
    position_errors_mm,
)
from mesh_perception.evaluation.threedpw.protocols import Points
from mesh_perception.joints import SMPL_LIMBS

# Figure: its name in tables. Higher is better for the shares, in percent.
NAMES = {
    'mpjpe_mm': 'MPJPE',
    'pa_mpjpe_mm': 'PA-MPJPE',
    'pve_mm': 'PVE',
    'pck_50mm': 'PCK@50',
    'auc_200mm': 'AUC',
    'mpjae_deg': 'MPJAE',
    'pa_mpjae_deg': 'PA-MPJAE',
}
SHARES = ('pck_50mm', 'auc_200mm')


def person_errors(predicted: Points, truth: Points) -> dict[str, Tensor]:
    """Each figure (N,) that the points allow, float64: mm, degrees, percent."""
    joints = predicted.joints, truth.joints
    errors = {
        'mpjpe_mm': mpjpe_mm(*joints, predicted.roots, truth.roots),
        'pa_mpjpe_mm': pa_mpjpe_mm(*joints),
    }
    if truth.vertices is not None:
        errors['pve_mm'] = mve_mm(predicted.vertices, truth.vertices, predicted.vertex_roots, truth.vertex_roots)
    if truth.turns is not None:
        limbs = joint_errors(predicted, truth)[:, sorted(SMPL_LIMBS)]
        errors['pck_50mm'] = 100 * (limbs <= 50).double().mean(-1)
        errors['auc_200mm'] = 100 * challenge_auc(limbs)
        errors['mpjae_deg'] = angles_deg(predicted.turns, truth.turns).mean(-1)
        turn = procrustes_rotation(*joints)[:, None]
        errors['pa_mpjae_deg'] = angles_deg(turn @ predicted.turns.double(), truth.turns).mean(-1)
    return errors


def joint_errors(predicted: Points, truth: Points) -> Tensor:
    """Distances (N, J) mm of the joints with their roots at the origin."""
    return position_errors_mm(predicted.joints, truth.joints, predicted.roots, truth.roots)


def challenge_auc(errors_mm: Tensor) -> Tensor:
    """Area under the share of errors (..., P) mm that are at most t, over t = 0 to 199 mm by trapezoids -> (...).

    The challenge's code says 200, and stops one short of it.
    """
    thresholds = torch.arange(200, dtype=torch.float64, device=errors_mm.device)
    shares = (errors_mm[..., None] <= thresholds).double().mean(-2)
    return torch.trapezoid(shares, thresholds) / thresholds[-1]


def angles_deg(predicted: Tensor, truth: Tensor) -> Tensor:
    """Angles (...) in degrees between rotations (..., 3, 3)."""
    # 2 sqrt(2) sin(angle / 2) is the distance of the matrices: exact for small angles, where the trace is not.
    distances = torch.linalg.matrix_norm(predicted.double() - truth.double())
    return torch.rad2deg(2 * torch.asin((distances / math.sqrt(8)).clamp_max(1)))


def procrustes_rotation(predicted: Tensor, truth: Tensor) -> Tensor:
    """The rotations (N, 3, 3) of `similarity_align` of joints (N, J, 3): where it takes the axes that go along."""
    origin = predicted[:, :1].double()
    marks = torch.cat((origin, origin + torch.eye(3, dtype=origin.dtype, device=origin.device)), 1)
    moved = similarity_align(
        torch.cat((predicted.double(), marks), 1),
        torch.cat((truth.double(), torch.full_like(marks, torch.nan)), 1),
    )[:, -4:]
    axes = moved[:, 1:] - moved[:, :1]
    return (axes / axes.norm(dim=-1, keepdim=True)).mT


def summarize(detail: list[dict]) -> tuple[dict, dict, float]:
    """Means over those found, means that missed people spoil, and the share of found people, of rows of `Scores`.

    In the second, shares count a missed person as 0, and errors are divided by F1 as AGORA's are. 3DPW does not label
    everybody in its pictures: a prediction too many cannot be told, and F1 = 2 recall / (1 + recall).
    """
    found = [row for row in detail if row['found']]
    share = len(found) / len(detail)
    f1 = 2 * share / (1 + share)
    names = [name for name in NAMES if found and name in found[0]]
    matched = {name: float(mean(torch.tensor([row[name] for row in found], dtype=torch.float64))) for name in names}
    fair = {
        name: value * share if name in SHARES else float(normalized_error_mm(value, f1))
        for name, value in matched.items()
    }
    return matched, fair, share
