"""The absolute position against numpy's least squares, exact scenes, noise and degenerate inputs."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mesh_perception.geometry.absolute import NEAREST, absolute_position, absolute_position_weak

FOCAL = 1000.0


def people(count, joints=24, seed=0, near=1.5, far=10.0):
    """Relative joints of a person's extent and true positions within a 60 degree view, float64."""
    generator = np.random.default_rng(seed)
    relative = generator.normal(size=(count, joints, 3)) * (0.25, 0.5, 0.2)
    depth = generator.uniform(near, far, count)
    position = np.stack(
        [generator.uniform(-0.5, 0.5, count) * depth, generator.uniform(-0.3, 0.3, count) * depth, depth], -1
    )
    weights = generator.uniform(0.1, 1, (count, joints))
    return torch.from_numpy(relative), torch.from_numpy(position), torch.from_numpy(weights)


def see(relative, position):
    points = relative + position[:, None]
    return points[..., :2] / points[..., 2:]


def system(relative, image, weights):
    """MeTRAbs' stacked equations [I | -x] r = x dz - dxy, each row times the root of its weight."""
    rows, right = [], []
    for point, (x, y), weight in zip(relative, image, weights, strict=True):
        rows += [weight**0.5 * np.array([1, 0, -x]), weight**0.5 * np.array([0, 1, -y])]
        right += [weight**0.5 * (x * point[2] - point[0]), weight**0.5 * (y * point[2] - point[1])]
    return np.array(rows), np.array(right)


@pytest.mark.parametrize('dtype, tolerance', [(torch.float64, 1e-5), (torch.float32, 1e-4)])
def test_exact_joints_return_to_their_place(dtype, tolerance):
    relative, position, weights = people(500)
    image = see(relative, position)
    result = absolute_position(relative.to(dtype), image.to(dtype), weights.to(dtype))
    assert result.dtype == dtype
    assert (result - position).abs().max() < tolerance


def test_noisy_joints_give_what_numpys_least_squares_gives():
    relative, position, weights = people(200)
    image = see(relative, position) + torch.randn(200, 24, 2, dtype=torch.float64) * 3 / FOCAL
    result = absolute_position(relative, image, weights)
    result_single = absolute_position(relative.float(), image.float(), weights.float())
    for index in range(200):
        a, b = system(relative[index].numpy(), image[index].numpy(), weights[index].numpy())
        expected = np.linalg.lstsq(a, b, rcond=None)[0]
        assert np.abs(result[index].numpy() - expected).max() < 2e-5
        assert np.abs(result_single[index].numpy() - expected).max() < 2e-4


def test_one_pixel_of_noise_gives_what_first_order_propagation_predicts():
    relative, position, weights = (value[0] for value in people(1, seed=3, near=4, far=4.01))
    image = see(relative[None], position[None])[0]
    a, _ = system(relative.numpy(), image.numpy(), weights.numpy())
    # A row's residual changes by -w^1/2 (Z + dz) per unit of image noise.
    depth = (relative[:, 2] + position[2]).numpy().repeat(2) * weights.numpy().repeat(2) ** 0.5
    response = np.linalg.pinv(a) * depth
    predicted = np.sqrt((response**2).sum(1)) / FOCAL
    count = 20000
    noise = torch.randn(count, 24, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) / FOCAL
    result = absolute_position(relative.expand(count, -1, -1), image + noise, weights.expand(count, -1))
    assert np.allclose((result - position).std(0).numpy(), predicted, rtol=0.05)
    assert 0.001 < predicted[2] < 0.05  # at 4 m one pixel is some millimetres of depth


def test_joints_of_weight_zero_do_not_count():
    relative, position, weights = people(50)
    image = see(relative, position)
    weights[:, ::3] = 0
    image[:, ::3] += 0.3
    assert (absolute_position(relative, image, weights) - position).abs().max() < 1e-5
    assert (absolute_position(relative, image, 7 * weights) - position).abs().max() < 1e-5


def test_weak_perspective_is_exact_for_a_flat_person_and_near_for_a_distant_one():
    relative, position, weights = people(100)
    flat = relative * torch.tensor([1, 1, 0])
    assert (absolute_position_weak(flat, see(flat, position), weights) - position).abs().max() < 1e-4
    relative, position, weights = people(100, near=30, far=40)
    result = absolute_position_weak(relative, see(relative, position), weights)
    assert ((result - position).norm(dim=-1) / position[:, 2]).max() < 0.05


@pytest.mark.parametrize('function', [absolute_position, absolute_position_weak])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_degenerate_people_are_finite_and_in_front(function, dtype):
    relative, position, weights = (value.to(dtype) for value in people(1))
    image = see(relative, position)
    cases = [
        (relative, image, torch.zeros_like(weights)),
        (torch.zeros_like(relative), image, weights),
        (relative, torch.zeros_like(image), weights),
        (torch.zeros_like(relative), torch.zeros_like(image), weights),
        (relative[:, :1], image[:, :1], weights[:, :1]),
        (-relative, image, weights),
        (relative, -image, weights),
        (relative - 100, image, weights),
    ]
    for case in cases:
        inputs = [value.clone().requires_grad_() for value in case]
        result = function(*inputs)
        assert result.isfinite().all() and result[0, 2] >= NEAREST * 0.999
        for gradient in torch.autograd.grad(result.sum(), inputs):
            assert gradient.isfinite().all()
    assert torch.equal(function(*cases[0]), function(relative, image, torch.ones_like(weights)))


@pytest.mark.parametrize('function', [absolute_position, absolute_position_weak])
def test_gradients_agree_with_finite_differences(function):
    relative, position, weights = people(2, joints=5)
    inputs = relative, see(relative, position) + 0.001, weights
    assert torch.autograd.gradcheck(function, tuple(value.clone().requires_grad_() for value in inputs))


@pytest.mark.parametrize('function', [absolute_position, absolute_position_weak])
def test_nobody_is_an_empty_batch(function):
    assert function(torch.zeros(0, 24, 3), torch.zeros(0, 24, 2), torch.zeros(0, 24)).shape == (0, 3)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), depth=st.floats(0.8, 100), joints=st.integers(3, 30))
@example(seed=437443, depth=89.0, joints=3)
def test_any_person_comes_back(seed, depth, joints):
    relative, position, weights = people(1, joints, seed, depth, depth)
    relative[..., 2] = relative[..., 2].clamp_min(-0.5)
    image = see(relative, position)
    result = absolute_position(relative, image, weights)
    # The ridge draws points that nearly coincide nearer: by its share of their mean squared spread, in closed form.
    share = (weights / weights.sum(1, keepdim=True))[..., None]
    mean = (share * image).sum(1)
    spread = (share * (image - mean[:, None]).square()).sum((1, 2))
    drawn = 1e-9 / (spread + 1e-9) * position[:, 2]
    expected = position - drawn[:, None] * torch.cat([mean, torch.ones(1, 1).to(mean)], -1)
    assert (result - expected).abs().max() < 1e-6 * depth or expected[0, 2] < 0.1
    if spread > (0.1 / depth) ** 2:  # a person and not a point: joints 10 cm apart
        assert (result - position).abs().max() < 1e-3 * depth
