"""`mesh-perception train` as a process of its own: killed, interrupted, without room or data, it loses nothing."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

import tiny_task

from mesh_perception.cli import main
from mesh_perception.training import settings
from mesh_perception.training.board import Board
from mesh_perception.training.state import newest_state, read_state

PROGRAM = [sys.executable, str(Path(__file__).with_name('tiny_task.py')), 'train']
ROOT = Path(__file__).parents[2]
RECIPE = 'epochs: 3\nbatch_size: 4\nlog_every: 1\ncheckpoint_every: 2\n'


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / 'tiny.yaml'
    path.write_text(RECIPE)
    return path


@pytest.fixture
def command(monkeypatch):
    """The command in this process, with the tiny task as 'paper'. -> (arguments) -> exit code"""
    monkeypatch.setitem(settings.TASKS, 'paper', 'tiny_task')
    return lambda *arguments: main(['train', *map(str, arguments)])


def environment(**variables):
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get('PYTHONPATH'))))
    return {**os.environ, 'PYTHONPATH': paths, 'OMP_NUM_THREADS': '1', **variables}


def train(recipe, out, *arguments, **variables):
    command = [*PROGRAM, str(recipe), '--out', str(out), '--device', 'cpu', *map(str, arguments)]
    return subprocess.run(command, env=environment(**variables), capture_output=True, text=True, timeout=120)


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """The last checkpoint of a training that nothing happened to."""
    folder = tmp_path_factory.mktemp('whole')
    (folder / 'tiny.yaml').write_text(RECIPE)
    assert train(folder / 'tiny.yaml', folder).returncode == 0
    return read_state(folder / 'checkpoints/step-000000012.safetensors')


def assert_same(path, whole):
    values, tensors = read_state(path)
    assert values == whole[0] and all(torch.equal(x, whole[1][name]) for name, x in tensors.items())


def test_a_training_from_its_file_to_its_networks(recipe, tmp_path):
    out = tmp_path / 'out'
    done = train(recipe, out)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f'{out}: trained\n'
    assert 'step 12 of 12: loss ' in done.stderr and ' samples/s, waiting for data ' in done.stderr
    assert {path.name for path in out.iterdir()} >= {'checkpoints', 'log.jsonl', 'twist_shape.safetensors'}


@pytest.mark.parametrize('moment', ['save_file:3', 'fsync:6', 'replace:3'])
def test_killed_while_it_writes_it_goes_on_from_what_is_whole(command, recipe, tmp_path, whole, moment):
    """SIGKILL before a checkpoint is whole, before it is on the disk, and before it takes its name."""
    out = tmp_path / 'out'
    killed = train(recipe, out, KILL=moment)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    halves = list((out / 'checkpoints').glob('.step-*'))
    assert len(halves) == 1 and newest_state(out / 'checkpoints', print)[0]['step'] == 4
    assert command(recipe, '--out', out, '--device', 'cpu') == 0
    assert_same(out / 'checkpoints/step-000000012.safetensors', whole)
    assert not halves[0].exists()


def test_ctrl_c_stores_and_says_how_to_go_on(recipe, tmp_path):
    recipe.write_text('epochs: 1000000\nbatch_size: 4\nlog_every: 1\ncheckpoint_every: 1000000\nvalidate_every: 0\n')
    out = tmp_path / 'out'
    command = [*PROGRAM, str(recipe), '--out', str(out), '--device', 'cpu']
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        end = time.monotonic() + 60
        while not (out / 'log.jsonl').exists() or len((out / 'log.jsonl').read_text().splitlines()) < 3:
            assert time.monotonic() < end and process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        printed, told = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130 and printed == ''
    assert told.splitlines()[-1] == f'{out}: stopped and stored; the same command goes on from there'
    assert 'Traceback' not in told
    logged = len([line for line in (out / 'log.jsonl').read_text().splitlines() if '"losses"' in line])
    assert newest_state(out / 'checkpoints', print)[0]['step'] == logged


SMALL_DISK = """
mount -t tmpfs -o size=800k tmpfs "$1" && cd "$1" || exit 1
shift
head -c 450k /dev/zero > filler
"$@" || echo "code $?"
ls -A checkpoints
rm filler
"$@"
cp checkpoints/step-000000012.safetensors ..
"""


@pytest.mark.skipif(
    not shutil.which('unshare')
    or subprocess.run(['unshare', '-rm', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], capture_output=True).returncode,
    reason='no small disk can be mounted here',
)
def test_a_full_disk_is_said_in_one_line_nothing_is_lost_and_it_goes_on(recipe, tmp_path, whole):
    """A disk of 800 kB of which something else takes 450, and then no more."""
    disk = tmp_path / 'disk'
    disk.mkdir()
    command = ['unshare', '-rm', 'bash', '-c', SMALL_DISK, 'bash', str(disk), *PROGRAM, str(recipe)]
    command += ['--out', '.', '--device', 'cpu']
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        'code 1',
        'step-000000000.safetensors',
        'step-000000002.safetensors',
        '.: trained',
    ]
    told = [line for line in done.stderr.splitlines() if line.startswith('mesh-perception: ')]
    assert len(told) == 1 and 'Traceback' not in done.stderr
    assert told[0].startswith('mesh-perception: checkpoints/step-000000004.safetensors: cannot be written (')
    assert 'No space left on device' in told[0]
    assert told[0].endswith(
        'the last checkpoint is step-000000002.safetensors. Make room, and the same command goes on'
    )
    assert_same(tmp_path / 'step-000000012.safetensors', whole)


def refused(capsys):
    printed, told = capsys.readouterr()
    assert printed == '' and told.count('\n') == 1 and told.startswith('mesh-perception: ')
    return told.strip().removeprefix('mesh-perception: ')


@pytest.mark.parametrize(
    'text, told',
    [
        ('epoch: 3', "unknown key 'epoch': expected one of task, name, seed, epochs, "),
        ('epochs: many', "'epochs' must be of type int, got 'many'"),
        ('decay: 1.5', "'decay' must lie in [0, 1], got 1.5"),
        ('precision: float8', "'precision' must be one of float32, bfloat16, float16, got 'float8'"),
        ('task: mine', "'task' must be one of paper, embedded, got 'mine'"),
        ('settings: {noice: 1}', "unknown key 'settings.noice': expected one of settings.steps_per_epoch, "),
        ('settings: {steps_per_epoch: 0}', "'settings.steps_per_epoch' must lie in [1, 100], got 0"),
        ('settings: 5', "'settings' must hold keys, got 5"),
        ('[1, 2]', 'expected keys and values, got list'),
        ('a: [', 'not readable as YAML: '),
    ],
)
def test_a_training_file_that_is_not_understood(command, tmp_path, capsys, text, told):
    path = tmp_path / 'mine.yaml'
    path.write_text(text)
    assert command(path) == 1
    assert refused(capsys).startswith(f'{path}: {told}')


def test_what_is_not_there_is_named(command, recipe, tmp_path, capsys):
    assert command(tmp_path / 'none.yaml') == 1
    assert refused(capsys) == f'{tmp_path}/none.yaml: no such training file'
    assert command('papers') == 1
    assert refused(capsys).startswith("unknown training 'papers': expected one of ")
    assert command(recipe, '--data', tmp_path / 'none') == 1
    assert refused(capsys) == f'{tmp_path}/none: no such folder (--data)'
    assert command(recipe, '--data', tmp_path, '--out', tmp_path / 'out') == 1
    assert refused(capsys) == f'{tmp_path}/poses.npz: no such file' and not (tmp_path / 'out').exists()
    assert command(recipe, '--steps', 0) == 1
    assert refused(capsys) == '--steps 0: expected at least 1'
    assert command(recipe, '--device', 'cuda:99') == 1
    assert "device 'cuda:99' is not there" in refused(capsys)


def test_a_folder_that_cannot_be_written_is_said_before_the_work(command, recipe, tmp_path, capsys):
    (tmp_path / 'file').write_text('')
    assert command(recipe, '--out', tmp_path / 'file', '--device', 'cpu') == 1
    assert refused(capsys).startswith(f'{tmp_path}/file/checkpoints/step-000000000.safetensors: cannot be written (')


def test_steps_and_the_folder_can_be_chosen(command, recipe, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command(recipe, '--steps', 3, '--device', 'cpu') == 0
    assert newest_state(tmp_path / 'out/train/tiny/checkpoints', print)[0]['step'] == 3


def test_a_gpu_without_enough_memory_is_said_in_one_line(command, recipe, tmp_path, capsys, monkeypatch):
    def losses(*_):
        raise torch.cuda.OutOfMemoryError('CUDA out of memory. Tried to allocate 20 GiB.\nAnd so on.')

    monkeypatch.setattr(tiny_task.TinyTask, 'losses', losses)
    assert command(recipe, '--out', tmp_path / 'out', '--device', 'cpu') == 1
    assert refused(capsys) == 'cpu has not enough memory for batch_size 4: a smaller one needs less'


def test_a_log_that_cannot_be_written_is_said_in_one_line(command, recipe, tmp_path, capsys, monkeypatch):
    pytest.importorskip('tensorboard')
    out = tmp_path / 'out'

    def plot(*_):
        raise OSError(28, 'No space left on device')

    with monkeypatch.context() as patch:
        patch.setattr(Board, 'plot', plot)
        assert command(recipe, '--out', out, '--device', 'cpu') == 1
    assert refused(capsys) == (
        f'{out}: the log cannot be written (No space left on device). Make room, and the same command goes on from the '
        'last checkpoint'
    )
    assert command(recipe, '--out', out, '--device', 'cpu') == 0
