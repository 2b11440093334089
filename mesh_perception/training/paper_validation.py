"""How good the paper's networks are while they train: errors on scenes of the synthetic benchmark, in true boxes."""

import torch
from torch import Tensor

from mesh_perception.body import rest_joints, skin
from mesh_perception.evaluation.metrics import mpjpe_mm, mve_mm, pa_mpjpe_mm
from mesh_perception.inverse_kinematics.solver import twists_from_rotations
from mesh_perception.inverse_kinematics.twist_shape import TWISTING
from mesh_perception.refinement import refine
from mesh_perception.synthetic.benchmark import benchmark_scenes
from mesh_perception.synthetic.poses import prior_poses
from mesh_perception.synthetic.rendering import SceneRenderer
from mesh_perception.training.datasets.samples import Samples
from mesh_perception.training.datasets.synthetic import scene_samples


def validation_samples(body, count: int, size: int) -> list[Samples]:
    """The benchmark's first `count` scenes, one Samples each; without variation."""
    found = []
    with SceneRenderer(body) as renderer:
        for number, scene in enumerate(benchmark_scenes(prior_poses(), body, count)):
            samples = scene_samples(scene, renderer.render(scene), body, size=size)
            samples.pictures[:] = number
            found.append(samples)
    return found


@torch.no_grad()
def validation_scores(task, scenes: list[Samples]) -> dict[str, float]:
    """Means over all people, mm and degrees: f^P's skeleton, the body of inverse kinematics alone (`ik_`), and the
    refined one. task: PaperTask, its modules in evaluation mode."""
    rows = [_scores(task, samples.to(task.device)) for samples in scenes if len(samples)]
    return {name: torch.cat([row[name] for row in rows]).mean().item() for name in rows[0]} if rows else {}


def _scores(task, samples):
    skeletons, initial = task.estimate(samples)
    refined = refine(task.modules['refiner'], task.body, skeletons.features, initial)
    nowhere = torch.zeros_like(initial.translation)
    truth = skin(task.body, samples.rotations, samples.betas, nowhere)
    scores = {
        'skeleton_mpjpe_mm': _mpjpe(skeletons.joints, samples.joints),
        'skeleton_root_mm': 1000 * (skeletons.joints - samples.joints)[:, 0].norm(dim=-1),
    }
    for prefix, parameters in (('ik_', initial), ('', refined)):
        meshes = skin(task.body, parameters.rotations, parameters.betas, nowhere)
        scores |= {
            f'{prefix}mpjpe_mm': _mpjpe(meshes.joints, truth.joints),
            f'{prefix}pa_mpjpe_mm': pa_mpjpe_mm(meshes.joints, truth.joints),
            f'{prefix}mve_mm': mve_mm(meshes.vertices, truth.vertices, meshes.joints[:, 0], truth.joints[:, 0]),
            f'{prefix}twist_degrees': twist_degrees(task.body, parameters, samples.twists).mean(1),
        }
    return scores


def twist_degrees(body, parameters, truth: Tensor) -> Tensor:
    """Angles (N, 18) between the twists of BodyParameters and true ones (N, 24, 2), where joints have any."""
    twists = twists_from_rotations(rest_joints(body, parameters.betas), parameters.rotations)
    a, b = twists[:, TWISTING], truth[:, TWISTING]
    sine, cosine = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0], (a * b).sum(-1)
    return torch.atan2(sine, cosine).abs().rad2deg()


def _mpjpe(joints, truth):
    return mpjpe_mm(joints, truth, joints[:, 0], truth[:, 0])
