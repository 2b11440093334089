"""AGORA's cameras, which its files do not hold: they follow from the image's name.

From agora_evaluation/projection.py. Sensor 36 x 20.25 mm, principal point in the middle, no distortion:

| name contains       | focal length | pitch | yaw                  |
|---------------------|--------------|-------|----------------------|
| hdri                | 50 mm        | 0     | 0                    |
| cam00 to cam03      | 18 mm        | 30    | 135, -135, -45, 45   |
| ag2                 | 28 mm        | 15    | 0                    |
| anything else       | 28 mm        | 0     | the file's camYaw    |

Only focal lengths are needed: truth and predictions are both in the camera's frame. AGORA counts pixels of images of
3840 x 2160 from the image's corner, (1920, 1080) being its middle; elsewhere in this package (0, 0) is the centre of
the top-left pixel.
"""

from torch import Tensor

from mesh_perception.geometry.camera import Camera

FULL_WIDTH, FULL_HEIGHT = 3840, 2160
_SENSOR_WIDTH = 36.0  # mm
# The first that the name contains.
_FOCAL_LENGTHS = (('hdri', 50.0), ('cam00', 18.0), ('cam01', 18.0), ('cam02', 18.0), ('cam03', 18.0), ('ag2', 28.0))
_OTHERWISE = 28.0


def focal_length(name: str) -> float:
    """In pixels of an image 3840 wide."""
    millimetres = next((focal for part, focal in _FOCAL_LENGTHS if part in name), _OTHERWISE)
    return millimetres / _SENSOR_WIDTH * FULL_WIDTH


def camera_of(name: str, width: int, height: int) -> Camera:
    """The camera of an image of that name and size. Raises ValueError for a size that is not 16:9."""
    if width * FULL_HEIGHT != height * FULL_WIDTH:
        raise ValueError(f'{name}: {width}x{height}, expected 3840x2160 or 1280x720')
    focal = focal_length(name) * width / FULL_WIDTH
    return Camera.from_intrinsics(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)


def project(points: Tensor, name: str) -> Tensor:
    """Points (..., 3) m in the camera's frame -> AGORA's pixels (..., 2), as its own code projects its truth."""
    center = points.new_tensor([FULL_WIDTH / 2, FULL_HEIGHT / 2])
    return points[..., :2] / points[..., 2:] * focal_length(name) + center


def to_agora(pixels: Tensor, width: int) -> Tensor:
    """Pixels of an image that many pixels wide -> AGORA's."""
    return (pixels + 0.5) * (FULL_WIDTH / width)


def from_agora(pixels: Tensor, width: int) -> Tensor:
    """AGORA's pixels -> those of an image that many pixels wide."""
    return pixels * (width / FULL_WIDTH) - 0.5
