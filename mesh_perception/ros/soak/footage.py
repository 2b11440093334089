"""Real footage at any size, as messages ready to be sent again and again."""

import cv2
from sensor_msgs.msg import CompressedImage, Image

from mesh_perception.crowd import fit_view, shrink
from mesh_perception.media import read_frames
from mesh_perception.ros.demo.footage import demo_footage
from mesh_perception.ros.demo.publisher import camera_info

FRAME_ID = 'soak_optical_frame'
QUALITY = 90  # of JPEG


class Footage:
    """The demo's first camera, two people and a third in the background, its whole view shrunk to fit the size."""

    def __init__(self, width, height, count=None):
        """count: frames of it to keep (default: all). Raises WeightsError where the footage was not fetched."""
        path, camera = demo_footage('cam01')
        self.camera = fit_view(camera, width, height)
        self.info = camera_info(self.camera)
        self.pictures = []
        for frame in read_frames(path):
            self.pictures.append(shrink(frame.image, camera, self.camera))
            if len(self.pictures) == count:
                break

    def messages(self, compressed=False):
        """One message a picture, without a stamp."""
        return [_compressed(picture) if compressed else _raw(picture) for picture in self.pictures]


def _raw(picture):
    height, width = picture.shape[:2]
    message = Image(height=height, width=width, encoding='rgb8', step=3 * width)
    message.header.frame_id = FRAME_ID
    message.data.frombytes(picture.tobytes())
    return message


def _compressed(picture):
    message = CompressedImage(format='jpeg')
    message.header.frame_id = FRAME_ID
    data = cv2.imencode('.jpg', cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    message.data.frombytes(data.tobytes())
    return message
