"""sensor_msgs/Image to RGB arrays: cv_bridge where ROS has it and does the same, else the converter below."""

import functools

import cv2
import numpy as np


class ImageError(ValueError):
    """An image message that cannot be used; the text names what is wrong and what was expected."""


# ROS names a Bayer pattern by its first two rows, OpenCV by the second row's second and third pixel: bayer_rggb is
# OpenCV's BayerBG.
_BAYER = {
    'rggb': cv2.COLOR_BayerBG2RGB,
    'bggr': cv2.COLOR_BayerRG2RGB,
    'gbrg': cv2.COLOR_BayerGR2RGB,
    'grbg': cv2.COLOR_BayerGB2RGB,
}
# encoding -> (bytes per value, values per pixel, OpenCV's conversion; None: it is RGB)
_ENCODINGS = {
    'rgb8': (1, 3, None),
    'bgr8': (1, 3, cv2.COLOR_BGR2RGB),
    '8UC3': (1, 3, cv2.COLOR_BGR2RGB),
    'rgba8': (1, 4, cv2.COLOR_RGBA2RGB),
    'bgra8': (1, 4, cv2.COLOR_BGRA2RGB),
    '8UC4': (1, 4, cv2.COLOR_BGRA2RGB),
    'rgb16': (2, 3, None),
    'bgr16': (2, 3, cv2.COLOR_BGR2RGB),
    'rgba16': (2, 4, cv2.COLOR_RGBA2RGB),
    'bgra16': (2, 4, cv2.COLOR_BGRA2RGB),
    'mono8': (1, 1, cv2.COLOR_GRAY2RGB),
    '8UC1': (1, 1, cv2.COLOR_GRAY2RGB),
    'mono16': (2, 1, cv2.COLOR_GRAY2RGB),
    **{name: (1, 2, cv2.COLOR_YUV2RGB_UYVY) for name in ('yuv422', 'uyvy')},
    **{name: (1, 2, cv2.COLOR_YUV2RGB_YUY2) for name in ('yuv422_yuy2', 'yuyv')},
    **{f'bayer_{order}{8 * size}': (size, 1, code) for order, code in _BAYER.items() for size in (1, 2)},
    'nv12': (1, 1, cv2.COLOR_YUV2RGB_NV12),
    'nv21': (1, 1, cv2.COLOR_YUV2RGB_NV21),
}
# A plane of brightness, and below it one of half its height with colour.
_PLANAR = ('nv12', 'nv21')
# What cv_bridge is trusted with: names of its own, and 8 bits, of which it turns none round.
_BRIDGED = frozenset(
    ('bgr8', 'rgba8', 'bgra8', 'mono8', 'yuv422', 'yuv422_yuy2', *(f'bayer_{order}8' for order in _BAYER))
)


def to_rgb(message):
    """An Image message as (H, W, 3) uint8 RGB; a view of the message's data for rgb8, a new array otherwise.

    Encodings: rgb8, bgr8, rgba8, bgra8, mono8, bayer_*8; rgb16, bgr16, rgba16, bgra16, mono16 and bayer_*16 (the full
    16-bit range scaled to 8, in either byte order); yuv422 (also 'uyvy'), yuv422_yuy2 (also 'yuyv'), nv12, nv21; 8UC1
    (as mono8), 8UC3 (as bgr8) and 8UC4 (as bgra8). Rows may be padded (`step`). YUV is BT.601 in video range.
    Raises ImageError for any other encoding, an empty image, a step too small and a buffer too short.
    """
    pixels = _pixels(message)
    if message.encoding == 'rgb8':
        return pixels
    whole = len(message.data) == message.step * message.height  # cv_bridge refuses a last row without its padding
    bridge = _bridge() if message.encoding in _BRIDGED and whole else None
    try:
        if bridge is not None:
            return bridge.imgmsg_to_cv2(message, desired_encoding='rgb8')
        return _convert(pixels, message.encoding)
    except Exception as error:  # what cv2 and cv_bridge raise shares no base
        raise ImageError(f'{_name(message)} could not be converted to RGB: {" ".join(str(error).split())}') from None


def quoted(text):
    """A text out of a message for a log: in quotes, in one line, and not too long."""
    return ascii(text if len(text) <= 50 else f'{text[:50]}...')


def _name(message):
    return f'image with encoding {quoted(message.encoding)}, {message.width}x{message.height}'


def _pixels(message):
    """The message's values as a checked (H, W) or (H, W, C) view of its buffer; planes as one above the other."""
    width, height, step = message.width, message.height, message.step
    if width == 0 or height == 0:
        raise ImageError(f'{_name(message)}: empty; expected at least one pixel')
    if message.encoding not in _ENCODINGS:
        raise ImageError(f'{_name(message)}: unknown encoding; expected one of {", ".join(_ENCODINGS)}')
    size, channels, _ = _ENCODINGS[message.encoding]
    row = width * channels * size
    if step < row:
        raise ImageError(f'{_name(message)}: step {step} is too small; expected {row} bytes or more')
    planar = message.encoding in _PLANAR
    if (channels == 2 or planar) and width % 2:
        raise ImageError(f'{_name(message)}: odd width; expected an even one, two pixels share their colour')
    if planar and height % 2:
        raise ImageError(f'{_name(message)}: odd height; expected an even one, two rows share their colour')
    data = np.frombuffer(message.data, np.uint8)
    expected = step * (height * 3 // 2 - 1 if planar else height - 1) + row
    if len(data) < expected:
        raise ImageError(f'{_name(message)}, step {step}: truncated, {len(data)} bytes of data; expected {expected}')
    shape, strides = (height * 3 // 2 if planar else height, width), (step, channels * size)
    if channels > 1:
        shape, strides = (*shape, channels), (*strides, size)
    dtype = np.dtype(f'{">" if message.is_bigendian else "<"}u{size}')
    return np.ndarray(shape, dtype, data, strides=strides)


def _convert(pixels, encoding):
    """RGB of a checked view by OpenCV alone."""
    size, _, code = _ENCODINGS[encoding]
    if size == 1:
        return cv2.cvtColor(pixels, code)
    image = np.ascontiguousarray(pixels, np.uint16)  # OpenCV refuses an odd step
    if code is not None:
        image = cv2.cvtColor(image, code)
    return cv2.convertScaleAbs(image, alpha=255 / 65535)


@functools.cache
def _bridge():
    """A cv_bridge that works here, or None: the registry's is ROS 1's, and apt's fails beside a foreign numpy."""
    try:
        from cv_bridge import CvBridge
        from sensor_msgs.msg import Image

        bridge = CvBridge()
        probe = Image(encoding='mono8', width=2, height=1, step=2, data=b'\x00\xff')
        return bridge if bridge.imgmsg_to_cv2(probe, 'rgb8').tolist() == [[[0] * 3, [255] * 3]] else None
    except Exception:  # a broken build fails in many ways (ImportError, AttributeError, SystemError)
        return None
