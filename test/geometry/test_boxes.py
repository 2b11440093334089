import pytest
import torch

from mesh_perception.geometry.boxes import greedy, overlaps, suppress


def random_boxes(count, generator, spread=100.0):
    low = torch.rand(count, 2, generator=generator) * spread
    return torch.cat((low, low + torch.rand(count, 2, generator=generator) * 60), 1)


def plain_overlap(a, b):
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return width * height / (both - width * height)


def plain_suppress(boxes, scores, limit):
    """The textbook's loop."""
    left = sorted(range(len(boxes)), key=lambda i: -scores[i])
    kept = []
    while left:
        kept.append(left.pop(0))
        left = [i for i in left if plain_overlap(boxes[kept[-1]], boxes[i]) <= limit]
    return kept


@pytest.mark.parametrize('limit', [0.1, 0.3, 0.6, 0.9])
@pytest.mark.parametrize('count', [1, 2, 10, 120])
def test_suppression_is_the_textbooks(count, limit):
    generator = torch.Generator().manual_seed(count)
    for spread in (20.0, 100.0, 400.0):
        boxes = random_boxes(count, generator, spread).double()
        scores = torch.rand(count, generator=generator).double()
        assert suppress(boxes, scores, limit).tolist() == plain_suppress(boxes.tolist(), scores.tolist(), limit)


def test_a_chain_of_suppressions_is_followed_to_its_end():
    """Each is similar to the next alone: every second one stays, which takes a round for each to find out."""
    similar = torch.diag(torch.ones(40), 1).bool()[:40, :40]
    assert greedy(similar | similar.T).tolist() == [i % 2 == 0 for i in range(40)]


def test_nothing_in_nothing_out():
    assert suppress(torch.zeros(0, 4), torch.zeros(0), 0.5).shape == (0,)
    assert overlaps(torch.zeros(0, 4), torch.zeros(3, 4)).shape == (0, 3)


def test_overlaps_are_the_plain_ones_and_empty_boxes_have_none():
    generator = torch.Generator().manual_seed(0)
    a, b = random_boxes(7, generator).double(), random_boxes(9, generator).double()
    expected = torch.tensor([[plain_overlap(x, y) for y in b.tolist()] for x in a.tolist()], dtype=torch.float64)
    torch.testing.assert_close(overlaps(a, b), expected, rtol=0, atol=1e-12)
    assert not overlaps(torch.zeros(2, 4), torch.tensor([[5.0, 5, 1, 1]])).any()
