"""The benchmark's reference for a camera: people as the other three cameras show them. It is never called truth."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mesh_perception.evaluation.alignment import similarity_align
from mesh_perception.evaluation.multiview.bundle import adjust
from mesh_perception.evaluation.multiview.correspondence import focus_of, people_in_views
from mesh_perception.evaluation.multiview.footage import CAMERAS, PEOPLE, cameras
from mesh_perception.evaluation.multiview.keypoints import LIMB_JOINTS, find_keypoints
from mesh_perception.evaluation.multiview.triangulation import Views, repair_sides, triangulate

_HIPS, _ANKLES = slice(6, 8), slice(10, 12)
_COUNTED = 0.1  # weight from which a view has a say in a joint
_NEAR = 5  # frames to the next one in which two views show the joint, at most


@dataclass
class Reference:
    """People of one scene in the held-out camera's optical frame."""

    scene: str
    camera: str  # the held-out one, which had no part in it
    people: tuple[str, ...]
    joints: torch.Tensor  # (P, T, 12, 3) float64, m, of LIMB_JOINTS; NaN where unknown
    reprojection_px: torch.Tensor  # (P,) median over joints, frames and the used views, against the fused 2D points
    used_views: tuple[str, ...]
    lengths: torch.Tensor  # (P, 10) m, of bundle.RODS


def build_references(scene, folder, finder=None):
    """{camera: Reference} of a scene, each from the three other cameras. The 2D points are kept under `folder`.

    Raises what `find_keypoints` raises, and ValueError where the people are not found.
    """
    rig, keypoints = cameras(scene), _keypoints(scene, folder, finder)
    return {
        held_out: reconstruct(scene, held_out, [c for c in CAMERAS if c != held_out], rig, keypoints)
        for held_out in CAMERAS
    }


def held_out_error(scene, folder, references, finder=None):
    """The floor: how far the references move if yet another view is held out, that is from two views instead of three.

    references: of `build_references`. -> {camera: {person: {'mpjpe_mm', 'pa_mpjpe_mm', 'root_mm'}}}, each the mean over
    the three views that can be held out and over frames; MPJPE after the mid-hips are aligned.
    """
    rig, keypoints = cameras(scene), _keypoints(scene, folder, finder)
    errors = {}
    for camera, reference in references.items():
        pairs = [[c for c in reference.used_views if c != other] for other in reference.used_views]
        others = torch.stack([reconstruct(scene, camera, pair, rig, keypoints).joints for pair in pairs])
        errors[camera] = {
            person: _differences(others[:, index], reference.joints[index].expand(len(pairs), -1, -1, -1))
            for index, person in enumerate(reference.people)
        }
    return errors


def _differences(a, b):
    """Of joints (..., 12, 3): mean distances in mm, roots aligned, similarity aligned, and of the roots."""
    roots = [joints[..., _HIPS, :].mean(-2, keepdim=True) for joints in (a, b)]
    known = (a - b).isfinite().all(-1)
    aligned = similarity_align(torch.where(known[..., None], a, 0), b, known)
    values = {
        'mpjpe_mm': ((a - roots[0]) - (b - roots[1])).norm(dim=-1),
        'pa_mpjpe_mm': torch.where(known, (aligned - b).norm(dim=-1), torch.nan),
        'root_mm': (roots[0] - roots[1]).norm(dim=-1),
    }
    return {name: 1000 * value.nanmean().item() for name, value in values.items()}


def _keypoints(scene, folder, finder=None):
    folder = Path(folder)
    return {camera: find_keypoints(scene, camera, folder, finder).double().numpy() for camera in CAMERAS}


def reconstruct(scene, held_out, used, rig, keypoints):
    """The Reference for one camera from the `used` ones.

    rig: {name: (Camera, pose)}; keypoints: {name: (T, K, 12, 3)} as `find_keypoints` gives them. Raises ValueError.
    """
    views = Views.of(rig, used)
    count = len(PEOPLE[scene])
    seen = people_in_views(views, np.stack([keypoints[name] for name in used]), focus_of(rig), count)
    results = [_person(views, points) for points in seen]
    # The man walks, the woman stays where she is: whose ankles move more is the man.
    order = np.argsort([-np.nanstd(joints[:, _ANKLES], axis=0).mean() for joints, _, _ in results])
    joints, pixels, lengths = (np.stack([results[index][part] for index in order]) for part in range(3))
    local = Views.of(rig, [held_out]).to_cameras(joints)[0]
    return Reference(
        scene, held_out, PEOPLE[scene], *map(torch.from_numpy, (local, pixels)), tuple(used), torch.from_numpy(lengths)
    )


def _person(views, keypoints):
    """Joints (T, 12, 3) in the room, NaN where unknown, median reprojection error in px, lengths (10,)."""
    keypoints = repair_sides(views, keypoints)
    start = triangulate(views, keypoints.reshape(len(keypoints), -1, 3))[0].reshape(-1, 12, 3)
    adjusted = adjust(views, keypoints, filled(start))
    sure = ((adjusted.weights >= _COUNTED).sum(0) >= 2).astype(float)
    window = np.ones(2 * _NEAR + 1)
    near = np.stack([np.convolve(sure[:, joint], window, 'same') for joint in range(12)], 1) > 0
    distance = np.linalg.norm(views.project(adjusted.joints) - keypoints[..., :2], axis=-1)
    known = near & np.isfinite(distance)
    joints = np.where(near[..., None], adjusted.joints, np.nan)
    return joints, np.median(distance[known]), adjusted.lengths


def filled(joints):
    """Joints (T, J, 3) with NaN replaced from the frames before and after. Raises ValueError for one never seen."""
    result = joints.copy()
    frames = np.arange(len(joints))
    for index in range(joints.shape[1]):
        known = np.isfinite(joints[:, index, 0])
        if not known.any():
            raise ValueError(f'{LIMB_JOINTS[index]}: no two views ever show it')
        for axis in range(3):
            result[:, index, axis] = np.interp(frames, frames[known], joints[known, index, axis])
    return result
