"""Cameras: projection against OpenCV, the way back, CameraInfo and files, and what is refused."""

import math
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mesh_perception.geometry.camera import Camera, CameraError
from mesh_perception.geometry.distortion import LARGEST_RADIUS, valid_radius

LENSES = {
    'none': ('none', ()),
    'plumb_bob_4': ('plumb_bob', (-0.28, 0.09, 0.001, -0.0015)),
    'plumb_bob_5': ('plumb_bob', (-0.38, 0.2, 0.0005, -0.0003, -0.03)),
    'plumb_bob_pincushion': ('plumb_bob', (0.25, 0.1, 0.001, -0.0015, 0.05)),
    'rational_8': ('rational_polynomial', (0.4486, -2.5297, 0.00077, -0.00029, 1.456, 0.3264, -2.3522, 1.3864)),
    'rational_wide': ('rational_polynomial', (11.9, 5.4, 0.0005, -0.0003, 0.19, 12.3, 9.5, 1.1)),
    'rational_12': (
        'rational_polynomial',
        (0.45, -2.5, 0.0008, -0.0003, 1.456, 0.33, -2.35, 1.3864, 0.001, 0.002, -0.001, 0.0005),
    ),
    'rational_14': (
        'rational_polynomial',
        (0.45, -2.5, 0.0008, -0.0003, 1.456, 0.33, -2.35, 1.3864, 0.001, 0.002, -0.001, 0.0005, 0, 0),
    ),
    'equidistant': ('equidistant', (-0.01, 0.02, -0.005, 0.001)),
}
each_lens = pytest.mark.parametrize('model, distortion', LENSES.values(), ids=LENSES.keys())


def camera_of(model, distortion, focal=700.0):
    return Camera.from_intrinsics(1280, 720, focal, 1.01 * focal, 640.5, 350.25, distortion, model)


def points_in_view(count=2000, width=1.6, height=0.9):
    generator = torch.Generator().manual_seed(0)
    rays = (torch.rand(count, 2, generator=generator, dtype=torch.float64) - 0.5) * torch.tensor([width, height])
    depth = 0.5 + 10 * torch.rand(count, 1, generator=generator, dtype=torch.float64)
    return torch.cat([rays * depth, depth], dim=-1)


def camera_info(**changes):
    values = {
        'width': 640,
        'height': 480,
        'k': [500.0, 0, 320, 0, 510, 240, 0, 0, 1],
        'd': [-0.2, 0.1, 0, 0, 0],
        'distortion_model': 'plumb_bob',
        'binning_x': 0,
        'binning_y': 0,
        'roi': SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0, do_rectify=False),
    }
    return SimpleNamespace(**{**values, **changes})


@each_lens
def test_projection_equals_opencv(model, distortion):
    camera, points = camera_of(model, distortion), points_in_view()
    project = cv2.fisheye.projectPoints if model == 'equidistant' else cv2.projectPoints
    coefficients = np.array(distortion or (0, 0, 0, 0), float)
    expected = project(points.numpy()[:, None], np.zeros(3), np.zeros(3), camera.k, coefficients)[0][:, 0]
    assert np.abs(camera.project(points).numpy() - expected).max() < 1e-9
    single = camera.project(points.float())
    assert single.dtype == torch.float32 and np.abs(single.numpy() - expected).max() < 1e-3


@each_lens
def test_unprojection_is_the_inverse_and_opencvs(model, distortion):
    camera, points = camera_of(model, distortion), points_in_view()
    normalised = points[:, :2] / points[:, 2:]
    pixels = camera.project(points)
    back = camera.unproject(pixels)
    assert (back - normalised).abs().max() < 1e-12
    assert (camera.unproject(pixels.float()) - normalised).abs().max() * 700 < 1e-3
    inner = slice(0, 200)
    coefficients = np.array(distortion or (0, 0, 0, 0), float)
    if model == 'equidistant':
        expected = cv2.fisheye.undistortPoints(pixels[inner].numpy()[:, None], camera.k, coefficients)
    else:
        criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 500, 1e-13)
        expected = cv2.undistortPointsIter(
            pixels[inner].numpy()[:, None], camera.k, coefficients, np.eye(3), np.eye(3), criteria
        )
    assert np.abs(back[inner].numpy() - expected[:, 0]).max() < 1e-6


@each_lens
def test_every_pixel_of_the_image_goes_there_and_back(model, distortion):
    camera = camera_of(model, distortion)
    x, y = torch.meshgrid(torch.arange(0.0, 1280, 16), torch.arange(0.0, 720, 16), indexing='xy')
    pixels = torch.stack([x, y], dim=-1)
    for dtype, tolerance in ((torch.float64, 1e-6), (torch.float32, 2e-3)):
        rays = camera.unproject(pixels.to(dtype))
        assert rays.shape == (45, 80, 2) and rays.dtype == dtype
        back = camera.project(torch.cat([rays, torch.ones_like(rays[..., :1])], dim=-1))
        assert (back - pixels).abs().max() < tolerance


@each_lens
def test_gradients_agree_with_finite_differences(model, distortion):
    camera = camera_of(model, distortion, focal=1.0)
    points = torch.cat([points_in_view(6), torch.tensor([[0, 0, 2.0]])]).requires_grad_()
    assert torch.autograd.gradcheck(camera.project, points)
    pixels = torch.cat([camera.project(points).detach(), torch.tensor([[640.5, 350.25]])]).requires_grad_()
    assert torch.autograd.gradcheck(camera.unproject, pixels)


@each_lens
@settings(max_examples=40, deadline=None)
@given(point=st.tuples(*[st.floats(-1e3, 1e3, width=32)] * 3), pixel=st.tuples(*[st.floats(-1e6, 1e6, width=32)] * 2))
def test_any_point_and_any_pixel_are_finite(model, distortion, point, pixel):
    camera = camera_of(model, distortion)
    point, pixel = torch.tensor(point).requires_grad_(), torch.tensor(pixel).requires_grad_()
    for result, given_value in ((camera.project(point), point), (camera.unproject(pixel), pixel)):
        assert result.isfinite().all()
        assert torch.autograd.grad(result.sum(), given_value)[0].isfinite().all()


def test_points_behind_the_camera_are_projected_as_if_a_millimetre_in_front():
    camera = camera_of('none', ())
    points = torch.tensor([[0.01, -0.02, -3], [0.01, -0.02, 0], [0.01, -0.02, 1e-3]])
    pixels = camera.project(points)
    assert torch.equal(pixels[0], pixels[2]) and torch.equal(pixels[1], pixels[2])
    assert camera.covers(points).tolist() == [False, False, True]


def test_beyond_the_fold_of_the_polynomial_the_image_position_stays_at_its_edge():
    camera = camera_of('plumb_bob', (-0.3, 0, 0, 0))
    limit = math.sqrt(1 / 0.9)  # d/dr (r - 0.3 r^3) = 0
    assert valid_radius('plumb_bob', (-0.3, 0, 0, 0)) == pytest.approx(limit, rel=2e-3)
    radii = torch.linspace(0, 5, 501, dtype=torch.float64)
    points = torch.stack([radii, 0 * radii, torch.ones_like(radii)], dim=-1)
    pixels = camera.project(points)[:, 0]
    assert (pixels.diff() > -1e-9).all()
    assert (pixels[-1] - 640.5) / 700 == pytest.approx(limit - 0.3 * limit**3, rel=1e-4)
    assert camera.covers(points).sum() == (radii < 0.999 * limit).sum()
    outside = camera.unproject(torch.tensor([[5000.0, 350.25]]))
    assert outside.norm() <= limit


def test_lenses_without_a_fold_are_valid_to_the_largest_radius():
    assert valid_radius('plumb_bob', (0.1, 0.01, 0, 0, 0.001)) == LARGEST_RADIUS
    assert valid_radius('equidistant', (0, 0, 0, 0)) == pytest.approx(LARGEST_RADIUS)
    assert valid_radius('none', ()) == math.inf
    # A pole of the denominator bounds it too: 1 - 0.25 r^2 = 0 at r = 2.
    assert valid_radius('rational_polynomial', (0, 0, 0, 0, 0, -0.25, 0, 0)) == pytest.approx(2, rel=2e-3)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1e5, 1e5), min_size=8, max_size=8))
def test_absurd_coefficients_stay_finite(distortion):
    camera = Camera.from_intrinsics(640, 480, 500, 500, 320, 240, distortion, 'rational_polynomial')
    pixels = torch.tensor([[0.0, 0], [320, 240], [639, 479]], dtype=torch.float64)
    assert camera.unproject(pixels).isfinite().all()
    assert camera.project(points_in_view(20)).isfinite().all()


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([('plumb_bob', 5), ('rational_polynomial', 12), ('equidistant', 4)]),
    st.lists(st.floats(-1e6, 1e6, exclude_min=True, exclude_max=True), min_size=12, max_size=12),
    st.sampled_from([torch.float32, torch.float64]),
)
def test_coefficients_of_no_lens_stay_finite_in_single_precision_too(model, distortion, dtype):
    camera = Camera.from_intrinsics(640, 480, 500, 500, 320, 240, distortion[: model[1]], model[0])
    x, y = torch.meshgrid(torch.linspace(-50, 700, 9), torch.linspace(-50, 500, 9), indexing='xy')
    pixels = torch.stack((x, y), -1).to(dtype).requires_grad_()
    rays = camera.unproject(pixels)
    assert rays.isfinite().all() and torch.autograd.grad(rays.sum(), pixels)[0].isfinite().all()
    assert camera.project(torch.cat((rays, torch.ones_like(rays[..., :1])), -1)).isfinite().all()
    assert camera.project(points_in_view(20).to(dtype)).isfinite().all()


def test_skew_is_honoured():
    camera = Camera(640, 480, np.array([[500, 3, 320], [0, 510, 240], [0, 0, 1]]), (), 'none')
    point = torch.tensor([0.2, 0.1, 1], dtype=torch.float64)
    assert torch.allclose(camera.project(point), (camera.matrix(dtype=torch.float64) @ point)[:2])
    assert torch.allclose(camera.unproject(camera.project(point)), point[:2])


def test_field_of_view_is_across_the_longer_side():
    for width, height in ((640, 480), (480, 640)):
        camera = Camera.from_fov(width, height, 90)
        assert camera.k[0, 0] == camera.k[1, 1] == pytest.approx(320)
        assert camera.k[:2, 2].tolist() == [(width - 1) / 2, (height - 1) / 2]
    for degrees in (0, 180, -5, math.nan):
        with pytest.raises(CameraError, match='field of view'):
            Camera.from_fov(640, 480, degrees)


def test_cameras_compare_by_value():
    same, other = camera_of(*LENSES['rational_8']), camera_of(*LENSES['rational_8'], focal=701)
    assert same == camera_of(*LENSES['rational_8']) and hash(same) == hash(camera_of(*LENSES['rational_8']))
    assert same != other and same != 3


def test_camera_info_gives_the_same_camera():
    expected = Camera.from_intrinsics(640, 480, 500, 510, 320, 240, (-0.2, 0.1, 0, 0, 0), 'plumb_bob')
    assert Camera.from_camera_info(camera_info()) == expected
    assert Camera.from_camera_info(camera_info(k=np.array([500.0, 0, 320, 0, 510, 240, 0, 0, 1]))) == expected
    for model, d in (('plumb_bob', []), ('', []), ('', [0.0] * 5), ('plumb_bob', [0.0] * 5), ('none', [])):
        assert Camera.from_camera_info(camera_info(distortion_model=model, d=d)).model == 'none'


def test_region_of_interest_and_binning_of_camera_info_are_applied():
    roi = SimpleNamespace(x_offset=100, y_offset=60, width=320, height=200, do_rectify=False)
    camera = Camera.from_camera_info(camera_info(roi=roi, binning_x=2, binning_y=4))
    assert (camera.width, camera.height) == (160, 50)
    full = Camera.from_camera_info(camera_info())
    point = torch.tensor([0.1, -0.2, 1.5], dtype=torch.float64)
    u, v = full.project(point).tolist()
    # Binned pixel i is made of pixels 2 i and 2 i + 1 of the region: its centre is at 2 i + 0.5.
    assert camera.project(point).tolist() == pytest.approx([(u - 100 - 0.5) / 2, (v - 60 - 1.5) / 4])


def image_geometrys_k(k, info):
    """image_geometry::PinholeCameraModel's documented K for a reduced image, written down again."""
    k = np.array(k, float).reshape(3, -1)[:, :3].copy()
    k[:2, 2] -= info.roi.x_offset, info.roi.y_offset
    k[0] /= max(info.binning_x, 1)
    k[1] /= max(info.binning_y, 1)
    return k


regions = st.tuples(*[st.integers(0, 300)] * 2, *[st.integers(8, 180)] * 2)


@settings(max_examples=100, deadline=None)
@given(regions, st.integers(0, 8), st.integers(0, 8), st.booleans(), st.booleans())
def test_reduced_images_have_image_geometrys_k_but_for_the_binned_pixels_centre(
    region, bin_x, bin_y, rectify, rectified
):
    roi = SimpleNamespace(**dict(zip(('x_offset', 'y_offset', 'width', 'height'), region, strict=True)))
    roi.do_rectify = rectify
    p = [450.0, 0, 310, -30, 0, 450, 235, 0, 0, 0, 1, 0]
    info = camera_info(roi=roi, binning_x=bin_x, binning_y=bin_y, p=p)
    camera = Camera.from_camera_info(info, rectified)
    expected = image_geometrys_k(p if rectified else info.k, info)
    bins = np.maximum((bin_x, bin_y), 1)
    np.testing.assert_allclose(camera.k[:, :2], expected[:, :2])
    np.testing.assert_allclose(camera.k[:2, 2], expected[:2, 2] - (bins - 1) / (2 * bins))
    assert (camera.width, camera.height) == (roi.width // bins[0], roi.height // bins[1])


def test_a_binned_and_cut_picture_is_seen_by_the_binned_and_cut_camera():
    """A picture of a ray's pixel, binned by averaging and cut: the bright spot's centre is where `project` says."""
    full = Camera.from_camera_info(camera_info())
    roi = SimpleNamespace(x_offset=96, y_offset=60, width=320, height=240, do_rectify=False)
    reduced = Camera.from_camera_info(camera_info(roi=roi, binning_x=4, binning_y=2))
    point = torch.tensor([-0.1, -0.05, 1.0], dtype=torch.float64)
    x, y = np.meshgrid(np.arange(640), np.arange(480))
    u, v = full.project(point).tolist()
    spot = np.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * 9.0**2))
    cut = spot[60:300, 96:416].reshape(120, 2, 80, 4).mean((1, 3))
    rows, columns = np.mgrid[:120, :80]
    centre = [(cut * columns).sum() / cut.sum(), (cut * rows).sum() / cut.sum()]
    assert reduced.project(point).tolist() == pytest.approx(centre, abs=1e-3)
    assert (reduced.width, reduced.height) == cut.shape[::-1]


def test_a_rectified_image_has_p_and_no_distortion():
    """Against OpenCV: a point through the lens, then through the map that image_proc makes its images by."""
    k, d = np.array(camera_info().k).reshape(3, 3), np.array(camera_info().d)
    turn = cv2.Rodrigues(np.array([0.02, -0.05, 0.01]))[0]
    p = np.array([[430.0, 0, 300, -21.5], [0, 430, 250, 0], [0, 0, 1, 0]])
    info = camera_info(p=p.reshape(-1), r=turn.reshape(-1), distortion_model='anything', d=[1.0, 2.0, 3.0])
    camera = Camera.from_camera_info(info, rectified=True)
    assert camera.model == 'none' and (camera.width, camera.height) == (640, 480)
    points = points_in_view(200)
    raw = cv2.projectPoints(points.numpy()[:, None], np.zeros(3), np.zeros(3), k, d)[0]
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 500, 1e-13)
    expected = cv2.undistortPointsIter(raw, k, d, turn, p[:, :3], criteria)[:, 0]
    # What is seen in a rectified image is in the rectified camera's frame: turned by R.
    assert np.abs(camera.project(points @ torch.from_numpy(turn).T).numpy() - expected).max() < 1e-6


@pytest.mark.parametrize(
    'p, message',
    [
        ([0.0] * 12, 'rectified image without P'),
        ([500.0] * 9, 'projection matrix: 9 numbers, expected 12'),
        ([500.0, 0, 320, 0, 0, math.nan, 240, 0, 0, 0, 1, 0], 'NaN'),
        ([-500.0, 0, 320, 0, 0, 500, 240, 0, 0, 0, 1, 0], 'expected positive'),
    ],
)
def test_rectified_images_without_a_usable_p_are_refused(p, message):
    with pytest.raises(CameraError, match=message):
        Camera.from_camera_info(camera_info(p=p), rectified=True)


@pytest.mark.parametrize('region', [(0, 0, 641, 480), (600, 0, 41, 10), (0, 479, 5, 2), (5, 5, 0, 0), (0, 0, 10, 0)])
def test_a_region_outside_the_image_is_refused(region):
    roi = SimpleNamespace(**dict(zip(('x_offset', 'y_offset', 'width', 'height'), region, strict=True)))
    with pytest.raises(CameraError, match=r'region of interest: .* expected a part of the full 640x480 image'):
        Camera.from_camera_info(camera_info(roi=roi))


def test_coverage_is_the_share_of_the_image_that_rays_reach():
    assert camera_of('none', ()).coverage() == 1
    for model, distortion in LENSES.values():
        assert camera_of(model, distortion).coverage() == 1
    # r - 0.3 r^3 rises up to 0.70: a disc of that radius times the focal length is reached.
    folded = Camera.from_intrinsics(1000, 1000, 300, 300, 499.5, 499.5, (-0.3, 0, 0, 0), 'plumb_bob')
    radius = 300 * (math.sqrt(1 / 0.9) - 0.3 * math.sqrt(1 / 0.9) ** 3)
    assert folded.coverage() == pytest.approx(math.pi * (radius / 1000) ** 2, abs=0.02)
    assert Camera.from_intrinsics(640, 480, 500, 500, 320, 240, (-1e5, 0, 0, 0), 'plumb_bob').coverage() < 0.01


numbers = st.floats() | st.sampled_from([0.0, -1.0, 1e6, 1e308, 5e-324, math.nan, math.inf]) | st.floats(-1e3, 1e3)
counts = st.integers(0, 2**32 - 1) | st.integers(0, 700)


@settings(max_examples=300, deadline=None)
@example((1, 1), (1.0, 1.0, 0.0, 1.0), 'plumb_bob', [0.0, 0.0, 0.0, 2.0, 1.0], (0, 0, 0, 0), (0, 0), False)
@given(
    st.tuples(counts, counts),
    st.tuples(*[st.floats(1e-3, 1e6)] * 2, *[st.floats(-1e6, 1e6)] * 2) | st.lists(numbers, min_size=4, max_size=4),
    st.sampled_from(['plumb_bob', 'rational_polynomial', 'equidistant', 'none', '', 'fov']) | st.text(max_size=100),
    st.lists(numbers, max_size=14) | st.lists(st.floats(-1e6, 1e6), min_size=4, max_size=5),
    st.just((0, 0, 0, 0)) | st.tuples(*[counts] * 4),
    st.sampled_from([(0, 0), (1, 2)]) | st.tuples(counts, counts),
    st.booleans(),
)
def test_any_camera_info_is_refused_in_one_line_or_gives_finite_rays(size, k, model, d, region, binning, rectified):
    fx, fy, cx, cy = k
    info = SimpleNamespace(
        width=size[0],
        height=size[1],
        k=[fx, 0, cx, 0, fy, cy, 0, 0, 1],
        p=[fx, 0, cx, 0, 0, fy, cy, 0, 0, 0, 1, 0],
        d=d,
        distortion_model=model,
        binning_x=binning[0],
        binning_y=binning[1],
        roi=SimpleNamespace(x_offset=region[0], y_offset=region[1], width=region[2], height=region[3]),
    )
    try:
        camera = Camera.from_camera_info(info, rectified)
    except CameraError as error:
        assert '\n' not in str(error) and 'expected' in str(error) and len(str(error)) < 800
        return
    assert 0 <= camera.coverage() <= 1
    corners = torch.tensor([[0.0, 0], [camera.width / 2, camera.height / 2], [camera.width - 1, camera.height - 1]])
    rays = camera.unproject(corners)
    assert rays.isfinite().all()
    assert camera.project(torch.cat((rays, torch.ones(3, 1)), 1)).isfinite().all()


def test_a_real_camera_info_message_works():
    messages = pytest.importorskip('sensor_msgs.msg', reason='ROS messages are not installed')
    message = messages.CameraInfo(width=640, height=480, distortion_model='plumb_bob', d=[-0.2, 0.1, 0.0, 0.0, 0.0])
    with pytest.raises(CameraError, match='uncalibrated camera'):
        Camera.from_camera_info(message)
    message.k = [500.0, 0.0, 320.0, 0.0, 510.0, 240.0, 0.0, 0.0, 1.0]
    assert Camera.from_camera_info(message) == Camera.from_camera_info(camera_info())


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'k': [0.0] * 9}, 'uncalibrated camera: K is all zero'),
        ({'k': [math.nan] * 9}, 'NaN or infinity'),
        ({'k': [500.0, 0, 320, 0, math.inf, 240, 0, 0, 1]}, 'NaN or infinity'),
        ({'k': [-500.0, 0, 320, 0, 510, 240, 0, 0, 1]}, 'focal lengths -500 and 510, expected positive'),
        ({'k': [500.0, 0, 320, 0, 0, 240, 0, 0, 1]}, 'expected positive'),
        ({'k': [500.0, 0, 320, 0, 510, 240, 0, 0, 0]}, 'expected \\[\\[fx'),
        ({'k': [500.0] * 8}, '8 numbers, expected 9'),
        ({'k': 'abc'}, 'camera matrix: expected numbers'),
        ({'width': 0}, 'camera width: 0'),
        ({'height': -1}, 'camera height: -1'),
        ({'distortion_model': 'fov'}, "'fov', expected one of none, plumb_bob"),
        ({'distortion_model': ''}, "distortion model: ''"),
        ({'distortion_model': 'none'}, '5 coefficients for none, expected 0'),
        ({'d': [0.1, 0.2]}, '2 coefficients for plumb_bob, expected 4 or 5'),
        ({'distortion_model': 'equidistant'}, '5 coefficients for equidistant, expected 4'),
        ({'distortion_model': 'rational_polynomial', 'd': [0.1] * 14}, 'tilted sensor'),
        ({'d': [math.nan] * 5}, 'expected finite'),
        ({'d': [1e300, 0, 0, 0, 0]}, 'below 1e6'),
        ({'d': [math.inf] * 100000}, 'distortion: inf, expected finite'),
        ({'k': [1e300, 0, 320, 0, 510, 240, 0, 0, 1]}, '1e-3 to 1e6 px'),
        ({'k': [500.0, 0, 320, 0, 1e-9, 240, 0, 0, 1]}, '1e-3 to 1e6 px'),
        ({'k': [500.0, 0, 320, 0, 510, -1e9, 0, 0, 1]}, '1e-3 to 1e6 px'),
        ({'distortion_model': 'x' * 1000}, 'distortion model'),
        ({'binning_x': 1000}, 'camera width: 0'),
    ],
)
def test_unusable_calibrations_are_refused_in_one_line(changes, message):
    with pytest.raises(CameraError, match=message) as caught:
        Camera.from_camera_info(camera_info(**changes))
    assert isinstance(caught.value, ValueError) and '\n' not in str(caught.value)


def test_calibration_files_are_read(tmp_path):
    path = tmp_path / 'camera.yaml'
    path.write_text("""image_width: 640
image_height: 480
camera_name: front
camera_matrix: {rows: 3, cols: 3, data: [500., 0., 320., 0., 510., 240., 0., 0., 1.]}
distortion_model: plumb_bob
distortion_coefficients: {rows: 1, cols: 5, data: [-0.2, 0.1, 0., 0., 0.]}
rectification_matrix: {rows: 3, cols: 3, data: [1., 0., 0., 0., 1., 0., 0., 0., 1.]}
""")
    assert Camera.from_yaml(path) == Camera.from_camera_info(camera_info())


@pytest.mark.parametrize(
    'content, message',
    [
        (None, 'No such file'),
        ('a: [', 'not readable as YAML'),
        ('image_width: 640', "no 'image_height'"),
        ('3', 'layout'),
        ('', 'layout'),
        (b'\xff\xfe\x00\x81', 'not readable as YAML'),
        (
            '{image_width: 640, image_height: 480, camera_matrix: {data: [0, 0]}, distortion_coefficients: {data: []}}',
            '2 numbers, expected 9',
        ),
        (
            '{image_width: wide, image_height: 480, camera_matrix: {data: [1, 0, 1, 0, 1, 1, 0, 0, 1]}, '
            'distortion_coefficients: {data: []}}',
            "camera width: 'wide'",
        ),
        ('{image_width: 640, image_height: 480, camera_matrix: 3, distortion_coefficients: {data: []}}', 'layout'),
    ],
)
def test_broken_calibration_files_are_refused_by_name(tmp_path, content, message):
    path = tmp_path / 'camera.yaml'
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(CameraError, match=message) as caught:
        Camera.from_yaml(path)
    assert 'camera.yaml' in str(caught.value) and '\n' not in str(caught.value)
