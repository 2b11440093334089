"""`evaluate synthetic`, a real run with real weights; its figures computed again from what it keeps."""

import csv
import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from scipy.optimize import linear_sum_assignment
from scipy.spatial.transform import Rotation

from mesh_perception.body import load_body
from mesh_perception.cli import main
from mesh_perception.synthetic.benchmark import benchmark_scenes, fingerprint
from mesh_perception.synthetic.poses import prior_poses

SCENES = 3


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """-> the folder and the summary as printed."""
    pytest.importorskip('moderngl')
    folder = tmp_path_factory.mktemp('synthetic')
    return folder, summary_of(folder)


def summary_of(folder, *more):
    import contextlib
    import io

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = main(['evaluate', 'synthetic', f'--scenes={SCENES}', '--device=cpu', f'--out={folder}', '--json', *more])
    assert code == 0
    return json.loads(printed.getvalue().splitlines()[-1])


@pytest.fixture(scope='module')
def detail(run):
    with open(run[0] / 'detail.csv', newline='') as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope='module')
def scenes():
    return list(benchmark_scenes(prior_poses(), load_body('open'), SCENES))


@pytest.fixture(scope='module')
def answers(run):
    """What was kept: a dict of arrays a scene."""
    (path,) = (run[0] / 'predictions').glob('*/*.safetensors')
    with safe_open(str(path), 'numpy') as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}
        counts = [count for _, count in json.loads(file.metadata()['frames'])]
    stops = np.cumsum(counts)
    return [
        {name: a[stop - count : stop] for name, a in arrays.items()} for stop, count in zip(stops, counts, strict=True)
    ]


def test_errors_are_those_of_what_was_kept(detail, scenes, answers):
    found = 0
    for number, (scene, answer) in enumerate(zip(scenes, answers, strict=True)):
        rows = [row for row in detail if row['scene'] == f'{number:04d}']
        assert [int(row['person']) for row in rows] == list(range(len(scene.joints)))
        true, predicted = scene.joints.double().numpy(), answer['joints'].astype(float)
        pixels = scene.camera.project(scene.joints).double().numpy()
        inside = ((pixels >= -0.5) & (pixels < (scene.camera.width - 0.5, scene.camera.height - 0.5))).all(-1)
        size = np.linalg.norm(pixels.max(1) - pixels.min(1), axis=-1)
        cost = np.full((len(true), len(predicted)), np.inf)
        for t, p in np.ndindex(*cost.shape):
            apart = np.linalg.norm(pixels[t] - answer['joints_2d'][p], axis=-1)[inside[t]].mean() / size[t]
            cost[t, p] = apart if apart < 0.25 else np.inf
        pairs = dict(zip(*linear_sum_assignment(np.minimum(cost, 0.25)), strict=True))
        for t, row in enumerate(rows):
            p = pairs.get(t)
            matched = p is not None and np.isfinite(cost[t, p])
            assert matched == (row['found'] == '1')
            if not matched:
                continue
            found += 1
            x, y = predicted[p] - predicted[p, 0], true[t] - true[t, 0]
            assert float(row['mpjpe_mm']) == pytest.approx(1000 * np.linalg.norm(x - y, axis=-1).mean(), rel=1e-4)
            assert float(row['pa_mpjpe_mm']) == pytest.approx(1000 * aligned_error(x, y), rel=1e-4)
            assert float(row['pck_3d']) == pytest.approx((np.linalg.norm(x - y, axis=-1) < 0.15).mean())
            longer = predicted[p, 0] @ true[t, 0] / np.linalg.norm(true[t, 0]) - np.linalg.norm(true[t, 0])
            assert float(row['depth_error_m']) == pytest.approx(longer, abs=1e-5)
            whole = np.hypot(float(row['depth_error_m']), float(row['across_error_m']))
            assert whole == pytest.approx(np.linalg.norm(predicted[p, 0] - true[t, 0]), rel=1e-4)
    assert found >= 3


def aligned_error(x, y):
    """Mean distance in metres after the best rotation, scale and shift of x onto y."""
    x, y = x - x.mean(0), y - y.mean(0)
    turned = Rotation.align_vectors(y, x)[0].apply(x)
    return np.linalg.norm(turned * (turned * y).sum() / (x * x).sum() - y, axis=-1).mean()


def test_the_summary_is_that_of_the_detail(run, detail, answers):
    summary = run[1]
    counted = [row for row in detail if row['counted'] == '1']
    found = [row for row in counted if row['found'] == '1']
    false = sum(len(answer['scores']) for answer in answers) - sum(row['found'] == '1' for row in detail)
    assert summary['people'] == len(counted) and summary['found'] == len(found)
    assert summary['missed'] == len(counted) - len(found) and summary['false_positives'] == false
    assert summary['recall'] == pytest.approx(len(found) / len(counted))
    assert summary['precision'] == pytest.approx(len(found) / (len(found) + false))
    for name in ('mpjpe_mm', 'pa_mpjpe_mm', 'mve_mm', 'pck_3d', 'auc', 'root_error_m', 'pck_2d', 'swapped'):
        assert summary[name] == pytest.approx(np.mean([float(row[name]) for row in found])), name
    assert summary['depth_error_abs_m'] == pytest.approx(np.mean([abs(float(row['depth_error_m'])) for row in found]))
    assert summary['nmje_mm'] == pytest.approx(summary['mpjpe_mm'] / summary['f1'])
    assert sum(one['people'] for one in summary['by']['distance'].values()) == len(counted)


def test_errors_are_of_a_size_that_people_have(run):
    assert 20 < run[1]['mpjpe_mm'] < 250 and 0.3 < run[1]['recall'] <= 1
    assert 20 < run[1]['pa_mpjpe_mm'] < 200 and 20 < run[1]['mve_mm'] < 350


def test_the_benchmark_is_named_by_its_fingerprint(run, scenes):
    benchmark = run[1]['benchmark']
    assert benchmark['fingerprint'] == fingerprint(scenes) and benchmark['version'] is None
    assert run[1]['benchmark']['fingerprint'] in (run[0] / 'report.html').read_text()


def test_a_second_run_says_the_same_without_computing_it(run, monkeypatch):
    from mesh_perception.pipeline import MeshPipeline

    def refuse(*_):
        raise AssertionError('computed again')

    monkeypatch.setattr(MeshPipeline, 'detect', refuse)
    assert summary_of(run[0]) == run[1]


def test_in_true_boxes_nobody_is_missed(tmp_path):
    summary = summary_of(tmp_path, '--boxes=truth', '--seed=3', '--scenes=2')
    assert summary['recall'] == 1 and summary['missed'] == summary['false_positives'] == 0
    assert torch.isfinite(torch.tensor(summary['mpjpe_mm']))


def test_mistakes_are_said_in_one_line(tmp_path, capsys):
    assert main(['evaluate', 'synthetic', '--scenes=0', f'--out={tmp_path}']) == 1
    assert 'expected 1 to 100000 scenes' in capsys.readouterr().err
    assert main(['evaluate', 'synthetic', '--motion=nowhere.npz', f'--out={tmp_path}']) == 1
    error = capsys.readouterr().err
    assert 'nowhere.npz' in error and error.count('\n') == 1
