"""SMPL's kinematic tree and other constants as tensors, one copy a device: Python lists would be uploaded each time."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import torch
from torch import Tensor

from mesh_perception.joints import SMPL_CHILD, SMPL_LEVELS, SMPL_PARENTS


@dataclass(frozen=True)
class Level:
    """Joints of one depth; they are neighbours in SMPL's order, so a slice names them."""

    joints: slice
    parents: Tensor  # (k,) where each joint's parent stands in the level above
    has_leaves: bool


@dataclass(frozen=True)
class Tree:
    parents: Tensor  # (24,) the pelvis is its own
    children: Tensor  # (24,) the child a joint's bone points to; a leaf is its own
    leaves: Tensor  # (24,) bool
    levels: tuple  # of Level, below the pelvis


@lru_cache
def constant(values: tuple, device: torch.device) -> Tensor:
    """Nested tuples as a float64 tensor on `device`."""
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=torch.float64, device=device)


@lru_cache
def tree(device: torch.device) -> Tree:
    """The tree's tensors on `device`."""
    # What is made in inference mode could never be used in training.
    with torch.inference_mode(False):

        def tensor(values):
            return torch.tensor(values, device=device)

        levels = []
        for above, joints in pairwise(SMPL_LEVELS):
            levels.append(
                Level(
                    slice(joints[0], joints[-1] + 1),
                    tensor([above.index(SMPL_PARENTS[j]) for j in joints]),
                    any(SMPL_CHILD[j] < 0 for j in joints),
                )
            )
        return Tree(
            tensor([max(parent, 0) for parent in SMPL_PARENTS]),
            tensor([child if child >= 0 else joint for joint, child in enumerate(SMPL_CHILD)]),
            tensor([child < 0 for child in SMPL_CHILD]),
            tuple(levels),
        )
