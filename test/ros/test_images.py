"""Image messages become RGB, or one clear line."""

import array

import numpy as np
import pytest

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
    [('rgb8', [0, 1, 2]), ('bgr8', [2, 1, 0]), ('8UC3', [2, 1, 0]), ('rgba8', [0, 1, 2, 0]), ('bgra8', [2, 1, 0, 0])],
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
    assert f"'{image.encoding}', {image.width}x{image.height}" in text


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
