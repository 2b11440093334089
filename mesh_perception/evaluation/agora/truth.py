"""AGORA's true people: `{validation,train}_i_withjv.pkl`, one row an image, with a list of its people in each cell.

Columns used (docs/gt_dataframe.md, agora_evaluation/project_joints.py): imgPath; isValid; occlusion in percent; kid;
gt_joints_2d, 24 SMPL joints and 21 more, px; gt_joints_3d and gt_verts, m in the camera's frame. Kids' vertices are of
SMPL blended with the infants' template, and are stored as everybody's: nothing of that is needed here.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mesh_perception.body.pickles import Record, RefusedError, elements, resolve, resolve_text
from mesh_perception.evaluation.agora.cameras import FULL_WIDTH, project
from mesh_perception.evaluation.agora.dataframes import DataFrameError, read_dataframe
from mesh_perception.evaluation.joint_sets import SMPL_VERTICES

_LARGEST_OCCLUSION = 90.0  # percent; who is hidden more is not valid
_SMPLX_JOINTS = 127
_PEOPLE_COLUMNS = ('isValid', 'occlusion', 'kid', 'gt_joints_2d', 'gt_joints_3d')
_AGREE = 2.0  # px of 3840 between the stored 2D joints and the projected 3D ones; they are computed from each other


class TruthError(ValueError):
    """True people that cannot be read; one line that names the file."""


@dataclass
class TrueImage:
    """The people of one image: T of them."""

    name: str  # of the image's file
    joints_2d: Tensor  # (T, K >= 24, 2) px of 3840 x 2160
    joints: Tensor  # (T, 24, 3) m, camera frame
    vertices: Tensor | None  # (T, 6890, 3) m, if they were asked for
    matchable: Tensor  # (T,) bool: isValid, and occlusion within 0 to 90: predictions are matched to these
    counted: Tensor  # (T,) bool: isValid; who of these is not matched is a miss
    occlusion: Tensor  # (T,) percent
    kid: Tensor  # (T,) bool


def truth_files(folder, split='validation') -> list[Path]:
    """The split's files with SMPL's joints and vertices below a folder, in the order of their numbers.

    Where several folders hold such files, it is the one whose path within the folder names SMPL and not SMPL-X. Raises
    TruthError.
    """
    folder, expected = Path(folder), f"AGORA's {split}_0_withjv.pkl and so on, from {split}_SMPL.zip"
    if not folder.is_dir():
        raise TruthError(f'{folder}: no such folder; expected {expected} in it')
    places = {}
    for path in folder.rglob(f'{split}_*_withjv.pkl'):
        places.setdefault(path.parent, []).append(path)
    if not places:
        raise TruthError(f'{folder}: no {split}_*_withjv.pkl in it; expected {expected}')
    if len(places) > 1:
        parts = {place: str(place.relative_to(folder)).lower() for place in places}
        named = [place for place, part in parts.items() if 'smpl' in part and 'smplx' not in part]
        if len(named) != 1:
            raise TruthError(
                f'{folder}: {split}_*_withjv.pkl in {len(places)} folders; expected one, or one named SMPL'
            )
        places = {named[0]: places[named[0]]}
    return sorted(next(iter(places.values())), key=lambda path: (len(path.name), path.name))


def read_truth(path, vertices: bool) -> list[TrueImage]:
    """The images of one file; `vertices`: with their people's vertices, too. Raises TruthError."""
    columns = ('imgPath', *_PEOPLE_COLUMNS, *(('gt_verts',) if vertices else ()))
    try:
        frame = read_dataframe(path, columns)
    except DataFrameError as error:
        raise TruthError(str(error)) from None
    images = []
    for row in range(len(frame['imgPath'])):
        try:
            images.append(_image({name: frame[name][row] for name in columns}))
        except RefusedError as error:
            raise TruthError(f'{path}: row {row}: {error}') from None
        for name in columns:  # the file's own copy of these people takes as much memory again
            frame[name][row] = None
    return images


def _image(row):
    name = resolve_text(row['imgPath'])
    people = {column: _people(row[column], column) for column in row if column != 'imgPath'}
    counts = {column: len(cell) for column, cell in people.items()}
    if len(set(counts.values())) != 1:
        raise RefusedError(f'{name}: as many people in each column expected, found {counts}')
    occlusion = _numbers(people['occlusion'])
    counted = _numbers(people['isValid']).bool()
    joints_2d = _points(people['gt_joints_2d'], 2, 'gt_joints_2d')
    joints = _points(people['gt_joints_3d'], 3, 'gt_joints_3d')
    if joints.shape[1] >= _SMPLX_JOINTS:
        raise RefusedError(f"{name}: {joints.shape[1]} joints, SMPL-X's; expected SMPL's 24 and more")
    if joints.shape[1] < 24 or joints_2d.shape[1] < 24:
        raise RefusedError(f"{name}: {joints.shape[1]} joints; expected SMPL's 24 and more")
    vertices = None
    if 'gt_verts' in people:
        vertices = _points(people['gt_verts'], 3, 'gt_verts', SMPL_VERTICES).float()
    return TrueImage(
        name=name,
        joints_2d=_full_size(joints_2d, joints, name),
        joints=joints[:, :24],
        vertices=vertices,
        matchable=counted & (occlusion >= 0) & (occlusion <= _LARGEST_OCCLUSION),
        counted=counted,
        occlusion=occlusion,
        kid=_numbers(people['kid']).bool(),
    )


def _people(cell, column):
    """One value a person."""
    if isinstance(cell, (list, tuple)):
        return list(cell)
    if isinstance(cell, Record) and (values := elements(cell)).ndim:
        return list(values)
    raise RefusedError(f'{column}: a list with one value a person expected')


def _numbers(values):
    plain = [value if isinstance(value, np.generic) else resolve(value) for value in values]
    return torch.tensor([float(value) for value in plain], dtype=torch.float64)


def _points(values, width, column, count=None):
    arrays = [value if isinstance(value, np.ndarray) else resolve(value) for value in values]
    for array in arrays:
        if array.ndim != 2 or array.shape[1] != width or array.shape != arrays[0].shape:
            raise RefusedError(f'{column}: an array {array.shape}, expected (points, {width}) alike for all people')
        if count not in (None, len(array)):
            raise RefusedError(f"{column}: {len(array)} points, expected SMPL's {count}")
    if not arrays:
        return torch.zeros(0, count or 24, width, dtype=torch.float64)
    return torch.from_numpy(np.stack(arrays)).double()


def _full_size(joints_2d, joints, name):
    """2D joints in pixels of 3840, if those of an image 1280 wide were stored, as AGORA's code does for such images.

    Which they are is seen from the 3D joints in front of the camera; if neither fits, the camera is not this name's.
    """
    seen = joints[:, :24, 2] > 0.1
    if not seen.any():
        return joints_2d
    expected, stored = project(joints[:, :24], name)[seen], joints_2d[:, :24][seen]
    for width in (FULL_WIDTH, 1280):
        scale = FULL_WIDTH / width
        if (stored * scale - expected).abs().max() < _AGREE:
            return joints_2d * scale
    raise RefusedError(
        f'{name}: gt_joints_2d are {float((stored - expected).abs().max()):.3g} px from gt_joints_3d in the camera of '
        'this name; expected the same points'
    )
