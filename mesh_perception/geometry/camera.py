"""A calibrated camera: intrinsics and lens distortion, from numbers, a calibration file or a CameraInfo message."""

import math
import numbers
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import yaml
from torch import Tensor

from mesh_perception.geometry.distortion import distort, undistort, valid_radius

# Accepted numbers of distortion coefficients.
_COUNTS = {'none': (0,), 'plumb_bob': (4, 5), 'rational_polynomial': (8, 12, 14), 'equidistant': (4,)}
_LARGEST_COEFFICIENT = 1e6
_SHORTEST, _FARTHEST = 1e-3, 1e6  # px; what is beyond is no camera, and leaves float32 sooner or later
_NEAREST = 1e-3  # m; points nearer or behind are projected as if they were at this depth


class CameraError(ValueError):
    """A calibration that cannot be used: one line that names what is wrong and what was expected."""


@dataclass(frozen=True, eq=False)
class Camera:
    """Width and height in pixels, K (3, 3), distortion coefficients (D,) of `model`; (0, 0) is a pixel's centre.

    Models are ROS's names: 'none', 'plumb_bob' (4 or 5 coefficients), 'rational_polynomial' (8, or 12 with thin
    prism; 14 if the sensor tilt is zero), 'equidistant' (4). Raises CameraError. Cameras compare and hash by value.
    """

    width: int
    height: int
    k: np.ndarray
    distortion: np.ndarray
    model: str

    def __post_init__(self):
        for name in ('width', 'height'):
            value = getattr(self, name)
            if not isinstance(value, numbers.Real) or not value > 0 or value % 1 != 0:
                raise CameraError(f'camera {name}: {value!r}, expected a positive number of pixels')
            object.__setattr__(self, name, int(value))
        object.__setattr__(self, 'k', _check_matrix(self.k))
        model, distortion = _check_distortion(self.model, self.distortion)
        object.__setattr__(self, 'model', model)
        object.__setattr__(self, 'distortion', distortion)
        object.__setattr__(self, '_coefficients', tuple(distortion.tolist()))

    @classmethod
    def from_intrinsics(cls, width, height, fx, fy, cx, cy, distortion=(), model='none') -> 'Camera':
        """From focal lengths and principal point in pixels."""
        return cls(width, height, np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], float), distortion, model)

    @classmethod
    def from_fov(cls, width, height, fov_degrees) -> 'Camera':
        """A distortion-free camera with the given field of view across the longer side, looking at the centre."""
        if not 0 < fov_degrees < 180:
            raise CameraError(f'field of view: {fov_degrees} degrees, expected more than 0 and less than 180')
        focal = max(width, height) / 2 / math.tan(math.radians(fov_degrees) / 2)
        return cls.from_intrinsics(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)

    @classmethod
    def from_yaml(cls, path) -> 'Camera':
        """From the YAML that ROS's camera_calibration writes."""
        try:
            content = yaml.safe_load(Path(path).read_text())
        except OSError as error:
            raise CameraError(f'calibration file {path}: {error.strerror or error}') from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise CameraError(f'calibration file {path}: not readable as YAML') from error
        try:
            return cls(
                content['image_width'],
                content['image_height'],
                content['camera_matrix']['data'],
                content['distortion_coefficients']['data'],
                content.get('distortion_model', 'plumb_bob'),
            )
        except KeyError as error:
            raise CameraError(
                f'calibration file {path}: no {error.args[0]!r}; expected image_width, image_height, '
                'camera_matrix.data and distortion_coefficients.data'
            ) from error
        except CameraError as error:
            raise CameraError(f'calibration file {path}: {error}') from error
        except (TypeError, AttributeError) as error:
            raise CameraError(f'calibration file {path}: expected the layout that camera_calibration writes') from error

    @classmethod
    def from_camera_info(cls, message, rectified=False) -> 'Camera':
        """From a sensor_msgs/CameraInfo (or anything with its attributes), for the image as it is delivered.

        rectified: the image is a rectified one: P's left 3x3 instead of K, and no distortion. Positions are then in the
        rectified camera's frame, which R turns against the camera's own.

        K and P there refer to the full image; binning and region of interest are applied. A binned pixel's centre is
        the middle of the pixels it was made of; image_geometry leaves that out, (binning - 1) / (2 binning) of a binned
        pixel. roi.do_rectify changes nothing, as in image_proc, which rectifies the window as it is.
        """
        k = _matrix_of_p(message.p) if rectified else _check_matrix(message.k).copy()
        width, height = message.width, message.height
        roi = getattr(message, 'roi', None)
        if roi is not None and (roi.width or roi.height or roi.x_offset or roi.y_offset):
            window = f'{roi.width}x{roi.height} at ({roi.x_offset}, {roi.y_offset})'
            inside = roi.x_offset + roi.width <= width and roi.y_offset + roi.height <= height
            if not (roi.width and roi.height and inside):
                raise CameraError(f'region of interest: {window}, expected a part of the full {width}x{height} image')
            k[:2, 2] -= roi.x_offset, roi.y_offset
            width, height = roi.width, roi.height
        for axis, name in enumerate(('binning_x', 'binning_y')):
            binning = getattr(message, name, 0) or 1
            k[axis, 2] -= (binning - 1) / 2
            k[axis] /= binning
        width //= getattr(message, 'binning_x', 0) or 1
        height //= getattr(message, 'binning_y', 0) or 1
        return (
            cls(width, height, k, (), 'none')
            if rectified
            else cls(width, height, k, message.d, message.distortion_model)
        )

    def project(self, points: Tensor) -> Tensor:
        """Points (..., 3) in metres -> pixels (..., 2) with distortion, differentiable.

        Depths under 1 mm count as 1 mm; rays beyond the distortion model's valid range are held at its edge. In
        float32 within 1e-3 px of float64 for images up to 4096 px.
        """
        x, y = distort(points[..., :2] / points[..., 2:].clamp_min(_NEAREST), self.model, self._coefficients).unbind(-1)
        (fx, skew, cx), (_, fy, cy), _ = self.k.tolist()
        return torch.stack([fx * x + skew * y + cx, fy * y + cy], dim=-1)

    def unproject(self, pixels: Tensor) -> Tensor:
        """Pixels (..., 2) -> undistorted normalised coordinates (..., 2), x/z and y/z, differentiable and finite."""
        (fx, skew, cx), (_, fy, cy), _ = self.k.tolist()
        y = (pixels[..., 1] - cy) / fy
        x = (pixels[..., 0] - cx - skew * y) / fx
        return undistort(torch.stack([x, y], dim=-1), self.model, self._coefficients)

    def covers(self, points: Tensor) -> Tensor:
        """Whether points (..., 3) are in front and within the distortion model's valid range: (...), bool.

        `project` is one-to-one for these; they need not be within the image.
        """
        x, y, z = points.unbind(-1)
        limit = valid_radius(self.model, self._coefficients)
        front = z >= _NEAREST
        return front if math.isinf(limit) else front & (x * x + y * y <= (limit * z).square())

    def coverage(self) -> float:
        """The share of the image, 0 to 1, that some ray reaches where the distortion model is one-to-one."""
        x, y = torch.meshgrid(
            torch.linspace(0, self.width - 1, 33, dtype=torch.float64),
            torch.linspace(0, self.height - 1, 33, dtype=torch.float64),
            indexing='xy',
        )
        pixels = torch.stack((x, y), -1)
        rays = self.unproject(pixels)
        back = self.project(torch.cat((rays, torch.ones_like(rays[..., :1])), -1))
        return ((back - pixels).abs().amax(-1) < 0.5).double().mean().item()

    def matrix(self, device=None, dtype=torch.float32) -> Tensor:
        """K as a (3, 3) tensor."""
        return torch.tensor(self.k, device=device, dtype=dtype)

    def _key(self):
        return self.width, self.height, self.k.tobytes(), self._coefficients, self.model

    def __eq__(self, other):
        return isinstance(other, Camera) and self._key() == other._key()

    def __hash__(self):
        return hash(self._key())


def _matrix_of_p(p) -> np.ndarray:
    """The left 3x3 of a projection matrix; its last column is another camera's place, which ours is not seen from."""
    p = _floats(p, 'projection matrix')
    if p.size != 12:
        raise CameraError(f'projection matrix: {p.size} numbers, expected 12')
    if not p.any():
        raise CameraError('rectified image without P: it is all zero, expected focal lengths and a principal point')
    return _check_matrix(p.reshape(3, 4)[:, :3]).copy()


def _check_matrix(k) -> np.ndarray:
    k = _floats(k, 'camera matrix')
    if k.size != 9:
        raise CameraError(f'camera matrix: {k.size} numbers, expected 9')
    k = k.reshape(3, 3)
    if not k.any():
        raise CameraError('uncalibrated camera: K is all zero, expected focal lengths and a principal point')
    if not np.isfinite(k).all():
        raise CameraError('camera matrix: K holds NaN or infinity, expected finite numbers')
    if k[0, 0] <= 0 or k[1, 1] <= 0:
        raise CameraError(f'camera matrix: focal lengths {k[0, 0]:g} and {k[1, 1]:g}, expected positive pixels')
    if min(k[0, 0], k[1, 1]) < _SHORTEST or np.abs(k[:2]).max() > _FARTHEST:
        raise CameraError(
            f'camera matrix: {k[:2].tolist()}, expected focal lengths and principal point of 1e-3 to 1e6 px'
        )
    if k[1, 0] or k[2].tolist() != [0, 0, 1]:
        raise CameraError(f'camera matrix: {k.tolist()}, expected [[fx, s, cx], [0, fy, cy], [0, 0, 1]]')
    return k


def _check_distortion(model, distortion) -> tuple[str, np.ndarray]:
    distortion = _floats(distortion, 'distortion').reshape(-1)
    small = np.abs(distortion) < _LARGEST_COEFFICIENT
    if not small.all():
        raise CameraError(f'distortion: {distortion[~small][0]}, expected finite coefficients below 1e6')
    # Drivers of rectified or simulated cameras leave the model or its coefficients empty.
    if model in ('', 'none', 'plumb_bob') and not distortion.any() and distortion.size in (0, 4, 5):
        return 'none', np.zeros(0)
    if model not in _COUNTS:
        raise CameraError(f'distortion model: {str(model)[:40]!r}, expected one of {", ".join(_COUNTS)}')
    if distortion.size not in _COUNTS[model]:
        expected = ' or '.join(map(str, _COUNTS[model]))
        raise CameraError(f'distortion: {distortion.size} coefficients for {model}, expected {expected}')
    if distortion.size == 14:
        if distortion[12:].any():
            raise CameraError('distortion: a tilted sensor (coefficients 13 and 14) is not supported, expected zeros')
        distortion = distortion[:12]
    return model, distortion


def _floats(values, name: str) -> np.ndarray:
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise CameraError(f'{name}: expected numbers') from error
    return array
