"""Scenes made by hand: open bodies in a T-pose that face the camera, standing on the ground."""

import math

import torch

from mesh_perception.body import skin
from mesh_perception.geometry.camera import Camera
from mesh_perception.geometry.rotations import axis_angle_to_matrix
from mesh_perception.synthetic.scene import Scene

CAMERA = Camera.from_intrinsics(320, 240, 220, 220, 159.5, 119.5)
HEIGHT = 1.0  # m, of the camera above the ground; it looks ahead


def scene_of(body, places, camera=CAMERA, turns=None, poses=None, seed=0):
    """A Scene of people whose pelvises are at places (N, 3) in the camera's frame.

    turns (N,): radians that each is turned to their left; poses (N, 24, 3): axis-angle, instead of T-poses.
    """
    places = torch.tensor(places, dtype=torch.float32).reshape(-1, 3)
    count = len(places)
    poses = torch.zeros(count, 24, 3) if poses is None else poses
    rotations = axis_angle_to_matrix(poses)
    heading = torch.zeros(count, 3)
    heading[:, 1] = torch.tensor(turns if turns is not None else [0.0] * count)
    upright = axis_angle_to_matrix(torch.tensor([[math.pi, 0, 0]]))  # y up to the camera's y down
    rotations[:, 0] = upright @ axis_angle_to_matrix(heading) @ rotations[:, 0]
    translation = places - body.joint_template[0]
    betas = torch.zeros(count, body.num_betas)
    meshes = skin(body, rotations, betas, translation)
    to_camera = torch.diag(torch.tensor([1.0, -1, -1, 1]))
    to_camera[1, 3] = HEIGHT
    none = torch.zeros(count, count, dtype=torch.bool)
    return Scene(
        camera,
        rotations,
        betas,
        translation,
        meshes.vertices,
        meshes.joints,
        torch.arange(count),
        none,
        to_camera,
        seed,
    )
