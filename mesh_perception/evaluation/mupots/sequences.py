"""Reads MuPoTS-3D's own files: TS1 to TS20, each with annot.mat, occlusion.mat and img_000000.jpg and so on.

`annotations` {frame x person}, a struct each: annot2 (2, 17) px; annot3 (3, 17) mm in the camera's frame; univ_annot3
(3, 17) mm, the same pose on the universal skeleton; isValidFrame. `occlusion_labels` {frame x person}: 17 numbers, 1
where a joint is hidden. Frames and joints are counted from 0 here.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mesh_perception.evaluation.mupots.joints import JOINTS
from mesh_perception.evaluation.mupots.mat_files import read_grid

SEQUENCES = tuple(range(1, 21))
_FIELDS = ('annot2', 'annot3', 'univ_annot3', 'isValidFrame')


class DatasetError(ValueError):
    """Something of the dataset that is missing or is something else; one line that names it and what was expected."""


@dataclass
class TrueFrame:
    """The T valid people of one image, float64; frames without any are left out."""

    index: int
    persons: list[int]  # which columns of the annotation they are
    joints_2d: Tensor  # (T, 17, 2) px
    joints: Tensor  # (T, 17, 3) m, camera frame, as long as their bones are
    universal: Tensor  # (T, 17, 3) m, camera frame, on the universal skeleton: what is compared
    hidden: Tensor  # (T, 17) bool


def sequence_folder(data, number: int) -> Path:
    """Where a sequence lies. Raises DatasetError where it does not."""
    folder = Path(data) / f'TS{number}'
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder; expected MuPoTS-3D's TS1 to TS20 in --data (MultiPersonTestSet)")
    return folder


def picture_path(data, number: int, index: int) -> Path:
    """Where a frame's picture lies."""
    return Path(data) / f'TS{number}' / f'img_{index:06d}.jpg'


def read_sequence(data, number: int) -> list[TrueFrame]:
    """The frames of a sequence with valid people in them. Raises DatasetError or MatError."""
    folder = sequence_folder(data, number)
    annotations = read_grid(folder / 'annot.mat', 'annotations')
    labels = read_grid(folder / 'occlusion.mat', 'occlusion_labels')
    sizes = [f'{len(grid)} x {len(grid[0]) if grid else 0}' for grid in (labels, annotations)]
    if sizes[0] != sizes[1]:
        raise DatasetError(
            f'{folder / "occlusion.mat"}: occlusion_labels {sizes[0]}, expected {sizes[1]} as annotations'
        )
    frames = []
    for index, (row, hidden) in enumerate(zip(annotations, labels, strict=True)):
        people = []
        for person, cell in enumerate(row):
            place = f'{folder / "annot.mat"}: annotations{{{index + 1},{person + 1}}}'
            if not isinstance(cell, dict) or not set(_FIELDS) <= set(cell):
                raise DatasetError(f'{place}: expected a struct with {", ".join(_FIELDS)}')
            if not _array(cell['isValidFrame'], (1,), f'{place}.isValidFrame').any():
                continue
            points = [_array(cell[name], shape, f'{place}.{name}') for name, shape in _SHAPES.items()]
            label = f'{folder / "occlusion.mat"}: occlusion_labels{{{index + 1},{person + 1}}}'
            people.append((person, *(each.T for each in points), _array(hidden[person], (len(JOINTS),), label) != 0))
        if people:
            persons, joints_2d, joints, universal, seen = zip(*people, strict=True)
            arrays = [torch.from_numpy(np.stack(part)) for part in (joints_2d, joints, universal, seen)]
            frames.append(TrueFrame(index, list(persons), arrays[0], arrays[1] / 1000, arrays[2] / 1000, arrays[3]))
    if not frames:
        raise DatasetError(f'{folder / "annot.mat"}: nobody valid in {len(annotations)} frames; expected people')
    return frames


_SHAPES = {'annot2': (2, len(JOINTS)), 'annot3': (3, len(JOINTS)), 'univ_annot3': (3, len(JOINTS))}


def _array(value, shape, place):
    """A float64 array; one axis is as good as a row or a column of that length."""
    array = np.asarray(value)
    fits = array.shape == shape or (len(shape) == 1 and array.size == shape[0])
    if array.dtype.kind not in 'biuf' or not fits:
        raise DatasetError(f'{place}: {array.dtype} {array.shape}, expected numbers {shape}')
    return array.astype(np.float64).reshape(shape)
