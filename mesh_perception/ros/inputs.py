"""An image message and the newest camera_info become the pipeline's input, or one line that says what is wrong."""

import re
import threading
from dataclasses import dataclass

import numpy as np
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from mesh_perception.geometry.camera import Camera, CameraError
from mesh_perception.ros.compressed import decode
from mesh_perception.ros.images import to_rgb
from mesh_perception.ros.reading import read_image
from mesh_perception.ros.stamps import OVERTAKEN, RESTARTED, SECOND, StampOrder, nanoseconds

# Seconds that an image waits for its camera_info, which some drivers send after it.
PATIENCE = 0.1
# Less of the image than this within the lens model's one-to-one range: coefficients of another camera, or rubbish.
LEAST_COVERAGE = 0.25
# image_rect, image_rect_color, image_rectified, rect/image: what image_proc, stereo and driver nodes call rectified.
_RECTIFIED = re.compile(r'(^|[/_])rect(ified)?([/_]|$)')


class InputError(ValueError):
    """A frame that cannot be processed; the text names what is wrong and what was expected.

    cause: the same in a word or two, for counting.
    """

    def __init__(self, text, cause):
        super().__init__(text)
        self.cause = cause


@dataclass(frozen=True)
class Frame:
    """One image ready for the pipeline."""

    image: np.ndarray  # (H, W, 3) uint8 RGB
    camera: Camera
    header: Header  # the image's; its frame_id from camera_info where the image has none
    stamp: float  # s
    restarted: bool  # time jumped back: what was remembered of earlier images is void
    calibration_frame: str = ''  # frame_id of the camera_info; where it is another one, the image's counts


def read_message(serialized, kind):
    """A message of a ROS class (an ImageView for Image) out of its bytes. Raises InputError for bytes that are none,
    which publishers of another version of the message send."""
    if kind is Image and (view := read_image(serialized)) is not None:
        return view
    try:
        return deserialize_message(serialized, kind)
    except RuntimeError:  # rmw's own
        name = f'{kind.__module__.split(".")[0]}/{kind.__name__}'
        raise InputError(f'{len(serialized)} bytes that are no {name}; expected a whole one', 'not a message') from None


def is_rectified(setting, topic):
    """Whether images are rectified: parameter `image_is_rectified` ('auto', or true or false as text or bool), and for
    'auto' the topic's full name. Images of a lens without distortion need no such name: K is right for them."""
    text = str(setting).lower()
    return text == 'true' or (text == 'auto' and _RECTIFIED.search(topic) is not None)


class FrameAssembler:
    """Checks what arrives on `image` and `camera_info`, and puts both together."""

    def __init__(self, compressed=False, rectified=False):
        """compressed: the images are sensor_msgs/CompressedImage. rectified: their camera is camera_info's P."""
        self._decode = decode if compressed else to_rgb
        self._rectified = rectified
        self._camera_info = None
        self._arrival = threading.Condition()
        self._camera = (None, None)  # what the newest usable camera_info said, and its Camera
        self._stamps = StampOrder()

    def set_camera_info(self, message):
        """Keeps the newest camera_info; from any thread."""
        with self._arrival:
            self._camera_info = message
            self._arrival.notify_all()

    def reset(self):
        """Forgets the last stamp, not the calibration."""
        self._stamps.reset()

    def assemble(self, message):
        """The Frame of an image message. Raises InputError."""
        try:
            image = self._decode(message)
        except ValueError as error:
            raise InputError(str(error), 'bad image') from None
        before = self._camera_info
        try:
            info, camera = self._calibration(*image.shape[:2])
        except InputError:
            with self._arrival:
                if not self._arrival.wait_for(lambda: self._camera_info is not before, PATIENCE):
                    raise
            info, camera = self._calibration(*image.shape[:2])
        header = message.header
        if not header.frame_id:
            header = Header(stamp=header.stamp, frame_id=info.header.frame_id)
        stamp = nanoseconds(header.stamp)
        return Frame(image, camera, header, stamp / SECOND, self._advance(stamp), info.header.frame_id)

    def _calibration(self, height, width):
        info = self._camera_info
        if info is None:
            raise InputError(
                'no camera_info yet; expected the calibration, images are of no use without it', 'no camera_info'
            )
        key = (
            info.width,
            info.height,
            info.k.tobytes(),
            info.p.tobytes(),
            info.d.tobytes(),
            info.distortion_model,
            info.binning_x,
            info.binning_y,
            info.roi,
        )
        if key != self._camera[0]:
            self._camera = (key, self._make_camera(info))
        camera = self._camera[1]
        if (camera.width, camera.height) != (width, height):
            raise InputError(
                f'the image is {width}x{height} but camera_info is for {camera.width}x{camera.height}; '
                'expected a calibration of the same size',
                'sizes differ',
            )
        return info, camera

    def _make_camera(self, info):
        try:
            camera = Camera.from_camera_info(info, self._rectified)
        except CameraError as error:
            raise InputError(f'camera_info: {error}', 'bad camera_info') from None
        coverage = camera.coverage()
        if coverage < LEAST_COVERAGE:
            raise InputError(
                f'camera_info: {camera.model} with these coefficients can be inverted on {100 * coverage:.0f} % of the '
                f'image; expected {100 * LEAST_COVERAGE:.0f} % or more of a calibration of this camera',
                'bad camera_info',
            )
        return camera

    def _advance(self, stamp):
        """Accepts a stamp; True if time started over."""
        behind = 0 if self._stamps.last is None else self._stamps.last - stamp
        order = self._stamps.take(stamp)
        if order == OVERTAKEN:
            raise InputError(
                f'the image is stamped {behind / SECOND:.3f} s before the last one; expected rising stamps',
                'late stamp',
            )
        return order == RESTARTED
