"""Who is refined with whom."""

import numpy as np
import pytest
import torch

from mesh_perception.refinement.groups import inference_groups, relative_roots, training_groups

from .reference import reference_groups

COUNTS = [0, 1, 2, 3, 7, 40]


def members(groups):
    """Each person's group, in the people's order: lists, without empty places."""
    size = groups.people.shape[1]
    return [groups.people[answer // size][groups.present[answer // size]].tolist() for answer in groups.answers]


def some_roots(count, seed=0):
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(seed)) * torch.tensor([4.0, 0.5, 6.0])


@pytest.mark.parametrize('size', [1, 2, 3, 4])
@pytest.mark.parametrize('count', COUNTS)
def test_each_person_is_the_target_once_with_the_nearest_others_in_order(count, size):
    roots = some_roots(count)
    groups = inference_groups(roots, size)
    assert groups.people.shape == groups.present.shape == (count, size)
    assert members(groups) == reference_groups(roots.double().numpy(), size)
    assert sorted(groups.answers.tolist()) == [size * g for g in range(count)]
    assert groups.present.sum() == count * min(count, size)
    assert (groups.people[~groups.present] == 0).all()


@pytest.mark.parametrize('count', [0, 1, 2, 3])
def test_few_people_can_be_one_group_of_everybody(count):
    groups = inference_groups(some_roots(count), 3, together=True)
    assert groups.people.shape == (min(count, 1), 3)
    values = torch.arange(10.0, 10 + count)
    assert torch.equal(groups.gather(values).flatten()[groups.answers], values)
    assert groups.present.sum() == count


def test_more_people_than_places_are_never_one_group():
    assert inference_groups(some_roots(4), 3, together=True).people.shape == (4, 3)


@pytest.mark.parametrize('together', [False, True])
@pytest.mark.parametrize('grid', [False, True])  # on a grid many distances are equal
@pytest.mark.parametrize('count', [2, 3, 7, 40])
def test_groups_and_their_order_do_not_depend_on_the_order_of_people(count, grid, together):
    roots = some_roots(count)
    if grid:
        cells = torch.randperm(64, generator=torch.Generator().manual_seed(1))[:count]
        roots = torch.stack([cells % 4, cells // 4 % 4, cells // 16], -1).float()
    wanted = inference_groups(roots, 3, together)
    for seed in range(5):
        order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
        groups = inference_groups(roots[order], 3, together)
        assert torch.equal(groups.present, wanted.present)
        assert torch.equal(order[groups.people][wanted.present], wanted.people[wanted.present])
        assert torch.equal(groups.answers, wanted.answers[order])


def test_people_at_the_same_root_are_all_refined_and_keep_their_order():
    assert members(inference_groups(torch.zeros(4, 3), 3)) == [[0, 1, 2], [1, 0, 2], [2, 0, 1], [3, 0, 1]]


@pytest.mark.parametrize('together', [False, True])
def test_somebody_nowhere_is_nobodys_context(together):
    roots = torch.tensor([[0.0, 0, 2], [torch.nan, 0, 2], [1, 0, 2]])
    rows = members(inference_groups(roots, 3, together))
    assert sorted(rows[0]) == sorted(rows[2]) == [0, 2]


def test_gathering_leaves_zeros_in_empty_places():
    roots = some_roots(2)
    groups = inference_groups(roots, 3)
    gathered = groups.gather(roots[:, None])
    assert gathered.shape == (2, 3, 1, 3) and (gathered[:, 2] == 0).all()
    for row, people in zip(gathered, groups.people, strict=True):
        assert torch.equal(row[:2, 0], roots[people[:2]])
    assert inference_groups(roots[:0], 3).gather(roots[:0, None]).shape == (0, 3, 1, 3)


def test_roots_are_relative_to_the_target():
    roots = some_roots(2)
    groups = inference_groups(roots, 3)
    relative = relative_roots(roots, groups)[groups.answers // 3]
    assert (relative[:, 0] == 0).all() and (relative[:, 2] == 0).all()
    torch.testing.assert_close(relative[:, 1], torch.stack([roots[1] - roots[0], roots[0] - roots[1]]))


def test_training_draws_other_people_of_the_same_image_evenly():
    images = torch.tensor([5, 5, 5, 5, 9, 9, 2, 7, 7, 7])
    generator = torch.Generator().manual_seed(0)
    counts = np.zeros((10, 10))
    for _ in range(500):
        groups = training_groups(images, 3, generator)
        assert groups.answers.tolist() == [3 * i for i in range(10)]
        assert groups.people[:, 0].tolist() == list(range(10))
        assert groups.present.sum(1).tolist() == [3, 3, 3, 3, 2, 2, 1, 3, 3, 3]
        for row in members(groups):
            assert len(set(row)) == len(row) and len(set(images[row].tolist())) == 1
            counts[row[0], row[1:]] += 1
    # Two of three others: each in two groups of three; one other: always.
    assert np.abs(counts[:4, :4][~np.eye(4, dtype=bool)] / 500 - 2 / 3).max() < 0.1
    assert counts[4, 5] == counts[5, 4] == 500
    one, same = (training_groups(images, 3, torch.Generator().manual_seed(1)).people for _ in range(2))
    assert torch.equal(one, same)
    assert training_groups(images[:0], 3).people.shape == (0, 3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device')
def test_cuda_groups_are_the_same():
    roots = some_roots(40)
    assert members(inference_groups(roots.cuda(), 3)) == members(inference_groups(roots, 3))
    images = torch.arange(40) // 5
    drawn = (training_groups(x, 3, torch.Generator().manual_seed(0)).people.cpu() for x in (images, images.cuda()))
    assert torch.equal(*drawn)
