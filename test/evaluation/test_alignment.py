"""Alignment against scipy's Procrustes analysis, scipy's Kabsch algorithm sample by sample, and bones made by hand."""

import numpy as np
import pytest
import torch
from scipy.spatial import procrustes
from scipy.spatial.transform import Rotation

from mesh_perception.evaluation.alignment import known, rescale_bones, similarity_align

RNG = np.random.default_rng(4)


def poses(count, joints=14, noise=0.1):
    truth = RNG.normal(0, 0.4, (count, joints, 3)) + np.array([0, 0, 5])
    turned = Rotation.random(count, RNG).as_matrix()
    predicted = 1.3 * truth @ turned + RNG.normal(0, noise, truth.shape) + RNG.normal(size=(count, 1, 3))
    return torch.from_numpy(predicted), torch.from_numpy(truth)


def umeyama(predicted, truth):
    """One sample: the rotation from scipy's align_vectors, which never mirrors; then the best scale in closed form."""
    x, y = predicted - predicted.mean(0), truth - truth.mean(0)
    turned = Rotation.align_vectors(y, x)[0].apply(x)
    return (turned * y).sum() / (x**2).sum() * turned + truth.mean(0)


@pytest.mark.parametrize('count', [1, 2, 3, 14])
@pytest.mark.parametrize('joints', [3, 14, 24])
@pytest.mark.parametrize('mirrored', ['none', 'all', 'every second'])
def test_a_batch_gives_what_an_independent_fit_gives_one_at_a_time(count, joints, mirrored):
    predicted, truth = poses(count, joints)
    mirrored_ones = {'none': [], 'all': range(count), 'every second': range(0, count, 2)}[mirrored]
    predicted[list(mirrored_ones)] *= torch.tensor([-1.0, 1, 1])
    expected = np.stack([umeyama(p, t) for p, t in zip(predicted.numpy(), truth.numpy(), strict=True)])
    aligned = similarity_align(predicted, truth)
    torch.testing.assert_close(aligned, torch.from_numpy(expected), atol=1e-8, rtol=0)
    torch.testing.assert_close(
        torch.cat([similarity_align(p[None], t[None]) for p, t in zip(predicted, truth, strict=True)]), aligned
    )


def test_the_residual_is_scipys_disparity():
    predicted, truth = poses(5)
    squares = (similarity_align(predicted, truth) - truth).square().sum((1, 2))
    for p, t, square in zip(predicted.numpy(), truth.numpy(), squares, strict=True):
        assert procrustes(t, p)[2] * ((t - t.mean(0)) ** 2).sum() == pytest.approx(float(square), rel=1e-9)


def test_points_that_are_not_valid_move_along_but_do_not_pull():
    predicted, truth = poses(3)
    valid = torch.ones(3, 14, dtype=torch.bool)
    valid[0, 3:6], valid[2, 0] = False, False
    wild = truth.clone()
    wild[~valid] = torch.nan
    aligned = similarity_align(predicted, wild, valid)
    for i in range(3):
        kept = similarity_align(predicted[i : i + 1, valid[i]], truth[i : i + 1, valid[i]])[0]
        torch.testing.assert_close(aligned[i, valid[i]], kept)
        # A similarity keeps ratios of distances, also those to the points that are not valid.
        ratios = torch.cdist(aligned[i], aligned[i]) / torch.cdist(predicted[i], predicted[i])
        torch.testing.assert_close(ratios[0, 1].expand(13), ratios[0, 1:])
    assert aligned.isfinite().all()
    torch.testing.assert_close(similarity_align(predicted, wild), aligned)


def test_a_broken_sample_is_nan_and_leaves_the_others_alone():
    predicted, truth = poses(4)
    expected = similarity_align(predicted, truth)
    predicted[1, 5, 0], predicted[2, 0, 2] = torch.nan, torch.inf
    valid = torch.ones(4, 14, dtype=torch.bool)
    valid[3] = False
    aligned = similarity_align(predicted, truth, valid)
    assert aligned[1:].isnan().all()
    torch.testing.assert_close(aligned[0], expected[0])


def test_a_prediction_in_one_point_lands_on_the_middle():
    _, truth = poses(2)
    aligned = similarity_align(torch.full_like(truth, 7), truth)
    torch.testing.assert_close(aligned, truth.mean(1, keepdim=True).expand_as(truth))


def test_of_one_point_to_fit_the_others_keep_their_size():
    predicted, truth = poses(2)
    only = torch.zeros(2, 14, dtype=torch.bool)
    only[:, 5] = True
    aligned = similarity_align(predicted, truth, only)
    torch.testing.assert_close(aligned[:, 5], truth[:, 5])
    torch.testing.assert_close(torch.cdist(aligned, aligned), torch.cdist(predicted, predicted))


def test_one_unknown_coordinate_makes_a_point_unknown():
    truth = torch.zeros(2, 3)
    truth[1, 2] = torch.nan
    assert known(truth, None).tolist() == [True, False]
    assert known(truth, torch.tensor([True, True])).tolist() == [True, False]
    assert known(truth, torch.tensor([False, True])).tolist() == [False, False]


def test_no_people_give_no_people():
    empty = torch.zeros(0, 14, 3)
    assert similarity_align(empty, empty).shape == (0, 14, 3)
    assert rescale_bones(empty[:, :2], empty[:, :2], (-1, 0)).shape == (0, 2, 3)


def test_bones_get_the_true_lengths_and_keep_their_directions():
    # Joint 1 is the root; 0 hangs on 2, which hangs on 1: a parent may come after its child.
    parents = (2, -1, 1)
    predicted = torch.tensor([[[3.0, 4, 0], [1.0, 0, 0], [3.0, 0, 0]]])
    truth = torch.tensor([[[0.0, 1, 1], [0.0, 0, 0], [0.0, 1, 0]]])
    expected = torch.tensor([[[2.0, 1, 0], [1.0, 0, 0], [2.0, 0, 0]]], dtype=torch.float64)
    torch.testing.assert_close(rescale_bones(predicted, truth, parents), expected)
    both = rescale_bones(predicted.repeat(2, 1, 1), torch.cat([truth, 3 * truth]), parents)
    torch.testing.assert_close(
        both, torch.cat([expected, torch.tensor([[[4.0, 3, 0], [1, 0, 0], [4, 0, 0]]]).double()])
    )
    assert rescale_bones(predicted.clone().fill_(1), truth, parents)[0, [0, 2]].isnan().all()


def test_bad_input_is_named():
    pose = torch.zeros(2, 3, 3)
    with pytest.raises(ValueError, match=r'predicted \(2, 3, 3\) and truth \(1, 3, 3\)'):
        similarity_align(pose, pose[:1])
    with pytest.raises(ValueError, match='expected the same shape'):
        similarity_align(torch.zeros(2, 3, 14), torch.zeros(2, 3, 14))
    with pytest.raises(ValueError, match=r'predicted \(3,\)'):
        similarity_align(pose[0, 0], pose[0, 0])
    with pytest.raises(ValueError, match=r'valid \(2, 3\) torch.float32: expected \(2, 3\) of torch.bool'):
        similarity_align(pose, pose, torch.ones(2, 3))
    with pytest.raises(ValueError, match=r'valid \(2, 2\)'):
        similarity_align(pose, pose, torch.ones(2, 2, dtype=torch.bool))
    for parents in ((-1, 0), (-1, -1, 0), (1, 0, -1), (1, 2, 0)):
        with pytest.raises(ValueError, match='expected a tree over 3 joints with one root'):
            rescale_bones(pose, pose, parents)
