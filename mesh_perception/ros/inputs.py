"""An image message and the newest camera_info become the pipeline's input, or one line that says what is wrong."""

import threading
from dataclasses import dataclass

import numpy as np
from std_msgs.msg import Header

from mesh_perception.geometry.camera import Camera, CameraError
from mesh_perception.ros.images import decode, to_rgb

# Stamps that fall back by less are images overtaken on the way; by more, a bag that starts over or a clock set anew.
LATE = 1.0
# Seconds that an image waits for its camera_info, which some drivers send after it.
PATIENCE = 0.1


class InputError(ValueError):
    """A frame that cannot be processed; the text names what is wrong and what was expected."""


@dataclass(frozen=True)
class Frame:
    """One image ready for the pipeline."""

    image: np.ndarray  # (H, W, 3) uint8 RGB
    camera: Camera
    header: Header  # the image's; its frame_id from camera_info where the image has none
    stamp: float  # s
    restarted: bool  # time jumped back: what was remembered of earlier images is void


class FrameAssembler:
    """Checks what arrives on `image` and `camera_info`, and puts both together."""

    def __init__(self, compressed=False):
        """compressed: the images are sensor_msgs/CompressedImage."""
        self._decode = decode if compressed else to_rgb
        self._camera_info = None
        self._arrival = threading.Condition()
        self._camera = (None, None)  # what the newest usable camera_info said, and its Camera
        self._last = None

    def set_camera_info(self, message):
        """Keeps the newest camera_info; from any thread."""
        with self._arrival:
            self._camera_info = message
            self._arrival.notify_all()

    def reset(self):
        """Forgets the last stamp, not the calibration."""
        self._last = None

    def assemble(self, message):
        """The Frame of an image message. Raises InputError."""
        try:
            image = self._decode(message)
        except ValueError as error:
            raise InputError(str(error)) from None
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
        stamp = header.stamp.sec + header.stamp.nanosec * 1e-9
        return Frame(image, camera, header, stamp, self._advance(stamp))

    def _calibration(self, height, width):
        info = self._camera_info
        if info is None:
            raise InputError('no camera_info yet; expected the calibration, images are of no use without it')
        key = (
            info.width,
            info.height,
            info.k.tobytes(),
            tuple(info.d),
            info.distortion_model,
            info.binning_x,
            info.binning_y,
            info.roi,
        )
        if key != self._camera[0]:
            try:
                self._camera = (key, Camera.from_camera_info(info))
            except CameraError as error:
                raise InputError(f'camera_info: {error}') from None
        camera = self._camera[1]
        if (camera.width, camera.height) != (width, height):
            raise InputError(
                f'the image is {width}x{height} but camera_info is for {camera.width}x{camera.height}; '
                'expected a calibration of the same size'
            )
        return info, camera

    def _advance(self, stamp):
        """Accepts a stamp; True if time started over."""
        behind = 0.0 if self._last is None else self._last - stamp
        if 0 < behind < LATE:
            raise InputError(f'the image is stamped {behind:.3f} s before the last one; expected rising stamps')
        self._last = stamp
        return behind > 0
