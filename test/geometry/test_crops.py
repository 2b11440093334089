"""Crops against OpenCV's remap, their geometry against closed forms, the way back for every distortion model."""

import functools

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_perception.geometry.camera import Camera
from mesh_perception.geometry.crops import crop, crop_to_image, image_to_crop, regions_from_boxes, virtual_cameras
from mesh_perception.types import Regions

CAMERAS = {
    'none': Camera.from_intrinsics(640, 480, 500, 510, 325, 236),
    'plumb_bob': Camera.from_intrinsics(
        640, 480, 500, 510, 325, 236, (-0.28, 0.09, 0.001, -0.0015, -0.01), 'plumb_bob'
    ),
    'rational_polynomial': Camera.from_intrinsics(
        640, 480, 300, 304, 325, 236, (11.9, 5.4, 0.0005, -0.0003, 0.19, 12.3, 9.5, 1.1), 'rational_polynomial'
    ),
    'thin_prism': Camera.from_intrinsics(
        640,
        480,
        480,
        482,
        325,
        236,
        (0.4486, -2.5297, 0.00077, -0.00029, 1.456, 0.3264, -2.3522, 1.3864, 0.001, 0.002, -0.001, 0.0005),
        'rational_polynomial',
    ),
    'equidistant': Camera.from_intrinsics(640, 480, 250, 252, 325, 236, (-0.01, 0.02, -0.005, 0.001), 'equidistant'),
}
REGIONS = Regions(
    centers=torch.tensor([[320.0, 240], [120, 90], [560, 400], [300, 420]]),
    sizes=torch.tensor([300.0, 180, 120, 256]),
    rolls=torch.tensor([0.0, 0.3, -0.6, 0.0]),
)


def to_double(regions):
    return regions.to(torch.float64)


@functools.cache
def smooth_image(height=480, width=640, seed=0):
    """A textured picture without detail finer than a few pixels and black at its border: resamplers agree on it."""
    noise = np.random.default_rng(seed).random((height, width, 3))
    image = cv2.GaussianBlur(noise, (0, 0), 4)
    y, x = np.mgrid[:height, :width]
    fade = np.minimum.reduce([x, y, width - 1 - x, height - 1 - y]).clip(0, 30) / 30
    image = (image - image.min()) / np.ptp(image) * fade[..., None]
    return torch.from_numpy((image * 255).astype(np.uint8))


def blobs(positions, sigma, height=480, width=640):
    y, x = np.mgrid[:height, :width]
    image = sum(np.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * sigma**2)) for u, v in positions)
    return torch.from_numpy((np.stack([image] * 3, -1).clip(0, 1) * 255).round().astype(np.uint8))


def reference(image, camera, crops, index, size):
    """The crop's pixels looked up with OpenCV's projection and remap, in float64."""
    k, rotation = crops.intrinsics[index].double().numpy(), crops.rotations[index].double().numpy()
    x, y = np.meshgrid(np.arange(size), np.arange(size))
    rays = np.stack([x, y, np.ones_like(x)], -1).reshape(-1, 3) @ np.linalg.inv(k).T @ rotation
    distortion = camera.distortion if camera.distortion.size else np.zeros(5)
    if camera.model == 'equidistant':
        pixels = cv2.fisheye.projectPoints(rays[:, None], np.zeros(3), np.zeros(3), camera.k, distortion)[0]
    else:
        pixels = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), camera.k, distortion)[0]
    pixels = pixels.reshape(size, size, 2).astype(np.float32)
    return cv2.remap(image.numpy().astype(np.float32), pixels, None, cv2.INTER_LINEAR)


@pytest.mark.parametrize('camera', CAMERAS.values(), ids=CAMERAS.keys())
def test_crops_equal_opencv_remap(camera):
    image = smooth_image()
    crops = crop(image, camera, REGIONS)
    assert crops.images.shape == (4, 3, 256, 256)
    for index in range(4):
        expected = reference(image, camera, crops, index, 256)
        got = crops.images[index].permute(1, 2, 0).numpy() * 255
        # The picture changes by up to 20 grey values a pixel, remap rounds positions to 1/32 pixel.
        assert np.abs(got - expected).max() < 1.5
        assert np.abs(got - expected).mean() < 0.15


def test_a_region_on_the_axis_of_an_ideal_camera_is_cut_out_unchanged():
    image = torch.randint(0, 256, (480, 640, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    camera = Camera.from_intrinsics(640, 480, 500, 500, 319.5, 239.5)
    crops = crop(image, camera, Regions(torch.tensor([[319.5, 239.5]]), torch.tensor([256.0]), torch.zeros(1)))
    expected = image[112:368, 192:448].permute(2, 0, 1) / 255
    assert (crops.images[0] - expected).abs().max() < 2e-3


@pytest.mark.parametrize('camera', CAMERAS.values(), ids=CAMERAS.keys())
@pytest.mark.parametrize('side', [150.0, 420.0, 760.0])
def test_blobs_land_where_the_virtual_camera_projects_them(camera, side):
    side = min(side, camera.k[0, 0].item())  # up to 60 degrees: beyond, the stretch moves a blob's centroid itself
    sigma = 1.5 * max(side / 256, 1)
    positions = np.array([[200.25, 160.5], [400.75, 300.25], [330.0, 200.0], [250.5, 350.125]])
    image = blobs(positions, sigma)
    for position in positions:
        region = Regions(
            torch.tensor([[310.0, 250.0]]) if side > 350 else torch.tensor(position)[None].float() + 10,
            torch.tensor([side]),
            torch.tensor([0.2]),
        )
        crops = crop(image, camera, region)
        expected = image_to_crop(crops.intrinsics, crops.rotations, torch.tensor(position)[None, None].float(), camera)
        u, v = expected[0, 0].tolist()
        radius = 4 * sigma * 256 / side
        y, x = np.mgrid[:256, :256]
        near = (x - u) ** 2 + (y - v) ** 2 < radius**2
        mass = crops.images[0, 0].numpy() * near
        centroid = np.array([(mass * x).sum(), (mass * y).sum()]) / mass.sum()
        assert np.abs(centroid - [u, v]).max() < 0.05


@pytest.mark.parametrize('cell', [1, 2])
def test_a_fine_checkerboard_shrinks_to_grey(cell):
    y, x = np.mgrid[:1088, :1920] // cell
    image = torch.from_numpy(np.stack([((x + y) % 2 * 255).astype(np.uint8)] * 3, -1))
    camera = Camera.from_fov(1920, 1088, 60)
    for side in (256 * 2.5 * cell, 256 * 3.7 * cell):
        region = Regions(torch.tensor([[960.0, 540]]), torch.tensor([side]), torch.zeros(1))
        shown = crop(image, camera, region).images[0, 0, 128 - 50 : 128 + 50, 128 - 50 : 128 + 50]
        assert (shown - 0.5).abs().max() < 0.06


def test_neighbouring_pyramid_levels_do_not_leak_into_each_other():
    image = torch.full((480, 640, 3), 255, dtype=torch.uint8)
    camera = CAMERAS['none']
    sizes = torch.tensor([100.0, 250, 400, 700, 2000, 9000])
    regions = Regions(torch.tensor([[0.0, 240]]).expand(6, 2), sizes, torch.zeros(6))
    images = crop(image, camera, regions).images
    for index, one in enumerate(images):
        alone = crop(image, camera, regions[index : index + 1]).images[0]
        assert (one - alone).abs().max() < 1e-2
        assert one[:, :, :120].max() == 0  # left of the image
        assert one[:, 126:130, 131:134].min() > 0.98


def test_the_image_stays_upright_and_rolls_turn_clockwise():
    camera = CAMERAS['none']
    center = torch.tensor([[100.0, 80.0]])
    above = center[:, None] - torch.tensor([0.0, 20])
    k, rotation = virtual_cameras(camera, Regions(center, torch.tensor([100.0]), torch.zeros(1)))
    u, v = image_to_crop(k, rotation, above, camera)[0, 0].tolist()
    assert u == pytest.approx(127.5, abs=1e-2) and v < 127.5
    # The right side of a square that is turned clockwise by a right angle faces down.
    k, rotation = virtual_cameras(camera, Regions(center, torch.tensor([100.0]), torch.tensor([torch.pi / 2])))
    u, v = image_to_crop(k, rotation, center[:, None] + torch.tensor([0, 20.0]), camera)[0, 0].tolist()
    assert u > 127.5 and v == pytest.approx(127.5, abs=1e-2)


@pytest.mark.parametrize('camera', CAMERAS.values(), ids=CAMERAS.keys())
def test_center_and_sides_of_the_region_are_those_of_the_crop(camera):
    regions = to_double(REGIONS)
    k, rotations = virtual_cameras(camera, regions)
    middle = torch.full((4, 1, 2), 127.5, dtype=torch.float64)
    assert (crop_to_image(k, rotations, middle, camera)[:, 0] - regions.centers).abs().max() < 1e-6
    assert (rotations @ rotations.mT - torch.eye(3)).abs().max() < 1e-12
    assert torch.allclose(torch.linalg.det(rotations), torch.ones(4, dtype=torch.float64))
    across = torch.stack([regions.rolls.cos(), regions.rolls.sin()], -1) * regions.sizes[:, None] / 2
    down = torch.stack([-across[:, 1], across[:, 0]], -1)
    ends = torch.stack([regions.centers + d for d in (-across, across, -down, down)], 1)
    left, right, top, bottom = image_to_crop(k, rotations, ends, camera).unbind(1)
    spans = torch.maximum((right - left).norm(dim=-1), (bottom - top).norm(dim=-1))
    assert (spans - 256).abs().max() < 1e-6


@pytest.mark.parametrize('camera', CAMERAS.values(), ids=CAMERAS.keys())
def test_there_and_back(camera):
    k, rotations = virtual_cameras(camera, to_double(REGIONS))
    generator = torch.Generator().manual_seed(0)
    pixels = torch.rand(4, 100, 2, generator=generator, dtype=torch.float64) * 256
    there = crop_to_image(k, rotations, pixels, camera)
    assert (image_to_crop(k, rotations, there, camera) - pixels).abs().max() < 1e-6
    there = crop_to_image(k.float(), rotations.float(), pixels.float(), camera)
    assert (image_to_crop(k.float(), rotations.float(), there, camera) - pixels).abs().max() < 5e-3


def test_regions_from_boxes_are_square_and_centred():
    regions = regions_from_boxes(torch.tensor([[10.0, 20, 50, 120], [0, 0, 200, 100]]), scale=1.5)
    assert regions.centers.tolist() == [[30, 70], [100, 50]]
    assert regions.sizes.tolist() == [150, 300]
    assert regions.rolls.tolist() == [0, 0]
    assert len(regions_from_boxes(torch.zeros(0, 4))) == 0


@pytest.mark.parametrize('camera', CAMERAS.values(), ids=CAMERAS.keys())
def test_no_region_is_an_empty_batch(camera):
    empty = Regions(torch.zeros(0, 2), torch.zeros(0), torch.zeros(0))
    crops = crop(smooth_image(), camera, empty, size=64)
    assert crops.images.shape == (0, 3, 64, 64) and crops.intrinsics.shape == crops.rotations.shape == (0, 3, 3)
    assert crop_to_image(crops.intrinsics, crops.rotations, torch.zeros(0, 5, 2), camera).shape == (0, 5, 2)
    assert image_to_crop(crops.intrinsics, crops.rotations, torch.zeros(0, 5, 2), camera).shape == (0, 5, 2)


@pytest.mark.parametrize('camera', CAMERAS.values(), ids=CAMERAS.keys())
@settings(max_examples=15, deadline=None)
@given(x=st.floats(-1e5, 1e5), y=st.floats(-1e5, 1e5), size=st.floats(0, 1e5), roll=st.floats(-7, 7))
def test_any_region_gives_a_finite_crop(camera, x, y, size, roll):
    image = torch.full((480, 640, 3), 200, dtype=torch.uint8)
    region = Regions(torch.tensor([[x, y]]), torch.tensor([size]), torch.tensor([roll]))
    crops = crop(image, camera, region, size=32)
    for value in (crops.images, crops.intrinsics, crops.rotations):
        assert value.isfinite().all()
    assert 0 <= crops.images.min() and crops.images.max() <= 200.5 / 255
    pixels = torch.tensor([[[0.0, 0], [31, 31], [15.5, 15.5]]])
    assert crop_to_image(crops.intrinsics, crops.rotations, pixels, camera).isfinite().all()
    assert image_to_crop(crops.intrinsics, crops.rotations, pixels, camera).isfinite().all()


@pytest.mark.parametrize('value', [float('nan'), float('inf'), -float('inf'), 3e38])
@pytest.mark.parametrize('field', ['centers', 'sizes', 'rolls'])
def test_a_region_of_nonsense_gives_finite_pixels_and_spoils_no_other(field, value):
    camera = Camera.from_intrinsics(64, 48, 60, 60, 32, 24, (-0.1, 0.02, 0, 0, 0), 'plumb_bob')
    image = torch.full((48, 64, 3), 200, dtype=torch.uint8)
    regions = Regions(torch.tensor([[32.0, 24.0]] * 2), torch.full((2,), 30.0), torch.zeros(2))
    alone = crop(image, camera, regions[1:], 16).images
    getattr(regions, field)[0] = value
    crops = crop(image, camera, regions, 16)
    assert crops.images.isfinite().all() and torch.allclose(crops.images[1:], alone, atol=1e-5)
    if np.isnan(value):
        assert (crops.images[0] == 0).all()


def test_outside_of_the_image_is_black():
    image = torch.full((480, 640, 3), 255, dtype=torch.uint8)
    for camera in CAMERAS.values():
        far = Regions(torch.tensor([[-200.0, 240], [320, 900]]), torch.tensor([100.0, 200]), torch.zeros(2))
        assert crop(image, camera, far).images.max() == 0


def test_beyond_the_range_of_the_lens_model_is_black():
    # k1 = -0.3 folds back at r = 1.05; a view of 140 degrees sees beyond that.
    camera = Camera.from_intrinsics(640, 480, 600, 600, 319.5, 239.5, (-0.3, 0, 0, 0), 'plumb_bob')
    image = torch.full((480, 640, 3), 255, dtype=torch.uint8)
    crops = crop(image, camera, Regions(torch.tensor([[319.5, 239.5]]), torch.tensor([4000.0]), torch.zeros(1)))
    half = 127.5 / crops.intrinsics[0, 0, 0]
    assert half < 1.1  # the virtual camera does not open beyond the range either
    assert crops.images[0, :, 127, 127].min() > 0.99 and crops.images[0, :, 0, 0].max() == 0


@pytest.mark.parametrize(
    'image, message',
    [
        (torch.zeros(480, 640, 3), 'expected uint8'),
        (torch.zeros(480, 640, dtype=torch.uint8), 'expected uint8'),
        (torch.zeros(480, 641, 3, dtype=torch.uint8), "expected the camera's 640x480"),
    ],
)
def test_wrong_images_are_refused(image, message):
    with pytest.raises(ValueError, match=message):
        crop(image, CAMERAS['none'], REGIONS)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device')
@pytest.mark.parametrize('camera', CAMERAS.values(), ids=CAMERAS.keys())
def test_cuda_gives_the_same_crops_without_waiting_for_the_device(camera):
    image = smooth_image()
    on_device = image.cuda(), REGIONS.to('cuda')
    crop(on_device[0], camera, on_device[1])
    torch.cuda.set_sync_debug_mode('error')
    try:
        crops = crop(on_device[0], camera, on_device[1])
    finally:
        torch.cuda.set_sync_debug_mode('default')
    assert (crops.images.cpu() - crop(image, camera, REGIONS).images).abs().max() < 0.01
