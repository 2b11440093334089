"""The reference from several cameras: known people through the real calibrations come back, whatever goes wrong."""

import numpy as np
import pytest
import torch

from mesh_perception.evaluation.multiview import keypoints as found_by
from mesh_perception.evaluation.multiview.bundle import RODS, adjust
from mesh_perception.evaluation.multiview.correspondence import focus_of, people_in_views
from mesh_perception.evaluation.multiview.footage import CAMERAS, PEOPLE, SCENES, cameras, frames, length, rendered
from mesh_perception.evaluation.multiview.keypoints import LIMB_JOINTS, LimbFinder, find_keypoints, fuse
from mesh_perception.evaluation.multiview.reference import build_references, filled, held_out_error, reconstruct
from mesh_perception.evaluation.multiview.triangulation import Views, repair_sides, triangulate
from mesh_perception.joints import mirror_indices
from mesh_perception.media import MediaError

FRAMES = 40
MIRROR = list(mirror_indices(LIMB_JOINTS))


@pytest.fixture(scope='module')
def rig():
    return cameras('two_person')


@pytest.fixture(scope='module')
def people(rig):
    """(2, T, 12, 3) in the room: one turns and walks, the other stands; constant bones, elbows and knees that bend."""
    time = np.arange(FRAMES) / 60
    paths = []
    for scale, speed, place in ((1.0, 1.0, (0.0, 0.0)), (0.8, 0.02, (0.9, -0.6))):
        bend = 0.6 + speed * 0.5 * np.sin(4 * time)
        sides = []
        for side in (1, -1):
            shoulder = np.tile((0.18 * side, 0, 1.45), (FRAMES, 1))
            down = np.stack([np.full(FRAMES, 0.2 * side), 0 * time, np.full(FRAMES, -1.0)], 1)
            elbow = shoulder + 0.3 * down / np.linalg.norm(down, axis=1, keepdims=True)
            wrist = elbow + 0.25 * np.stack([0 * time, np.sin(bend), -np.cos(bend)], 1)
            hip = np.tile((0.11 * side, 0, 0.93), (FRAMES, 1))
            knee = hip + 0.42 * np.stack([0 * time, np.sin(bend / 2), -np.cos(bend / 2)], 1)
            ankle = knee - 0.41 * np.stack([0 * time, np.sin(bend / 3), np.cos(bend / 3)], 1)
            sides.append(np.stack([shoulder, elbow, wrist, hip, knee, ankle], 1))
        body = np.stack(sides, 2).reshape(FRAMES, 12, 3)
        turn = speed * 2 * time
        rotation = np.zeros((FRAMES, 3, 3))
        rotation[:, 0, 0] = rotation[:, 1, 1] = np.cos(turn)
        rotation[:, 0, 1], rotation[:, 1, 0], rotation[:, 2, 2] = np.sin(turn), -np.sin(turn), 1
        walk = np.stack([0.4 * speed * time, 0.2 * speed * time, 0 * time], 1)[:, None]
        paths.append(scale * np.einsum('tjk,tkl->tjl', body, rotation) + walk + (*place, 0))
    return np.stack(paths) + focus_of(rig) * (1, 1, 0)


def seen(views, joints):
    """Joints (..., 12, 3) as exact keypoints (C, ..., 12, 3)."""
    pixels = views.project(joints)
    return np.concatenate((pixels, np.ones((*pixels.shape[:-1], 1))), -1)


def lengths(joints):
    first, second = np.array(RODS).T
    return np.linalg.norm(joints[0, first] - joints[0, second], axis=-1)


def distance(a, b):
    return 1000 * np.linalg.norm(a - b, axis=-1)


def solve(views, keypoints):
    keypoints = repair_sides(views, keypoints)
    start = triangulate(views, keypoints.reshape(len(keypoints), -1, 3))[0].reshape(-1, 12, 3)
    return adjust(views, keypoints, filled(start))


def test_exact_points_of_three_or_two_views_give_the_joints_and_the_bones(rig, people):
    for names in (CAMERAS[:3], CAMERAS[1:3]):
        views = Views.of(rig, names)
        keypoints = seen(views, people[0])
        points, cost = triangulate(views, keypoints.reshape(len(names), -1, 3))
        assert distance(points, people[0].reshape(-1, 3)).max() < 0.1 and cost.max() < 1e-4
        solved = solve(views, keypoints)
        assert distance(solved.joints, people[0]).max() < 4  # what the smooth path takes off the turns
        assert 1000 * np.abs(solved.lengths - lengths(people[0])).max() < 2


def test_noise_outliers_and_missing_points_are_survived(rig, people):
    views, random = Views.of(rig, CAMERAS[:3]), np.random.default_rng(0)
    keypoints = seen(views, people[0])
    keypoints[..., :2] += random.normal(0, 3, keypoints[..., :2].shape)
    wrong = random.random(keypoints.shape[:3]) < 0.05
    keypoints[wrong, :2] += random.normal(0, 150, (wrong.sum(), 2))
    keypoints[1, 10:20] = np.nan  # one view misses the person
    keypoints[:2, 25, 3] = np.nan  # and two miss an elbow
    solved = solve(views, keypoints)
    assert distance(solved.joints, people[0]).mean() < 12
    relative = [joints - joints[:, 6:8].mean(1, keepdims=True) for joints in (solved.joints, people[0])]
    assert distance(*relative).mean() < 8
    assert 1000 * np.abs(solved.lengths - lengths(people[0])).max() < 10
    assert np.median(solved.weights[wrong]) < 0.1 < 0.5 < np.median(solved.weights[~wrong & (keypoints[..., 2] > 0)])


def test_left_and_right_mixed_up_in_one_view_is_found_and_put_right(rig, people):
    views = Views.of(rig, CAMERAS[:3])
    keypoints = seen(views, people[0])
    mixed = keypoints.copy()
    mixed[0, 5:30] = mixed[0, 5:30][:, MIRROR]
    assert np.allclose(repair_sides(views, mixed), keypoints)
    assert np.allclose(repair_sides(views, keypoints), keypoints)
    assert distance(solve(views, mixed).joints, people[0]).max() < 4


def test_an_image_beside_its_calibration_hardly_changes_the_pose(rig, people):
    views = Views.of(rig, CAMERAS[:3])
    keypoints = seen(views, people[0])
    keypoints[2, ..., :2] += (20, -8)
    solved = solve(views, keypoints)
    relative = [joints - joints[:, 6:8].mean(1, keepdims=True) for joints in (solved.joints, people[0])]
    assert distance(*relative).mean() < 12
    pixels = views.project(solved.joints) + solved.offsets[:, None, None]
    assert np.median(np.linalg.norm(pixels - keypoints[..., :2], axis=-1)) < 2


def test_a_point_that_one_view_sees_is_unknown(rig, people):
    views = Views.of(rig, CAMERAS[:2])
    keypoints = seen(views, people[0])[:, 0]
    keypoints[0, 4, 2] = 0.0
    points, cost = triangulate(views, keypoints)
    assert np.isnan(points[4]).all() and cost[4] == 1
    assert np.isfinite(np.delete(points, 4, 0)).all()
    with pytest.raises(ValueError, match='left_wrist: no two views ever show it'):
        filled(np.where(np.arange(12)[:, None] == 4, np.nan, people[0]))


def test_people_in_any_order_in_each_view_are_told_apart_and_strangers_left_out(rig, people):
    views, random = Views.of(rig, CAMERAS[:3]), np.random.default_rng(1)
    stranger = people[1:] + np.array((3.5, 1.0, 0))
    points = np.concatenate((people, stranger))
    keypoints = np.moveaxis(seen(views, points), 1, 2)  # (C, T, 3, 12, 3)
    keypoints[2, :, 2] = np.nan
    for view in keypoints:
        for frame in view:
            frame[:] = frame[random.permutation(3)]
    found = people_in_views(views, keypoints, focus_of(rig), 2)
    assert found.shape == (2, 3, FRAMES, 12, 3)
    expected = seen(views, people).transpose(1, 0, 2, 3, 4)
    order = [0, 1] if np.allclose(found[0], expected[0]) else [1, 0]
    assert np.allclose(found[order], expected)
    with pytest.raises(ValueError, match='2 people found together, expected 3'):
        people_in_views(views, keypoints, focus_of(rig), 3)


def test_the_one_who_walks_is_the_man_and_the_woman_is_solved_with_her_renderers_camera(rig, people):
    used = CAMERAS[:3]
    drawn = {name: (rendered(camera), pose) for name, (camera, pose) in rig.items()}
    shown = [seen(Views.of(cameras_, used), path) for cameras_, path in zip((rig, drawn), people, strict=True)]
    keypoints = dict(zip(used, np.stack(shown[::-1], 2), strict=True))
    found = reconstruct('two_person', used, rig, keypoints)
    assert tuple(found) == PEOPLE['two_person']
    for person, path in zip(found.values(), people, strict=True):
        assert distance(person.joints, path).max() < 4 and person.reprojection < 1


def test_two_networks_agree_on_a_mean_and_the_better_one_wins_otherwise():
    a = torch.tensor([[[0.0, 0, 0.9], [100, 100, 0.8], [50, 0, 0.2]]])
    b = torch.tensor([[[4.0, 0, 0.3], [104, 100, 0.8], [90, 0, 0.6]]])
    fused = fuse(a, b)[0]
    assert torch.allclose(fused, torch.tensor([[1.0, 0, 0.6], [102, 100, 0.8], [90, 0, 0.3]]))


def test_scenes_cameras_and_frames_belong_together():
    for scene in SCENES:
        for name, (camera, pose) in cameras(scene).items():
            assert next(frames(scene, name)).shape == (camera.height, camera.width, 3)
            assert np.allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-6)
        assert length(scene) == 100
    with pytest.raises(MediaError, match="unknown scene 'x': expected one of two_person, single_person"):
        cameras('x')
    with pytest.raises(MediaError, match="unknown camera 'cam09'"):
        frames('two_person', 'cam09')


@pytest.fixture(scope='module')
def few(tmp_path_factory, monkeypatch_module):
    """References of the two-person scene's first three frames."""
    folder = tmp_path_factory.mktemp('multiview')

    def first(scene, camera):
        for index, image in enumerate(frames(scene, camera)):
            if index == 3:
                return
            yield image

    monkeypatch_module.setattr(found_by, 'frames', first)
    monkeypatch_module.setattr(found_by, 'length', lambda scene: 3)
    return folder, build_references('two_person', folder, LimbFinder())


@pytest.fixture(scope='module')
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def test_three_real_frames_give_two_people_of_human_size_that_stand_in_the_held_out_image(few):
    folder, references = few
    for name, reference in references.items():
        assert reference.people == ('man', 'woman') and name not in reference.used_views
        assert reference.joints.shape == (2, 3, 12, 3) and reference.joints.isfinite().float().mean() > 0.95
        assert reference.reprojection_px.max() < 10
        left, right = reference.lengths[:, 4:6].sum(1), reference.lengths[:, 6:8].sum(1)
        assert ((left / right - 1).abs() < 0.1).all() and (left > 0.5).all() and (left < 0.9).all()
        assert reference.beside_px.abs().max() < 40
    floor = held_out_error('two_person', folder, references)
    assert all(0 < value < 80 for people in floor.values() for one in people.values() for value in one.values())


def test_what_was_found_is_not_looked_for_again(few):
    def fail(*_):
        raise AssertionError('the networks ran again')

    keypoints = find_keypoints('two_person', 'cam01', few[0], fail)
    assert keypoints.shape == (3, 6, 12, 3) and keypoints[:, 0].isfinite().all()
