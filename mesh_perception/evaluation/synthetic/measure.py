"""One scene's truth against what the pipeline says about its picture: a row of figures a person."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mesh_perception.evaluation.alignment import similarity_align
from mesh_perception.evaluation.matching import match_least_total, mean_distances
from mesh_perception.evaluation.metrics import auc, mpjpe_mm, mve_mm, pa_mpjpe_mm, pck, pck_2d, position_errors_mm
from mesh_perception.joints import SMPL_JOINTS, SMPL_MIRROR
from mesh_perception.synthetic.labels import Labels
from mesh_perception.synthetic.scene import Scene

LIMIT = 0.25  # mean 2D distance over the diagonal of the true joints' box, from which nobody is the same person
LEAST_VISIBLE = 0.1  # share of a silhouette from which a person must be found
PCK_MM = 150.0
PCK_2D = 0.2  # of the torso
_NECK = SMPL_JOINTS.index('neck')


@dataclass
class Shot:
    """A scene, its picture (uint8 RGB) and its truth."""

    name: str
    scene: Scene
    picture: np.ndarray
    labels: Labels


@dataclass
class Measured:
    """One scene's figures, T true people."""

    rows: list[dict]  # T, see `measure`
    match: Tensor  # (T,) int64, the prediction of each, -1 for none
    false_positives: int
    joint_errors: Tensor  # (T, 24) mm, root at the origin; NaN without a match
    aligned_errors: Tensor  # (T, 24) mm, after similarity alignment


def match_people(shot: Shot, joints_2d: Tensor) -> Tensor:
    """The match (T,) with the least total of mean 2D distances, over the true joints inside the image, from predicted
    joints (P, 24, 2) px, relative to the person's size; pairs over LIMIT stay apart."""
    truth = shot.labels.joints_2d
    size = (truth.amax(1) - truth.amin(1)).norm(dim=-1)
    distances = mean_distances(truth, joints_2d, inside_image(shot)) / size[:, None].double()
    return match_least_total(distances, LIMIT)


def inside_image(shot: Shot) -> Tensor:
    """Which true joints (T, 24) are inside the image."""
    camera, pixels = shot.scene.camera, shot.labels.joints_2d
    limits = pixels.new_tensor((camera.width, camera.height)) - 0.5
    return ((pixels >= -0.5) & (pixels < limits)).all(-1) & (shot.scene.joints[..., 2] > 0)


def measure(shot: Shot, people, vertices: Tensor, match: Tensor) -> Measured:
    """Figures of a scene's T people. people: People (P) with vertices (P, V, 3) m; match (T,).

    A row holds what describes the person (`counted`: enough is seen to ask for it) and, where matched, the errors:
    24 kinematic joints and all vertices with the pelvis at the origin; the pelvis along the true viewing ray (positive:
    too far) and across it; `swapped`: with left and right exchanged the pose would fit better.
    """
    scene, labels = shot.scene, shot.labels
    has = match >= 0
    found = people[match[has]]
    truth, predicted = scene.joints[has], found.joints
    roots = predicted[:, 0], truth[:, 0]
    errors = position_errors_mm(predicted, truth, *roots)
    aligned = position_errors_mm(similarity_align(predicted, truth), truth.double())
    exchanged = mpjpe_mm(predicted[:, SMPL_MIRROR], truth, *roots)
    ray = truth[:, 0].double() / truth[:, 0].double().norm(dim=-1, keepdim=True)
    offset = (predicted[:, 0] - truth[:, 0]).double()
    along = (offset * ray).sum(-1)
    torso = (truth[:, _NECK] - truth[:, 0]).norm(dim=-1) * float(scene.camera.k[0, 0]) / truth[:, 0, 2]
    inside = inside_image(shot)[has]
    columns = {
        'score': found.scores,
        'mpjpe_mm': mpjpe_mm(predicted, truth, *roots),
        'pa_mpjpe_mm': pa_mpjpe_mm(predicted, truth),
        'mve_mm': mve_mm(vertices[match[has]], scene.vertices[has], *roots),
        'pck_3d': pck(errors, PCK_MM),
        'auc': auc(errors),
        'root_error_m': offset.norm(dim=-1),
        'depth_error_m': along,
        'depth_error_percent': 100 * along / truth[:, 0].double().norm(dim=-1),
        'across_error_m': (offset - along[:, None] * ray).norm(dim=-1),
        'pck_2d': pck_2d(found.joints_2d, labels.joints_2d[has], torso, inside, PCK_2D),
        'error_2d_px': mean_distances_of_pairs(found.joints_2d, labels.joints_2d[has], inside),
        'swapped': (exchanged < errors.mean(-1)).double(),
    }
    rows, k = _descriptions(shot), 0
    for row, matched in zip(rows, has.tolist(), strict=True):
        row['found'] = int(matched)
        row |= {name: float(values[k]) if matched else float('nan') for name, values in columns.items()}
        k += matched
    spread = torch.full((2, len(has), errors.shape[-1]), float('nan'), dtype=torch.float64)
    spread[0, has], spread[1, has] = errors, aligned
    return Measured(rows, match, len(people) - int(has.sum()), *spread)


def mean_distances_of_pairs(predicted: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    """Mean distances (N,) px of joints (N, J, 2) over valid (N, J) ones."""
    return ((predicted - truth).double().norm(dim=-1) * valid).sum(-1) / valid.sum(-1)


def _descriptions(shot):
    scene, labels = shot.scene, shot.labels
    together = (scene.groups[:, None] == scene.groups[None]).sum(1)
    return [
        {
            'scene': shot.name,
            'person': person,
            'people': len(scene.joints),
            'group': int(together[person]),
            'touching': int(scene.touching[person].any()),
            'visibility': float(labels.visibility[person]),
            'truncation': float(labels.truncation[person]),
            'overlap': float(labels.overlap[person]),
            'distance_m': float(labels.distances[person]),
            'counted': int(labels.visibility[person] >= LEAST_VISIBLE),
        }
        for person in range(len(scene.joints))
    ]
