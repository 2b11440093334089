"""Several processes train as one: the same gradients and weights, one set of files. Real ones, started by torchrun."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

from tiny_task import TinyTask, make_config

from mesh_perception.training.distributed import Process, joined
from mesh_perception.training.state import read_state
from mesh_perception.training.trainer import begin, train, train_step

if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
    pytest.skip('this torch has no gloo', allow_module_level=True)

CPU = torch.device('cpu')
VALUES = {'epochs': 2, 'batch_size': 6, 'noise': 0.0, 'ema': 0.5}  # the noise is each process' own


def start(out, number=2, stop=False):
    """This file as a program in so many processes on this machine."""
    command = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', str(number)]
    paths = os.pathsep.join(filter(None, (str(Path(__file__).parents[2]), os.environ.get('PYTHONPATH'))))
    variables = {**os.environ, 'PYTHONPATH': paths, 'OMP_NUM_THREADS': '1', 'GLOO_SOCKET_IFNAME': 'lo'}
    arguments = [*command, __file__, str(out), *(['stop'] if stop else [])]
    done = subprocess.run(arguments, env=variables, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done


def program(out, stop):
    """What each process does: a step whose gradients it writes, then a training."""
    out.mkdir(exist_ok=True)
    with joined(CPU) as process:
        torch.manual_seed(process.rank)  # different networks: the first process' are taken
        config = make_config(**VALUES)
        task = TinyTask(config, CPU)
        training = begin(config, task, process)
        for batch in task.batches(0, 0, process.rank, process.world):
            train_step(training, batch)
            break
        gradients = {f'{m}.{k}': p.grad.tolist() for m, net in task.modules.items() for k, p in net.named_parameters()}
        (out / f'gradients-{process.rank}.json').write_text(json.dumps(gradients))
        torch.manual_seed(0)
        task = TinyTask(config, CPU)
        if stop and process.rank == 1:
            losses = task.losses
            task.losses = lambda batch, step: (step == 2 and signal.raise_signal(signal.SIGINT)) or losses(batch, step)
        done = train(config, task, out, process)
        print(f'process {process.rank}: {done}, {process.world} processes', flush=True)


@pytest.fixture(scope='module')
def two(tmp_path_factory):
    out = tmp_path_factory.mktemp('two')
    return out, start(out)


def alone(out, steps=None):
    torch.manual_seed(0)
    config = make_config(**VALUES)
    task = TinyTask(config, CPU)
    assert train(config, task, out, Process(CPU), steps)
    return task


def assert_near(path, wanted):
    """Checkpoints equal but for the order in which floats were added."""
    (values, tensors), (wanted_values, wanted) = read_state(path), read_state(wanted)
    assert values == wanted_values and tensors.keys() == wanted.keys()
    for name, x in wanted.items():
        torch.testing.assert_close(tensors[name], x, rtol=1e-3, atol=2e-5, msg=lambda m, name=name: f'{name}: {m}')


def test_two_processes_have_the_gradients_of_one(two):
    """Of both sides, the networks' and the discriminator's, each process with half of the batch."""
    torch.manual_seed(0)
    config = make_config(**VALUES)
    task = TinyTask(config, CPU)
    train_step(begin(config, task, Process(CPU)), next(task.batches(0, 0, 0, 1)))
    wanted = {f'{m}.{k}': p.grad for m, net in task.modules.items() for k, p in net.named_parameters()}
    for rank in (0, 1):
        got = json.loads((two[0] / f'gradients-{rank}.json').read_text())
        assert got.keys() == wanted.keys() and len(got) == 16
        for name, gradient in wanted.items():
            assert gradient.abs().max() > 0
            torch.testing.assert_close(torch.tensor(got[name]), gradient, rtol=1e-4, atol=1e-7)


def test_two_processes_end_where_one_ends_and_write_once(two, tmp_path):
    out, done = two
    assert sorted(done.stdout.split('\n')) == ['', 'process 0: True, 2 processes', 'process 1: True, 2 processes']
    assert done.stderr.count('step 8 of 8: ') == 1
    alone(tmp_path)
    name = 'checkpoints/step-000000008.safetensors'
    assert_near(out / name, tmp_path / name)
    assert len((out / 'log.jsonl').read_text().splitlines()) == 8 + 2
    assert sorted(path.name for path in (out / 'checkpoints').iterdir()) == [
        'step-000000006.safetensors',
        'step-000000008.safetensors',
    ]


def test_ctrl_c_in_one_stops_all_at_the_same_step_and_another_number_goes_on(tmp_path):
    done = start(tmp_path / 'two', stop=True)
    assert sorted(done.stdout.split()) == sorted('process 0: False, 2 processes process 1: False, 2 processes'.split())
    assert read_state(tmp_path / 'two/checkpoints/step-000000003.safetensors')[0]['step'] == 3
    alone(tmp_path / 'two')
    alone(tmp_path / 'one')
    name = 'checkpoints/step-000000008.safetensors'
    assert_near(tmp_path / 'two' / name, tmp_path / 'one' / name)


def test_without_torchrun_there_is_one_process():
    with joined(CPU) as process:
        assert process == Process(CPU) and process.first and process.gather(3) == [3]


if __name__ == '__main__':
    program(Path(sys.argv[1]), 'stop' in sys.argv)
    sys.exit()
