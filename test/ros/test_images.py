"""Image messages become RGB, or one clear line."""

import array

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip('sensor_msgs', reason='needs the ROS 2 message packages')
from sensor_msgs.msg import Image

from mesh_perception.ros import images
from mesh_perception.ros.images import ImageError, to_rgb

WIDTH, HEIGHT = 22, 14


@pytest.fixture(params=['own', 'cv_bridge'], autouse=True)
def converter(request, monkeypatch):
    """Every test runs with our converter, and with cv_bridge where ROS has it."""
    if request.param == 'own':
        monkeypatch.setattr(images, '_bridge', lambda: None)
    elif images._bridge() is None:
        pytest.skip('cv_bridge is not here')


@pytest.fixture
def rgb():
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def message(values, encoding, padding=0, bigendian=False):
    """An Image holding `values` (H, W[, C]), each row followed by `padding` bytes of rubbish."""
    rows = np.ascontiguousarray(values).view(np.uint8).reshape(len(values), -1)
    rows = np.concatenate([rows, np.full((len(rows), padding), 0xA5, np.uint8)], 1)
    return Image(
        height=values.shape[0],
        width=values.shape[1],
        encoding=encoding,
        step=rows.shape[1],
        is_bigendian=bigendian,
        data=array.array('B', rows.tobytes()),
    )


@pytest.mark.parametrize('padding', [0, 1, 10])
@pytest.mark.parametrize(
    'encoding, order',
    [
        ('rgb8', [0, 1, 2]),
        ('bgr8', [2, 1, 0]),
        ('8UC3', [2, 1, 0]),
        ('rgba8', [0, 1, 2, 0]),
        ('bgra8', [2, 1, 0, 0]),
        ('8UC4', [2, 1, 0, 0]),
    ],
)
def test_colour_is_exact(rgb, encoding, order, padding):
    np.testing.assert_array_equal(to_rgb(message(rgb[..., order], encoding, padding)), rgb)


@pytest.mark.parametrize('padding', [0, 3])
@pytest.mark.parametrize('encoding', ['mono8', '8UC1'])
def test_grey_fills_three_channels(rgb, encoding, padding):
    result = to_rgb(message(rgb[..., 0], encoding, padding))
    np.testing.assert_array_equal(result, rgb[..., :1].repeat(3, 2))


@pytest.mark.parametrize('padding', [0, 1, 6])
@pytest.mark.parametrize('order', ['<', '>'])
def test_mono16_is_scaled_in_either_byte_order(order, padding):
    values = np.linspace(0, 65535, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH).astype(f'{order}u2')
    result = to_rgb(message(values, 'mono16', padding, bigendian=order == '>'))
    expected = np.rint(values.astype(np.float64) * 255 / 65535)[..., None].repeat(3, 2)
    np.testing.assert_allclose(result, expected, atol=0.501)
    assert result.dtype == np.uint8 and result.min() == 0 and result.max() == 255


@pytest.mark.parametrize('padding', [0, 4])
@pytest.mark.parametrize('encoding', ['yuv422', 'uyvy', 'yuv422_yuy2', 'yuyv'])
def test_yuv422_follows_bt601(encoding, padding):
    """Against the closed form of BT.601, video range, on a picture whose colour is constant over pixel pairs."""
    random = np.random.default_rng(1)
    y = random.integers(60, 180, (HEIGHT, WIDTH))
    u, v = random.integers(100, 156, (2, HEIGHT, WIDTH // 2)).repeat(2, 2)
    chroma = np.where(np.arange(WIDTH) % 2 == 0, u, v)
    pair = [chroma, y] if encoding in ('yuv422', 'uyvy') else [y, chroma]
    luma = 1.164 * (y - 16.0)
    expected = np.stack(
        [luma + 1.596 * (v - 128), luma - 0.813 * (v - 128) - 0.391 * (u - 128), luma + 2.018 * (u - 128)], -1
    )
    result = to_rgb(message(np.stack(pair, -1).astype(np.uint8), encoding, padding))
    np.testing.assert_allclose(result, np.clip(expected, 0, 255), atol=2)


@pytest.mark.parametrize('padding', [0, 1, 6])
@pytest.mark.parametrize('byte_order', ['<', '>'])
@pytest.mark.parametrize(
    'encoding, order', [('rgb16', [0, 1, 2]), ('bgr16', [2, 1, 0]), ('rgba16', [0, 1, 2, 0]), ('bgra16', [2, 1, 0, 0])]
)
def test_colour_of_16_bits_is_scaled_in_either_byte_order(encoding, order, byte_order, padding):
    deep = np.random.default_rng(0).integers(0, 65536, (HEIGHT, WIDTH, 3))
    values = deep[..., order].astype(f'{byte_order}u2')
    result = to_rgb(message(values, encoding, padding, bigendian=byte_order == '>'))
    np.testing.assert_allclose(result, np.rint(deep / 257), atol=0.501)
    assert result.dtype == np.uint8


@pytest.mark.parametrize('padding', [0, 1, 6])
@pytest.mark.parametrize('encoding', ['nv12', 'nv21'])
def test_planes_of_brightness_and_colour_follow_bt601(encoding, padding):
    """Against the closed form, on a picture whose colour is constant over blocks of 2x2 pixels."""
    random = np.random.default_rng(1)
    y = random.integers(60, 180, (HEIGHT, WIDTH))
    u, v = random.integers(100, 156, (2, HEIGHT // 2, WIDTH // 2))
    chroma = np.stack((u, v) if encoding == 'nv12' else (v, u), -1).reshape(HEIGHT // 2, WIDTH)
    image = message(np.concatenate((y, chroma)).astype(np.uint8), encoding, padding)
    image.height = HEIGHT
    u, v = (plane.repeat(2, 0).repeat(2, 1) for plane in (u, v))
    luma = 1.164 * (y - 16.0)
    expected = np.stack(
        [luma + 1.596 * (v - 128), luma - 0.813 * (v - 128) - 0.391 * (u - 128), luma + 2.018 * (u - 128)], -1
    )
    np.testing.assert_allclose(to_rgb(image), np.clip(expected, 0, 255), atol=2)


@pytest.mark.parametrize('padding', [0, 4])
@pytest.mark.parametrize('bits, order', [(8, '<'), (16, '<'), (16, '>')])
@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
def test_bayer_gives_back_a_flat_colour(pattern, bits, order, padding):
    colour = dict(zip('rgb', (200, 90, 20), strict=True))
    first, second = [colour[c] for c in pattern[:2]], [colour[c] for c in pattern[2:]]
    mosaic = np.tile(np.array([first, second]), (HEIGHT // 2, WIDTH // 2))
    mosaic = mosaic.astype(np.uint8) if bits == 8 else (mosaic * 257).astype(f'{order}u2')
    result = to_rgb(message(mosaic, f'bayer_{pattern}{bits}', padding, bigendian=order == '>'))
    np.testing.assert_allclose(result[2:-2, 2:-2], np.broadcast_to([200, 90, 20], result[2:-2, 2:-2].shape), atol=1)


def test_rgb8_is_not_copied(rgb):
    image = message(rgb, 'rgb8', padding=2)
    result = to_rgb(image)
    image.data[0] = 7
    assert result[0, 0, 0] == 7


def test_last_row_may_lack_its_padding(rgb):
    image = message(rgb, 'bgr8', padding=5)
    image.data = image.data[:-5]
    np.testing.assert_array_equal(to_rgb(image), rgb[..., ::-1])


@pytest.mark.parametrize(
    'changes, words',
    [
        ({'encoding': 'rgb9'}, 'unknown encoding'),
        ({'encoding': ''}, 'unknown encoding'),
        ({'encoding': '32FC1'}, 'unknown encoding'),
        ({'width': 0}, 'empty'),
        ({'height': 0}, 'empty'),
        ({'width': 0, 'height': 0, 'step': 0, 'data': array.array('B')}, 'empty'),
        ({'step': 0}, 'step 0 is too small'),
        ({'step': WIDTH * 3 - 1}, f'expected {WIDTH * 3} bytes'),
        ({'data': array.array('B')}, 'truncated, 0 bytes'),
        ({'data': array.array('B', bytes(WIDTH * HEIGHT * 3 - 1))}, f'expected {WIDTH * HEIGHT * 3}'),
        ({'height': 2**32 - 1}, 'truncated'),
        ({'width': 2**32 - 1, 'height': 2**32 - 1}, 'step'),
        ({'encoding': 'yuyv', 'width': 21}, 'odd width'),
        ({'encoding': 'nv12', 'width': 21}, 'odd width'),
        ({'encoding': 'nv12', 'height': 13}, 'odd height'),
        ({'encoding': 'nv21', 'step': WIDTH, 'data': array.array('B', bytes(WIDTH * HEIGHT))}, 'truncated'),
        ({'encoding': '16UC1'}, 'unknown encoding'),
        ({'encoding': 'rgb8\nERROR all is lost'}, 'unknown encoding'),
        ({'encoding': 'x' * 10000}, 'unknown encoding'),
    ],
)
def test_bad_images_are_refused_in_one_line(rgb, changes, words):
    image = message(rgb, 'rgb8')
    for name, value in changes.items():
        setattr(image, name, value)
    with pytest.raises(ImageError) as error:
        to_rgb(image)
    text = str(error.value)
    assert words in text and 'expected' in text and '\n' not in text
    assert f', {image.width}x{image.height}' in text and len(text) < 800
    assert f"'{image.encoding}'" in text or len(image.encoding) > 10


def reference(image):
    """An independent, slow reading of a checked 8-bit message: pixel by pixel, as sensor_msgs describes it."""
    order = {'rgb8': 'RGB', 'bgr8': 'BGR', '8UC3': 'BGR', 'rgba8': 'RGBA', 'bgra8': 'BGRA', 'mono8': 'M'}[
        image.encoding
    ]
    result = np.zeros((image.height, image.width, 3), np.uint8)
    for row in range(image.height):
        for column in range(image.width):
            start = row * image.step + column * len(order)
            pixel = dict(zip(order, image.data[start : start + len(order)], strict=True))
            result[row, column] = [pixel.get(c, pixel.get('M')) for c in 'RGB']
    return result


sizes = st.integers(0, 9) | st.sampled_from([2**16, 2**31 - 1, 2**31, 2**32 - 1])
encodings = st.sampled_from(sorted(images._ENCODINGS)) | st.text(max_size=60)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes, sizes, sizes, encodings, st.booleans(), st.binary(max_size=400))
def test_any_message_becomes_an_image_or_one_line(width, height, step, encoding, bigendian, data):
    try:
        image = Image(width=width, height=height, step=step, encoding=encoding, is_bigendian=bigendian, data=data)
    except UnicodeEncodeError:
        return  # lone surrogates: no message of DDS holds them
    check_any(image)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(0, 5),
    st.sampled_from(sorted(images._ENCODINGS)),
    st.integers(-30, 30),
    st.booleans(),
)
def test_messages_that_are_nearly_right_become_an_image_or_one_line(
    width, height, padding, encoding, missing, bigendian
):
    size, channels, _ = images._ENCODINGS[encoding]
    step = width * channels * size + padding
    length = max(step * height * (3 if encoding in images._PLANAR else 2) // 2 - missing, 0)
    data = np.random.default_rng(length).integers(0, 256, length, dtype=np.uint8).tobytes()
    image = Image(width=width, height=height, step=step, encoding=encoding, is_bigendian=bigendian, data=data)
    result = check_any(image)
    if result is not None and encoding in ('rgb8', 'bgr8', '8UC3', 'rgba8', 'bgra8', 'mono8'):
        np.testing.assert_array_equal(result, reference(image))


def check_any(image):
    try:
        result = to_rgb(image)
    except ImageError as error:
        assert 'expected' in str(error) or 'converted' in str(error)
        assert '\n' not in str(error) and len(str(error)) < 1200
        return None
    assert result.shape == (image.height, image.width, 3) and result.dtype == np.uint8
    return result


def test_what_opencv_itself_refuses_is_one_line(monkeypatch, rgb):
    def refuse(*_):
        raise images.cv2.error('OpenCV: a line\n and another')

    monkeypatch.setattr(images, '_convert', refuse)
    monkeypatch.setattr(images, '_bridge', lambda: None)
    with pytest.raises(ImageError, match=r'could not be converted to RGB: OpenCV: a line and another$'):
        to_rgb(message(rgb, 'bgr8'))


def test_one_pixel_images_never_crash():
    for encoding, (size, channels, _) in images._ENCODINGS.items():
        width = 2 if channels == 2 else 1
        image = Image(
            height=1, width=width, encoding=encoding, step=width * channels * size, data=bytes(width * channels * size)
        )
        try:
            assert to_rgb(image).shape == (1, width, 3)
        except ImageError as error:
            assert '\n' not in str(error)
