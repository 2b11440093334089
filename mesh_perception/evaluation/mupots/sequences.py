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
_SHAPES = {'annot2': (2, len(JOINTS)), 'annot3': (3, len(JOINTS)), 'univ_annot3': (3, len(JOINTS))}
_FIELDS = (*_SHAPES, 'isValidFrame')


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
    frames = []
    for index, row in enumerate(annotations):
        people = []
        for person, cell in enumerate(row):
            at = f'{{{index + 1},{person + 1}}}'
            place, label = (
                f'{folder / "annot.mat"}: annotations{at}',
                f'{folder / "occlusion.mat"}: occlusion_labels{at}',
            )
            if not isinstance(cell, dict) or not set(_FIELDS) <= set(cell):
                raise DatasetError(f'{place}: expected a struct with {", ".join(_FIELDS)}')
            if not _array(cell['isValidFrame'], (1,), f'{place}.isValidFrame').any():
                continue
            points = [_array(cell[name], shape, f'{place}.{name}') for name, shape in _SHAPES.items()]
            if index >= len(labels) or person >= len(labels[index]):
                raise DatasetError(f'{label}: missing, expected {len(JOINTS)} numbers for each valid person')
            hidden = _array(labels[index][person], (len(JOINTS),), label) != 0
            people.append((person, *(each.T for each in points), hidden))
        if people:
            persons, *parts = zip(*people, strict=True)
            joints_2d, joints, universal, hidden = (torch.from_numpy(np.stack(part)) for part in parts)
            frames.append(TrueFrame(index, list(persons), joints_2d, joints / 1000, universal / 1000, hidden))
    if not frames:
        raise DatasetError(f'{folder / "annot.mat"}: nobody valid in {len(annotations)} frames; expected people')
    return frames


def _array(value, shape, place):
    """A float64 array; one axis is as good as a row or a column of that length."""
    array = np.asarray(value)
    fits = array.shape == shape or (len(shape) == 1 and array.size == shape[0])
    if array.dtype.kind not in 'biuf' or not fits:
        raise DatasetError(f'{place}: {array.dtype} {array.shape}, expected numbers {shape}')
    if not np.isfinite(array).all():
        raise DatasetError(f'{place}: not finite, expected numbers')
    return array.astype(np.float64).reshape(shape)
