"""Heatmaps: hand-computed grids and borders, and the soft-argmax of heatmaps whose mean is known."""

import pytest
import torch

from mesh_perception.skeleton.heatmaps import HeatmapHead, cells_to_metres, cells_to_pixels, in_view, soft_argmax


def test_pixels_of_the_grid():
    coordinates = torch.tensor([[0, 1], [0.5, 0.25], [3 / 7, 1 / 7]], dtype=torch.float64)
    # 8 cells of 32 pixels, from the middle of the first to the middle of the last
    expected = torch.tensor([[16, 240], [128, 72], [112, 48]], dtype=torch.float64)
    assert torch.allclose(cells_to_pixels(coordinates), expected)
    assert torch.allclose(cells_to_pixels(torch.tensor([0.0, 1]), cells=2), torch.tensor([16.0, 48]))


def test_metres_of_the_grid():
    coordinates = torch.tensor([[0, 1, 0], [0.5, 0, 1], [3 / 7, 1 / 7, 2 / 7]], dtype=torch.float64)
    # x, y: 16, 240, 128, 112 and 48 pixels of 2200 / 256 mm; z: sevenths of 2200 mm
    millimetres = [[137.5, 2062.5, 0], [1100, 137.5, 2200], [962.5, 412.5, 2200 * 2 / 7]]
    assert torch.allclose(cells_to_metres(coordinates), torch.tensor(millimetres, dtype=torch.float64) / 1000)


def test_the_border_is_three_quarters_of_a_stride_wide():
    inside = torch.tensor([[24, 24], [232, 232], [24, 232], [128, 128]], dtype=torch.float64)
    outside = torch.tensor([[23.99, 128], [128, 23.99], [232.01, 128], [128, 232.01], [-50, 128]], dtype=torch.float64)
    assert in_view(inside).all() and not in_view(outside).any()
    assert in_view(torch.tensor([[40.0, 40]]), size=64).all() and not in_view(torch.tensor([[40.1, 40]]), size=64).any()


def test_a_peak_gives_its_cells_coordinate():
    flat = torch.eye(64).reshape(1, 64, 8, 8) * 100
    rows, columns = torch.arange(64) // 8, torch.arange(64) % 8
    assert torch.allclose(soft_argmax(flat)[0], torch.stack([columns, rows], -1) / 7)
    deep = torch.eye(8 * 3 * 5).reshape(1, 120, 8, 3, 5) * 100
    index = torch.arange(120)
    expected = torch.stack([index % 5 / 4, index // 5 % 3 / 2, index // 15 / 7], -1)
    assert torch.allclose(soft_argmax(deep)[0], expected)


def test_the_mean_of_a_spread_heatmap():
    logits = torch.zeros(1, 3, 8, 8)
    logits[0, 1, 2, 1] = logits[0, 1, 2, 4] = 100  # half way between two cells
    logits[0, 2, 7, 0], logits[0, 2, 0, 7] = 100 + torch.log(torch.tensor(3.0)), 100  # three quarters to one
    expected = torch.tensor([[0.5, 0.5], [2.5 / 7, 2 / 7], [0.25, 0.75]])
    assert torch.allclose(soft_argmax(logits)[0], expected, atol=1e-6)


def test_volumes_are_depth_major():
    head = HeatmapHead(4)
    with torch.no_grad():
        for weight in head.parameters():
            weight.zero_()
        for joint in range(24):
            head.volumes.bias[joint % 8 * 24 + joint] = 100
    metric, pixels = head(torch.ones(1, 4, 8, 8))
    assert torch.allclose(metric[0, :, 2], torch.arange(24) % 8 / 7 * 2.2)
    assert torch.allclose(metric[0, :, :2], torch.full((24, 2), 1.1))
    assert torch.allclose(pixels, torch.full((1, 24, 2), 128.0))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32])
def test_always_float32_inside(dtype):
    logits = (torch.randn(2, 24, 8, 8, 8, generator=torch.Generator().manual_seed(0)) * 4).to(dtype)
    exact = soft_argmax(logits.double())
    assert exact.dtype == torch.float64
    result = soft_argmax(logits)
    assert result.dtype == torch.float32
    assert (result - exact).abs().max() < 1e-6
    with torch.autocast('cpu', torch.bfloat16):
        result = soft_argmax(logits)
    assert result.dtype == torch.float32
    assert (result - exact).abs().max() < 1e-6


def test_extreme_logits_are_finite_with_gradient():
    logits = torch.tensor([60000.0, -60000.0]).repeat(32).reshape(1, 1, 8, 8).half().requires_grad_()
    result = soft_argmax(logits)
    (gradient,) = torch.autograd.grad(result.sum(), logits)
    assert result.isfinite().all() and gradient.isfinite().all()


def test_gradient_agrees_with_finite_differences():
    logits = torch.randn(2, 2, 2, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert torch.autograd.gradcheck(soft_argmax, logits.requires_grad_())
