"""From 33 landmarks to SMPL's 24 joints, in metres, in pixels and absolute in the camera's frame."""

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from mesh_perception.resources import data_file
from mesh_perception.skeleton.absolute import on_rays, place
from mesh_perception.skeleton.landmark_head import from_crop_plane, head_inputs, on_crop_plane
from mesh_perception.skeleton.landmark_hints import landmark_hints
from mesh_perception.types import Skeletons

HIPS = slice(23, 25)  # a list would be uploaded at each use


@dataclass
class JointMapping:
    """Linear mappings, fitted on the network's output for rendered open bodies (tools/fit_joint_mapping.py).

    Pixels and metres are two outputs of the network with errors of their own, and depth is the worst of them: each has
    its weights.
    """

    image: Tensor  # (24, 33) for pixels; rows sum to one
    plane: Tensor  # (24, 33) for x and y in metres, across the crop's viewing ray; rows sum to one
    depth: Tensor  # (24, 33) for z along it, relative to the hips' centre

    def to(self, *args, **kwargs):
        return JointMapping(*(getattr(self, f.name).to(*args, **kwargs) for f in fields(self)))


def load_joint_mapping(network='blazepose_heavy'):
    """The committed mapping of a network: each has errors of its own."""
    with np.load(data_file(f'{network}_joints.npz'), allow_pickle=False) as arrays:
        return JointMapping(*(torch.from_numpy(arrays[f.name]) for f in fields(JointMapping)))


def relative_joints(world, mapping):
    """Landmarks (N, 33, 3) m in the crop's axes -> joints (N, 24, 3) m relative to the pelvis, same axes."""
    weights = torch.stack((mapping.plane, mapping.plane, mapping.depth))  # (3, 24, 33)
    joints = torch.einsum('ajl,nla->nja', weights, world - world[:, HIPS].mean(1, keepdim=True))
    return joints - joints[:, :1]


def skeletons_from_landmarks(landmarks, camera, mapping, head=None):
    """Landmarks of N people in one image -> Skeletons, absolute by least squares with the intrinsics (Sec. 3.1).

    The absolute position is MeTRAbs' linear least squares over the joints inside the view, weighted by confidence.
    head: a LandmarkHead that corrects what the mapping gives.
    """
    turn = landmarks.rotations  # X_camera = R^T X_crop: as row vectors, x R
    relative = relative_joints(landmarks.world, mapping)
    image = torch.einsum('jl,nla->nja', mapping.image, landmarks.image)
    certain = landmarks.visibility * landmarks.presence
    share = mapping.image.abs()
    confidence = certain @ (share / share.sum(1, keepdim=True)).T

    distance_scale, sigma = torch.ones_like(landmarks.scores), torch.full_like(confidence, torch.nan)
    if head is not None:
        correction = head(*head_inputs(landmarks, camera.unproject(landmarks.image)))
        relative = relative + correction.relative
        plane = on_crop_plane(camera.unproject(image), landmarks.rotations) + correction.plane
        rays = from_crop_plane(plane, landmarks.rotations)
        image = camera.project(torch.cat([rays, torch.ones_like(rays[..., :1])], -1))
        distance_scale, sigma = correction.log_depth.exp(), correction.sigma
    relative = relative @ turn
    root, rays, weights = place(relative, image, confidence, camera)
    root = root * distance_scale[:, None]
    joints = on_rays(relative + root[:, None], rays, weights)

    directions, hint_weights = landmark_hints(landmarks.world @ turn, certain, relative)
    return Skeletons(
        joints=joints,
        relative_joints=relative,
        image_joints=image,
        confidence=confidence,
        features=_features(landmarks, turn, camera, root),
        hint_directions=directions,
        hint_weights=hint_weights,
        scores=landmarks.scores,
        distance_scale=distance_scale,
        joint_sigma=sigma,
    )


def _features(landmarks, turn, camera, root):
    """What is known of each person (N, 1386): landmarks in metres and on the image plane, certainties, root, and the
    network's own features, scaled to at most one."""
    plane = camera.unproject(landmarks.image)
    return torch.cat(
        [
            (landmarks.world @ turn).flatten(1),
            plane.flatten(1),
            landmarks.visibility,
            landmarks.presence,
            root,
            landmarks.features / 6,
        ],
        1,
    )
