"""Which of the people that were found is which person of the reference, frame by frame."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mesh_perception.evaluation.matching import match_least_total, mean_distances
from mesh_perception.evaluation.multiview.joints import keypoints, mid_hip
from mesh_perception.geometry.camera import Camera

NEAR = 0.25  # of the person's size in the image: the mean distance of the 12 points from which a person is another one
LEAST_JOINTS = 6  # of the 12, that the reference must know of a person besides the hips for the frame to count


@dataclass
class Pair:
    """One person of the reference in one camera's T frames, and what was found of them; NaN where nothing was.

    All 3D is in the camera's frame, m. What was found on the way to the body is kept for the error budget.
    """

    scene: str
    camera_name: str
    person: str
    camera: Camera
    truth: Tensor  # (T, 12, 3) the reference's keypoints
    counts: Tensor  # (T,) bool, the frames in which the reference knows the person well enough
    found: Tensor  # (T,) bool, of these frames those in which the person was found
    index: Tensor  # (T,) int64 which of all Followed people it is; -1: none
    track_ids: Tensor  # (T,) int64; -1: none
    joints: Tensor  # (T, 24, 3) kinematic joints of the posed body
    unsmoothed: Tensor  # (T, 24, 3) the same before smoothing over time
    skeleton: Tensor  # (T, 24, 3) joints that inverse kinematics was given
    relative: Tensor  # (T, 24, 3) the landmark network's joints, relative to the pelvis
    image_joints: Tensor  # (T, 24, 2) px, the joints' places in the image
    confidence: Tensor  # (T, 24) of these
    sigma: Tensor  # (T, 24) m, how far off along each axis the joints are taken to be; NaN where nothing says so


def pair_up(reference, followed, camera) -> list[Pair]:
    """A Reference and the Followed people of its camera -> one Pair a person of the reference.

    In each frame by the least total of mean 2D distances of the 12 keypoints; over NEAR of the reference's size (the
    diagonal around its points in the image) two are never one. People who are not in the reference pair with nobody.
    """
    truth = reference.joints.float()
    counts = _known(truth)
    index = torch.full(truth.shape[:2], -1)
    for frame in range(truth.shape[1]):
        rows = (followed.frames == frame).nonzero()[:, 0]
        there = counts[:, frame].nonzero()[:, 0]
        pixels = camera.project(truth[there, frame])
        found = camera.project(keypoints(followed.people.joints[rows]))
        match = match_least_total(mean_distances(pixels, found) / _sizes(pixels)[:, None], NEAR)
        index[there[match >= 0], frame] = rows[match[match >= 0]]
    return [
        _pair(reference, followed, camera, person, counts[row], index[row])
        for row, person in enumerate(reference.people)
    ]


def _known(truth):
    """(P, T) bool."""
    finite = truth.isfinite().all(-1)
    return mid_hip(truth).isfinite().all(-1) & (finite.sum(-1) >= LEAST_JOINTS + 2)


def _sizes(pixels):
    """Diagonals (P,) px around known points (P, 12, 2)."""
    known = pixels.isfinite()
    return (pixels.where(known, -torch.inf).amax(1) - pixels.where(known, torch.inf).amin(1)).norm(dim=-1)


def _pair(reference, followed, camera, person, counts, index):
    def gathered(values):
        """(N, ...) of all people -> (T, ...) of this one."""
        if not len(values):
            return values.new_full((len(index), *values.shape[1:]), torch.nan)
        taken = values[index.clamp_min(0)]
        return taken.where((index >= 0).reshape(-1, *[1] * (taken.dim() - 1)), torch.nan)

    people, skeletons = followed.people, followed.skeletons
    ids = torch.full_like(index, -1)
    ids[index >= 0] = people.track_ids[index[index >= 0]]
    return Pair(
        scene=reference.scene,
        camera_name=reference.camera,
        person=person,
        camera=camera,
        truth=reference.joints[reference.people.index(person)].float(),
        counts=counts,
        found=index >= 0,
        index=index,
        track_ids=ids,
        joints=gathered(people.joints),
        unsmoothed=gathered(followed.unsmoothed),
        skeleton=gathered(skeletons.joints),
        relative=gathered(skeletons.relative_joints),
        image_joints=gathered(skeletons.image_joints),
        confidence=gathered(skeletons.confidence),
        sigma=gathered(people.joint_sigma),
    )
