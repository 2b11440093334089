"""Smoothing of people made of numbers: steadier, consistent, and as late as its docstring says."""

import pytest
import torch

from mesh_perception.body import load_body, rest_joints, skin_joints
from mesh_perception.geometry.boxes import around
from mesh_perception.geometry.camera import Camera
from mesh_perception.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from mesh_perception.joints import SMPL_PARENTS
from mesh_perception.tracking.smoothing import HOLD, Smoother
from mesh_perception.tracking.tracks import Observations
from mesh_perception.types import People, Regions

CAMERA = Camera.from_intrinsics(1280, 960, 900, 900, 640, 480, (-0.1, 0.03, 0.001, -0.001, 0.0), 'plumb_bob')
UPRIGHT = torch.diag(torch.tensor([1.0, -1.0, -1.0]))


@pytest.fixture(scope='module')
def body():
    return load_body('open')


@pytest.fixture
def smoother(body):
    return Smoother(body, remember=1.0)


@pytest.fixture(scope='module')
def person(body):
    def make(turns=None, betas=None, place=(0.0, 0.0, 4.0), ids=(1,), pixels=0.0, certainty=1.0):
        """(People, Observations) of N people with pelvises at `place` (N, 3) or (3,) m; turns (N, 24, 3): rotation
        vectors; pixels: noise added to the image joints."""
        n = len(ids)
        turns = torch.zeros(n, 24, 3) if turns is None else turns
        betas = torch.zeros(n, body.num_betas) if betas is None else betas
        rotations = axis_angle_to_matrix(turns)
        rotations[:, 0] = UPRIGHT @ rotations[:, 0]
        rest = skin_joints(body, rotations, betas, torch.zeros(n, 3))
        translation = torch.as_tensor(place).expand(n, 3) - rest[:, 0]
        joints = rest + translation[:, None]
        joints_2d = CAMERA.project(joints)
        image_joints = joints_2d + pixels
        people = People(
            track_ids=torch.tensor(ids, dtype=torch.int64),
            states=torch.ones(n, dtype=torch.uint8),
            scores=torch.ones(n),
            boxes=around(torch.cat((joints_2d, image_joints), 1)),
            rotations=rotations,
            betas=betas,
            translation=translation,
            joints=joints,
            joints_2d=joints_2d,
            joint_confidence=torch.ones(n, 24),
            joint_sigma=torch.full((n, 24), torch.nan),
            velocity=torch.zeros(n, 3),
        )
        regions = Regions(torch.zeros(n, 2), torch.ones(n), torch.zeros(n))
        certain = torch.full((n,), certainty)
        return people, Observations(image_joints, people.scores, people.boxes, joints[:, 0], certain, regions)

    return make


def turn(angle, joint=18, n=1):
    """Rotation vectors (n, 24, 3): one joint (an elbow) turned by `angle`."""
    turns = torch.zeros(n, 24, 3)
    turns[:, joint, 1] = angle
    return turns


def angle_of(people, joint=18):
    return float(matrix_to_axis_angle(people.rotations[0, joint])[1])


def jitter(frames):
    x = torch.stack(frames)
    return float((x[2:] - 2 * x[1:-1] + x[:-2]).norm(dim=-1).mean())


def test_somebody_new_is_left_as_is(smoother, person):
    people, seen = person(turn(0.5), ids=(7,))
    smoothed = smoother(people, seen, CAMERA, 0.0)
    torch.testing.assert_close(smoothed.tensors(), people.tensors(), rtol=0, atol=0, equal_nan=True)


def test_noise_becomes_less_and_joints_fit_rotations_shape_and_place(smoother, person, body):
    generator = torch.Generator().manual_seed(0)
    raw, smooth = [], []
    for frame in range(60):
        people, seen = person(
            0.05 * torch.randn(2, 24, 3, generator=generator),
            0.5 * torch.randn(2, body.num_betas, generator=generator),
            torch.tensor([[0.0, 0.0, 4.0], [1.0, 0.2, 5.0]]) * (1 + 0.02 * torch.randn(2, 1, generator=generator)),
            ids=(3, 9),
            pixels=torch.randn(2, 24, 2, generator=generator),
        )
        steady = smoother(people, seen, CAMERA, frame / 60)
        raw.append(people.joints), smooth.append(steady.joints)
        posed = skin_joints(body, steady.rotations, steady.betas, steady.translation)
        assert torch.allclose(steady.joints, posed, atol=1e-5)
        assert torch.allclose(steady.joints_2d, CAMERA.project(steady.joints), atol=1e-2)
        assert torch.equal(steady.boxes, around(torch.cat((steady.joints_2d, seen.joints), 1)))
        assert torch.allclose(steady.rotations.det(), torch.ones(2, 24), atol=1e-4)
    assert jitter(smooth[10:]) < 0.2 * jitter(raw[10:])
    # And where they are on average has not changed: 4 m and 5 m away.
    assert torch.stack(smooth[20:]).mean(0)[:, 0, 2].tolist() == pytest.approx([4, 5], rel=0.02)


def test_one_person_has_one_shape_the_mean_over_what_was_seen(smoother, person, body):
    shapes = torch.randn(5, 1, body.num_betas, generator=torch.Generator().manual_seed(0))
    certainties = torch.tensor([0.9, 0.2, 0.6, 1.0, 0.4])
    for frame, (betas, certainty) in enumerate(zip(shapes, certainties, strict=True)):
        people, seen = person(betas=betas, certainty=float(certainty))
        steady = smoother(people, seen, CAMERA, frame / 30)
        weights = certainties[: frame + 1, None, None]
        mean = (weights * shapes[: frame + 1]).sum(0) / weights.sum()
        assert torch.allclose(steady.betas, mean, atol=1e-5)


def test_of_a_larger_shape_farther_away_which_looks_the_same_the_place_follows_the_mean(smoother, person, body):
    def size(betas):
        rest = rest_joints(body, betas)
        return float((rest[:, 1:] - rest[:, SMPL_PARENTS[1:]]).norm(dim=-1).sum())

    large = torch.zeros(1, body.num_betas)
    large[0, 0] = 3.0
    if size(large) < size(0 * large):
        large = -large
    smoother(*person(place=(0.2, 0.1, 4.0)), CAMERA, 0.0)
    distance = 4.0 * size(large) / size(0 * large)
    assert distance > 4.2
    for frame in range(1, 60):
        there, seen = person(betas=large, place=(0.05 * distance, 0.025 * distance, distance))
        steady = smoother(there, seen, CAMERA, frame / 30)
    assert float(steady.joints[0, 0, 2]) == pytest.approx(distance * size(steady.betas) / size(large), rel=0.01)
    assert float((steady.joints_2d - there.joints_2d).norm(dim=-1).mean()) < 6  # px; a tenth in size would be 30


def test_a_pose_that_is_late_does_not_move_the_place(smoother, person):
    # Lying along the viewing ray, then upright from one image to the next: late joints would say any depth.
    lying = torch.zeros(1, 24, 3)
    lying[0, 0, 0] = 1.1
    for frame in range(10):
        smoother(*person(lying, place=(0.0, 0.3, 3.0)), CAMERA, frame / 60)
    for frame in range(10, 20):
        steady = smoother(*person(place=(0.0, 0.3, 3.0)), CAMERA, frame / 60)
        assert torch.allclose(steady.joints[0, 0], torch.tensor([0.0, 0.3, 3.0]), atol=0.01)


@pytest.mark.parametrize('rate, lag', [(60, 16), (30, 18), (10, 21)])
def test_a_steady_turn_is_late_by_as_many_milliseconds_as_stated(smoother, person, rate, lag):
    speed = 2.0
    for frame in range(rate + 1):
        steady = smoother(*person(turn(speed * frame / rate)), CAMERA, frame / rate)
    assert 1e3 * (speed * frame / rate - angle_of(steady)) / speed == pytest.approx(lag, abs=2)


@pytest.mark.parametrize('rate, half, most', [(60, 17, 50), (30, 0, 67)])
def test_a_sudden_turn_is_shown_within_as_many_milliseconds_as_stated(smoother, person, rate, half, most):
    for frame in range(5):
        smoother(*person(), CAMERA, frame / rate)
    shown = [angle_of(smoother(*person(turn(0.5)), CAMERA, (5 + k) / rate)) / 0.5 for k in range(rate)]
    first = [next(k for k, value in enumerate(shown) if value >= share) for share in (0.5, 0.9)]
    assert [1e3 * k / rate for k in first] == pytest.approx([half, most], abs=1)


@pytest.mark.parametrize('rate', [10, 60])
@pytest.mark.parametrize('axis', [0, 2])
def test_who_walks_at_a_constant_speed_is_not_late_and_has_this_velocity(smoother, person, rate, axis):
    velocity = torch.zeros(3)
    velocity[axis] = 1.0
    start = torch.tensor([-0.5, 0.0, 4.0])
    for frame in range(2 * rate + 1):
        place = start + velocity * frame / rate
        steady = smoother(*person(place=place), CAMERA, frame / rate)
    assert torch.allclose(steady.joints[0, 0], place, atol=0.01)
    assert torch.allclose(steady.velocity[0], velocity, atol=0.05)


@pytest.mark.parametrize('axis, overshoot', [(0, 0.011), (2, 0.1)])
def test_who_stops_from_walking_is_shown_as_much_too_far_as_stated(smoother, person, axis, overshoot):
    velocity = torch.zeros(3)
    velocity[axis] = 1.0
    start, rate = torch.tensor([-0.5, 0.0, 3.0]) - velocity, 60
    walked = []
    for frame in range(3 * rate):
        steady = smoother(*person(place=start + velocity * min(frame / rate, 1)), CAMERA, frame / rate)
        walked.append(float((steady.joints[0, 0] - start)[axis]))
    assert max(walked) - 1 == pytest.approx(overshoot, rel=0.3)


@pytest.mark.parametrize('rate', [30, 60])
def test_a_body_that_turns_about_for_one_image_is_not_shown_so(smoother, person, rate):
    about = turn(3.0, joint=0)
    for frame in range(10):
        before = smoother(*person(), CAMERA, frame / rate)
    flipped = smoother(*person(about), CAMERA, 10 / rate)
    assert torch.equal(flipped.rotations, before.rotations)
    after = smoother(*person(), CAMERA, 11 / rate)
    assert torch.allclose(after.rotations, before.rotations, atol=1e-4)


def test_a_body_that_stays_turned_about_is_shown_so_after_a_while_and_never_between(smoother, person):
    rate = 60
    for frame in range(10):
        before = smoother(*person(), CAMERA, frame / rate)
    turned, seen = person(turn(3.0, joint=0))
    shown = [smoother(turned, seen, CAMERA, (10 + k) / rate) for k in range(12)]
    kept = [torch.allclose(one.rotations, before.rotations, atol=1e-4) for one in shown]
    changed = [torch.allclose(one.rotations, turned.rotations, atol=1e-3) for one in shown]
    assert [a or b for a, b in zip(kept, changed, strict=True)] == [True] * 12
    assert sum(kept) == pytest.approx(HOLD * rate, abs=1.01) and changed[-1]


def test_everybody_has_their_own_memory_whatever_the_order(person, body):
    generator = torch.Generator().manual_seed(0)
    together, alone = Smoother(body, 1.0), {i: Smoother(body, 1.0) for i in range(20)}
    for frame in range(6):
        ids = torch.randperm(20, generator=generator)[:15]
        place = torch.stack((ids / 10 - 1.0, ids * 0, 4 + ids / 10), 1)
        people, seen = person(0.1 * torch.randn(15, 24, 3, generator=generator), place=place, ids=ids.tolist())
        steady = together(people, seen, CAMERA, frame / 30)
        assert torch.equal(steady.track_ids, ids)
        for row, i in enumerate(ids.tolist()):
            one = alone[i](people[row : row + 1], seen[row : row + 1], CAMERA, frame / 30)
            assert torch.allclose(one.joints[0], steady.joints[row], atol=1e-4)
            assert torch.allclose(one.velocity[0], steady.velocity[row], atol=1e-4)


def test_who_was_forgotten_or_reset_begins_anew(smoother, person):
    smoother(*person(), CAMERA, 0.0)
    people, seen = person(turn(0.4))
    assert not torch.equal(smoother(people, seen, CAMERA, 0.05).rotations, people.rotations)
    nobody = person(ids=())
    for now in (0.5, 1.0, 1.5):
        assert len(smoother(*nobody, CAMERA, now)) == 0
    people, seen = person(turn(-0.4))
    assert torch.equal(smoother(people, seen, CAMERA, 1.6).rotations, people.rotations)
    smoother.reset()
    people, seen = person(turn(0.2))
    assert torch.equal(smoother(people, seen, CAMERA, 1.65).rotations, people.rotations)


def test_a_velocity_the_tracker_does_not_tell_stays_unknown(smoother, person):
    smoother(*person(), CAMERA, 0.0)
    people, seen = person()
    people.velocity[:] = torch.nan
    assert smoother(people, seen, CAMERA, 0.1).velocity.isnan().all()
