"""Where synthetic people get their poses: of motion capture that the user has, or of the prior that comes along."""

from typing import Protocol

import torch
from torch import Tensor

from mesh_perception.body import BodyModel
from mesh_perception.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from mesh_perception.joints import SMPL_JOINTS
from mesh_perception.synthetic.capture import captured_rotations
from mesh_perception.synthetic.pose_prior import load_pose_prior
from mesh_perception.synthetic.retarget import mirror

# A pose is varied by parts that people move on their own. Each goes a share of the way to the same part of another
# captured pose, joint by joint along the shortest turn: between two rotations that a joint did take, unlike noise,
# which bends knees sideways and elbows backwards.
_PARTS = (
    ('left_hip', 'left_knee', 'left_ankle', 'left_foot'),
    ('right_hip', 'right_knee', 'right_ankle', 'right_foot'),
    ('left_collar', 'left_shoulder', 'left_elbow', 'left_wrist', 'left_hand'),
    ('right_collar', 'right_shoulder', 'right_elbow', 'right_wrist', 'right_hand'),
    ('spine1', 'spine2', 'spine3', 'neck', 'head'),
)
_PART = tuple(next((k for k, part in enumerate(_PARTS) if name in part), len(_PARTS)) for name in SMPL_JOINTS)
_LARGEST_SHARE = 0.2


class PoseSource(Protocol):
    """Poses to draw people in."""

    name: str

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Rotations (count, 24, 3, 3) relative to the parent, the pelvis' to a world with y up: standing, walking,
        bending as the source has them, with its headings. The same for the same state of the generator (CPU)."""
        ...


class CapturedPoses:
    """A PoseSource of poses (K, 24, 3, 3): each as likely as any, mirrored half the time, varied by up to a fifth of
    the way to other poses."""

    def __init__(self, rotations: Tensor, name: str):
        self.rotations, self.name = rotations, name

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """See PoseSource."""
        poses = self._draw(count, generator)
        share = _LARGEST_SHARE * torch.rand(count, len(_PARTS), 1, generator=generator)
        share = torch.cat((share, torch.zeros(count, 1, 1)), 1)  # the pelvis stays
        way = matrix_to_axis_angle(poses.mT @ self._draw(count, generator))
        return poses @ axis_angle_to_matrix(share[:, _PART] * way)

    def _draw(self, count, generator):
        poses = self.rotations[torch.randint(len(self.rotations), (count,), generator=generator)]
        mirrored = torch.rand(count, 1, 1, 1, generator=generator) < 0.5
        return torch.where(mirrored, mirror(poses), poses)


def captured_poses(paths, body: BodyModel, split: str | None = None) -> PoseSource:
    """Poses of CMU's clips for a body: .npz files and folders of .asf and .amc files.

    What is taken of them, and `split` ('train', 'validation', 'test' or None for all): see `capture`. Raises
    ValueError in one line for what cannot be used.
    """
    rotations = torch.cat(list(captured_rotations(paths, body, split).values()))
    return CapturedPoses(rotations, f'captured-{split}' if split else 'captured')


def prior_poses() -> PoseSource:
    """Poses of the prior that comes along (`pose_prior`): what needs no motion capture."""
    return load_pose_prior()
