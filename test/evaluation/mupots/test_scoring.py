"""Who is who and how right, with figures worked out by hand."""

import math

import numpy as np
import pytest
import torch

from mesh_perception.evaluation.mupots.joints import JOINTS, PARENTS, ROOT
from mesh_perception.evaluation.mupots.scoring import Scores, average, figures, frame_errors
from mesh_perception.evaluation.mupots.sequences import TrueFrame
from mesh_perception.geometry.camera import Camera

CAMERA = Camera.from_intrinsics(2000, 2000, 1500, 1500, 1000, 1000)
WRIST = JOINTS.index('right_wrist')
# Directions of the bones of somebody upright who faces the camera: x right, y down; the right is at the picture's left.
SIDEWAYS = {'right_shoulder': -1, 'right_hip': -1, 'left_shoulder': 1, 'left_hip': 1}


def skeleton(place, length=0.3, wrist=1.0):
    """(17, 3) m with all bones as long; wrist: the factor of the right forearm, which hangs down."""
    joints = torch.zeros(17, 3, dtype=torch.float64)
    done = [ROOT]
    joints[ROOT] = torch.tensor(place)
    for parent in done:
        for joint, name in enumerate(JOINTS):
            if PARENTS[joint] == parent:
                up = name in ('spine', 'neck', 'head', 'head_top')
                down = torch.tensor([SIDEWAYS.get(name, 0), 0 if name in SIDEWAYS else -1 if up else 1, 0])
                joints[joint] = joints[parent] + length * (wrist if joint == WRIST else 1) * down
                done.append(joint)
    return joints


def frame(*skeletons, hidden=()):
    """The truth of one image."""
    joints = torch.stack(skeletons)
    mask = torch.zeros(joints.shape[:2], dtype=torch.bool)
    mask[:, list(hidden)] = True
    return TrueFrame(0, list(range(len(joints))), CAMERA.project(joints), joints, joints, mask)


def errors(truth, *predicted):
    joints = torch.stack(predicted) if predicted else torch.zeros(0, 17, 3)
    return frame_errors(truth, joints, CAMERA.project(joints))


def test_size_and_distance_do_not_count_but_for_pck_abs():
    truth = frame(skeleton((0, 0, 4)))
    match, relative, absolute = errors(truth, skeleton((0, 0, 5), length=0.375))  # the same picture
    assert match.tolist() == [0]
    np.testing.assert_allclose(relative, 0, atol=1e-9)
    np.testing.assert_allclose(absolute, 1000)


def test_a_bone_that_points_elsewhere_is_wrong_by_twice_its_true_length():
    truth = frame(skeleton((0, 0, 4)))
    _, relative, _ = errors(truth, skeleton((0, 0, 4), length=0.2, wrist=-1))
    expected = np.zeros(14)
    expected[WRIST] = 600
    np.testing.assert_allclose(relative[0], expected, atol=1e-9)


def test_people_are_matched_by_joints_within_40_px():
    left, right = skeleton((-1, 0, 4)), skeleton((1, 0, 4))
    truth = frame(left, right)
    match, relative, absolute = errors(truth, right, left)
    assert match.tolist() == [1, 0] and relative.max() < 1e-9 and absolute.max() < 1e-9
    # 39 px to the side at 4 m are 104 mm; 41 px are 109 mm.
    match, relative, absolute = errors(truth, skeleton((1 + 39 / 375, 0, 4)), skeleton((-1 - 41 / 375, 0, 4)))
    assert match.tolist() == [-1, 0]
    assert relative[0].isinf().all() and absolute[0].isinf().all()
    np.testing.assert_allclose(absolute[1], 1000 * 39 / 375, atol=1e-3)


def test_nobody_found_is_everybody_missed():
    match, relative, absolute = errors(frame(skeleton((0, 0, 4)), skeleton((1, 0, 4))))
    assert match.tolist() == [-1, -1] and relative.isinf().all() and absolute.isinf().all()


def scores():
    """Sequence 3: somebody right and somebody missed. Sequence 5: the forearm is 0.05 m long and wrong, all
    is 0.16 m too far; the wrist and the top of the head are hidden."""
    result = Scores()
    bent = skeleton((0, 0, 4), wrist=1 / 6)
    for number, truth, predicted in (
        (3, frame(skeleton((-1, 0, 4)), skeleton((1, 0, 4))), [skeleton((-1, 0, 4))]),
        (5, frame(bent, hidden=(0, WRIST)), [skeleton((0, 0, 4.16), wrist=-1)]),
    ):
        match, relative, absolute = errors(truth, *predicted)
        result.sequences += [number] * len(match)
        result.matched += (match >= 0).tolist()
        result.errors += relative
        result.absolute_errors += absolute
        result.hidden += truth.hidden[:, :14]
    return result


@pytest.mark.parametrize(
    ('matched_only', 'first', 'second'),
    [
        # 3: half of the people; perfect ones have an AUC of 30/31, as nothing is right within 0 mm.
        (False, (50, 50 * 30 / 31, 50, 50, math.nan), None),
        # 5: the wrist is 100 mm off: right at 150, and at 10 of the 31 thresholds of AUC. Everything is 160 mm too far.
        (True, (100, 100 * 30 / 31, 100, 100, math.nan), (100, 100 * (13 * 30 + 10) / (14 * 31), 0, 100, 100)),
    ],
)
def test_figures_by_sequence(matched_only, first, second):
    values = figures(scores(), matched_only)
    names = ('pck', 'auc', 'pck_abs', 'pck_visible', 'pck_hidden')
    np.testing.assert_allclose([values[name][3] for name in names], first)
    if second:
        np.testing.assert_allclose([values[name][5] for name in names], second, atol=1e-9)


def test_the_average_is_of_sequences_not_of_people():
    everybody, matched = (figures(scores(), only) for only in (False, True))
    assert average(everybody['pck']) == 75 and average(matched['pck']) == 100  # of people it would be 67
    assert average(everybody['pck_hidden']) == 100  # of the one sequence where something is hidden
    assert math.isnan(average({1: math.nan}))


def test_hidden_joints_are_told_from_visible_ones():
    result = scores()
    result.errors[-1] = result.errors[-1].clone()
    result.errors[-1][WRIST] = 150.0  # not below it
    values = figures(result, True)
    assert values['pck'][5] == pytest.approx(100 * 13 / 14)
    assert (values['pck_hidden'][5], values['pck_visible'][5]) == (50, 100)
