"""Each protocol's figures for people whose errors are known beforehand."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.spatial.transform import Rotation

from mesh_perception.evaluation.threedpw.errors import (
    angles_deg,
    challenge_auc,
    person_errors,
    procrustes_rotation,
    summarize,
)
from mesh_perception.evaluation.threedpw.protocols import PROTOCOLS, Posed, global_rotations, with_keypoints
from mesh_perception.evaluation.threedpw.sequences import read_sequence
from mesh_perception.joints import SMPL_JOINTS, SMPL_PARENTS

sys.path.insert(0, str(Path(__file__).parent))
from dataset import sequence_content, write_sequence

RNG = np.random.default_rng(3)
# A body of 40 vertices, the first 17 of which are what the regressor takes.
REGRESSOR = torch.eye(17, 40)


def random_posed(people, rng=RNG):
    rotations = torch.from_numpy(Rotation.random(people * 24, random_state=5).as_matrix()).view(people, 24, 3, 3)
    draw = lambda *shape: torch.from_numpy(rng.normal(size=shape))  # noqa: E731
    return Posed(draw(people, 24, 3), draw(people, 40, 3), rotations, draw(people, 3))


def moved(posed, joints=0.0, vertices=0.0, translation=0.0):
    return Posed(posed.joints + joints, posed.vertices + vertices, posed.rotations, posed.translation + translation)


def figures(name, predicted, truth):
    protocol, regressor = PROTOCOLS[name], REGRESSOR.double()
    return person_errors(protocol.take(predicted, regressor), protocol.take(truth, regressor))


def test_spin_is_about_the_regressed_pelvis():
    truth = random_posed(1)
    assert all(
        float(v) < 1e-9 for v in figures('spin', moved(truth, vertices=torch.tensor([1.0, 2, 3])), truth).values()
    )
    shift = torch.zeros(40, 3, dtype=torch.float64)
    shift[0, 0] = 0.03  # the pelvis alone: everything else is 30 mm off, the pelvis itself is none of the 14
    errors = figures('spin', moved(truth, vertices=shift), truth)
    assert float(errors['mpjpe_mm']) == pytest.approx(30)
    assert float(errors['pa_mpjpe_mm']) == pytest.approx(0, abs=1e-6)
    assert float(errors['pve_mm']) == pytest.approx(30 * 39 / 40)
    shift = torch.zeros(40, 3, dtype=torch.float64)
    shift[7, 1] = shift[9, 1] = 0.5  # torso and nose are none of the 14
    assert float(figures('spin', moved(truth, vertices=shift), truth)['mpjpe_mm']) == pytest.approx(0, abs=1e-9)
    shift[6, 1] = 0.14  # the right ankle: one of 14
    assert float(figures('spin', moved(truth, vertices=shift), truth)['mpjpe_mm']) == pytest.approx(10)


def test_romp_is_about_the_middle_of_the_hips_and_its_vertices_about_smpls_origin():
    truth = random_posed(1)
    shift = torch.zeros(40, 3, dtype=torch.float64)
    shift[1, 0] = 0.02  # one hip by 20 mm: the root by 10, which is that hip's and all others' error
    errors = figures('romp', moved(truth, vertices=shift), truth)
    assert float(errors['mpjpe_mm']) == pytest.approx(10)
    assert float(errors['pve_mm']) == pytest.approx(0.5)
    step = torch.tensor([0.0, 0, 0.04], dtype=torch.float64)
    assert float(figures('romp', moved(truth, vertices=step), truth)['pve_mm']) == pytest.approx(40)
    assert float(figures('romp', moved(truth, vertices=step, translation=step), truth)['pve_mm']) < 1e-9


def test_the_challenge_counts_24_joints_and_has_pck_and_auc_over_12():
    truth = random_posed(1)
    truth.joints[:] = 0
    shift = torch.zeros(24, 3, dtype=torch.float64)
    for name, metres in (('left_knee', 0.05), ('right_wrist', 0.0501), ('left_ankle', 0.3), ('head', 1.0)):
        shift[SMPL_JOINTS.index(name), 2] = metres
    errors = figures('challenge', moved(truth, joints=shift), truth)
    assert float(errors['mpjpe_mm']) == pytest.approx((50 + 50.1 + 300 + 1000) / 24)
    assert float(errors['pck_50mm']) == pytest.approx(
        100 * 10 / 12
    )  # exactly 50 mm is correct; the head is none of the 12
    assert 'pve_mm' not in errors
    assert float(errors['mpjae_deg']) == pytest.approx(0, abs=1e-5)


def test_common_joints_leave_spine_head_hands_and_feet_alone():
    truth = Posed(torch.from_numpy(RNG.normal(size=(1, 24, 3))))
    shift = torch.zeros(24, 3, dtype=torch.float64)
    shift[[SMPL_JOINTS.index(n) for n in ('pelvis', 'spine1', 'neck', 'head', 'left_hand', 'left_foot')]] = 1.0
    predicted = Posed(truth.joints + shift)
    assert float(figures('common', predicted, truth)['mpjpe_mm']) == pytest.approx(0, abs=1e-9)
    predicted.joints[0, SMPL_JOINTS.index('left_elbow'), 0] += 0.12
    assert float(figures('common', predicted, truth)['mpjpe_mm']) == pytest.approx(10)


@pytest.mark.parametrize('name', PROTOCOLS)
@pytest.mark.parametrize('people', [1, 2, 3, 14])
def test_pa_takes_a_similarity_out_of_any_number_of_people_and_all_together_are_each_alone(name, people):
    truth = random_posed(people)
    turn = torch.from_numpy(Rotation.random(random_state=people).as_matrix())
    similar = Posed(
        1.3 * truth.joints @ turn.T + 2, 1.3 * truth.vertices @ turn.T + 2, truth.rotations, truth.translation
    )
    assert figures(name, similar, truth)['pa_mpjpe_mm'].max() < 1e-6
    other = random_posed(people)
    together = figures(name, other, truth)
    for person in range(people):
        one = [Posed(*(getattr(p, f)[person, None] for f in Posed.__dataclass_fields__)) for p in (other, truth)]
        for figure, value in figures(name, *one).items():
            assert float(value) == pytest.approx(float(together[figure][person]), rel=1e-9)


def test_auc_is_the_integral_of_the_interpolated_shares_to_199_mm():
    errors = torch.from_numpy(RNG.uniform(0, 260, (3, 12)))
    for sample, auc in zip(errors.numpy(), challenge_auc(errors), strict=True):
        x = np.arange(0.0, 200.0)
        y = [np.mean(sample <= t) for t in x]
        area = quad(np.interp, 0, 1, args=(x / x.max(), y), limit=2000)[0]
        assert float(auc) == pytest.approx(area, abs=1e-4)
    assert float(challenge_auc(torch.zeros(12))) == 1 and float(challenge_auc(torch.full((12,), 200.0))) == 0


def test_angles_are_scipys_small_ones_too():
    for degrees in (0, 1e-4, 1, 90, 179.9, 180):
        start = Rotation.random(random_state=1)
        end = start * Rotation.from_rotvec(np.deg2rad(degrees) * np.array([0.6, 0, 0.8]))
        matrices = (torch.from_numpy(r.as_matrix()) for r in (start, end))
        assert float(angles_deg(*matrices)) == pytest.approx(degrees, abs=1e-5)


def test_a_turned_body_has_that_angle_everywhere_and_none_after_procrustes():
    truth = random_posed(2)
    turn = torch.from_numpy(Rotation.from_euler('y', 30, degrees=True).as_matrix())
    rotations = truth.rotations.clone()
    rotations[:, 0] = turn @ rotations[:, 0]
    turned = Posed(truth.joints @ turn.T, truth.vertices, rotations, truth.translation)
    errors = figures('challenge', turned, truth)
    assert errors['mpjae_deg'].tolist() == pytest.approx([30, 30])
    assert errors['pa_mpjae_deg'].tolist() == pytest.approx([0, 0], abs=1e-5)
    found = procrustes_rotation(turned.joints, truth.joints)
    np.testing.assert_allclose(found, turn.T.expand(2, 3, 3), atol=1e-9)


@pytest.mark.parametrize(
    'joint, below',
    [('left_knee', 1), ('left_hip', 2), ('spine1', 4), ('right_shoulder', 2), ('left_wrist', 0), ('pelvis', 9)],
)
def test_a_bent_joint_counts_for_itself_and_the_hips_knees_shoulders_and_elbows_below_it(joint, below):
    truth = random_posed(1)
    bent = Posed(truth.joints, truth.vertices, truth.rotations.clone(), truth.translation)
    bend = torch.from_numpy(Rotation.from_euler('x', 45, degrees=True).as_matrix())
    bent.rotations[0, SMPL_JOINTS.index(joint)] @= bend
    assert float(figures('challenge', bent, truth)['mpjae_deg']) == pytest.approx(45 * below / 9, abs=1e-5)


def test_rotations_to_the_camera_are_products_down_the_tree():
    rotations = random_posed(1).rotations
    turns = global_rotations(rotations)
    for joint in range(24):
        expected, at = np.eye(3), joint
        while at >= 0:
            expected, at = rotations[0, at].numpy() @ expected, SMPL_PARENTS[at]
        np.testing.assert_allclose(turns[0, joint], expected, atol=1e-12)


def test_who_counts(tmp_path):
    content = sequence_content(people=2, frames=4)
    first = content['poses2d'][0]
    first[1] = 0  # nobody's keypoints
    first[2, 2, :] = 0.3  # seen badly
    first[3, 2, :8] = 0  # nose, neck, and arms but a wrist unseen: 6 of 12 limbs left
    first[3, 2, 7] = 0
    content['campose_valid'][1][:2] = 0
    sequence = read_sequence(write_sequence(tmp_path, content), 'test')
    assert with_keypoints(sequence).tolist() == [[True, False, True, True], [False, False, True, True]]
    assert PROTOCOLS['romp'].counts(sequence).tolist() == [[True, False, False, False], [False, False, True, True]]
    content['poses2d'][0][3, 2, 7] = 0.31
    sequence = read_sequence(write_sequence(tmp_path, content), 'test')
    assert PROTOCOLS['romp'].counts(sequence).tolist()[0] == [True, False, False, True]


def test_missed_people_are_left_out_or_spoil_the_figures():
    rows = [{'found': True, 'mpjpe_mm': 60.0, 'pck_50mm': 80.0}] * 3 + [{'found': False}]
    matched, fair, share = summarize(rows)
    assert (matched, share) == ({'mpjpe_mm': 60.0, 'pck_50mm': 80.0}, 0.75)
    assert fair == pytest.approx({'mpjpe_mm': 60 / (3 / 3.5), 'pck_50mm': 60})
    assert summarize([{'found': False}]) == ({}, {}, 0)
