"""Decoding against cases computed by hand, selection against the textbook's loop."""

import math

import pytest
import torch

from mesh_perception.detection.yolov4_decoding import Objects, decode, select

GRIDS = ((8, 12), (4, 6), (2, 3))  # rows and columns of the heads for an input 96 wide and 64 high


def silent_heads(count=1):
    """Heads that see nothing: every box its anchor, in the middle of its cell, with scores of nearly 0."""
    heads = [torch.zeros(count, 3, 85, *grid) for grid in GRIDS]
    for head in heads:
        head[:, :, 4:] = -20
    return heads


def flat(heads):
    return [head.flatten(1, 2) for head in heads]


def logit(p):
    return math.log(p / (1 - p))


# Head, anchor, row, column, raw x, y, width and height -> the box's centre and size, worked out by
# hand. For example the second: a sigmoid of 0.75, drawn out to 0.75 * 1.1 - 0.05 = 0.775, in column 5, of 16 px.
CASES = [
    (0, 0, 0, 0, (0, 0, 0, 0), (4.0, 4.0, 12.0, 16.0)),
    (1, 2, 3, 5, (logit(0.75), logit(0.25), math.log(2), math.log(0.5)), (92.4, 51.6, 144.0, 73.0)),
    (2, 1, 1, 2, (logit(0.9), logit(0.1), 1, -1), (93.44, 34.56, 521.9101, 89.3947)),
    (0, 1, 7, 11, (40, 40, 0, 0), (96.8, 64.8, 19.0, 36.0)),  # a tenth of a cell beyond its cell
    (0, 2, 2, 4, (-40, -40, 0, 0), (31.2, 15.2, 40.0, 28.0)),
    (1, 0, 0, 0, (-40, 40, 0, 0), (-0.8, 16.8, 36.0, 75.0)),
    (1, 1, 1, 1, (0, 0, 0, 0), (24.0, 24.0, 76.0, 55.0)),
    (2, 0, 0, 0, (40, -40, 0, 0), (32.8, -0.8, 142.0, 110.0)),
    (2, 2, 0, 0, (0, 0, 0, 0), (16.0, 16.0, 459.0, 401.0)),
]


@pytest.mark.parametrize('level, anchor, row, column, raw, expected', CASES)
def test_boxes_are_those_computed_by_hand(level, anchor, row, column, raw, expected):
    heads = silent_heads(2)
    heads[level][1, anchor, :4, row, column] = torch.tensor(raw)
    heads[level][1, anchor, 4, row, column] = logit(0.8)
    heads[level][1, anchor, 5 + 17, row, column] = logit(0.6)
    boxes, scores = decode(flat(heads))
    assert boxes.shape == (2, 3 * (96 + 24 + 6), 4) and scores.shape == (2, 3 * (96 + 24 + 6), 80)
    assert scores[0].max() < 1e-8
    place = int(scores[1].flatten().argmax())
    assert place % 80 == 17 and float(scores[1].max()) == pytest.approx(0.48, abs=1e-6)
    x, y, width, height = expected
    corners = torch.tensor([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
    torch.testing.assert_close(boxes[1, place // 80], corners, rtol=1e-5, atol=1e-3)


def test_half_precision_is_decoded_in_float32_and_float64_stays():
    for dtype, expected in ((torch.float16, torch.float32), (torch.bfloat16, torch.float32), (torch.float64,) * 2):
        boxes, scores = decode([head.to(dtype) for head in flat(silent_heads())])
        assert boxes.dtype == scores.dtype == expected


def test_no_images_decode_to_nothing():
    boxes, scores = decode(flat(silent_heads(0)))
    assert boxes.shape == (0, 378, 4) and scores.shape == (0, 378, 80)


def plain_select(boxes, scores, threshold, overlap):
    """The textbook's loop, class by class."""
    found = []
    for c in range(scores.shape[1]):
        left = sorted((i for i in range(len(boxes)) if scores[i, c] >= threshold), key=lambda i: -scores[i, c])
        while left:
            best = left.pop(0)
            found.append((float(scores[best, c]), c, boxes[best].tolist()))
            left = [i for i in left if plain_overlap(boxes[best].tolist(), boxes[i].tolist()) <= overlap]
    return sorted(found, key=lambda entry: -entry[0])


def plain_overlap(a, b):
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return width * height / (both - width * height)


@pytest.mark.parametrize('overlap', [0.2, 0.45, 0.6])
@pytest.mark.parametrize('threshold', [0.3, 0.7])
def test_selection_is_the_textbooks(threshold, overlap):
    generator = torch.Generator().manual_seed(3)
    low = torch.rand(150, 2, generator=generator) * 100
    boxes = torch.cat((low, low + 5 + torch.rand(150, 2, generator=generator) * 60), 1)
    scores = torch.rand(150, 4, generator=generator)
    objects = select(boxes, scores, threshold, overlap)
    expected = plain_select(boxes, scores, threshold, overlap)
    assert len(expected) > 20
    assert objects.scores.tolist() == pytest.approx([e[0] for e in expected])
    assert objects.classes.tolist() == [e[1] for e in expected]
    assert objects.boxes.tolist() == [e[2] for e in expected]


def test_one_class_does_not_suppress_another():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 11], [0, 0, 11, 10]])
    scores = torch.tensor([[0.9, 0.5], [0.8, 0.1], [0.1, 0.7]])
    objects = select(boxes, scores, 0.4, 0.6)
    assert objects.classes.tolist() == [0, 1]
    torch.testing.assert_close(objects.scores, torch.tensor([0.9, 0.7]))
    assert objects.boxes.tolist() == [boxes[0].tolist(), boxes[2].tolist()]


def test_a_score_of_the_threshold_is_enough():
    assert len(select(torch.tensor([[0.0, 0, 1, 1]]), torch.tensor([[0.5]]), 0.5, 0.6).scores) == 1


def test_boxes_and_scores_that_are_not_finite_are_dropped():
    boxes = torch.tensor([[0.0, 0, 10, 10], [-math.inf, 0, math.inf, 1], [math.nan, 0, 1, 1], [50, 50, 60, 60]])
    scores = torch.tensor([[0.5], [0.9], [0.9], [math.nan]])
    assert select(boxes, scores, 0.4, 0.6).boxes.tolist() == [[0, 0, 10, 10]]


def test_nothing_sure_is_an_empty_result_of_the_right_shape():
    for count in (0, 5):
        objects = select(torch.zeros(count, 4), torch.zeros(count, 80), 0.4, 0.6)
        assert isinstance(objects, Objects)
        assert objects.boxes.shape == (0, 4) and objects.scores.shape == (0,) and objects.classes.shape == (0,)
        assert objects.classes.dtype == torch.int64
