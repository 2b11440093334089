"""The tracker in rooms made of numbers: people walk in metres, a camera sees who is not behind somebody else."""

import numpy as np
import pytest
import torch

from mesh_perception.configuration import TrackingConfig
from mesh_perception.geometry.camera import Camera
from mesh_perception.joints import COCO_LIMBS, SMPL_LIMBS
from mesh_perception.skeleton.blazepose import regions_of_detections
from mesh_perception.tracking import State, Tracker
from mesh_perception.tracking.tracks import Observations
from mesh_perception.types import Detections, Regions

CAMERA = Camera.from_fov(1280, 720, 70)
# A body: 24 points in a box of 0.5 m x 1.7 m x 0.3 m around the root.
BODY = (torch.rand(24, 3, generator=torch.Generator().manual_seed(3)) - 0.5) * torch.tensor([0.5, 1.7, 0.3])
DEPTH_NOISE, PIXEL_NOISE = 0.02, 1.0  # of the distance; px
HIDDEN = 0.6  # of a body's width: how near in the image somebody in front hides another


class Room:
    """People on given paths, and a tracker whose crops find who is visible where it looks, as BlazePose's do: somebody
    hidden is not found, or the one in front instead."""

    def __init__(self, paths, seed=0, **config):
        self.paths = paths  # functions of time -> (3,) m, the root; None: not there
        self.tracker = Tracker(TrackingConfig(**{'detect_every': 12, **config}), threshold=0.5)
        self.random = torch.Generator().manual_seed(seed)
        self.ids = {}  # person -> list of (time, id, state, velocity)

    def run(self, times, stamps=None):
        for time, stamp in zip(times, times if stamps is None else stamps, strict=True):
            self.frame(float(time), float(stamp))
        return self

    def frame(self, time, stamp):
        roots = {i: root for i, path in enumerate(self.paths) if (root := path(time)) is not None}
        self.seen = {i: torch.as_tensor(root, dtype=torch.float32) for i, root in roots.items()}
        visible = self.visible()
        tracker = self.tracker
        tracker.start(stamp, (CAMERA.width, CAMERA.height))
        detections = self.detections(visible) if tracker.wants_detection() else None
        candidates, observed, who = self.look(detections, visible)
        valid = tracker.valid(candidates, observed)
        if detections is None and tracker.lost_somebody(candidates, valid):
            candidates, observed, who = self.look(self.detections(visible), visible)
            valid = tracker.valid(candidates, observed)
        ids, states, velocities = tracker.update(candidates, valid, observed)
        people = [person for person, good in zip(who, valid.tolist(), strict=True) if good]
        assert len(set(people)) == len(people), 'one person twice'
        for person, *told in zip(people, ids.tolist(), states.tolist(), velocities, strict=True):
            self.ids.setdefault(person, []).append((time, *told))

    def visible(self):
        def hides(front, back):
            a, b = self.seen[front], self.seen[back]
            return a[2] < b[2] and abs(a[0] / a[2] - b[0] / b[2]) * a[2] < HIDDEN * 0.5

        inside = {i: CAMERA.project(root) for i, root in self.seen.items()}
        inside = [i for i, (x, y) in inside.items() if 0 < x < CAMERA.width and 0 < y < CAMERA.height]
        return [i for i in inside if not any(hides(other, i) for other in self.seen if other != i)]

    def joints(self, person):
        return CAMERA.project(self.seen[person] + BODY) + PIXEL_NOISE * torch.randn(24, 2, generator=self.random)

    def detections(self, people):
        joints = [self.joints(person) for person in people]
        joints = torch.stack(joints) if people else torch.zeros(0, 24, 2)
        keypoints = torch.zeros(len(people), 17, 3)
        keypoints[:, COCO_LIMBS, :2], keypoints[:, COCO_LIMBS, 2] = joints[:, SMPL_LIMBS], 0.9
        boxes = torch.cat((joints.amin(1), joints.amax(1)), 1)
        order = torch.randperm(len(people), generator=self.random)
        return Detections(boxes, torch.ones(len(people)), keypoints)[order]

    def look(self, detections, visible):
        """(Candidates, Observations, whom each crop found): the visible person nearest to the crop's middle."""
        candidates = self.tracker.propose(detections, regions_of_detections)
        rows, who = [], []
        for center, size in zip(candidates.regions.centers, candidates.regions.sizes, strict=True):
            near = sorted(visible, key=lambda i: float((CAMERA.project(self.seen[i]) - center).norm()))
            found = near and float((CAMERA.project(self.seen[near[0]]) - center).norm()) < 0.3 * float(size)
            person = near[0] if found else None
            who.append(person)
            joints = self.joints(person) if found else torch.zeros(24, 2)
            root = self.seen[person] if found else torch.ones(3)
            root = root * (1 + DEPTH_NOISE * torch.randn(1, generator=self.random))
            box = torch.cat((joints.amin(0), joints.amax(0)))
            at = CAMERA.project(self.seen[person]) if found else center
            side = 1.25 * (box[3] - box[1]) if found else size
            rows.append((joints, float(bool(found)), box, root, at, side))
        n = len(rows)
        joints, scores, boxes, roots, centers, sizes = zip(*rows, strict=True) if rows else ((),) * 6
        stack = lambda values, *shape: torch.stack(values) if n else torch.zeros(0, *shape)  # noqa: E731
        regions = Regions(stack(centers, 2), torch.as_tensor([float(s) for s in sizes]), torch.zeros(n))
        observed = Observations(
            stack(joints, 24, 2),
            torch.tensor(scores),
            stack(boxes, 4),
            stack(roots, 3),
            torch.ones(n),
            regions,
        )
        return candidates, observed, who

    def ids_of(self, person):
        return sorted({told[1] for told in self.ids.get(person, [])})


def walk(start, velocity):
    start, velocity = np.asarray(start, float), np.asarray(velocity, float)
    return lambda time: start + velocity * time


def times(seconds, rate=30):
    return np.arange(round(seconds * rate)) / rate


@pytest.mark.parametrize('rate', [10, 30, 60])
@pytest.mark.parametrize('seed', range(3))
def test_two_who_cross_keep_their_ids_though_one_is_hidden_meanwhile(rate, seed):
    room = Room([walk((-1.5, 0, 3.5), (1, 0, 0)), walk((1.5, 0, 4.5), (-1, 0, 0))], seed).run(times(3, rate))
    hidden = len(times(3, rate)) - len(room.ids[1])
    assert hidden > 0.15 * rate  # it was an occlusion
    assert room.ids_of(0) == [1] or room.ids_of(0) == [2]
    assert len(room.ids_of(1)) == 1 and room.ids_of(0) != room.ids_of(1)


def test_who_stands_hidden_for_less_than_remembered_comes_back_as_the_same():
    paths = [walk((-1.2, 0, 3), (1.2, 0, 0)), walk((0, 0, 5), (0, 0, 0))]
    room = Room(paths).run(times(2.5))
    assert len(room.ids_of(1)) == 1 and len(room.ids[1]) < len(times(2.5)) - 5


def test_who_is_hidden_for_longer_comes_back_as_somebody_new():
    def comes_and_goes(time):
        return None if 1 < time < 2.5 else (0.0, 0.0, 4.0)

    assert len(Room([comes_and_goes], remember=1.0).run(times(4)).ids_of(0)) == 2
    assert len(Room([comes_and_goes], remember=2.0).run(times(4)).ids_of(0)) == 1


def test_a_newcomer_elsewhere_does_not_get_the_id_of_somebody_lost():
    def goes(time):
        return (-1.5, 0.0, 4.0) if time < 1 else None

    def comes(time):
        return (1.0, 0.0, 4.0) if time >= 1.1 else None

    room = Room([goes, comes]).run(times(2))
    assert room.ids_of(0) == [1] and room.ids_of(1) == [2]


def test_a_newcomer_behind_somebody_lost_does_not_get_the_id():
    def goes(time):
        return (0.0, 0.0, 2.5) if time < 1 else None

    def comes(time):
        return (0.0, 0.0, 6.0) if time >= 1.2 else None

    room = Room([goes, comes]).run(times(2))
    assert room.ids_of(0) == [1] and room.ids_of(1) == [2]


@pytest.mark.parametrize('seed', range(2))
def test_twenty_people_in_two_streams_who_walk_past_each_other_keep_their_ids(seed):
    random = np.random.default_rng(seed)

    def in_front(i):
        path = walk((-4.4 + 1.5 * i, 0, 6 + 0.1 * (i % 2)), (random.uniform(0.45, 0.55), 0, 0))
        return lambda time: path(time) if time > 1 else None  # the others' velocities are known by then

    paths = [in_front(i) for i in range(5)]
    paths += [walk((8.3 - 0.8 * i, 0, 12 + 0.1 * (i % 2)), (random.uniform(-1.05, -0.95), 0, 0)) for i in range(15)]
    room = Room(paths, seed).run(times(5, 20))
    assert sum(len(room.ids[i]) < 90 for i in range(5, 20)) >= 10  # of 100 frames: there were occlusions
    ids = [room.ids_of(i) for i in range(20)]
    assert [len(one) for one in ids] == [1] * 20 and len({one[0] for one in ids}) == 20


def test_who_leaves_over_the_border_is_gone_and_who_comes_back_soon_is_the_same():
    def out_and_back(time):  # half out at x = 2.8 m, 4 m away
        return (2.0 + 1.2 * np.sin(2 * time), 0.0, 4.0)

    room = Room([out_and_back, walk((-1, 0, 4), (0, 0, 0))]).run(times(3))
    assert len(room.ids[0]) < len(room.ids[1]) == len(times(3))  # it was outside for a while
    assert len(room.ids_of(0)) == 1


def test_nobody_is_searched_for_who_left_over_the_border():
    room = Room([walk((1.5, 0, 4), (2.0, 0, 0)), walk((-1, 0, 4), (0, 0, 0))], detect_every=1000)
    looks = []
    room.detections = lambda people, look=room.detections: looks.append(1) or look(people)
    room.run(times(1.2))
    assert len(room.tracker.lost) == 1  # outside, still remembered
    before = len(looks)
    for k in range(10):
        room.frame(1.2 + k / 60, 1.2 + k / 60)
    assert len(looks) == before


def test_the_velocity_is_that_of_the_walk_once_it_is_known_and_not_told_before():
    room = Room([walk((-1, 0, 5), (0.8, 0, -0.6))]).run(times(2.5))
    told = room.ids[0]
    states = [state for _, _, state, _ in told]
    assert states[0] == State.TENTATIVE and states[-1] == State.CONFIRMED
    assert all(velocity.isnan().all() == (state == State.TENTATIVE) for _, _, state, velocity in told)
    late = torch.stack([velocity for time, _, _, velocity in told if time > 1.5])
    assert torch.allclose(late.mean(0), torch.tensor([0.8, 0.0, -0.6]), atol=0.1)
    assert float(late[:, 0].std()) < 0.1 and float(late[:, 2].std()) < 0.2  # raw differences: 30 times as much in depth


def test_without_stamps_people_are_followed_and_no_velocity_is_claimed():
    room = Room([walk((-1, 0, 4), (0.5, 0, 0)), walk((1, 0, 4), (-0.2, 0, 0))])
    room.run(times(1.5), stamps=np.zeros(45))
    assert room.ids_of(0) != room.ids_of(1) and len(room.ids_of(0)) == len(room.ids_of(1)) == 1
    assert all(velocity.isnan().all() for told in room.ids.values() for *_, velocity in told)


def test_dropped_frames_equal_stamps_and_images_out_of_order_change_no_id():
    random = np.random.default_rng(0)
    kept = times(4, 30)[random.random(120) < 0.5]
    stamps = kept + np.where(random.random(len(kept)) < 0.2, -0.03, 0)  # some not later than the one before
    room = Room([walk((-1.5, 0, 4), (0.8, 0, 0)), walk((1.5, 0.0, 6), (-0.5, 0, -0.2))], remember=1.5)
    room.run(kept, stamps)
    assert len(room.ids_of(0)) == len(room.ids_of(1)) == 1 and room.ids_of(0) != room.ids_of(1)


def test_a_pause_of_a_second_and_a_half_changes_no_id_one_of_minutes_does():
    room = Room([walk((-1, 0, 4), (0, 0, 0)), walk((1, 0, 4), (0, 0, 0))])
    room.run([*times(1), *(2.5 + times(1))])
    assert {len(room.ids_of(0)), len(room.ids_of(1))} == {1}
    room.run(200 + times(1))
    assert {len(room.ids_of(0)), len(room.ids_of(1))} == {2}


def test_a_clock_set_back_begins_anew_with_new_ids():
    room = Room([walk((0, 0, 4), (0.2, 0, 0))])
    room.run(times(1), stamps=1000 + times(1)).run(times(1), stamps=times(1))
    assert room.ids_of(0) == [1, 2]
    assert room.ids[0][-1][2] == State.CONFIRMED and room.ids[0][-1][3].isfinite().all()


def test_what_flickers_is_never_confirmed():
    def flickers(time):
        return (1.5, 0.0, 5.0) if round(time * 30) % 4 == 0 else None

    room = Room([flickers, walk((-1, 0, 4), (0, 0, 0))], detect_every=1).run(times(4))
    assert len(room.ids[0]) == 30
    assert {state for _, _, state, _ in room.ids[0]} == {State.TENTATIVE}
    assert room.ids[1][-1][2] == State.CONFIRMED


def test_a_crop_that_slid_off_its_person_goes_back_to_where_a_detector_sees_them():
    room = Room([walk((0, 0, 4), (0, 0, 0))]).run(times(1))
    region = room.tracker.following.next
    off = 0.25 * (room.tracker.following.boxes[0, 3] - room.tracker.following.boxes[0, 1])
    region.centers[:, 0] += off
    room.tracker.following.joints[..., 0] += off  # as if the last look had been half a neighbour
    room.tracker.since_detection = None
    room.run(1 + times(0.2))
    assert room.ids_of(0) == [1]
