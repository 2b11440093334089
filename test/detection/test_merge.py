import pytest
import torch

from mesh_perception.detection.merge import add_missed, drop_copies
from mesh_perception.types import Detections


def person(x, y, height, score, keypoint_score=0.8):
    """Someone standing: a box half as wide as high, keypoints on a fixed pattern in it."""
    pattern = torch.rand(17, 2, generator=torch.Generator().manual_seed(0))
    points = torch.tensor([x, y]) + pattern * torch.tensor([height / 2, height])
    keypoints = torch.cat((points, torch.full((17, 1), keypoint_score)), 1)
    return Detections(torch.tensor([[x, y, x + height / 2, y + height]]), torch.tensor([score]), keypoints[None])


def box(x0, y0, x1, y1, score):
    return Detections(
        torch.tensor([[x0, y0, x1, y1]], dtype=torch.float32), torch.tensor([score]), torch.zeros(1, 17, 3)
    )


def nobody():
    return Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, 17, 3))


def shapes(detections):
    return detections.boxes.shape[1:], detections.scores.shape[1:], detections.keypoints.shape[1:]


def test_a_person_seen_twice_is_kept_once_with_the_better_score():
    people = drop_copies(Detections.cat([person(0, 0, 100, 0.4), person(3, 4, 100, 0.6), person(200, 0, 100, 0.5)]))
    assert people.scores.tolist() == pytest.approx([0.6, 0.5])


def test_two_people_in_nearly_one_box_with_their_keypoints_apart_both_stay():
    one, other = person(0, 0, 100, 0.6), person(5, 0, 100, 0.5)
    other.keypoints[..., 0] = 55 - other.keypoints[..., 0]  # the other way round
    assert len(drop_copies(Detections.cat([one, other]))) == 2


def test_without_keypoints_in_common_boxes_decide():
    one, other, third = person(0, 0, 100, 0.6), person(3, 0, 100, 0.5, 0.05), person(40, 0, 100, 0.4, 0.05)
    assert drop_copies(Detections.cat([one, other, third])).scores.tolist() == pytest.approx([0.6, 0.4])


def test_boxes_of_people_already_known_add_nobody():
    people = Detections.cat([person(0, 0, 100, 0.6), person(200, 0, 100, 0.5)])
    boxes = Detections.cat([box(2, 5, 50, 96, 0.7), box(190, 0, 260, 110, 0.5)])
    merged = add_missed(people, boxes)
    assert len(merged) == 2 and (merged.keypoints[..., 2] > 0).all()


def test_someone_missed_is_added_in_the_order_of_scores_without_keypoints():
    merged = add_missed(person(0, 0, 100, 0.6), Detections.cat([box(1, 1, 50, 99, 0.9), box(300, 0, 350, 100, 0.7)]))
    assert merged.scores.tolist() == pytest.approx([0.7, 0.6])
    assert merged.boxes[0].tolist() == [300, 0, 350, 100] and not merged.keypoints[0].any()


def test_someone_wholly_in_front_of_a_known_person_is_added():
    man, woman = box(0, 0, 98, 200, 0.6), box(10, 10, 50, 150, 0.6)
    merged = add_missed(person(0, 0, 200, 0.6), Detections.cat([man, woman]))
    assert len(merged) == 2 and [10, 10, 50, 150] in merged.boxes.tolist()


def test_a_part_of_a_person_is_nobody_else():
    assert len(add_missed(person(0, 0, 200, 0.6), box(20, 0, 80, 60, 0.6))) == 1


@pytest.mark.parametrize(
    'people, boxes, count',
    [(nobody(), nobody(), 0), (person(0, 0, 100, 0.5), nobody(), 1), (nobody(), box(0, 0, 9, 9, 0.5), 1)],
)
def test_empty_lists_have_the_right_shapes(people, boxes, count):
    merged = add_missed(drop_copies(people), boxes)
    assert len(merged) == count and shapes(merged) == ((4,), (), (17, 3))


def test_twenty_are_the_most():
    boxes = Detections.cat([box(50 * i, 0, 50 * i + 40, 80, 0.5 + i / 100) for i in range(30)])
    merged = add_missed(person(0, 300, 100, 0.9), boxes)
    assert len(merged) == 20 and merged.scores[0] == 0.9 and (merged.scores.diff() <= 0).all()
