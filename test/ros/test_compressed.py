"""Compressed images become RGB, or one clear line."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip('sensor_msgs', reason='needs the ROS 2 message packages')
from sensor_msgs.msg import CompressedImage

from mesh_perception.ros import compressed
from mesh_perception.ros.compressed import decode
from mesh_perception.ros.images import ImageError


def picture(width=50, height=30):
    """Smooth, so that JPEG hardly changes it."""
    planes = *np.meshgrid(np.linspace(0, 200, width), np.linspace(0, 120, height)), np.full((height, width), 40)
    return np.stack(planes, -1).astype(np.uint8)


def encoded(suffix, image, flags=()):
    """The file of an RGB image, as bytes."""
    return cv2.imencode(suffix, image[..., ::-1] if image.ndim == 3 else image, flags)[1].tobytes()


@pytest.fixture(params=['direct', 'through BGR'], autouse=True)
def opencv(request, monkeypatch):
    """Every test runs as with an OpenCV that decodes to RGB and as with an older one."""
    if request.param == 'direct' and compressed._RGB is None:
        pytest.skip('this OpenCV decodes to BGR alone')
    if request.param != 'direct':
        monkeypatch.setattr(compressed, '_RGB', None)


@pytest.mark.parametrize('suffix, tolerance', [('.png', 0), ('.jpg', 12)])
@pytest.mark.parametrize(
    'text', ['rgb8; {} compressed bgr8', 'bgr8; {} compressed bgr8', '{}', '', 'rgb8', 'bgr8', 'mono8; {}', '\u00e4']
)
def test_compressed_images_are_decoded_as_rgb(suffix, tolerance, text):
    smooth = picture()
    result = decode(CompressedImage(format=text.format(suffix[1:]), data=encoded(suffix, smooth)))
    assert result.dtype == np.uint8 and result.flags.c_contiguous
    np.testing.assert_allclose(result.astype(int), smooth.astype(int), atol=tolerance)


@pytest.mark.parametrize('text', ['rgb8; png compressed rgb8', 'bgr8; png compressed ', 'bgra8; png compressed rgba8'])
def test_red_and_blue_are_exchanged_where_image_transports_subscriber_does(text):
    """Its rule: of a colour image whose compressed order is not bgr, what OpenCV calls blue is red."""
    smooth = picture()
    np.testing.assert_array_equal(decode(CompressedImage(format=text, data=encoded('.png', smooth))), smooth[..., ::-1])


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
def test_grey_images_fill_three_channels(suffix):
    grey = picture()[..., 0]
    result = decode(CompressedImage(format=f'mono8; {suffix[1:]} compressed mono8', data=encoded(suffix, grey)))
    np.testing.assert_allclose(result.astype(int), grey[..., None].repeat(3, 2).astype(int), atol=4)


def test_sixteen_bits_are_scaled_and_transparency_is_left_out():
    deep = np.linspace(0, 65535, 600).astype(np.uint16).reshape(20, 30)
    result = decode(CompressedImage(format='mono16; png compressed mono16', data=encoded('.png', deep)))
    np.testing.assert_allclose(result[..., 0], deep / 257, atol=1)
    bgra = np.dstack((picture()[..., ::-1], np.full((30, 50), 7, np.uint8)))
    data = cv2.imencode('.png', bgra)[1].tobytes()
    np.testing.assert_array_equal(decode(CompressedImage(format='png', data=data)), picture())


def test_progressive_jpeg_and_restart_intervals_are_read():
    for flag in (cv2.IMWRITE_JPEG_PROGRESSIVE, cv2.IMWRITE_JPEG_RST_INTERVAL):
        data = encoded('.jpg', picture(), [flag, 1])
        assert decode(CompressedImage(format='jpeg', data=data)).shape == (30, 50, 3)


def test_markers_of_a_jpeg_may_have_bytes_before_them_to_fill():
    data = encoded('.jpg', picture())
    data = data[:2] + b'\xff\xff\xff' + data[2:]
    assert decode(CompressedImage(format='jpeg', data=data)).shape == (30, 50, 3)


def test_a_file_without_its_end_is_refused_before_a_decoder_sees_it(monkeypatch):
    """Some decoders fill what is missing with grey, others print a line for each image."""
    monkeypatch.setattr(compressed.cv2, 'imdecode', lambda *_: pytest.fail('decoded'))
    for suffix in ('.jpg', '.png'):
        whole = encoded(suffix, picture())
        for missing in (1, 2, 13, len(whole) // 2):
            with pytest.raises(ImageError):
                decode(CompressedImage(format=suffix[1:], data=whole[:-missing]))


def test_what_opencv_itself_refuses_is_one_line(monkeypatch):
    def refuse(*_):
        raise compressed.cv2.error('OpenCV: a line\n and another')

    monkeypatch.setattr(compressed.cv2, 'imdecode', refuse)
    with pytest.raises(ImageError, match='cannot be decoded') as error:
        decode(CompressedImage(format='png', data=encoded('.png', picture())))
    assert '\n' not in str(error.value)


def test_zeros_after_a_jpeg_are_no_harm():
    data = encoded('.jpg', picture()) + bytes(1000)
    assert decode(CompressedImage(format='jpeg', data=data)).shape == (30, 50, 3)


def test_an_orientation_inside_the_jpeg_is_ignored():
    data = encoded('.jpg', picture())
    exif = b'Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0'
    data = data[:2] + b'\xff\xe1' + (len(exif) + 2).to_bytes(2, 'big') + exif + data[2:]
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape == (50, 30, 3)
    assert decode(CompressedImage(format='jpeg', data=data)).shape == (30, 50, 3)


def bomb(width, height):
    """A PNG that says it is so large, with hardly any data."""

    def chunk(kind, content):
        return struct.pack('>I', len(content)) + kind + content + struct.pack('>I', zlib.crc32(kind + content))

    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    return (
        b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', zlib.compress(bytes(1000))) + chunk(b'IEND', b'')
    )


@pytest.mark.parametrize(
    'image_format, data, words',
    [
        ('jpeg', b'', 'expected a whole JPEG or PNG'),
        ('jpeg', b'\xff\xd8\xff', 'expected a whole JPEG or PNG'),
        ('jpeg', b'\xff\xd8' + b'\xff' * 1000 + b'\xff\xd9', 'expected a whole JPEG or PNG'),
        ('png', b'not an image', 'expected a whole JPEG or PNG'),
        ('png', b'\x89PNG\r\n\x1a\n', 'expected a whole JPEG or PNG'),
        ('png', bomb(60000, 60000), '60000x60000; expected'),
        ('png', bomb(2**31 - 1, 2**31 - 1), 'expected'),
        ('png', bomb(0, 5), '0x5; expected'),
        ('png', bomb(2**21, 2), 'expected'),  # wider than OpenCV reads: it raises
        ('png', bomb(5000, 2), 'expected'),
        ('tiff', encoded('.tiff', picture()), 'expected a whole JPEG or PNG'),
        ('bmp', encoded('.bmp', picture()), 'expected a whole JPEG or PNG'),
        ('16UC1; compressedDepth', b'\0' * 40, 'a depth image'),
    ],
)
def test_bad_compressed_images_are_refused_in_one_line(image_format, data, words):
    with pytest.raises(ImageError) as error:
        decode(CompressedImage(format=image_format, data=data))
    text = str(error.value)
    assert f"'{image_format}', {len(data)} bytes" in text and words in text and 'expected' in text and '\n' not in text


@pytest.mark.parametrize('suffix', ['.jpg', '.png'])
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_truncated_files_are_refused(suffix, data):
    """OpenCV would fill a truncated JPEG with grey: people cut in two."""
    whole = encoded(suffix, picture())
    length = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(ImageError):
        decode(CompressedImage(format=suffix[1:], data=whole[:length]))


@pytest.mark.parametrize('suffix', ['.jpg', '.png'])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_become_an_image_or_one_line(suffix, data):
    content = bytearray(encoded(suffix, picture()))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    text = data.draw(st.text(max_size=80))
    try:
        result = decode(CompressedImage(format=text, data=bytes(content)))
        assert result.ndim == 3 and result.shape[2] == 3 and result.dtype == np.uint8
    except ImageError as error:
        assert '\n' not in str(error) and len(str(error)) < 800


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([b'', b'\xff\xd8', b'\xff\xd8\xff\xe0', b'\x89PNG\r\n\x1a\n']), st.binary(max_size=300))
def test_rubbish_is_refused(start, rest):
    with pytest.raises(ImageError):
        decode(CompressedImage(format='jpeg', data=start + rest))
