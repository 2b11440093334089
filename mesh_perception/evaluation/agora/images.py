"""AGORA's images on a user's disk: which there are, how large they are, and the frames to predict."""

import struct
from pathlib import Path

import numpy as np
import torch

from mesh_perception.evaluation.agora.cameras import camera_of, from_agora
from mesh_perception.evaluation.agora.truth import TrueImage
from mesh_perception.evaluation.joint_sets import SMPL_VERTICES
from mesh_perception.evaluation.predictions import Frame
from mesh_perception.media import read_picture

_SMALL = '_1280x720.png'  # how the names of the small images end; the large ones' end in .png alone
_MARGIN = 0.05  # of the box around a true person's joints, as a share of its longer side


class ImagesError(ValueError):
    """Images that are not where they were expected; one line."""


def image_files(folder) -> dict[str, Path]:
    """Every .png below a folder by its name."""
    return {path.name: path for path in sorted(Path(folder).rglob('*.png'), reverse=True)}


def image_of(files: dict[str, Path], name: str, folder) -> Path:
    """The file of a true image: of that name, or of the other size's. Raises ImagesError."""
    plain = name.removesuffix(_SMALL).removesuffix('.png')
    for candidate in (name, f'{plain}.png', f'{plain}{_SMALL}'):
        if candidate in files:
            return files[candidate]
    raise ImagesError(
        f"{folder}: no {name} in it, nor {plain}{_SMALL}; expected AGORA's validation images (validation_images_*.zip)"
    )


def test_images(folder) -> list[Path]:
    """The test set's images, sorted by name; of one that is there in both sizes the large one. Raises ImagesError."""
    folder = Path(folder)
    places = [place for place in (folder / 'test', folder / 'images' / 'test') if place.is_dir()]
    files = image_files(places[0]) if places else {}
    if not files:
        raise ImagesError(f"{folder}/test: no .png in it; expected AGORA's test images there (test_images_*.zip)")
    return [
        path
        for name, path in sorted(files.items())
        if not (name.endswith(_SMALL) and f'{name.removesuffix(_SMALL)}.png' in files)
    ]


def frame_of(path: Path, truth: TrueImage | None = None) -> Frame:
    """The frame of an image, with boxes around the joints of the true people who can be matched. Raises ImagesError."""
    width, height = _png_size(path)
    try:
        camera = camera_of(path.name, width, height)
    except ValueError as error:
        raise ImagesError(f'{path.parent}/{error}') from None
    boxes = None if truth is None else from_agora(_boxes(truth.joints_2d[truth.matchable]), width).float()
    return Frame(path.name, lambda: read_picture(path), camera, boxes)


def body_vertices(path) -> torch.Tensor:
    """AGORA's body_verts_smpl.npy: the vertices without head and hands that its MVE is about. Raises ImagesError."""
    expected = f"expected AGORA's utils/body_verts_smpl.npy, numbers of SMPL's {SMPL_VERTICES} vertices"
    try:
        with Path(path).open('rb') as file:
            array = np.load(file, allow_pickle=False)
    except OSError as error:
        raise ImagesError(f'{path}: {error.strerror or error}; {expected}') from None
    except Exception:  # a damaged file raises nearly anything
        raise ImagesError(f'{path}: not a readable .npy file; {expected}') from None
    good = isinstance(array, np.ndarray) and array.ndim == 1 and array.size and array.dtype.kind in 'iu'
    if not good or array.min() < 0 or array.max() >= SMPL_VERTICES or len(np.unique(array)) < array.size:
        raise ImagesError(f'{path}: not such a list; {expected}')
    return torch.from_numpy(array.astype(np.int64))


def _png_size(path):
    """Width and height out of the file's first bytes; the pixels are read when they are needed."""
    try:
        with path.open('rb') as file:
            start = file.read(24)
    except OSError as error:
        raise ImagesError(f'{path}: {error.strerror or error}') from None
    if len(start) < 24 or start[:8] != b'\x89PNG\r\n\x1a\n':
        raise ImagesError(f'{path}: not a PNG image')
    return struct.unpack('>II', start[16:24])


def _boxes(joints_2d):
    """(N, 4) around (N, K, 2), a little wider: limbs end beyond their joints."""
    if not len(joints_2d):
        return joints_2d.new_zeros(0, 4)
    low, high = joints_2d.amin(1), joints_2d.amax(1)
    margin = _MARGIN * (high - low).amax(1, keepdim=True)
    return torch.cat((low - margin, high + margin), 1)
