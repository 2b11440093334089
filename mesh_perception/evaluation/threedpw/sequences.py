"""Reads 3DPW's own files: sequenceFiles/SPLIT/SEQUENCE.pkl, and where the pictures lie.

Keys and shapes, of P people over N frames: `poses` P x (N, 72) axis-angle, `trans` P x (N, 3) m, `betas` P x (10,) or
(300,), `genders` P x 'm' or 'f', `jointPositions` P x (N, 72) m in the world (SMPL's 24 kinematic joints), `poses2d`
P x (N, 3, 18) x, y, confidence in OpenPose's order (zeros where there are none), `cam_poses` (N, 4, 4) world -> camera,
`campose_valid` P x (N,), `cam_intrinsics` (3, 3).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mesh_perception.body.pickles import RefusedError, elements, load_records, resolve, resolve_text
from mesh_perception.geometry.camera import Camera, CameraError
from mesh_perception.media import read_picture

SPLITS = ('train', 'validation', 'test')
LARGEST_FILE = 1 << 30  # bytes; the dataset's largest file has a tenth of that
BETAS = 10


class DatasetError(ValueError):
    """A file of the dataset that is missing or is something else; one line that names it and what was expected."""


@dataclass
class Sequence:
    """One sequence, P people over N frames, in float64."""

    name: str
    split: str
    genders: list[str]  # P times 'm' or 'f'
    poses: Tensor  # (P, N, 24, 3) axis-angle, joint 0 in the world
    trans: Tensor  # (P, N, 3) m
    betas: Tensor  # (P, 10)
    joints: Tensor  # (P, N, 24, 3) m in the world, kinematic
    keypoints: Tensor  # (P, N, 18, 3) x, y px, confidence; zeros where there are none
    valid: Tensor  # (P, N) bool: the camera's pose fits this person's picture, and all is finite
    world_to_camera: Tensor  # (N, 4, 4)
    k: np.ndarray  # (3, 3)

    def in_camera(self, points: Tensor) -> Tensor:
        """Points (P, N, ..., 3) of the world in each frame's camera."""
        turn, place = self.world_to_camera[:, :3, :3], self.world_to_camera[:, :3, 3]
        shape = points.shape
        flat = points.flatten(2, -2) if points.dim() > 3 else points[:, :, None]
        return (flat @ turn.mT + place[:, None]).reshape(shape)


def find_sequences(data: Path, splits, wanted=lambda name: True) -> list[tuple[str, Path]]:
    """(split, path) of the sequence files below a 3DPW folder whose name is wanted.

    Raises DatasetError that names what is missing.
    """
    found = []
    for split in splits:
        folder = Path(data) / 'sequenceFiles' / split
        if not folder.is_dir():
            raise DatasetError(
                f"{folder}: no such folder; expected 3DPW's sequenceFiles/{{train,validation,test}} and imageFiles in "
                '--data'
            )
        found += [(split, path) for path in sorted(folder.glob('*.pkl')) if wanted(path.stem)]
    if not found:
        raise DatasetError(
            f'{folder.parent}: none of the sequences in {", ".join(splits)}, expected files such as '
            'test/downtown_arguing_00.pkl'
        )
    return found


def read_sequence(path: Path, split: str) -> Sequence:
    """One sequence file, without running anything in it. Raises DatasetError."""
    path = Path(path)
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise RefusedError(f'too large for a sequence of 3DPW (more than {LARGEST_FILE} bytes)')
        with path.open('rb') as file:
            content = _dictionary(file)
        return _sequence(content, path.stem, split)
    except RefusedError as error:
        raise DatasetError(f'{path}: {error}') from None
    except OSError as error:
        raise DatasetError(f'{path}: {error.strerror or error}') from None


def _dictionary(file):
    try:
        content = load_records(file)
    except RefusedError as error:
        raise RefusedError(f'{error}; expected a sequence of 3DPW') from None
    if not isinstance(content, dict):
        raise RefusedError('not a sequence of 3DPW, expected a pickled dictionary')
    return content


def _sequence(content, name, split):
    poses = _people(content, 'poses', (None, 72))
    count, frames = len(poses), len(poses[0])
    if any(len(pose) != frames for pose in poses):
        raise RefusedError(f'poses: people with {sorted({len(pose) for pose in poses})} frames, expected one number')

    def people(key, *shape):
        return torch.from_numpy(np.stack(_people(content, key, shape, count)))

    betas = _people(content, 'betas', (None,), count)
    if min(map(len, betas)) < BETAS or not np.isfinite(np.concatenate(betas)).all():
        raise RefusedError(f'betas: {[each.shape for each in betas]}, expected {BETAS} finite numbers or more')
    sequence = Sequence(
        name,
        split,
        [_gender(each) for each in _list(content, 'genders', count)],
        torch.from_numpy(np.stack(poses)).view(count, frames, 24, 3),
        people('trans', frames, 3),
        torch.from_numpy(np.stack([each[:BETAS] for each in betas])),
        people('jointPositions', frames, 72).view(count, frames, 24, 3),
        people('poses2d', frames, 3, 18).mT.contiguous(),
        people('campose_valid', frames) != 0,
        torch.from_numpy(_array(_value(content, 'cam_poses'), 'cam_poses', (frames, 4, 4))),
        _array(_value(content, 'cam_intrinsics'), 'cam_intrinsics', (3, 3)),
    )
    for values in (sequence.poses, sequence.trans, sequence.joints, sequence.keypoints, sequence.world_to_camera[None]):
        sequence.valid &= values.flatten(2).isfinite().all(-1)  # a camera that was not found need not be a number
    return sequence


def _value(content, key):
    if key not in content:
        raise RefusedError(f'not a sequence of 3DPW: no {key!r} in it')
    return content[key]


def _list(content, key, count=None):
    """One value a person; an array of several people is as good as a list of arrays."""
    value = _value(content, key)
    items = list(value if isinstance(value, (list, tuple)) else _named(key, elements, value))
    if not items or count not in (None, len(items)):
        raise RefusedError(f'{key}: of {len(items)} people, expected {count or "one or more"}')
    return items


def _people(content, key, shape, count=None):
    return [_array(item, key, shape) for item in _list(content, key, count)]


def _array(value, key, shape):
    """A float64 array of a shape (None: any length)."""
    array = value if isinstance(value, np.ndarray) else _named(key, resolve, value)
    fits = array.ndim == len(shape) and all(n in (None, m) for n, m in zip(shape, array.shape, strict=True))
    if array.dtype.kind not in 'biuf' or not fits:
        expected = tuple('*' if n is None else n for n in shape)
        raise RefusedError(f'{key}: {array.dtype} {array.shape}, expected numbers {expected}'.replace("'", ''))
    return array.astype(np.float64)


def _gender(value):
    text = _named('genders', resolve_text, value)
    if text[:1].lower() not in ('m', 'f'):
        raise RefusedError(f"genders: {ascii(text)[:30]}, expected 'm' or 'f'")
    return text[:1].lower()


def _named(key, read, value):
    try:
        return read(value)
    except RefusedError as error:
        raise RefusedError(f'{key}: {error}') from None


def picture_path(data: Path, sequence: Sequence, frame: int) -> Path:
    """Where a frame's picture lies."""
    return Path(data) / 'imageFiles' / sequence.name / f'image_{frame:05d}.jpg'


def read_camera(data: Path, sequence: Sequence, frame: int) -> Camera:
    """The camera of a sequence; the size is that of one frame's picture, which the sequence file does not hold.

    Raises MediaError that names the picture, or DatasetError for intrinsics that are none.
    """
    height, width = read_picture(picture_path(data, sequence, frame)).shape[:2]
    try:
        return Camera(width, height, sequence.k, (), 'none')
    except CameraError as error:
        raise DatasetError(f'{sequence.name}.pkl: cam_intrinsics: {error}') from None
