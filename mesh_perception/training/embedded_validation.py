"""How good the embedded chain is while its heads train, step by step of the chain."""

from dataclasses import replace

import torch
from torch import Tensor

from mesh_perception.body import skin_joints
from mesh_perception.evaluation.metrics import mpjpe_mm, pa_mpjpe_mm
from mesh_perception.inverse_kinematics import initial_parameters
from mesh_perception.inverse_kinematics.twist_shape import parameters_from_twists
from mesh_perception.refinement import Groups, finish, inference_groups, refine
from mesh_perception.skeleton.absolute import place_body
from mesh_perception.skeleton.landmark_joints import skeletons_from_landmarks
from mesh_perception.training.cameras import PinholeBatch
from mesh_perception.training.embedded_data import Batch, Pictures
from mesh_perception.training.paper_validation import twist_degrees
from mesh_perception.types import BodyParameters, Skeletons

STAGES = ('untrained', 'head', 'twist_shape', 'refined')
OVERLAP = 0.05  # share of somebody that others cover, from which people count as close
_AT_ONCE = 32  # pictures


@torch.no_grad()
def validation_figures(task, pictures: Pictures) -> dict[str, float]:
    """Means over everybody in the pictures, over those who touch somebody or are covered by others (`_close`), and over
    the others (`_apart`); NaN where there is nobody.

    For each of STAGES, with the part of that name and those before it: mpjpe_mm, pa_mpjpe_mm, depth_percent (of the
    distance, absolute) and twist_degrees of the posed body. sigma is the root mean square of the head's joints' errors
    over what it takes them for: 1 where it is right. task: EmbeddedTask, its modules in evaluation mode.
    """
    rows = []
    for start in range(0, len(pictures), _AT_ONCE):
        rows.append(_values(task, pictures.take(range(start, min(start + _AT_ONCE, len(pictures))))))
    values = {name: torch.cat([row[name] for row in rows]) for name in rows[0]}
    close = values.pop('close')
    variance = values.pop('sigma').mean().sqrt().item()
    figures = {name: value.mean().item() for name, value in values.items()} | {'sigma': variance}
    for label, kept in (('close', close), ('apart', ~close)):
        figures |= {f'{name}_{label}': value[kept].mean().item() for name, value in values.items()}
    return figures


def placed(body, parameters: BodyParameters, skeletons: Skeletons, cameras) -> tuple[BodyParameters, Tensor]:
    """Bodies where their joints project onto the image joints, as in the pipeline, and these joints (N, 24, 3)."""
    joints = skin_joints(body, parameters.rotations, parameters.betas, parameters.translation)
    shift = place_body(joints, skeletons, cameras) - joints[:, 0]
    return replace(parameters, translation=parameters.translation + shift), joints + shift[:, None]


def groups_by_picture(roots: Tensor, pictures: Tensor, size: int) -> Groups:
    """`inference_groups` of each picture alone: roots (N, 3) m, pictures (N,) with each one's rows together."""
    counts = pictures.unique_consecutive(return_counts=True)[1].tolist()
    parts, start = [], 0
    for part in roots.split(counts):
        groups = inference_groups(part, size)
        parts.append((groups.people + start, groups.present, groups.answers + start * size))
        start += len(part)
    people, present, answers = (torch.cat(values) for values in zip(*parts, strict=True))
    return Groups(people.masked_fill(~present, 0), present, answers)


def _values(task, batch: Batch):
    """{figure: (N,)}"""
    pairs, body, modules = batch.pairs, task.body, task.modules
    truth, cameras = pairs.truth, PinholeBatch(pairs.intrinsics, pairs.sizes)
    plain = skeletons_from_landmarks(pairs.landmarks, cameras, task.mapping)
    skeletons = skeletons_from_landmarks(pairs.landmarks, cameras, task.mapping, modules['landmark_head'])
    twists = modules['twist_shape'](skeletons.features)
    initial, joints = placed(body, parameters_from_twists(body, skeletons, *twists), skeletons, cameras)
    groups = groups_by_picture(joints[:, 0], batch.pictures, modules['refiner'].people)
    refined = refine(modules['refiner'], body, skeletons.features, initial, groups)
    final = finish(body, refined, skeletons, cameras)
    bodies = (
        placed(body, initial_parameters(body, plain), plain, cameras),
        placed(body, initial_parameters(body, skeletons), skeletons, cameras),
        (initial, joints),
        (final.parameters, final.meshes.joints),
    )
    error = (skeletons.relative_joints - (truth.joints - truth.joints[:, :1]))[:, 1:]
    values = {
        'close': truth.touching | (truth.shares[:, 2] > OVERLAP),
        'sigma': (error.square().mean(-1) / skeletons.joint_sigma[:, 1:].square()).mean(1),
    }
    for stage, (parameters, found) in zip(STAGES, bodies, strict=True):
        scores = _scores(body, parameters, found, truth)
        values |= {f'{stage}_{name}': score for name, score in scores.items()}
    return values


def _scores(body, parameters, joints, truth):
    roots = joints[:, 0], truth.joints[:, 0]
    distance, true_distance = (root.norm(dim=-1) for root in roots)
    return {
        'mpjpe_mm': mpjpe_mm(joints, truth.joints, *roots),
        'pa_mpjpe_mm': pa_mpjpe_mm(joints, truth.joints),
        'depth_percent': 100 * (distance / true_distance - 1).abs(),
        'twist_degrees': twist_degrees(body, parameters, truth.twists).mean(1),
    }
