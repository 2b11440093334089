"""Every metric against loops over float64 numbers, or against figures worked out by hand."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from mesh_perception.evaluation import metrics

NAN, INF = math.nan, math.inf
RNG = np.random.default_rng(8)


def close(actual, expected):
    torch.testing.assert_close(actual, torch.as_tensor(expected, dtype=torch.float64), equal_nan=True)


def poses(count, joints=14):
    truth = torch.from_numpy(RNG.normal(0, 0.5, (count, joints, 3)) + np.array([0, 0, 4]))
    return truth + torch.from_numpy(RNG.normal(0, 0.08, truth.shape)), truth


def at(*millimetres):
    """One pose, and a prediction of it whose joints are off by so many mm, in directions that take turns."""
    truth = torch.arange(3.0 * len(millimetres), dtype=torch.float64).reshape(1, -1, 3)
    directions = torch.eye(3, dtype=torch.float64)[torch.arange(len(millimetres)) % 3]
    return truth + directions * torch.tensor(millimetres, dtype=torch.float64)[:, None] / 1000, truth


@pytest.mark.parametrize('count', [0, 1, 2, 3, 14])
def test_mpjpe_is_a_loop_over_people_and_joints(count):
    predicted, truth = poses(count)
    valid = torch.from_numpy(RNG.random((count, 14)) < 0.7)
    expected = []
    for i in range(count):
        errors = []
        for j in range(14):
            p, t = (x[i].numpy() - x[i].numpy()[[2, 3]].mean(0) for x in (predicted, truth))
            if valid[i, j]:
                errors.append(1000 * math.dist(p[j], t[j]))
        expected.append(np.mean(errors))
    roots = [pose[:, [2, 3]].mean(1) for pose in (predicted, truth)]
    close(metrics.mpjpe_mm(predicted, truth, *roots, valid), expected)
    close(metrics.mean(metrics.mpjpe_mm(predicted, truth, *roots, valid)), np.mean(expected) if count else NAN)


def test_a_pose_that_is_only_moved_has_no_error_from_its_root():
    _, truth = poses(3)
    moved = truth + torch.tensor([0.3, 0.0, 0.4], dtype=torch.float64)
    close(metrics.mpjpe_mm(moved, truth), [500.0] * 3)
    close(metrics.mpjpe_mm(moved, truth, moved[:, 0], truth[:, 0]), [0.0] * 3)
    close(metrics.mve_mm(moved, truth, moved[:, 0] + 0.01, truth[:, 0]), [10 * math.sqrt(3)] * 3)


def test_mve_is_a_loop_over_vertices():
    predicted, truth = poses(2, joints=50)
    roots = torch.from_numpy(RNG.normal(size=(2, 2, 3)))
    expected = [
        np.mean(
            [1000 * math.dist(p - roots[0, i], t - roots[1, i]) for p, t in zip(predicted[i], truth[i], strict=True)]
        )
        for i in range(2)
    ]
    close(metrics.mve_mm(predicted, truth, *roots), expected)


@pytest.mark.parametrize('count', [1, 2, 3, 14])
def test_pa_mpjpe_in_batches_is_an_optimizers_one_at_a_time(count):
    predicted, truth = poses(count)
    predicted = 0.7 * predicted @ torch.from_numpy(Rotation.random(count, 5).as_matrix())
    expected = []
    for p, t in zip(predicted.numpy(), truth.numpy(), strict=True):
        start = Rotation.align_vectors(t - t.mean(0), p - p.mean(0))[0].as_rotvec()

        def moved(x, p=p):
            return math.exp(x[3]) * Rotation.from_rotvec(x[:3]).apply(p - p.mean(0)) + x[4:]

        fit = minimize(lambda x, t=t, moved=moved: ((moved(x) - t) ** 2).sum(), [*start, 0, *t.mean(0)], tol=1e-12)
        expected.append(1000 * np.linalg.norm(moved(fit.x) - t, axis=1).mean())
    actual = metrics.pa_mpjpe_mm(predicted, truth)
    torch.testing.assert_close(actual, torch.tensor(expected, dtype=torch.float64), atol=1e-2, rtol=0)
    close(torch.cat([metrics.pa_mpjpe_mm(p[None], t[None]) for p, t in zip(predicted, truth, strict=True)]), actual)


def test_pa_mpjpe_neither_fits_nor_counts_joints_that_are_not_valid():
    predicted, truth = poses(2)
    valid = torch.arange(14).expand(2, 14) > 4
    close(metrics.pa_mpjpe_mm(predicted, truth, valid), metrics.pa_mpjpe_mm(predicted[:, 5:], truth[:, 5:]))


def test_pa_mpjpe_does_not_forgive_a_mirrored_pose():
    _, truth = poses(3)
    mirrored = truth * torch.tensor([-1, 1, 1])
    assert (metrics.pa_mpjpe_mm(mirrored, truth) > 50).all()
    close(metrics.pa_mpjpe_mm(mirrored * torch.tensor([1, -1, 1]), truth), [0.0] * 3)  # turned by half


def test_3dpck_counts_what_is_strictly_nearer_than_150_mm():
    errors = torch.tensor([[0.0, 149.9, 150.0, 151.0], [100.0, 200.0, INF, NAN]])
    close(metrics.pck(errors, 150), [0.5, 1 / 3])
    close(metrics.pck(errors, 150, torch.tensor([[True, True, True, False], [False] * 4])), [2 / 3, NAN])
    predicted, truth = at(0, 149, 151, 300, 140)
    zero = torch.zeros(1, 3)
    close(metrics.pck_3d(predicted, truth, zero, zero), [0.6])
    close(metrics.pck_3d(predicted, truth, zero, zero, threshold_mm=145), [0.4])
    close(metrics.pck_3d(predicted, truth, zero, zero, torch.tensor([[True, False, True, True, True]])), [0.5])


def test_pck_abs_is_not_moved_to_the_root():
    predicted, truth = at(0, 149, 151, 300, 140)
    far = predicted + torch.tensor([0, 0, 1.0])
    close(metrics.pck_abs(predicted, truth), [0.6])
    close(metrics.pck_abs(far, truth), [0.0])
    close(metrics.pck_3d(far, truth, torch.tensor([[0, 0, 1.0]]), torch.zeros(1, 3)), [0.6])
    close(metrics.pck_abs(predicted, truth, torch.tensor([[True, False, False, False, True]])), [1.0])
    close(metrics.pck_abs(predicted, truth, threshold_mm=250), [0.8])


def test_auc_is_the_mean_over_31_thresholds():
    # 0 is below 5, ..., 150; 72 below 75, ..., 150; 150 below none.
    close(metrics.auc(torch.tensor([[0.0], [72.0], [150.0], [INF]])), [30 / 31, 16 / 31, 0, 0])
    close(metrics.auc(torch.tensor([[0.0, 72.0, NAN]])), [23 / 31])
    close(metrics.auc(torch.tensor([[0.0, 72.0]]), torch.tensor([[False, True]])), [16 / 31])
    close(metrics.auc(torch.tensor([[0.0, 150.0]]), limit_mm=200), [25 / 41])  # 40 and 10 thresholds
    close(metrics.auc(torch.tensor([[0.0, 72.0]]), step_mm=50), [5 / 8])  # 3 of 0, 50, 100, 150, and 2
    errors = RNG.uniform(0, 250, (3, 14))
    expected = [np.mean([np.mean(row < t) for t in range(0, 151, 5)]) for row in errors]
    close(metrics.auc(torch.from_numpy(errors)), expected)


def test_2d_pck_measures_by_each_persons_size():
    truth = torch.zeros(2, 3, 2)
    predicted = torch.tensor([[[3.0, 4], [0, 4.9], [20, 0]]] * 2)
    close(metrics.pck_2d(predicted, truth, torch.tensor([10.0, 10.1])), [1 / 3, 2 / 3])
    close(metrics.pck_2d(predicted, truth, torch.tensor([10.0, 100.0]), fraction=0.2), [0, 2 / 3])
    close(metrics.pck_2d(predicted, truth, torch.tensor([0.0, NAN])), [NAN, NAN])
    close(metrics.pck_2d(predicted, truth, torch.tensor([-10.0, INF])), [NAN, NAN])
    first = torch.tensor([[True, False, False]] * 2)
    close(metrics.pck_2d(predicted, truth, torch.tensor([10.0, 11.0]), first), [0, 1])


def test_acceleration_of_a_known_motion():
    time = torch.arange(5, dtype=torch.float64)[:, None, None] / 30
    truth = torch.tensor([1.0, 2, 3]) * time + torch.zeros(5, 2, 3)
    predicted = truth + 0.5 * torch.tensor([0, 9.81, 0]) * time**2  # accelerates by g, the truth does not
    close(metrics.acceleration_error_mm(predicted, truth, frame_rate=30), [9810.0] * 3)
    close(metrics.acceleration_error_mm(predicted, truth), [9810.0 / 900] * 3)
    predicted[4, 0, 0] += 0.006
    once = metrics.acceleration_error_mm(predicted, truth, torch.tensor([[True, False]] * 5))
    close(once, [10.9, 10.9, math.hypot(6, 10.9)])
    gap = torch.ones(5, 2, dtype=torch.bool)
    gap[3] = False
    close(metrics.acceleration_error_mm(predicted, truth, gap), [10.9, NAN, NAN])
    for frames in range(3):
        assert metrics.acceleration_error_mm(predicted[:frames], truth[:frames]).shape == (0,)


def test_acceleration_error_is_a_loop_where_both_are_accelerated():
    predicted, truth = poses(6)
    expected = []
    for t in range(1, 5):
        a, b = (x[t - 1].numpy() - 2 * x[t].numpy() + x[t + 1].numpy() for x in (predicted, truth))
        expected.append(np.mean([1000 * math.dist(a[j], b[j]) for j in range(14)]))
    close(metrics.acceleration_error_mm(predicted, truth), expected)


def test_precision_recall_and_f1_by_hand():
    scores = metrics.detection_scores(
        torch.tensor([6, 0, 0, 0]), torch.tensor([2, 3, 0, 0]), torch.tensor([4, 0, 5, 0])
    )
    close(scores.precision, [0.75, 0, NAN, NAN])  # no predictions: undefined
    close(scores.recall, [0.6, NAN, 0, NAN])  # no truth: undefined
    close(scores.f1, [2 / 3, 0, 0, NAN])
    assert scores.f1[0] == pytest.approx(2 * 0.75 * 0.6 / (0.75 + 0.6))
    close(metrics.detection_scores(3, 1, 0).f1, 6 / 7)


def test_normalized_errors_by_hand():
    close(metrics.normalized_error_mm(60.0, 0.8), 75.0)
    close(metrics.normalized_error_mm(60.04, 0.804), 60.04 / 0.804)  # nothing is rounded
    close(metrics.normalized_error_mm(torch.tensor([60.0, NAN, 60.0]), torch.tensor([0.5, 0.0, NAN])), [120, INF, NAN])


def test_failing_never_pays_and_unknown_truth_never_counts():
    predicted, truth = poses(4)
    roots = truth[:, 0].clone(), truth[:, 0].clone()
    predicted[0, 3, 1] = NAN  # a failed joint
    truth[1, 3, 1] = NAN  # an unknown joint
    predicted[2] = INF  # a failed person
    truth[3] = NAN  # an unknown person
    expected = metrics.mpjpe_mm(predicted[1:2, torch.arange(14) != 3], truth[1:2, torch.arange(14) != 3])
    close(metrics.mpjpe_mm(predicted, truth), [INF, float(expected), INF, NAN])
    close(metrics.mpjpe_mm(predicted, truth, *roots), [INF, float(expected), INF, NAN])
    assert metrics.pa_mpjpe_mm(predicted, truth)[[0, 2]].isinf().all()
    assert metrics.pa_mpjpe_mm(predicted, truth)[3].isnan() and metrics.pa_mpjpe_mm(predicted, truth)[1] < 200
    close(metrics.mve_mm(predicted, truth, *roots)[[0, 2, 3]], [INF, INF, NAN])
    close(metrics.pck_abs(predicted, truth, threshold_mm=1000), [13 / 14, 1, 0, NAN])
    close(metrics.pck_3d(predicted, truth, *roots, threshold_mm=1000), [13 / 14, 1, 0, NAN])
    close(metrics.auc(metrics.position_errors_mm(predicted, truth))[2:], [0, NAN])
    close(metrics.pck_2d(predicted[..., :2], truth[..., :2], torch.full((4,), 1e3)), [13 / 14, 1, 0, NAN])
    close(metrics.acceleration_error_mm(predicted[:3], truth[:3]), [INF])
    lost = torch.ones_like(roots[0])
    lost[0] = NAN
    assert metrics.mpjpe_mm(predicted, truth, lost, roots[1])[0].isinf()


def test_means_leave_out_what_is_undefined_but_not_what_failed():
    close(metrics.mean(torch.tensor([1.0, NAN, 4.0])), 2.5)
    close(metrics.mean(torch.tensor([1.0, INF])), INF)
    for nothing in (torch.tensor([]), torch.tensor([NAN])):
        close(metrics.mean(nothing), NAN)


def test_nobody_gives_nothing():
    empty, roots = torch.zeros(0, 14, 3), torch.zeros(0, 3)
    valid = torch.zeros(0, 14, dtype=torch.bool)
    for values in (
        metrics.mpjpe_mm(empty, empty, roots, roots, valid),
        metrics.pa_mpjpe_mm(empty, empty, valid),
        metrics.mve_mm(empty, empty, roots, roots),
        metrics.pck_3d(empty, empty, roots, roots, valid),
        metrics.pck_abs(empty, empty),
        metrics.auc(torch.zeros(0, 14), valid),
        metrics.pck_2d(empty[..., :2], empty[..., :2], torch.zeros(0), valid),
    ):
        assert values.shape == (0,) and metrics.mean(values).isnan()


def test_bad_input_is_named():
    pose = torch.zeros(2, 5, 3)
    with pytest.raises(ValueError, match=r'predicted \(2, 5, 3\) and truth \(2, 4, 3\)'):
        metrics.mpjpe_mm(pose, pose[:, :4])
    with pytest.raises(ValueError, match='both predicted_roots and truth_roots'):
        metrics.mpjpe_mm(pose, pose, pose[:, 0])
    with pytest.raises(ValueError, match=r'truth_roots \(2, 1, 3\): expected \(2, 3\)'):
        metrics.mpjpe_mm(pose, pose, pose[:, 0], pose[:, :1])
    with pytest.raises(ValueError, match=r'sizes \(1,\)'):
        metrics.pck_2d(pose[..., :2], pose[..., :2], torch.ones(1))
    with pytest.raises(ValueError, match=r'predicted \(2, 5, 3\) and truth .* points, 2\)'):
        metrics.pck_2d(pose, pose, torch.ones(2))
    with pytest.raises(ValueError, match=r'valid \(5,\) torch.bool: expected \(2, 5\)'):
        metrics.mpjpe_mm(pose, pose, valid=torch.ones(5, dtype=torch.bool))
    with pytest.raises(ValueError, match=r'valid \(5,\)'):
        metrics.acceleration_error_mm(pose, pose, torch.ones(5, dtype=torch.bool))
