"""The tools behind `make soak` and `make latency`: 300 frames of the one, a few of the other, and their arithmetic."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('mesh_perception.msg', reason='needs the built messages', exc_type=ImportError)
pytest.importorskip('tf2_msgs.msg', reason='needs tf2_msgs')
from mesh_perception.ros.demo.footage import demo_footage
from mesh_perception.ros.soak.__main__ import main
from mesh_perception.ros.soak.figures import first_and_last_decile, percentiles, slope
from mesh_perception.weights.store import WeightsError

ROOT = Path(__file__).resolve().parents[2]
FRAMES = 300


def run(module, *arguments, timeout=300):
    """The tool as a process in a domain of its own. -> (its last line, all of standard output, standard error)"""
    values = {key: value for key, value in os.environ.items() if key != 'ROS_DOMAIN_ID'}
    values |= {'PYTHONPATH': f'{ROOT}{os.pathsep}{os.environ.get("PYTHONPATH", "")}'}
    done = subprocess.run(
        [sys.executable, '-m', module, *arguments],
        env=values,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0 and 'Traceback' not in done.stderr, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stdout, done.stderr


@pytest.fixture(scope='module')
def weights():
    try:
        demo_footage('cam01')
    except WeightsError as error:
        pytest.skip(f'no footage: {error}')


@pytest.fixture(scope='module')
def soaked(weights):
    """What the soak of 300 frames found, with the smaller network."""
    overrides = "overrides:=['skeleton.network=blazepose_full', 'detection.nanodet=false']"
    return run('mesh_perception.ros.soak', '--frames', str(FRAMES), '-p', overrides)[0]


@pytest.mark.slow
def test_all_of_300_frames_are_answered_and_the_node_ends_well(soaked):
    assert soaked['frames'] == {'published': FRAMES, 'answered': FRAMES, 'dropped': 0}, soaked
    assert soaked['people_in_the_last_answer'] >= 2 and soaked['exit_code'] == 0


@pytest.mark.slow
def test_over_300_frames_neither_threads_nor_files_grow_and_memory_hardly(soaked):
    for name in ('threads', 'descriptors'):
        assert soaked[name]['end'] <= soaked[name]['start'] + 2, (name, soaked[name])  # one a frame would be 240
    memory = soaked['memory']
    # Over the last 100: an image kept for each frame would be 92 MB, a float32 copy four times that. Allocators take up
    # to 20 MB in so short a run; smaller leaks are for `make soak`.
    assert memory['end_mb'] - memory['start_mb'] < 50, memory
    assert memory['interval'][0] <= memory['mb_per_1000_frames'] <= memory['interval'][1]


@pytest.mark.slow
def test_after_300_frames_latency_is_what_it_was_and_no_shared_memory_is_left(soaked):
    first, last = (soaked['latency_ms'][which]['p50'] for which in ('first', 'last'))
    assert 0 < last < 2 * first + 50, soaked['latency_ms']
    assert soaked['shared_memory']['used'] > 0 and soaked['shared_memory']['left_behind'] == [], soaked


@pytest.mark.slow
def test_the_latency_tool_tells_node_pipeline_and_transport_apart(weights):
    options = ('--frames', '4', '--size', '640x480', '--transport', 'compressed', '--network', 'blazepose_full')
    line, text, _ = run('mesh_perception.ros.soak.latency', *options)
    (case,) = line['cases']
    assert case['size'] == [640, 480] and case['transport'] == 'compressed' and case['frames'] + case['lost'] == 4
    assert case['frames'] >= 3 and case['frames_with_the_same_people'] == case['frames'], 'the same work is compared'
    total, transport, alone, decode = (case[f'{name}_ms']['p50'] for name in ('total', 'transport', 'alone', 'decode'))
    # The node's medians are over the warm-up as well, in so short a run.
    assert total > transport > 0 and min(case['pipeline_ms'], case['take_ms'], decode) > 0
    assert case['beyond_ms'] == pytest.approx(total - case['pipeline_ms'] - transport, abs=0.02)
    assert case['pipeline_against_alone'] == pytest.approx(case['pipeline_ms'] / alone, rel=0.01)
    assert '640x480' in text and 'beyond' in text


@pytest.mark.parametrize('arguments', ['--frames 3', '--size 640', '--overload -1', '-p x'])
def test_what_cannot_work_is_one_line(arguments, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['soak', *arguments.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2 and 'expected' in capsys.readouterr().err.splitlines()[-1]


def test_the_slope_is_that_of_a_line_and_hardly_moved_by_jumps():
    frames = np.arange(200)
    noise = np.random.default_rng(0).normal(0, 0.1, 200)
    middle, low, high = slope(frames, 700 + 0.02 * frames + noise, per=1000)
    assert middle == pytest.approx(20, abs=0.5) and low < middle < high and high - low < 1.5
    jumped = 700 + 0.02 * frames + noise + 64 * (frames > 150)
    assert slope(frames, jumped, per=1000)[0] == pytest.approx(20, abs=8), 'least squares: 400'
    assert slope(frames, np.full(200, 5.0))[0] == 0 and np.isnan(slope([1, 2], [1, 2])).all()


def test_deciles_and_percentiles():
    assert first_and_last_decile(range(100)) == {
        'first': {'p50': 4.5, 'p95': 8.55},
        'last': {'p50': 94.5, 'p95': 98.55},
    }
    assert percentiles([]) == {'p50': None, 'p95': None}
    assert first_and_last_decile([7.0]) == {'first': {'p50': 7.0, 'p95': 7.0}, 'last': {'p50': 7.0, 'p95': 7.0}}
