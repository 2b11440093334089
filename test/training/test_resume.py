"""Going on is exact: whatever stopped a training, it ends as if nothing had."""

import json
import signal
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

from tiny_task import TinyTask, make_config

from mesh_perception.training.distributed import Process
from mesh_perception.training.state import TrainingError, read_state
from mesh_perception.training.trainer import train

CPU = Process(torch.device('cpu'))
OPTIONS = {'ema': 0.9, 'gradient_clip': 1.0, 'noise': 0.1}


def run(out, steps=None, prepare=lambda task: None, **values):
    config = make_config(**values)
    torch.manual_seed(config.seed)
    task = TinyTask(config, CPU.device)
    prepare(task)
    return train(config, task, out, CPU, steps)


def log(out):
    """What was logged but for the time it took."""
    rows = [json.loads(line) for line in (out / 'log.jsonl').read_text().splitlines()]
    return [{k: v for k, v in row.items() if k not in ('samples_per_second', 'waiting_for_data')} for row in rows]


def assert_same(out, whole):
    name = 'checkpoints/step-000000012.safetensors'
    (values, tensors), (wanted_values, wanted) = read_state(out / name), read_state(whole / name)
    assert values == wanted_values and tensors.keys() == wanted.keys()
    assert all(torch.equal(x, wanted[name]) for name, x in tensors.items())
    assert log(out) == log(whole)


@pytest.fixture(scope='module', params=[{}, OPTIONS, {'adversarial': False}, {'precision': 'bfloat16'}], ids=str)
def whole(request, tmp_path_factory):
    """A training without interruption: 3 epochs of 4 steps."""
    out = tmp_path_factory.mktemp('whole')
    assert run(out, **request.param)
    return out, request.param


@pytest.mark.parametrize('step', [1, 3, 6, 11])
def test_stopped_after_any_step_it_ends_bit_for_bit_the_same(whole, tmp_path, step):
    """The random numbers in the losses, the order of data, Adam's moments, averages and rates included."""
    reference, values = whole

    def ctrl_c(task):
        losses = task.losses

        def interrupted(batch, number):
            if number == step - 1:
                signal.raise_signal(signal.SIGTERM if step == 6 else signal.SIGINT)
            return losses(batch, number)

        task.losses = interrupted

    assert run(tmp_path, prepare=ctrl_c, **values) is False
    assert read_state(tmp_path / f'checkpoints/step-{step:09d}.safetensors')[0]['step'] == step
    assert not list(tmp_path.glob('*.safetensors'))  # nothing is handed over before the end
    assert run(tmp_path, **values)
    assert_same(tmp_path, reference)


def test_steps_done_since_the_last_checkpoint_are_done_again_and_logged_once(whole, tmp_path):
    """As after a power cut: the log has more than the checkpoints, and a line is not finished."""
    reference, values = whole

    def fails(task):
        losses = task.losses
        task.losses = lambda batch, step: losses(batch, step) if step < 7 else 1 / 0

    with pytest.raises(ZeroDivisionError):
        run(tmp_path, prepare=fails, **values)
    with (tmp_path / 'log.jsonl').open('a') as file:
        file.write('{"step": 7, "lo')
    assert run(tmp_path, **values)
    assert_same(tmp_path, reference)


def test_from_a_damaged_checkpoint_it_goes_back_to_the_one_before_and_says_so(whole, tmp_path, capsys):
    reference, values = whole
    assert run(tmp_path, steps=8, **values)
    newest = tmp_path / 'checkpoints/step-000000008.safetensors'
    newest.write_bytes(newest.read_bytes()[:-1])
    capsys.readouterr()
    assert run(tmp_path, **values)
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith(f'{newest}: ') and told[0].endswith('going on from step-000000006.safetensors instead')
    assert_same(tmp_path, reference)


def test_more_epochs_go_on_where_fewer_ended(whole, tmp_path):
    reference, values = whole
    assert run(tmp_path, **values, epochs=2)
    assert run(tmp_path, **values, epochs=3, checkpoint_every=3)
    assert log(tmp_path) == log(reference)


def test_what_is_over_is_handed_over_again_and_not_trained(tmp_path):
    assert run(tmp_path)
    before = (tmp_path / 'log.jsonl').read_bytes()
    (tmp_path / 'twist_shape.safetensors').unlink()
    assert run(tmp_path) and run(tmp_path, steps=5)
    assert (tmp_path / 'log.jsonl').read_bytes() == before and (tmp_path / 'twist_shape.safetensors').is_file()


@pytest.mark.parametrize(
    'values, told',
    [
        ({'learning_rate': 0.5}, 'was begun with learning_rate 0.001, now it is 0.5'),
        ({'noise': 0.5}, 'was begun with settings.noise 0.01, now it is 0.5'),
        ({'steps_per_epoch': 5}, 'was begun with steps_per_epoch 4, now it is 5'),
        ({'seed': 1}, 'was begun with seed 0, now it is 1'),
    ],
)
def test_another_recipe_is_refused_with_both_values(tmp_path, values, told):
    run(tmp_path, steps=2)
    with pytest.raises(TrainingError) as error:
        run(tmp_path, **values)
    assert str(error.value) == f'{tmp_path}/checkpoints: {told}; choose another --out to begin anew'


def test_other_networks_are_refused(tmp_path):
    run(tmp_path, steps=2)

    def wider(task):
        task.modules['twist_shape'].hidden2 = torch.nn.Linear(32, 33)

    with pytest.raises(TrainingError, match=r'holds other networks than these .*size mismatch.*; choose another --out'):
        run(tmp_path, prepare=wider)
