"""From initial to final parameters: groups, the Transformer, mesh, refined joints and the metric place (Sec. 3.3)."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mesh_perception.body import BodyModel, regress_joints, rest_joints, skin
from mesh_perception.geometry.camera import Camera
from mesh_perception.geometry.rotations import matrix_to_6d, sixd_to_matrix
from mesh_perception.refinement.groups import Groups, inference_groups, relative_roots
from mesh_perception.refinement.transformer import JOINTS, Refiner
from mesh_perception.skeleton.absolute import place_body
from mesh_perception.types import BodyParameters, Meshes, Skeletons


@dataclass
class Final:
    """What the method ends with, in the camera's frame."""

    parameters: BodyParameters
    meshes: Meshes
    joints: Tensor  # (M, 24, 3) m: P_ref, the body's regressor applied to the vertices


def refine(
    refiner: Refiner, body: BodyModel, features: Tensor, initial: BodyParameters, groups: Groups | None = None
) -> BodyParameters:
    """Refines M people's parameters in one batched call (Eq. 5); the translation is left for `finish`.

    Args: features (M, C, h, w), averaged over h and w, or (M, C); initial: of `body`; groups: for training
    (default: the M groups of inference, or one where M <= N and the network does not tell places apart). Raises
    ValueError for features that the refiner was not made for.
    """
    return _refine(refiner, body, features, initial, groups, explicit=False)[0]


def refine_with_attention(
    refiner: Refiner, body: BodyModel, features: Tensor, initial: BodyParameters
) -> tuple[BodyParameters, Tensor]:
    """`refine`, and the last block's attention, averaged over the heads: (M, 24, M, 24).

    Entry [m, j, n, k]: how much joint j of person m, as the target, attends to joint k of person n; zero for everybody
    outside m's group, and one in sum over n and k. To leave people out, index it twice: `a[keep][:, :, keep]`.
    """
    return _refine(refiner, body, features, initial, None, explicit=True)


def finish(body: BodyModel, parameters: BodyParameters, skeletons: Skeletons, camera: Camera) -> Final:
    """Mesh and refined joints, at the place where the refined joints project onto the image joints (Sec. 3.1, 3.3).

    Args: parameters: refined, M people; skeletons: of the same people, of which image joints and confidence are used.
    """
    meshes = skin(body, parameters.rotations, parameters.betas, parameters.translation)
    joints = regress_joints(body, meshes.vertices)
    shift = place_body(joints, skeletons, camera) - joints[:, 0]
    return Final(
        replace(parameters, translation=parameters.translation + shift),
        Meshes(meshes.vertices + shift[:, None], meshes.joints + shift[:, None]),
        joints + shift[:, None],
    )


def _refine(refiner, body, features, initial, groups, explicit):
    features = features.mean((2, 3)) if features.dim() == 4 else features
    size = refiner.feature_size - 3 * refiner.relative_roots
    if features.shape != (len(initial), size):
        raise ValueError(f'features: expected ({len(initial)}, {size}) per person, got {tuple(features.shape)}')
    roots = rest_joints(body, initial.betas)[:, 0] + initial.translation
    ordered = refiner.relative_roots or refiner.position is not None
    groups = inference_groups(roots, refiner.people, together=not ordered) if groups is None else groups
    grouped = groups.gather(refiner.scaled(features))
    if refiner.relative_roots:
        grouped = torch.cat([grouped, relative_roots(roots, groups).to(grouped.dtype)], -1)
    sixd, betas, camera = (groups.gather(x) for x in (matrix_to_6d(initial.rotations), initial.betas, initial.camera))
    # Where each person is some group's target, only targets are answered for.
    answers = 1 if len(groups.people) == len(initial) else refiner.people
    places = groups.answers // refiner.people * answers + groups.answers % refiner.people
    arguments = (grouped, sixd, betas, camera, groups.present)
    if explicit:
        refined, attention = refiner.with_attention(*arguments, answers=answers)
        attention = _between_people(attention.mean(1), groups, answers)[places]
    else:
        refined, attention = refiner(*arguments, answers=answers), None
    sixd, betas, camera = (x.flatten(0, 1)[places] for x in refined)
    return BodyParameters(sixd_to_matrix(sixd), betas, initial.translation, camera), attention


def _between_people(attention, groups, answers):
    """(G, A * 24, N * 24) -> (G * A, 24, M, 24): columns by person instead of by place in the group."""
    size = groups.people.shape[1]
    attention = attention.reshape(-1, answers, JOINTS, size, JOINTS).permute(0, 1, 3, 2, 4)
    attention = attention * groups.present[:, None, :, None, None]
    dense = attention.new_zeros(*attention.shape[:2], len(groups.answers), JOINTS, JOINTS)
    index = groups.people[:, None, :, None, None].expand_as(attention)
    return dense.scatter_add(2, index, attention).flatten(0, 1).transpose(1, 2)
