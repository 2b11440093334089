"""A density of human poses that comes along, for everybody who has no motion capture.

A mixture of Gaussians of reduced rank in one chart: each joint's rotation vector from its mean rotation, the pelvis'
without its heading, divided by its standard deviation; coordinates that hardly vary (toes sideways) stay at zero. It is
fitted by tools/fit_pose_prior.py to poses of CMU's motion capture (see NOTICE): means and covariances of hundreds of
poses each, none of the poses themselves. Of 1, 2, 4, 8, 12 and 16 components 12 make the clips left out likeliest.

A Gaussian has tails where no person is. So a sample is drawn again when a coordinate leaves what one in a thousand of
the data's poses leaves, when the density is below nearly all of them, when limbs come closer to each other or to the
trunk than in the data, when a hand is inside the body (`hands_inside`), or when the body would fall over (`support`).
"""

import math
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from mesh_perception.body import BodyModel, load_body
from mesh_perception.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from mesh_perception.joints import SMPL_JOINTS, SMPL_PARENTS
from mesh_perception.resources import data_file
from mesh_perception.synthetic.capture import shown_joints
from mesh_perception.synthetic.support import LARGEST_IMBALANCE, imbalance

PRIOR = 'pose_prior.npz'

# Parts that can run into each other, as lines between joints.
_LINES = {
    'trunk': ('pelvis', 'neck'),
    'head': ('neck', 'head'),
    **{
        f'{side} {part}': (f'{side}_{start}', f'{side}_{end}')
        for side in ('left', 'right')
        for part, start, end in (
            ('arm', 'shoulder', 'elbow'),
            ('forearm', 'elbow', 'hand'),
            ('thigh', 'hip', 'knee'),
            ('shin', 'knee', 'ankle'),
            ('foot', 'ankle', 'foot'),
        )
    },
}
PAIRS = (
    ('left forearm', 'right forearm'),
    ('left thigh', 'right thigh'),
    ('left shin', 'right shin'),
    ('left foot', 'right foot'),
    *((f'{side} forearm', part) for side in ('left', 'right') for part in ('trunk', 'head')),
    *((f'{side} forearm', f'{other} thigh') for side in ('left', 'right') for other in ('left', 'right')),
    *(
        (f'{a} {one}', f'{b} {other}')
        for a, b in (('left', 'right'), ('right', 'left'))
        for one, other in (('forearm', 'arm'), ('shin', 'thigh'), ('shin', 'foot'))
    ),
)
# The parts that a hand may not be in.
_SOLID = [SMPL_JOINTS.index(n) for n in ('pelvis', 'spine1', 'spine2', 'spine3', 'head', 'left_hip', 'right_hip')]
_SLIM = 0.95
_FINGERS = 0.8  # how far fingers reach beyond the hand's joint, of the way from the wrist
_ENDS = torch.tensor([[[SMPL_JOINTS.index(joint) for joint in _LINES[part]] for part in pair] for pair in PAIRS])


@dataclass(frozen=True)
class PosePrior:
    """A PoseSource (`poses`) of D coordinates, K components of rank R."""

    center: Tensor  # (24, 3, 3) the joints' mean rotations
    free: Tensor  # (D,) int64: which of the 24 x 3 coordinates vary
    scale: Tensor  # (D,) rad, their standard deviations
    weights: Tensor  # (K,) sum to one
    means: Tensor  # (K, D)
    factors: Tensor  # (K, D, R): a component's covariance is factors factors^T + noise
    noise: Tensor  # (K,)
    lower: Tensor  # (D,) the least of each coordinate
    upper: Tensor  # (D,) and the most
    least_log_density: Tensor  # ()
    clearances: Tensor  # (P,) m, the least distance of the lines of PAIRS
    body: BodyModel  # on which distances and balance are judged
    name: str = 'prior'

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """See PoseSource; the heading is any."""
        found, missing = [], count
        while missing > 0:
            poses = self.propose(2 * missing + 4, generator)
            found.append(poses[self.accepts(poses)][:missing])
            missing -= len(found[-1])
        poses = torch.cat(found) if found else torch.zeros(0, 24, 3, 3)
        return turned(poses, 2 * math.pi * torch.rand(count, generator=generator))

    def propose(self, count: int, generator: torch.Generator) -> Tensor:
        """Poses (count, 24, 3, 3) as the mixture alone has them, heading along z."""
        of = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        inner = torch.randn(count, self.factors.shape[2], 1, generator=generator)
        outer = torch.randn(count, len(self.free), generator=generator)
        return self.poses(self.means[of] + (self.factors[of] @ inner)[..., 0] + self.noise[of, None].sqrt() * outer)

    def accepts(self, poses: Tensor) -> Tensor:
        """Which poses (N, 24, 3, 3) a person could have: (N,) bool."""
        joints = shown_joints(self.body, poses)
        coordinates = self.coordinates(poses)
        good = ((coordinates >= self.lower) & (coordinates <= self.upper)).all(1)
        good &= self.log_density(coordinates) > self.least_log_density
        good &= (line_distances(joints) > self.clearances).all(1) & (imbalance(joints) < LARGEST_IMBALANCE)
        return good & ~hands_inside(self.body, poses, joints)

    def coordinates(self, poses: Tensor) -> Tensor:
        """Poses (N, 24, 3, 3) in the chart: (N, D)."""
        return chart(poses, self.center)[:, self.free] / self.scale

    def poses(self, coordinates: Tensor) -> Tensor:
        """Coordinates (N, D) as poses (N, 24, 3, 3), heading along z."""
        vectors = torch.zeros(len(coordinates), 72, dtype=coordinates.dtype)
        vectors[:, self.free] = coordinates * self.scale
        return self.center @ axis_angle_to_matrix(vectors.unflatten(1, (24, 3)))

    def log_density(self, coordinates: Tensor) -> Tensor:
        """Of coordinates (N, D), in nats: (N,)."""
        return torch.logsumexp(log_components(coordinates, self.weights, self.means, self.factors, self.noise), 1)


def load_pose_prior() -> PosePrior:
    """The committed prior."""
    with np.load(data_file(PRIOR), allow_pickle=False) as arrays:
        tensors = {f.name: torch.from_numpy(arrays[f.name]) for f in fields(PosePrior) if f.name in arrays.files}
    tensors = {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}
    return PosePrior(**tensors, body=load_body('open'))


def log_components(coordinates: Tensor, weights: Tensor, means: Tensor, factors: Tensor, noise: Tensor) -> Tensor:
    """Log density (N, K) of each component times its weight, by the matrix inversion lemma."""
    size, rank = factors.shape[1:]
    inner = torch.eye(rank, dtype=factors.dtype) + factors.mT @ factors / noise[:, None, None]
    root = torch.linalg.cholesky(inner)
    away = coordinates - means[:, None]  # (K, N, D)
    seen = torch.linalg.solve_triangular(root, (away @ factors).mT, upper=False).square().sum(1) / noise[:, None] ** 2
    distance = away.square().sum(-1) / noise[:, None] - seen
    volume = size * (2 * math.pi * noise).log() + 2 * root.diagonal(dim1=1, dim2=2).log().sum(1)
    return (weights.log()[:, None] - (distance + volume[:, None]) / 2).T


def chart(poses: Tensor, center: Tensor) -> Tensor:
    """Rotation vectors (N, 72), rad, of poses without their heading, from mean rotations (24, 3, 3)."""
    return matrix_to_axis_angle(center.mT @ levelled(poses)).flatten(1)


def levelled(poses: Tensor) -> Tensor:
    """Poses (N, 24, 3, 3) turned about the vertical so that their pelvis has no turn about it left (its twist)."""
    pelvis = poses[:, 0]
    heading = torch.atan2(pelvis[:, 0, 2] - pelvis[:, 2, 0], pelvis[:, 0, 0] + pelvis[:, 2, 2])
    return turned(poses, -heading)


def turned(poses: Tensor, angles: Tensor) -> Tensor:
    """Poses (N, 24, 3, 3) turned about the vertical by angles (N,), rad."""
    zero = torch.zeros_like(angles)
    turn = axis_angle_to_matrix(torch.stack((zero, angles, zero), 1))
    return torch.cat(((turn @ poses[:, 0])[:, None], poses[:, 1:]), 1)


def line_distances(joints: Tensor) -> Tensor:
    """Distances (N, P), m, between the lines of PAIRS for joints (N, 24, 3)."""
    (a, b), (c, d) = (joints[:, _ENDS[:, part]].unbind(2) for part in (0, 1))
    # The nearest points of two lines without ends, then each in turn held inside its own and the other moved after it.
    first, second, between = b - a, d - c, a - c
    squares = [(one * other).sum(-1) for one, other in ((first, first), (first, second), (second, second))]
    along, across = (first * between).sum(-1), (second * between).sum(-1)
    determinant = (squares[0] * squares[2] - squares[1] ** 2).clamp_min(1e-9)
    s = ((squares[1] * across - squares[2] * along) / determinant).clamp(0, 1)
    t = ((squares[1] * s + across) / squares[2].clamp_min(1e-9)).clamp(0, 1)
    s = ((squares[1] * t - along) / squares[0].clamp_min(1e-9)).clamp(0, 1)
    return (between + s[..., None] * first - t[..., None] * second).norm(dim=-1)


def hands_inside(body: BodyModel, poses: Tensor, joints: Tensor) -> Tensor:
    """Whether a hand or wrist of poses (N, 24, 3, 3) is inside trunk, head or thighs: (N,) bool.

    These parts count as upright elliptic cylinders around their vertices at rest, a little slimmer; of hands and
    forearms, points along their lines. joints (N, 24, 3) m, as `shown_joints` gives them.
    """
    turns = [poses[:, 0]]
    for joint, parent in enumerate(SMPL_PARENTS[1:], 1):
        turns.append(turns[parent] @ poses[:, joint])
    wrists, hands = joints[:, 20:22], joints[:, 22:24]
    points = torch.cat((wrists, hands, hands + _FINGERS * (hands - wrists), (wrists + hands) / 2), 1)
    part_of = body.weights.argmax(1)
    inside = torch.zeros(len(poses), dtype=torch.bool)
    for part in _SOLID:
        vertices = body.v_template[part_of == part] - body.joint_template[part]
        low, high = vertices.amin(0), vertices.amax(0)
        away = (points - joints[:, part, None]) @ turns[part] - (low + high) / 2
        away = (away / (_SLIM * (high - low) / 2)).square()
        inside |= ((away[..., 0] + away[..., 2] < 1) & (away[..., 1] < 1)).any(1)
    return inside
