"""Shapes: a truncated normal distribution, and people of the heights that people have."""

import pytest
import torch

from mesh_perception.body import load_body, skin
from mesh_perception.synthetic.shapes import sample_betas

BODY = load_body('open')


def generator():
    return torch.Generator().manual_seed(0)


def test_coefficients_are_normal_and_truncated():
    scipy = pytest.importorskip('scipy.stats')
    betas = sample_betas(2000, BODY, generator())
    assert betas.shape == (2000, BODY.num_betas) and betas.dtype == torch.float32 and betas.abs().max() <= 2.5
    assert scipy.kstest(betas.flatten().numpy(), scipy.truncnorm(-2.5, 2.5).cdf).pvalue > 0.01
    correlation = torch.corrcoef(betas.T) - torch.eye(BODY.num_betas)
    assert correlation.abs().max() < 0.1


def test_people_are_as_tall_as_people():
    """Adults: 1.43 to 1.96 m, a mean of 1.69 and a deviation of 0.10 (both sexes of the open body)."""
    betas = sample_betas(300, BODY, generator())
    rest = torch.eye(3).expand(len(betas), 24, 3, 3)
    heights = skin(BODY, rest, betas, torch.zeros(len(betas), 3)).vertices[..., 1]
    heights = heights.amax(1) - heights.amin(1)
    assert 1.35 < heights.min() and heights.max() < 2.05
    assert 1.66 < heights.mean() < 1.72 and 0.08 < heights.std() < 0.12


def test_the_same_generator_gives_the_same_people_and_none_are_no_special_case():
    assert torch.equal(sample_betas(3, BODY, generator()), sample_betas(3, BODY, generator()))
    assert sample_betas(0, BODY, generator()).shape == (0, BODY.num_betas)
