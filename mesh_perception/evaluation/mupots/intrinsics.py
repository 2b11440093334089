"""The cameras of MuPoTS-3D, which the dataset does not ship: fitted to its 2D and 3D joints, or read from a file."""

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mesh_perception.evaluation.mupots.sequences import DatasetError, TrueFrame
from mesh_perception.geometry.camera import Camera, CameraError

_LARGEST_FILE = 1 << 29
_AGREE = 5.0  # px, the median distance between annotated and projected joints that is still one camera's
_FOCAL = (0.3, 6.0)  # of the longer side: from 118 to 9.5 degrees across it
_SQUARE = 0.1  # how much the two focal lengths may differ, as a share


def fit_intrinsics(joints: Tensor, joints_2d: Tensor) -> tuple[float, float, float, float]:
    """fx, fy, cx, cy by least squares of pixels (..., 2) = f (x, y) / z + c over points (..., 3) before the camera.

    NaN where points do not determine them.
    """
    points, pixels = joints.reshape(-1, 3).double().numpy(), joints_2d.reshape(-1, 2).double().numpy()
    used = np.isfinite(points).all(1) & np.isfinite(pixels).all(1) & (points[:, 2] > 0)
    points, pixels = points[used], pixels[used]
    rays = points[:, :2] / points[:, 2:]
    fitted = []
    for axis in (0, 1):
        spread = rays[:, axis] - rays[:, axis].mean() if len(rays) else rays[:, axis]
        power = np.square(spread).sum()
        focal = (spread * pixels[:, axis]).sum() / power if power > 1e-9 else np.nan
        fitted.append((focal, pixels[:, axis].mean() - focal * rays[:, axis].mean() if len(rays) else np.nan))
    (fx, cx), (fy, cy) = fitted
    return float(fx), float(fy), float(cx), float(cy)


def calibrate(frames: list[TrueFrame], width: int, height: int, place: str) -> tuple[Camera, float]:
    """A sequence's camera, fitted to its annotation, and the median distance in px to that.

    Raises DatasetError, which names `place`, where the fit is no camera of such pictures.
    """
    joints, joints_2d = (torch.cat([getattr(frame, name) for frame in frames]) for name in ('joints', 'joints_2d'))
    fx, fy, cx, cy = fit_intrinsics(joints, joints_2d)
    size = max(width, height)
    sound = (
        all(_FOCAL[0] * size < focal < _FOCAL[1] * size for focal in (fx, fy))
        and abs(fx / fy - 1) < _SQUARE
        and 0 < cx < width
        and 0 < cy < height
    )
    if not sound:
        raise DatasetError(
            f'{place}: annot2 and annot3 give fx {fx:.0f}, fy {fy:.0f}, cx {cx:.0f}, cy {cy:.0f} for pictures of '
            f'{width}x{height}; expected a camera; give --intrinsics FILE'
        )
    camera = Camera.from_intrinsics(width, height, fx, fy, cx, cy)
    error = annotation_error(camera, frames)
    if not error < _AGREE:
        raise DatasetError(
            f'{place}: annot3 in the camera fitted to it is {error:.1f} px from annot2 (median); expected less than '
            f'{_AGREE:g}; give --intrinsics FILE'
        )
    return camera, error


def annotation_error(camera: Camera, frames: list[TrueFrame]) -> float:
    """The median distance in px between annotated joints and projected ones."""
    errors = [(camera.project(frame.joints) - frame.joints_2d).norm(dim=-1).flatten().numpy() for frame in frames]
    return float(np.nanmedian(np.concatenate(errors)))


def read_intrinsics(path) -> dict[int, tuple[float, float, float, float]]:
    """fx, fy, cx, cy of each sequence out of Moon et al.'s MuPoTS-3D.json: images, with file_name and intrinsic.

    Raises DatasetError.
    """
    path, expected = Path(path), "expected MuPoTS-3D.json: images with file_name 'TS1/img_000000.jpg' and 4 intrinsic"
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise DatasetError(f'{path}: larger than {_LARGEST_FILE} bytes; {expected}')
        images = json.loads(path.read_text(encoding='utf-8'))['images']
        cameras = {}
        for image in images:
            number = int(image['file_name'].replace('\\', '/').split('/')[-2].removeprefix('TS'))
            values = tuple(float(value) for value in image['intrinsic'])
            if len(values) != 4 or cameras.setdefault(number, values) != values:
                raise DatasetError(f'{path}: TS{number} with several cameras, or not 4 numbers; {expected}')
    except OSError as error:
        raise DatasetError(f'{path}: {error.strerror or error}; {expected}') from None
    except DatasetError:
        raise
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        raise DatasetError(f'{path}: not such a file; {expected}') from None
    return cameras


def given_camera(cameras: dict, number: int, frames: list[TrueFrame], width: int, height: int, path):
    """The camera of a sequence out of a file, and how far the annotation is from it. Raises DatasetError."""
    if number not in cameras:
        raise DatasetError(f'{path}: no camera of TS{number}; expected one of each sequence that is measured')
    try:
        camera = Camera.from_intrinsics(width, height, *cameras[number])
    except CameraError as error:
        raise DatasetError(f'{path}: TS{number}: {error}') from None
    return camera, annotation_error(camera, frames)
