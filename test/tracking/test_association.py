import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_perception.tracking import association
from mesh_perception.types import Detections


def boxes(*rows):
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, 4)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 6), st.integers(0, 6), st.integers(0, 10_000))
def test_assignment_is_one_to_one_and_within_the_limit(rows, columns, seed):
    cost = torch.from_numpy(np.random.default_rng(seed).random((rows, columns))).float()
    match = association.assign(cost, 0.5)
    taken = match[match >= 0]
    assert len(match) == rows and len(set(taken.tolist())) == len(taken)
    assert all(cost[row, column] < 0.5 for row, column in enumerate(match.tolist()) if column >= 0)


def test_an_impossible_pair_does_not_break_up_a_possible_one():
    # By total cost alone, (0 -> 1, 1 -> 0) would be as good as the single possible pair.
    assert association.assign(torch.tensor([[0.1, 9.0], [0.4, 100.0]]), 0.5).tolist() == [0, -1]


def test_the_second_copy_of_a_person_is_the_one_with_the_larger_priority():
    limbs = torch.rand(1, 24, 2) * 100
    people = torch.cat((limbs, limbs + 2, limbs + 300))
    box = boxes((0, 0, 100, 100), (2, 2, 102, 102), (300, 300, 400, 400))
    assert association.duplicates(people, box, torch.tensor([5.0, 1.0, 3.0])).tolist() == [True, False, False]
    assert association.duplicates(people, box, torch.tensor([0.0, 0.0, 0.0])).tolist() == [False, True, False]


def test_a_copy_that_goes_takes_nobody_along():
    limbs = torch.rand(1, 24, 2) * 100
    people = torch.cat((limbs, limbs + 5, limbs + 10))  # the second lies between two people who are far enough apart
    box = boxes((0, 0, 100, 100), (5, 5, 105, 105), (10, 10, 110, 110))
    assert association.duplicates(people, box, torch.tensor([0.0, 1.0, 2.0])).tolist() == [False, True, False]


def test_boxes_stand_in_where_a_detector_gives_no_keypoints():
    found = Detections(boxes((0, 0, 10, 10)), torch.ones(1), torch.zeros(1, 17, 3))
    distance = association.keypoint_distance(torch.zeros(2, 24, 2), boxes((0, 0, 10, 10), (50, 50, 60, 60)), found)
    assert distance.flatten().tolist() == pytest.approx([0, 0.5])


def test_nobody_is_a_normal_case():
    nobody = Detections(boxes(), torch.zeros(0), torch.zeros(0, 17, 3))
    assert association.keypoint_distance(torch.zeros(0, 24, 2), boxes(), nobody).shape == (0, 0)
    assert association.assign(torch.zeros(0, 3), 1).shape == (0,)
    assert association.duplicates(torch.zeros(0, 24, 2), boxes(), torch.zeros(0)).shape == (0,)
