"""Matching against scipy, plain loops over the protocols' rules, and small crowds worked out by hand."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from mesh_perception.evaluation import matching

RNG = np.random.default_rng(2)
SHAPE = torch.from_numpy(RNG.uniform(0, 1, (24, 2))) * torch.tensor([80, 200])


def people_at(*lefts, width=1.0):
    """People (N, 24, 2) of one shape, 80 px wide at most."""
    return (
        torch.stack([SHAPE * width + torch.tensor([left, 0.0]) for left in lefts]) if lefts else torch.zeros(0, 24, 2)
    )


def test_mean_distances_are_a_loop_and_infinite_where_unknown():
    truth, predicted = (torch.from_numpy(RNG.normal(size=(n, 5, 2))) for n in (3, 4))
    valid = torch.ones(3, 5, dtype=torch.bool)
    valid[1, 2], valid[2] = False, False
    predicted[3, 2, 0] = math.nan
    truth[0, 4, 1] = math.nan  # unknown, whatever the mask says
    means = matching.mean_distances(truth, predicted, valid)
    valid[0, 4] = False
    for i in range(3):
        for j in range(4):
            kept = [math.dist(truth[i, k], predicted[j, k]) for k in range(5) if valid[i, k]]
            expected = np.mean(kept) if kept and not np.isnan(kept).any() else math.inf
            assert float(means[i, j]) == pytest.approx(expected)
    assert means[0, 3] == math.inf and means[1, 3] < math.inf
    torch.testing.assert_close(matching.mean_distances(truth[:1], predicted), means[:1])
    predicted[3, 2, 0] = math.inf
    assert matching.mean_distances(truth, predicted, valid)[0, 3] == math.inf


@pytest.mark.parametrize('shape', [(0, 0), (0, 3), (3, 0), (4, 4), (3, 6), (6, 3)])
def test_the_least_total_is_scipys_and_greedy_is_ascending(shape):
    distances = cdist(RNG.uniform(0, 100, (shape[0], 2)), RNG.uniform(0, 100, (shape[1], 2)))
    table = torch.from_numpy(distances)
    rows, columns = linear_sum_assignment(distances)
    expected = [-1] * shape[0]
    for row, column in zip(rows, columns, strict=True):
        expected[row] = column
    assert matching.match_least_total(table, 1e6).tolist() == expected
    greedy = [-1] * shape[0]
    for index in np.argsort(distances, axis=None):
        row, column = np.unravel_index(index, shape)
        if greedy[row] < 0 and column not in greedy and distances[row, column] < 60:
            greedy[row] = column
    assert matching.match_greedy(table, 60).tolist() == greedy


def test_least_total_and_greedy_differ_where_the_nearest_pair_costs_another():
    distances = torch.tensor([[1.0, 2.0], [2.0, 9.0]])
    assert matching.match_least_total(distances, 20).tolist() == [1, 0]
    assert matching.match_greedy(distances, 20).tolist() == [0, 1]
    assert matching.match_greedy(distances, 9).tolist() == [0, -1]
    for match in (matching.match_greedy, matching.match_least_total):
        assert match(torch.tensor([[9.0]]), 9).tolist() == [-1] and match(torch.tensor([[8.9]]), 9).tolist() == [0]
    broken = torch.tensor([[math.nan, 2.0], [math.inf, math.nan]])
    assert matching.match_least_total(broken, 20).tolist() == [1, -1]
    assert matching.match_greedy(broken, 20).tolist() == [1, -1]
    assert distances.tolist() == [[1, 2], [2, 9]]  # untouched


def test_mupots_takes_the_most_joints_within_40_px_in_x_and_y():
    truth = torch.full((1, 3, 2), 100.0)
    near = torch.tensor([[139.9, 139.9], [140, 100], [300, 300]])  # one joint: 40 is too far, a diagonal of 56 is not
    two = torch.tensor([[130.0, 100], [100, 130], [300, 300]])
    assert matching.match_most_joints(truth, torch.stack([near, two])).tolist() == [1]
    assert matching.match_most_joints(truth, torch.stack([two, two])).tolist() == [0]  # the first of equals
    assert matching.match_most_joints(truth, near[None]).tolist() == [0]
    assert matching.match_most_joints(truth, near[None], limit=39).tolist() == [-1]
    assert matching.match_most_joints(truth, near[None, [1, 1, 2]]).tolist() == [-1]


def test_mupots_lets_true_people_choose_in_their_order():
    truth = torch.stack([torch.full((3, 2), 100.0), torch.full((3, 2), 120.0)])
    predicted = torch.stack([torch.full((3, 2), 119.0), torch.full((3, 2), 500.0)])
    # The second is nearer, but the first comes first.
    assert matching.match_most_joints(truth, predicted).tolist() == [0, -1]
    assert matching.match_most_joints(truth.flip(0), predicted).tolist() == [0, -1]
    predicted[0, 1:] = 150  # one joint of the first, all of the second
    assert matching.match_most_joints(truth, predicted).tolist() == [0, -1]
    assert matching.match_most_joints(truth[1:], predicted).tolist() == [0]


def test_mupots_ignores_joints_at_zero_unless_told_otherwise():
    truth = torch.full((1, 3, 2), 10.0)
    predicted = torch.zeros(1, 3, 2)
    assert matching.match_most_joints(truth, predicted).tolist() == [-1]
    assert matching.match_most_joints(truth, predicted, torch.ones(1, 3, dtype=torch.bool)).tolist() == [0]
    assert matching.match_most_joints(truth, predicted.fill_(math.nan)).tolist() == [-1]
    edge = torch.tensor([0.0, 10.0]).expand(1, 3, 2)  # at the picture's edge, not at (0, 0)
    assert matching.match_most_joints(truth, edge).tolist() == [0]


def test_agora_matches_ascending_and_counts_the_rest():
    result = matching.match_agora(people_at(0, 300, 900), people_at(310, 5, 2000, 600))
    assert result.match.tolist() == [1, 0, -1]
    assert result.misses.tolist() == [False, False, True]
    assert result.false_positives.tolist() == [False, False, True, True]


def test_agora_takes_nobody_twice():
    assert matching.match_agora(people_at(0, 30), people_at(0, 12)).match.tolist() == [0, 1]
    assert matching.match_agora(people_at(0, 12), people_at(0, 30)).match.tolist() == [0, 1]


def test_agora_wants_a_tenth_of_overlap_with_both_edges_counted():
    box = torch.zeros(1, 24, 2)
    box[:, 12:] = 9  # 10 x 10 px
    moved = box.clone()
    for shift, overlap in ((8, 20 / 180), (9, 10 / 190)):
        moved[..., 0] = box[..., 0] + shift
        assert (matching.match_agora(box, moved).match[0] == 0) == (overlap >= 0.1)
    assert matching.match_agora(box, moved, least_overlap=0.05).match.tolist() == [0]
    narrow = box.clone()
    narrow[..., 0] = 3
    assert matching.match_agora(box, narrow).match.tolist() == [0]  # 10 of 100 px: a tenth is enough


def test_agoras_overlap_is_that_of_the_pixels_of_boxes_around_all_joints():
    for left, top, width, height in ((2, 3, 7, 4), (0, 0, 12, 5), (5, 5, 20, 20), (0, 8, 3, 30), (15, 17, 9, 9)):
        truth, predicted = torch.zeros(1, 24, 2), torch.zeros(1, 26, 2)
        truth[0, 0] = torch.tensor([11.0, 9])
        predicted[:] = torch.tensor([left, top])
        predicted[0, 25] += torch.tensor([width, height])  # beyond the first 24
        pixels = [
            {(x, y) for x in range(int(a[0]), int(b[0]) + 1) for y in range(int(a[1]), int(b[1]) + 1)}
            for a, b in ((p[0].amin(0), p[0].amax(0)) for p in (truth, predicted))
        ]
        overlap = len(pixels[0] & pixels[1]) / len(pixels[0] | pixels[1])
        for least, match in ((overlap - 1e-6, 0), (overlap + 1e-6, -1)):
            assert matching.match_agora(truth, predicted, least_overlap=least).match.tolist() == [match]


def test_agora_orders_by_the_spectral_norm():
    truth = people_at(0)
    spread, shifted = torch.zeros(2, 24, 2, dtype=torch.float64)
    spread[::2, 0], spread[1::2, 1] = 10, 10  # mean 10, spectral sqrt(1200)
    shifted[:, 0] = 8  # mean 8, spectral sqrt(1536)
    assert matching.match_agora(truth, truth + torch.stack([shifted, spread])).match.tolist() == [1]


def test_agora_forgives_a_miss_of_an_invalid_person_but_not_a_prediction_on_them():
    valid = torch.tensor([False, True])
    result = matching.match_agora(people_at(0, 500), people_at(0, 500), valid)
    assert result.match.tolist() == [-1, 1]
    assert result.misses.tolist() == [False, False]
    assert result.false_positives.tolist() == [True, False]
    result = matching.match_agora(people_at(0, 500), people_at(), valid)
    assert result.misses.tolist() == [False, True]


def test_agora_gives_a_prediction_that_an_invalid_person_let_go_to_another():
    result = matching.match_agora(people_at(0, 20), people_at(2), torch.tensor([False, True]))
    assert result.match.tolist() == [-1, 0] and not result.false_positives.any()


def test_agora_stops_after_as_many_attempts_as_predictions():
    # Prediction 1 is nearer to person 0, whom it does not overlap, than to person 1, whom it does: with prediction 0's
    # match, that attempt was the last of two.
    truth, predicted = people_at(0, 0), people_at(0, 0)
    for person, x0, x1 in ((truth[0], 0, 10), (truth[1], 400, 20), (predicted[0], 0, 10), (predicted[1], 20, 30)):
        person[:12, 0], person[12:, 0] = x0, x1
    result = matching.match_agora(truth, predicted, least_overlap=0.02)
    assert result.match.tolist() == [0, -1] and result.false_positives.tolist() == [False, True]
    assert matching.match_agora(truth[1:], predicted[1:], least_overlap=0.02).match.tolist() == [0]
    # One prediction has one attempt, however many people there are; one on a person who is not valid counts, too.
    for valid in (None, torch.tensor([False, True])):
        assert matching.match_agora(truth, predicted[1:], valid, least_overlap=0.02).match.tolist() == [-1, -1]


def test_agoras_ties_go_to_the_first_prediction_not_to_the_first_person():
    # All four pairs are equally far; prediction 0 overlaps person 1, prediction 1 person 0, and there are two attempts.
    truth, predicted = people_at(0, 0), people_at(0, 0)
    for person, x0, x1 in ((truth[0], -64, 0), (truth[1], 64, 0), (predicted[0], 0, 64), (predicted[1], 0, -64)):
        person[:12], person[12:] = torch.tensor([x0, 0]), torch.tensor([x1, 0])
    assert matching.match_agora(truth, predicted).match.tolist() == [-1, 0]


@pytest.mark.parametrize('true', [0, 1, 3])
@pytest.mark.parametrize('found', [0, 1, 3])
def test_nobody_on_either_side(true, found):
    truth, predicted = people_at(*range(0, 300 * true, 300)), people_at(*range(0, 300 * found, 300))
    expected = [i if i < found else -1 for i in range(true)]
    result = matching.match_agora(truth, predicted)
    assert result.match.tolist() == expected
    assert result.misses.tolist() == [i < 0 for i in expected]
    assert result.false_positives.tolist() == [i >= true for i in range(found)]
    assert matching.match_most_joints(truth, predicted).tolist() == expected
    distances = matching.mean_distances(truth, predicted)
    assert distances.shape == (true, found)
    assert matching.match_greedy(distances, 50).tolist() == expected
    assert matching.match_least_total(distances, 50).tolist() == expected


def test_a_broken_prediction_is_a_false_positive():
    predicted = people_at(0, 300)
    predicted[0, 4, 1] = math.nan
    result = matching.match_agora(people_at(0, 300), predicted)
    assert result.match.tolist() == [-1, 1] and result.false_positives.tolist() == [True, False]


def test_a_person_whose_joints_are_not_known_takes_nobody():
    truth = people_at(0, 300)
    truth[0, 4, 1] = math.nan
    result = matching.match_agora(truth, people_at(0, 300))
    assert result.match.tolist() == [-1, 1] and result.false_positives.tolist() == [True, False]


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r'truth \(1, 24, 2\) and predicted \(1, 23, 2\)'):
        matching.mean_distances(people_at(0), people_at(0)[:, 1:])
    with pytest.raises(ValueError, match=r'truth \(1, 24, 3\) and predicted \(1, 24, 3\)'):
        matching.mean_distances(torch.zeros(1, 24, 3), torch.zeros(1, 24, 3))
    with pytest.raises(ValueError, match=r'truth \(24, 2\) and predicted \(1, 24, 2\)'):
        matching.match_most_joints(people_at(0)[0], people_at(0))
    with pytest.raises(ValueError, match='24 or more'):
        matching.match_agora(people_at(0), people_at(0)[:, 1:])
