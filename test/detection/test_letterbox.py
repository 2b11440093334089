import cv2
import numpy as np
import pytest
import torch

from mesh_perception.detection.letterbox import check_image, letterbox, letterbox_into


@pytest.mark.parametrize(
    'height, width, square, shape',
    [
        (1920, 1088, False, (512, 320)),
        (1088, 1920, False, (320, 512)),
        (480, 640, False, (384, 512)),
        (20, 32, False, (320, 512)),
        (1, 700, False, (32, 512)),
        (700, 1, False, (512, 32)),
        (1, 1, False, (512, 512)),
        (1920, 1088, True, (512, 512)),
        (1, 700, True, (512, 512)),
    ],
)
def test_the_input_is_padded_no_further_than_it_must_be(height, width, square, shape):
    box = letterbox(torch.zeros(height, width, 3, dtype=torch.uint8), 512, square, 0)
    assert box.pixels.shape == (1, 3, *shape) and box.pixels.dtype == torch.float32


def test_shrinking_is_antialiased_and_padding_filled():
    image = np.random.default_rng(0).integers(0, 256, (900, 600, 3), dtype=np.uint8)
    image = cv2.GaussianBlur(image, (0, 0), 4)
    pixels = letterbox(torch.from_numpy(image), 320, False, 114).pixels[0].permute(1, 2, 0).numpy()
    assert pixels.shape == (320, 224, 3) and (pixels[:, 213:] == 114).all()
    expected = cv2.resize(image, (213, 320), interpolation=cv2.INTER_AREA).astype(np.float32)
    assert np.abs(pixels[:, :213] - expected).mean() < 1
    stripes = torch.zeros(512, 512, 3, dtype=torch.uint8)
    stripes[::2] = 200
    assert (letterbox(stripes, 128, False, 0).pixels[:, :, 2:-2] - 100).abs().max() <= 1  # one in two, seen from afar


@pytest.mark.parametrize('height, width', [(1920, 1088), (333, 777), (20, 32), (1, 50)])
def test_positions_come_back_to_the_pixel(height, width):
    box = letterbox(torch.zeros(height, width, 3, dtype=torch.uint8), 256, False, 0)
    corners = torch.tensor(
        [[0.0, 0.0], [round(width * 256 / max(height, width)) or 1, max(1, round(height * 256 / max(height, width)))]]
    )
    expected = torch.tensor([[-0.5, -0.5], [width - 0.5, height - 0.5]])  # the edges of the first and last pixels
    torch.testing.assert_close(box.to_image(corners), expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize('height, width', [(1920, 1088), (480, 640), (20, 32), (1, 700), (700, 1)])
@pytest.mark.parametrize('into', [(608, 608), (768, 576), (96, 160)])
def test_a_picture_fits_into_any_size_and_positions_come_back(height, width, into):
    box = letterbox_into(torch.full((height, width, 3), 255, dtype=torch.uint8), *into, 0)
    assert box.pixels.shape == (1, 3, into[1], into[0])
    shown = box.pixels[0, 0].nonzero().amax(0).flip(0) + 1.0
    assert (shown == torch.tensor(into)).any()  # it fills one side
    ratio = min(into[0] / width, into[1] / height)
    assert (shown - torch.tensor([width * ratio, height * ratio]).clamp_min(1)).abs().max() <= 0.51
    corners = torch.stack((torch.zeros(2), shown))
    expected = torch.tensor([[-0.5, -0.5], [width - 0.5, height - 0.5]])
    torch.testing.assert_close(box.to_image(corners), expected, rtol=0, atol=1e-3)


def test_a_bright_spot_is_found_where_it_is():
    image = torch.zeros(800, 500, 3, dtype=torch.uint8)
    image[397:404, 97:104] = 255  # centred at x 100, y 400
    box = letterbox(image, 256, False, 0)
    weight = box.pixels[0, 0]
    y, x = torch.meshgrid(torch.arange(weight.shape[0]) + 0.5, torch.arange(weight.shape[1]) + 0.5, indexing='ij')
    spot = torch.stack(((x * weight).sum(), (y * weight).sum())) / weight.sum()
    torch.testing.assert_close(box.to_image(spot), torch.tensor([100.0, 400.0]), rtol=0, atol=0.1)


@pytest.mark.parametrize(
    'image',
    [
        torch.zeros(10, 10, 3),
        torch.zeros(10, 10, dtype=torch.uint8),
        torch.zeros(3, 10, 10, dtype=torch.uint8),
        torch.zeros(0, 10, 3, dtype=torch.uint8),
        np.zeros((10, 10, 4), np.uint8),
    ],
)
def test_what_is_no_rgb_image_is_refused(image):
    with pytest.raises(ValueError, match=r'image: .* expected uint8 \(height, width, 3\) RGB'):
        check_image(image)
