import pytest
import torch

from mesh_perception.evaluation.multiview.figures import figures, means
from mesh_perception.evaluation.multiview.pairs import pair_up


def test_people_are_found_whatever_their_order(walker, camera, as_reference, as_followed):
    aside = walker + torch.tensor([0.9, 0.0, 0.3])
    man, woman = pair_up(as_reference(walker, aside), as_followed(aside, walker), camera)
    assert (man.person, woman.person) == ('man', 'woman')
    assert man.track_ids.unique().tolist() == [2] and woman.track_ids.unique().tolist() == [1]
    for pair in (man, woman):
        mean = means([figures(pair)])
        assert mean['found'] == 1 and mean['size'] == pytest.approx(1, abs=1e-5)
        assert mean['absolute_mpjpe_mm'] == pytest.approx(0, abs=1e-3)


def test_strangers_pair_with_nobody(walker, camera, as_reference, as_followed):
    stranger = walker + torch.tensor([-1.2, 0.0, 2.0])
    (pair,) = pair_up(as_reference(walker), as_followed(stranger, walker), camera)
    assert pair.track_ids.unique().tolist() == [2]


def test_somebody_elsewhere_is_not_the_person(walker, camera, as_reference, as_followed):
    (pair,) = pair_up(as_reference(walker), as_followed(walker + torch.tensor([1.5, 0, 0])), camera)
    assert not pair.found.any() and pair.counts.all() and pair.joints.isnan().all()
    mean = means([figures(pair)])
    assert mean['found'] == 0 and mean['mpjpe_mm'] != mean['mpjpe_mm']


def test_frames_without_anybody_count_as_missed(walker, camera, as_reference, as_followed):
    followed = as_followed(walker)
    seen = followed[(followed.frames < 3) | (followed.frames >= 6)]
    (pair,) = pair_up(as_reference(walker), seen, camera)
    assert pair.found.tolist() == [True] * 3 + [False] * 3 + [True] * 6
    assert torch.equal(pair.joints[6], walker[6]) and pair.joints[4].isnan().all()
    (nobody,) = pair_up(as_reference(walker), followed[:0], camera)
    assert not nobody.found.any()


def test_frames_in_which_the_reference_lacks_a_hip_do_not_count(walker, camera, as_reference, as_followed):
    reference = as_reference(walker)
    reference.joints[0, 4:7, 6] = torch.nan
    reference.joints[0, 9, 0] = torch.nan  # a shoulder: the rest is compared
    (pair,) = pair_up(reference, as_followed(walker), camera)
    expected = [frame not in (4, 5, 6) for frame in range(len(walker))]
    assert pair.counts.tolist() == expected and pair.found.tolist() == expected
    assert means([figures(pair)])['mpjpe_mm'] == pytest.approx(0, abs=1e-3)
