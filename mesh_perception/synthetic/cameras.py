"""Where a scene is seen from: intrinsics and the place of a camera that looks at people on the ground.

Cameras are proposed at random and the first that sees the people as wanted is taken; proposals move back and widen
little by little, so that a crowd finds one too.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mesh_perception.geometry.camera import Camera
from mesh_perception.joints import SMPL_JOINTS

NEAREST = 0.3  # m: nobody's surface is nearer than this along the optical axis
CORE = tuple(SMPL_JOINTS.index(name) for name in ('pelvis', 'spine2', 'spine3', 'neck', 'head'))
_PROPOSALS = 60
_STEEPEST = 0.8  # largest rise or fall of the ray to the person looked at, as the sine of its angle
_ROLL, _MOST_ROLL = 2.5, 8.0  # degrees: standard deviation and limit
_SEEN = 6  # joints of 24 in the image that make somebody part of the scene
_STRIDE = 16  # every so many vertices decide whether somebody is wholly inside the image


@dataclass(frozen=True)
class View:
    """A camera at its place, and who of N people it sees."""

    camera: Camera
    to_camera: Tensor  # (4, 4) world -> camera, float32
    seen: Tensor  # (N,) bool: in front of the camera, and in the image with a quarter of the joints


def uniform(low: float, high: float, generator: torch.Generator) -> float:
    """One number between two."""
    return low + (high - low) * float(torch.rand((), generator=generator))


def look_at(eye: Tensor, target: Tensor, roll: float = 0.0) -> Tensor:
    """World (y up) -> camera (4, 4), float32, of a camera at `eye` (3,) that looks at `target` (3,), not straight up
    or down; `roll` turns it clockwise about its axis, radians."""
    eye, target = eye.double(), target.double()
    forward = torch.nn.functional.normalize(target - eye, dim=0)
    right = torch.nn.functional.normalize(torch.linalg.cross(forward, forward.new_tensor((0, 1, 0))), dim=0)
    down = torch.linalg.cross(forward, right)
    cosine, sine = math.cos(roll), math.sin(roll)
    turn = torch.stack((cosine * right + sine * down, cosine * down - sine * right, forward))
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, :3], matrix[:3, 3] = turn, -turn @ eye
    return matrix.float()


def move(matrix: Tensor, points: Tensor) -> Tensor:
    """Points (..., 3) moved by a (4, 4) matrix."""
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def sample_camera(vertices: Tensor, joints: Tensor, settings, generator: torch.Generator) -> View:
    """A camera that sees people, vertices (N, V, 3) and joints (N, 24, 3) in the world; settings: SceneSettings.

    In a share `settings.truncation` of all cases somebody is partly outside the image; else nobody is, where the
    settings allow for such a camera. Somebody's head or torso is always inside. Who is not `seen` is behind the
    camera, nearer than NEAREST or outside the image; that happens where no proposal sees all. Raises ValueError if
    none sees anybody.
    """
    cut = uniform(0, 1, generator) < settings.truncation
    best, best_score = None, 0
    for attempt in range(_PROPOSALS):
        camera, to_camera = _propose(vertices, joints, settings, cut, attempt / _PROPOSALS, generator)
        seen, whole, core = _judge(camera, to_camera, vertices, joints)
        if not (seen & core).any():
            continue
        view = View(camera, to_camera, seen)
        if seen.all() and whole.all() != cut:
            return view
        score = int(seen.sum()) + (0.5 if cut else 0.5 * whole.float().mean().item())
        if score > best_score:
            best, best_score = view, score
    if best is None:
        raise ValueError('scene settings: no camera of these sees anybody, expected a larger distance or field of view')
    return best


def _propose(vertices, joints, settings, cut, patience, generator):
    width, height = settings.sizes[int(torch.randint(len(settings.sizes), (), generator=generator))]
    fov = uniform(*_upwards(settings.fov, patience), generator)
    distance = math.exp(uniform(*map(math.log, _upwards(settings.distance, patience)), generator))
    person = int(torch.randint(len(joints), (), generator=generator))
    focus, torso = joints[person, 0], joints[person, SMPL_JOINTS.index('spine2')]
    reach, pelvis = _STEEPEST * distance, float(focus[1])
    low = max(settings.height[0], min(pelvis - reach, settings.height[1]))
    high = min(settings.height[1], max(pelvis + reach, low))
    level = uniform(low, high, generator)
    flat = math.sqrt(max(distance**2 - (level - pelvis) ** 2, 0.01))
    azimuth = uniform(0, 2 * math.pi, generator)
    eye = torch.tensor([float(focus[0]) + flat * math.sin(azimuth), level, float(focus[2]) + flat * math.cos(azimuth)])
    low, high = vertices.amin((0, 1)), vertices.amax((0, 1))
    target = torso if cut else (low + high) / 2
    spread = math.tan(math.radians(fov) / 2) * distance * (0.7 if cut else 0.15)
    target = target + spread * (2 * torch.rand(3, generator=generator) - 1)
    roll = float(torch.randn((), generator=generator).clamp(-_MOST_ROLL / _ROLL, _MOST_ROLL / _ROLL)) * _ROLL
    return Camera.from_fov(width, height, fov), look_at(eye, target, math.radians(roll))


def _upwards(limits, patience):
    """The upper part of a range of positive numbers: all of it at first, hardly anything of it at last."""
    low, high = limits
    return low * (high / low) ** patience, high


def _judge(camera, to_camera, vertices, joints):
    """Who is seen, who is wholly inside the image, and whose head or torso is: (N,) bool each."""
    ahead = (vertices @ to_camera[2, :3] + to_camera[2, 3]).amin(1) > NEAREST
    surface = _inside(camera, move(to_camera, vertices[:, ::_STRIDE]))
    inside = _inside(camera, move(to_camera, joints))
    return ahead & (inside.sum(1) >= _SEEN), ahead & surface.all(1), inside[:, CORE].any(1)


def _inside(camera, points):
    pixels = camera.project(points)
    size = pixels.new_tensor((camera.width, camera.height))
    return ((pixels >= -0.5) & (pixels < size - 0.5)).all(-1) & (points[..., 2] > 0)
