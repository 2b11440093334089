"""Every loss against its equation, on numbers worked out by hand in float64."""

import math

import pytest
import torch

from mesh_perception.training import losses

NAN = float('nan')


def t(values):
    return torch.tensor(values, dtype=torch.float64)


def test_eq_7_is_the_sum_of_absolute_differences_of_each_term():
    absolute, truth = t([[[1, 2, 3], [4, 5, 6]]]), t([[[1, 1, 1], [4, 4, 8]]])
    relative, true_relative = t([[[0, 0, 0], [0.5, -0.5, 0.25]]]), t([[[0, 0, 0], [0, 0, 0]]])
    image, true_image = t([[[0.1, 0.2], [0.3, 0.4]]]), t([[[0, 0], [0, 0]]])
    projected = losses.orthographic(relative, t([[0.9, 0, 0]]))
    found = losses.skeleton_losses(absolute, relative, image, projected, truth, true_relative, true_image)
    expected = {'absolute': 1 + 2 + 1 + 2, 'relative': 1.25, 'image': 1.0, 'projected': 0.9}
    assert {name: value.item() for name, value in found.items()} == pytest.approx(expected, abs=1e-12)


def test_the_orthographic_projection_shifts_and_scales():
    points = t([[[1, 2, 30], [0, 0, -5]]])
    assert losses.orthographic(points, t([[2, 0.5, -1]])).tolist() == [[[3, 2], [1, -2]]]


def test_eq_9_is_the_mean_distance_between_cosine_and_sine_pairs():
    angles, truth = t([[0.3, 1.0, -2.0]]), t([[0.3, 1.0 + math.pi, -2.0 + math.pi / 2]])
    found = losses.twist_loss(*(torch.stack((a.cos(), a.sin()), -1) for a in (angles, truth)))
    assert found.item() == pytest.approx((0 + 2 + math.sqrt(2)) / 3, abs=1e-12)


def test_eq_10_and_12_are_plain_norms():
    betas, truth = t([[3, 0, 4]]), t([[0, 0, 0]])
    assert losses.shape_loss(betas, truth).item() == 5
    sixd, true_sixd = torch.zeros(1, 24, 6, dtype=torch.float64), torch.zeros(1, 24, 6, dtype=torch.float64)
    sixd[0, 3, 1], sixd[0, 20, 5] = 6, 8
    found = losses.mesh_losses(sixd, betas, true_sixd, truth)
    assert {name: value.item() for name, value in found.items()} == {'pose': 10, 'shape': 5}


def test_eq_13_squares():
    joints, truth = t([[[1, 2, 2], [0, 0, 3]]]), t([[[0, 0, 0], [0, 0, 0]]])
    image, true_image = t([[[1, 1], [2, 0]]]), t([[[0, 0], [0, 0]]])
    found = losses.pose_losses(joints, image, truth, true_image)
    assert {name: value.item() for name, value in found.items()} == {'joints': 18, 'projection': 6}


def test_eq_14_and_15_want_zero_and_one_from_the_discriminator_and_one_from_the_generator():
    fake, real = t([[0.5, 0], [1, 0]]), t([[1, 0], [1, 1], [0, 1]])
    # ((0.25) + (1)) / 2 and ((1) + (0) + (1)) / 3
    assert losses.discriminator_loss(fake, real).item() == pytest.approx(0.625 + 2 / 3, abs=1e-12)
    assert losses.generator_loss(fake).tolist() == [0.25 + 1, 0 + 1]


def test_what_is_not_labelled_counts_nothing_and_may_be_nan():
    predicted = torch.ones(2, 3, 3, dtype=torch.float64, requires_grad=True)
    truth = torch.zeros(2, 3, 3, dtype=torch.float64)
    truth[0, 2] = NAN
    truth[1] = NAN
    mask = truth.isfinite().all(-1)
    terms = [
        losses.skeleton_losses(
            predicted, predicted, predicted[..., :2], predicted[..., :2], truth, truth, truth[..., :2], mask
        )['absolute'],
        losses.pose_losses(predicted, predicted[..., :2], truth, truth[..., :2], mask)['joints'],
    ]
    assert [term.tolist() for term in terms] == [[6, 0], [6, 0]]
    twists = losses.twist_loss(predicted[..., :2], truth[..., :2], mask)
    assert twists.tolist() == pytest.approx([math.sqrt(2), 0])
    (terms[0].sum() + terms[1].sum() + twists.sum()).backward()
    assert predicted.grad.isfinite().all() and (predicted.grad[~mask] == 0).all() and (predicted.grad[mask] != 0).any()


def test_unlabelled_samples_do_not_dilute_the_mean():
    values, mask = t([2, 4, NAN]), torch.tensor([True, True, False])
    assert losses.masked_mean(values, mask).item() == 3
    assert losses.masked_mean(values, ~mask & False).item() == 0
    assert losses.masked_mean(values[:0]).item() == 0
    assert losses.masked_mean(values[:2]).item() == 3


def test_gradients_are_the_derivatives_and_finite_at_zero():
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(2, 24, 6, generator=generator, dtype=torch.float64) for _ in range(2))
    assert torch.autograd.gradcheck(lambda x: losses.mesh_losses(x, x[:, 0], b, b[:, 0])['pose'], a.requires_grad_())
    assert torch.autograd.gradcheck(lambda x: losses.twist_loss(x[..., :2], b[..., :2]), a)
    same = b.clone().requires_grad_()
    (
        losses.mesh_losses(same, same[:, 0], b, b[:, 0])['pose'] + losses.twist_loss(same[..., :2], b[..., :2])
    ).sum().backward()
    assert same.grad.isfinite().all()
