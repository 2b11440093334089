"""sensor_msgs/CompressedImage to RGB arrays, by OpenCV."""

import cv2
import numpy as np

from mesh_perception.ros.images import ImageError, quoted

# More than any camera has. A few kilobytes of PNG can hold a picture of gigabytes.
LARGEST = 100_000_000
# Since OpenCV 4.11 the decoder itself gives RGB; before, it takes one more pass over the image.
_RGB = getattr(cv2, 'IMREAD_COLOR_RGB', None)
_PNG, _JPEG = b'\x89PNG\r\n\x1a\n', b'\xff\xd8'
# Start-of-frame markers of JPEG, which hold the size.
_FRAMES = {0xC0 + i for i in range(16)} - {0xC4, 0xC8, 0xCC}
_COLORS = {f'{order}{bits}' for order in ('rgb', 'bgr', 'rgba', 'bgra') for bits in (8, 16)}


def decode(message):
    """A CompressedImage message, JPEG or PNG, as (H, W, 3) uint8 RGB.

    The data says what it is; `format` matters where image_transport's own subscriber heeds it: in 'rgb8; jpeg
    compressed ORDER' an ORDER that is not bgr means that red and blue were exchanged. Sixteen bits are scaled to eight.
    An orientation noted inside the file is ignored: the calibration belongs to the pixels as they were taken.

    Raises ImageError where the data is empty, truncated, neither JPEG nor PNG, or too large.
    """
    name = f'compressed image of format {quoted(message.format)}, {len(message.data)} bytes'
    if 'compressedDepth' in message.format:
        raise ImageError(f'{name}: a depth image; expected a colour image')
    data = np.frombuffer(message.data, np.uint8) if len(message.data) else np.zeros(0, np.uint8)
    size = _size(data[: 1 << 20].tobytes())
    if size is None or not _whole(data):
        raise ImageError(f'{name}, cannot be decoded; expected a whole JPEG or PNG file')
    if not 0 < size[0] * size[1] <= LARGEST:
        raise ImageError(f'{name}: {size[0]}x{size[1]}; expected 1 to {LARGEST} pixels')
    exchanged = _exchanged(message.format)
    direct = cv2.IMREAD_COLOR if _RGB is None or exchanged else _RGB
    try:
        image = cv2.imdecode(data, direct | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        image = None
    if image is None:
        raise ImageError(f'{name}, cannot be decoded; expected a whole JPEG or PNG file')
    return image if exchanged or _RGB is not None else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _exchanged(text):
    """Whether image_transport's format text says that OpenCV's blue is the image's red."""
    encoding, semicolon, compression = text.partition(';')
    return bool(semicolon) and encoding.strip() in _COLORS and 'compressed bgr' not in compression


def _size(data):
    """(width, height) out of the header of a PNG or JPEG file; None for anything else."""
    if data.startswith(_PNG):
        return (int.from_bytes(data[16:20], 'big'), int.from_bytes(data[20:24], 'big')) if len(data) >= 24 else None
    if not data.startswith(_JPEG):
        return None
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _FRAMES:
            return int.from_bytes(data[at + 7 : at + 9], 'big'), int.from_bytes(data[at + 5 : at + 7], 'big')
        # 0xFF may be repeated as padding; everything else before the frame has a length.
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], 'big')
    return None


def _whole(data):
    """Whether the file's end is there: older OpenCV fills what is missing with grey. Some cameras add zeros."""
    end = data[-(1 << 16) :].tobytes().rstrip(b'\0')
    return end[-8:-4] == b'IEND' if data[0] == _PNG[0] else end.endswith(b'\xff\xd9')
