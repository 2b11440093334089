"""The tracker against people made of numbers: what it keeps, what it gives up, who gets which id."""

import pytest
import torch

from mesh_perception.configuration import TrackingConfig
from mesh_perception.joints import COCO_LIMBS, SMPL_LIMBS
from mesh_perception.skeleton.blazepose import regions_of_detections
from mesh_perception.tracking import State, Tracker
from mesh_perception.tracking.tracks import Observations
from mesh_perception.types import Detections, Regions

SHAPE = torch.rand(24, 2, generator=torch.Generator().manual_seed(3)) * torch.tensor([80.0, 200.0])


def tracker(**changes):
    return Tracker(TrackingConfig(**{'detect_every': 5, 'confirm_frames': 2, **changes}), threshold=0.5)


def people_at(*places, scores=None):
    """Observations of people whose upper left corners lie at x (y = 100)."""
    n = len(places)
    joints = torch.stack([SHAPE + torch.tensor([x, 100.0]) for x in places]) if n else torch.zeros(0, 24, 2)
    center = joints.mean(1)
    return Observations(
        joints,
        torch.ones(n) if scores is None else torch.tensor(scores),
        torch.cat((joints.amin(1), joints.amax(1)), 1),
        torch.cat((center / 200, torch.full((n, 1), 3.0)), 1),
        torch.ones(n),
        Regions(center, torch.full((n,), 250.0), torch.zeros(n)),
    )


def detections_of(people):
    keypoints = torch.zeros(len(people), 17, 3)
    keypoints[:, COCO_LIMBS, :2] = people.joints[:, SMPL_LIMBS]
    keypoints[:, COCO_LIMBS, 2] = 0.9
    return Detections(people.boxes, torch.ones(len(people)), keypoints)


def step(tracker, stamp, look, found):
    """One frame as the pipeline runs it; `look`: what is seen at each candidate, as a function of them."""
    tracker.start(stamp)
    candidates = tracker.propose(found, regions_of_detections)
    seen = look(candidates)
    ids, states, _ = tracker.update(candidates, tracker.valid(candidates, seen), seen)
    return ids, states


def at(*places, scores=None):
    return lambda candidates: people_at(*places, scores=scores)


def test_ids_follow_the_people_and_new_people_get_new_ones():
    t = tracker()
    ids, states = step(t, 0.0, at(0, 300), detections_of(people_at(0, 300)))
    assert ids.tolist() == [1, 2] and states.tolist() == [State.TENTATIVE] * 2
    ids, states = step(t, 0.1, at(5, 295), None)
    assert ids.tolist() == [1, 2] and states.tolist() == [State.TENTATIVE] * 2
    ids, states = step(t, 0.2, at(10, 290, 600), detections_of(people_at(600, 290, 10)))
    assert states.tolist() == [State.CONFIRMED, State.CONFIRMED, State.TENTATIVE]
    assert ids.tolist() == [1, 2, 3]


def test_detectors_run_first_then_every_kth_frame_and_whenever_nobody_is_there():
    t = tracker(detect_every=4)
    runs = []
    for frame in range(9):
        t.start(frame / 10)
        runs.append(t.wants_detection())
        step(t, frame / 10, at(0), detections_of(people_at(0)) if runs[-1] else None)
    # Once more soon after the first, to be sure of who was found.
    assert runs == [True, False, False, True, False, False, False, True, False]
    empty = tracker()
    for frame in range(3):
        empty.start(frame / 10)
        assert empty.wants_detection()
        step(empty, frame / 10, at(), detections_of(people_at()))


def test_a_lost_person_that_comes_back_soon_and_near_keeps_its_id():
    t = tracker(remember=1.0)
    step(t, 0.0, at(0, 300), detections_of(people_at(0, 300)))
    ids, _ = step(t, 0.1, at(0, 300, scores=[0.9, 0.1]), None)
    assert ids.tolist() == [1]
    ids, _ = step(t, 0.5, at(0, 320), detections_of(people_at(0, 320)))
    assert ids.tolist() == [1, 2]


def test_a_person_gone_for_long_is_a_new_person():
    t = tracker(remember=1.0)
    step(t, 0.0, at(0, 300), detections_of(people_at(0, 300)))
    step(t, 0.1, at(0, 300, scores=[0.9, 0.1]), None)
    step(t, 1.5, at(0), None)
    ids, _ = step(t, 1.6, at(0, 320), detections_of(people_at(0, 320)))
    assert ids.tolist() == [1, 3]


def test_a_crop_that_slid_onto_a_neighbour_is_given_up_not_the_neighbour():
    t = tracker()
    step(t, 0.0, at(0, 300), detections_of(people_at(0, 300)))
    ids, _ = step(t, 0.1, at(301, 302), None)  # the first one's crop jumped
    assert ids.tolist() == [2]


def test_a_person_that_detectors_do_not_confirm_is_given_up():
    t = tracker()
    step(t, 0.0, at(0, 300), detections_of(people_at(0, 300)))
    kept = [step(t, 0.1 * (i + 1), at(0, 300), detections_of(people_at(0)))[0].tolist() for i in range(3)]
    assert kept == [[1, 2], [1, 2], [1]]


def test_a_clock_that_jumps_back_starts_afresh():
    t = tracker()
    step(t, 10.0, at(0), detections_of(people_at(0)))
    ids, _ = step(t, 2.0, at(0), detections_of(people_at(0)))
    assert ids.tolist() == [2]


def test_no_more_people_than_allowed_and_the_followed_ones_first():
    t = tracker(max_people=2)
    step(t, 0.0, at(0), detections_of(people_at(0)))
    ids, _ = step(t, 0.1, lambda c: people_at(0, 300), detections_of(people_at(600, 300, 0))[[1, 0, 2]])
    assert ids.tolist() == [1, 2]


@pytest.mark.parametrize('field', ['joints', 'scores', 'boxes', 'roots', 'next'])
@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_what_is_no_number_is_nobody_and_takes_nobody_else_along(field, value):
    t = tracker()

    def broken(candidates):
        seen = people_at(0, 300)
        tensor = seen.next.centers if field == 'next' else getattr(seen, field)
        tensor[0] = value
        return seen

    found = detections_of(people_at(0, 300))
    assert step(t, 0.0, broken, found)[0].tolist() == [1]
    assert torch.equal(t.following.next.centers, people_at(300).next.centers)


def test_twenty_people_keep_their_ids_and_there_is_no_room_for_more():
    t = tracker(remember=1.0)
    places = [150.0 * i for i in range(25)]
    found = detections_of(people_at(*places))
    ids, _ = step(t, 0.0, at(*places[:20]), found)
    assert ids.tolist() == list(range(1, 21))
    order = torch.randperm(25, generator=torch.Generator().manual_seed(0))
    moved = [place + 5 for place in places[:20]]
    ids, _ = step(t, 0.1, at(*moved), found[order])
    assert ids.tolist() == list(range(1, 21))
    # Ten leave; the five who had no room are new, and the ids of those who stay do not move up.
    scores = [0.9] * 10 + [0.1] * 10
    ids, _ = step(t, 0.2, at(*moved, scores=scores), None)
    assert ids.tolist() == list(range(1, 11))
    ids, _ = step(t, 2.0, at(*moved[:10], *places[20:]), found[torch.tensor([*range(10), *range(20, 25)])])
    assert ids.tolist() == list(range(1, 11)) + list(range(21, 26))


def test_where_boxes_are_followed_everybody_detected_again_is_looked_at_there():
    t = tracker()
    step(t, 0.0, at(0, 300), detections_of(people_at(0, 300)))
    t.start(0.1)
    box_centers = lambda found: Regions(found.boxes[:, :2], torch.ones(len(found)), torch.zeros(len(found)))  # noqa: E731
    found = detections_of(people_at(310))
    centers = t.propose(found, box_centers, follows_boxes=True).regions.centers
    assert torch.equal(centers[1], found.boxes[0, :2])  # detected again
    assert torch.equal(centers[0], people_at(0).next.centers[0])  # not detected: where it was
    assert torch.equal(t.following.next.centers[1], people_at(300).next.centers[0])  # and nothing else has changed


def test_who_moves_is_looked_for_where_they_will_be():
    t = tracker(detect_every=100)
    for frame in range(20):  # 100 px/s to the right
        step(t, frame / 10, at(10.0 * frame), detections_of(people_at(10.0 * frame)))
    t.start(2.1)  # 0.2 s after the last
    ahead = people_at(210.0)
    assert torch.allclose(t.propose(None, regions_of_detections).regions.centers, ahead.next.centers, atol=3)
    assert torch.allclose(t.following.joints, ahead.joints, atol=3)
    assert torch.allclose(t.following.boxes, ahead.boxes, atol=3)


def test_whom_a_detector_sees_beside_their_crop_is_looked_at_there_and_is_nobody_new():
    t = tracker()
    for frame in range(3):
        step(t, frame / 10, at(0), detections_of(people_at(0)))
    t.start(0.3)
    found = detections_of(people_at(45))  # a fifth of the box's diagonal away
    candidates = t.propose(found, regions_of_detections)
    assert candidates.tracks.tolist() == [0]
    assert torch.equal(candidates.regions.centers, regions_of_detections(found).centers)
    t.start(0.4)
    far = t.propose(detections_of(people_at(120)), regions_of_detections)
    assert far.tracks.tolist() == [0, -1]
