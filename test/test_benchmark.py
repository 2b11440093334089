"""The benchmark's rows, with tiny settings; no time is judged here."""

import json
import math

import pytest
import torch

from mesh_perception import benchmark, speed
from mesh_perception.cli import main

TINY = speed.Plan(sizes=((160, 288),), people=(1, 3), movenet_sizes=(256,), frames=2, seconds=0.0, repetitions=(1, 1))


@pytest.fixture(scope='module')
def result():
    steps = []
    result = speed.measure('blazepose_full', 'cpu', TINY, lambda: steps.append(1))
    assert len(steps) == TINY.steps()
    return result


def test_there_is_a_row_for_every_crowd_and_mode_with_every_stage(result):
    assert [(r['people'], r['mode']) for r in result['rows']] == [
        (1, 'video'),
        (1, 'single image'),
        (3, 'video'),
        (3, 'single image'),
    ]
    for row in result['rows']:
        times = row['milliseconds']
        assert set(benchmark.COLUMNS) - {'messages', 'markers'} <= set(times) <= set(benchmark.COLUMNS)
        assert all(math.isfinite(t) for t in times.values()) and times['skeleton'] > 0
        assert times['frame'] >= times['skeleton'] and 50 < row['peak_memory_mb'] < 1e5


def test_the_footage_is_run_end_to_end_and_the_network_alone(result):
    (whole,) = result['end_to_end']
    assert whole['movenet_size'] == 256 and whole['frames'] == 2 and whole['frames_per_second'] > 0
    assert whole['width'] == 1088 and whole['height'] == 1920
    assert result['alone']['ours_ms'] > 0 and result['copies'] is None


def test_the_table_says_whether_messages_were_built(result):
    pytest.importorskip('rclpy', reason='needs ROS 2')
    machine = {'processor': 'x', 'cores': 2, 'load_average': 0.0}
    assert 'ms a person without vertices' in benchmark.as_text([result], machine)
    for row in result['rows']:
        row['milliseconds'] = {k: v for k, v in row['milliseconds'].items() if k not in ('messages', 'markers')}
    assert 'ROS messages: not built' in benchmark.as_text([result], machine)


def test_the_command_prints_a_table_and_one_line_of_json_last(monkeypatch, capsys):
    monkeypatch.setattr(speed, 'QUICK', TINY)
    assert main(['benchmark', '--quick', '--json', '--device', 'cpu', '--network', 'blazepose_full']) == 0
    lines = capsys.readouterr().out.splitlines()
    answer = json.loads(lines[-1])
    assert answer['gpu'] == 'not measured' and lines[-2] == 'GPU: not measured'
    assert [r['network'] for r in answer['results']] == ['blazepose_full']
    assert any('IK' in line and 'overlay' in line for line in lines)


def test_missing_footage_and_weights_are_said_in_one_line(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv('MESH_PERCEPTION_CACHE', str(tmp_path))
    assert main(['benchmark', '--quick', '--device', 'cpu']) == 1
    error = capsys.readouterr().err
    assert error.count('\n') == 1 and 'weights fetch' in error


@pytest.mark.gpu
def test_copies_are_counted_on_a_gpu():
    if not torch.cuda.is_available():
        pytest.skip('no CUDA device')
    copies = speed.measure('blazepose_full', 'cuda', TINY)['copies']
    assert copies['to_device'] >= 1 and copies['to_host'] >= 1
