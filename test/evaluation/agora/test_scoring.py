"""AGORA's figures of small crowds, worked out by hand."""

import math

import pytest
import torch

from mesh_perception.evaluation.agora.cameras import project
from mesh_perception.evaluation.agora.scoring import Found, figures, score_image
from mesh_perception.evaluation.agora.truth import TrueImage

SHAPE = torch.rand(24, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 0.8 - 0.4
SHAPE[1], SHAPE[2] = torch.tensor([0.1, 0, 0]), torch.tensor([-0.1, 0, 0])  # the hips; the pelvis is elsewhere
NAME = 'x.png'


def people(*places):
    """People (N, 24, 3) of one pose, at these x, 6 m away."""
    return torch.stack([SHAPE + torch.tensor([x, 0, 6.0]) for x in places]) if places else torch.zeros(0, 24, 3)


def truth_of(*places, counted=None, hidden=None, kid=None, vertices=None):
    joints = people(*places)
    counted = torch.tensor(counted or [True] * len(places), dtype=torch.bool)
    hidden = torch.tensor(hidden or [False] * len(places), dtype=torch.bool)
    kid = torch.tensor(kid or [False] * len(places), dtype=torch.bool)
    occlusion = hidden * 95.0
    return TrueImage(NAME, project(joints, NAME), joints, vertices, counted & ~hidden, counted, occlusion, kid)


def found_at(*places, bent=0.0, vertices=None):
    """Predictions; joint 20 is `bent` metres too high."""
    joints = people(*places)
    moved = joints.clone()
    moved[:, 20, 1] += bent
    return Found(project(joints, NAME), moved, vertices)


def test_one_matched_one_missed_one_too_many():
    score = score_image(truth_of(0, 2), found_at(0, 4.5, bent=0.24))
    assert score.match.tolist() == [0, -1] and score.missed.tolist() == [False, True] and score.false_positives == 1
    assert score.joint_errors[0, 20].item() == pytest.approx(240) and score.joint_errors[
        0
    ].sum().item() == pytest.approx(240)
    result = figures([score])
    assert (result.people, result.matched, result.missed, result.false_positives) == (2, 1, 1, 1)
    assert (result.precision, result.recall, result.f1) == (0.5, 0.5, 0.5)
    assert result.mpjpe == 10.0 and result.nmje == 20.0
    assert math.isnan(result.mve) and math.isnan(result.nmve)


def test_the_root_is_the_middle_of_the_hips():
    found = found_at(0)
    found.joints[:, 0] += torch.tensor([0, 0, 0.48])  # the pelvis alone is wrong: one joint of 24
    assert figures([score_image(truth_of(0), found)]).mpjpe == 20.0
    found = found_at(0)
    found.joints[:, [1, 2]] += torch.tensor([0, 0, 0.024])  # the hips are: everything else is, by as much
    assert figures([score_image(truth_of(0), found)]).mpjpe == pytest.approx(24 * 22 / 24, abs=0.05)
    found = found_at(0)
    found.joints += torch.tensor([3.0, -2, 1])  # where somebody is does not matter
    assert figures([score_image(truth_of(0), found)]).mpjpe == 0


def test_who_is_not_valid_is_no_miss_but_a_prediction_there_is_one_too_many():
    absorbed = score_image(truth_of(0, 2, counted=[True, False]), found_at(0, 2))
    assert absorbed.match.tolist() == [0, -1] and absorbed.missed.tolist() == [False, False]
    result = figures([absorbed])
    assert (result.people, result.matched, result.missed, result.false_positives) == (1, 1, 0, 1)
    assert result.f1 == 0.67 and result.recall == 1 and result.precision == 0.5
    forgiven = figures([score_image(truth_of(0, 2, counted=[True, False]), found_at(0))])
    assert (forgiven.people, forgiven.f1) == (1, 1)


def test_who_is_hidden_too_much_but_said_to_be_valid_can_only_be_missed():
    score = score_image(truth_of(0, 2, hidden=[False, True]), found_at(0, 2))
    assert score.match.tolist() == [0, -1] and score.missed.tolist() == [False, True] and score.false_positives == 1


def test_errors_are_divided_by_a_rounded_f1_after_they_were_rounded():
    scores = [score_image(truth_of(0, 2, 4), found_at(0, 2, bent=0.24)) for _ in range(2)]
    scores.append(score_image(truth_of(0), found_at(0, bent=0.2448)))
    result = figures(scores)  # 5 found, 2 missed: F1 = 5 / 6 = 0.8333; errors 4 x 10 and 10.2: 10.04
    assert (result.people, result.matched, result.missed, result.false_positives) == (7, 5, 2, 0)
    assert result.f1 == 0.83 and result.recall == 0.71 and result.precision == 1
    assert result.mpjpe == 10.0
    assert result.nmje == 12.0  # 10.04 / 0.8333 = 12.048 and 10.0 / 0.83 = 12.048
    scores.append(score_image(truth_of(0), found_at(0, bent=0.96)))  # 90.2 / 6 = 15.03; F1 = 6 / 7 = 0.857
    result = figures(scores)
    assert (result.mpjpe, result.f1, result.nmje) == (15.0, 0.86, 17.4)  # 15.0333 / 0.85714 would be 17.5


def test_images_without_predictions_count_as_missed():
    scores = [score_image(truth_of(0, 2, counted=[True, False]), found_at()), score_image(truth_of(0), found_at(0))]
    result = figures(scores)
    assert (result.people, result.matched, result.missed, result.f1) == (2, 1, 1, 0.67)


def test_vertices_are_compared_where_they_are_chosen_about_the_same_root():
    generator = torch.Generator().manual_seed(1)
    true = torch.rand(1, 6890, 3, generator=generator)
    wrong = true.clone()
    wrong[0, :100] += torch.tensor([0, 0.05, 0])
    truth, found = truth_of(0, vertices=true), found_at(0, vertices=wrong)
    found.joints, found.vertices = found.joints + 1, found.vertices + 1
    for vertices, expected in ((torch.arange(100), 50.0), (torch.arange(50, 150), 25.0), (slice(None), 0.7)):
        result = figures([score_image(truth, found, vertices=vertices)])
        assert (result.mve, result.nmve, result.mpjpe) == (expected, expected, 0)


def test_kids_have_their_own_figures_with_everybodys_false_positives():
    truth = truth_of(0, 2, 4, 6, kid=[False, True, True, True], counted=[True, True, True, False])
    score = score_image(truth, found_at(0, 2, 9, bent=0.24))
    kids = figures([score], kids_only=True)
    assert (kids.people, kids.matched, kids.missed, kids.false_positives) == (2, 1, 1, 1)
    assert (kids.f1, kids.mpjpe, kids.nmje) == (0.5, 10, 20)


def test_nobody_gives_nan_and_nobody_found_infinity():
    nothing = figures([])
    assert nothing.people == 0 and all(math.isnan(v) for v in (nothing.f1, nothing.mpjpe, nothing.nmje))
    lost = figures([score_image(truth_of(0), found_at())])
    assert lost.f1 == 0 and math.isnan(lost.mpjpe) and lost.nmje == math.inf
    empty = figures([score_image(truth_of(), found_at(0))])
    assert (empty.people, empty.false_positives) == (0, 1)


def test_a_choice_of_joints_keeps_the_root():
    score = score_image(truth_of(0), found_at(0, bent=0.24), joints=(1, 2, 20))
    assert score.joint_errors.shape == (1, 3) and figures([score]).mpjpe == 80
