"""The benchmark's reference for a camera: people as the other three cameras show them. It is never called truth."""

from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import maximum_filter1d

from mesh_perception.evaluation.alignment import similarity_align
from mesh_perception.evaluation.multiview.bundle import Adjusted, adjust
from mesh_perception.evaluation.multiview.correspondence import focus_of, people_in_views
from mesh_perception.evaluation.multiview.footage import CAMERAS, PEOPLE, RENDERED, cameras, rendered
from mesh_perception.evaluation.multiview.keypoints import LIMB_JOINTS, find_keypoints
from mesh_perception.evaluation.multiview.triangulation import Views, repair_sides, triangulate

_HIPS = slice(6, 8)
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
    view_offsets_px: torch.Tensor  # (P, used views, 2): where each view's image lies beside its calibration, found
    # (P, 2) px: where the held-out camera shows the person beside this reference: the calibration's error, for the most
    # part, which no method can know. Nothing was fitted to it.
    beside_px: torch.Tensor


@dataclass
class _Person:
    """One person from some views, in the room."""

    joints: np.ndarray  # (T, 12, 3) m, NaN where unknown
    reprojection: float  # px, median
    adjusted: Adjusted


def build_references(scene, folder, finder=None):
    """{camera: Reference} of a scene, each from the three other cameras. The 2D points are kept under `folder`.

    Raises what `find_keypoints` raises, and ValueError where the people are not found.
    """
    rig, keypoints = cameras(scene), _keypoints(scene, folder, finder)
    references = {}
    for held_out in CAMERAS:
        used = tuple(camera for camera in CAMERAS if camera != held_out)
        people = reconstruct(scene, used, rig, keypoints)
        joints = _seen_from(rig, held_out, people)
        references[held_out] = Reference(
            scene,
            held_out,
            tuple(people),
            joints,
            torch.tensor([person.reprojection for person in people.values()]),
            used,
            torch.from_numpy(np.stack([person.adjusted.lengths for person in people.values()])),
            torch.from_numpy(np.stack([person.adjusted.offsets for person in people.values()])),
            torch.stack([_beside(rig[held_out][0], path, keypoints[held_out]) for path in joints]),
        )
    return references


def reconstruct(scene, used, rig, keypoints):
    """{name: _Person} from the `used` cameras.

    rig: {name: (Camera, pose)}; keypoints: {name: (T, K, 12, 3)} as `find_keypoints` gives them. Raises ValueError.
    """
    views = Views.of(rig, used)
    seen = people_in_views(views, np.stack([keypoints[name] for name in used]), focus_of(rig), len(PEOPLE[scene]))
    # The man walks, the woman stays where she is: whose joints move more is the man.
    seen = sorted(seen, key=lambda points: -_movement(_start(views, points)))
    renderer = replace(views, cameras=tuple(map(rendered, views.cameras)))
    return {
        name: _person(renderer if name == RENDERED else views, points)
        for name, points in zip(PEOPLE[scene], seen, strict=True)
    }


def _start(views, keypoints):
    return triangulate(views, keypoints.reshape(len(keypoints), -1, 3))[0].reshape(-1, 12, 3)


def _movement(joints):
    """Median distance of joints (T, 12, 3) from each one's median place."""
    return np.nanmedian(np.linalg.norm(joints - np.nanmedian(joints, 0), axis=-1))


def _person(views, keypoints):
    keypoints = repair_sides(views, keypoints)
    adjusted = adjust(views, keypoints, filled(_start(views, keypoints)))
    sure = (adjusted.weights >= _COUNTED).sum(0) >= 2
    near = maximum_filter1d(sure, 2 * _NEAR + 1, axis=0)
    pixels = views.project(adjusted.joints) + adjusted.offsets[:, None, None]
    distance = np.linalg.norm(pixels - keypoints[..., :2], axis=-1)
    joints = np.where(near[..., None], adjusted.joints, np.nan)
    return _Person(joints, np.median(distance[near & np.isfinite(distance)]), adjusted)


def _seen_from(rig, camera, people):
    """The people's joints (P, T, 12, 3) in a camera's optical frame.

    The woman is moved sideways so that the calibrated camera shows her where her renderer's camera did.
    """
    model, _ = rig[camera]
    joints = [Views.of(rig, [camera]).to_cameras(person.joints)[0] for person in people.values()]
    for name, local in zip(people, joints, strict=True):
        if name == RENDERED:
            shift = (rendered(model).k[:2, 2] - model.k[:2, 2]) / model.k[[0, 1], [0, 1]]
            local[..., :2] += shift * local[..., 2:]
    return torch.from_numpy(np.stack(joints))


def _beside(camera, joints, keypoints):
    """Median (2,) px from joints (T, 12, 3) in a camera's image to the points of the nearest people (T, K, 12, 3)."""
    apart = torch.from_numpy(keypoints[..., :2]) - camera.project(joints)[:, None]
    distance = apart.norm(dim=-1).nanmedian(-1).values.nan_to_num(torch.inf)
    nearest = apart[torch.arange(len(apart)), distance.argmin(1)]
    return nearest.flatten(0, 1).nanmedian(0).values


def held_out_error(scene, folder, references, finder=None):
    """The floor: how far the references move if yet another view is held out, that is from two views instead of three.

    references: of `build_references`. -> {camera: {person: {'mpjpe_mm', 'pa_mpjpe_mm', 'root_mm'}}}, each the mean over
    the three views that can be held out and over frames; MPJPE after the mid-hips are aligned.
    """
    rig, keypoints = cameras(scene), _keypoints(scene, folder, finder)
    from_two = {pair: reconstruct(scene, pair, rig, keypoints) for pair in combinations(CAMERAS, 2)}
    errors = {}
    for camera, reference in references.items():
        others = [_seen_from(rig, camera, people) for pair, people in from_two.items() if camera not in pair]
        others = torch.stack(others)
        errors[camera] = {
            person: _differences(others[:, index], reference.joints[index].expand(len(others), -1, -1, -1))
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
