"""A scene with known truth: people on the ground, alone and together, and the camera that sees them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mesh_perception.body.model import BodyModel
from mesh_perception.body.skinning import rest_joints, skin
from mesh_perception.geometry.camera import Camera
from mesh_perception.synthetic.cameras import move, sample_camera
from mesh_perception.synthetic.placement import place
from mesh_perception.synthetic.shapes import sample_betas

MOST_PEOPLE = 6
_BENT = 0.9  # sine of the slope from which a pelvis' back or belly, not its front, says where somebody faces


@dataclass(frozen=True)
class SceneSettings:
    """What scenes are like. Ranges are (lowest, highest). Raises ValueError for what cannot be."""

    sizes: tuple = ((640, 480),)  # of images, (width, height) in pixels, equally often
    fov: tuple = (35.0, 95.0)  # degrees across the longer side
    height: tuple = (0.3, 3.0)  # m: the camera's, above the ground
    distance: tuple = (1.2, 9.0)  # m, from the camera to the pelvis of somebody
    interacting: float = 0.6  # chance that somebody joins the others instead of standing apart
    touching: float = 0.5  # chance that somebody who joins comes into contact instead of stopping short of it
    truncation: float = 0.3  # share of the scenes with somebody partly outside the image

    def __post_init__(self):
        for name in ('interacting', 'touching', 'truncation'):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f'scene settings: {name} is {getattr(self, name)}, expected a share from 0 to 1')
        for name in ('fov', 'height', 'distance'):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(f'scene settings: {name} is ({low}, {high}), expected two positive numbers, low first')
        if not self.sizes:
            raise ValueError('scene settings: no sizes, expected at least one (width, height)')


@dataclass
class Scene:
    """N people as a camera sees them: its optical frame (x right, y down, z forward), metres, float32."""

    camera: Camera  # without distortion
    rotations: Tensor  # (N, 24, 3, 3) relative to the parent, the pelvis' to the camera
    betas: Tensor  # (N, B)
    translation: Tensor  # (N, 3) SMPL's
    vertices: Tensor  # (N, V, 3)
    joints: Tensor  # (N, 24, 3) kinematic
    groups: Tensor  # (N,) int64: equal for those who interact; who is alone has a number of their own
    touching: Tensor  # (N, N) bool: surfaces less than 2 cm apart; nobody touches themselves
    to_camera: Tensor  # (4, 4) from the world, in which y is up and the ground is y = 0
    seed: int  # appearance is drawn from it


def sample_scene(
    poses, body: BodyModel, seed: int, people: int | None = None, settings: SceneSettings | None = None
) -> Scene:
    """The scene of a seed: the same arguments give the same scene.

    poses: PoseSource; people: how many, 1 to 6, drawn if None. Who cannot be seen by the camera is left out, so that
    there may be fewer where the settings are narrow. Raises ValueError for a number of people out of range and where
    no camera of the settings sees anybody.
    """
    if people is not None and not 1 <= people <= MOST_PEOPLE:
        raise ValueError(f'scene of {people} people: expected 1 to {MOST_PEOPLE}')
    settings = settings or SceneSettings()
    generator = torch.Generator().manual_seed(seed)
    drawn = 1 + int(torch.randint(MOST_PEOPLE, (), generator=generator))
    count = people or drawn

    rotations, betas = (
        poses.sample(count, generator),
        sample_betas(count, body, generator),
    )
    rest = rest_joints(body, betas)[:, 0]
    meshes = skin(body, rotations, betas, -rest)  # around the pelvis
    placement = place(body, meshes.vertices, _facing(rotations[:, 0]), settings, generator)

    world = [_moved(placement, points) for points in (meshes.vertices, meshes.joints)]
    view = sample_camera(*world, settings, generator)
    turn = view.to_camera[:3, :3]
    rotations = torch.cat(((turn @ placement.turns @ rotations[:, 0])[:, None], rotations[:, 1:]), 1)
    vertices, joints = (move(view.to_camera, points) for points in world)
    seen = view.seen
    return Scene(
        camera=view.camera,
        rotations=rotations[seen],
        betas=betas[seen],
        translation=(move(view.to_camera, placement.places) - rest)[seen],
        vertices=vertices[seen],
        joints=joints[seen],
        groups=placement.groups[seen],
        touching=placement.touching[seen][:, seen],
        to_camera=view.to_camera,
        seed=seed,
    )


def _moved(placement, points):
    return points @ placement.turns.mT + placement.places[:, None]


def _facing(pelvis):
    """Where a pelvis (N, 3, 3) faces: radians (N,) from z towards x, also of somebody who bends far over."""
    forward, up = pelvis[..., 2], pelvis[..., 1]
    flat = torch.where(
        (forward[:, 1] < -_BENT)[:, None], up, torch.where((forward[:, 1] > _BENT)[:, None], -up, forward)
    )
    return torch.atan2(flat[:, 0], flat[:, 2])
