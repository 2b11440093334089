"""The loop: it learns, does what the recipe says, and hands over what a model set can load."""

import json
import math
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

from tiny_task import TinyTask, make_config

from mesh_perception.checkpoints import Description, load_checkpoint
from mesh_perception.inverse_kinematics.twist_shape import TwistShapeNetwork
from mesh_perception.training.distributed import Process
from mesh_perception.training.settings import TrainingConfig, load_training_config
from mesh_perception.training.state import TrainingError, read_state
from mesh_perception.training.trainer import seed_step, train

CPU = Process(torch.device('cpu'))


def prepared(**values):
    config = make_config(**values)
    torch.manual_seed(config.seed)
    return config, TinyTask(config, CPU.device)


def run(out, steps=None, **values):
    config, task = prepared(**values)
    assert train(config, task, out, CPU, steps)
    return task


def rows(out, kind='losses'):
    found = [json.loads(line) for line in (out / 'log.jsonl').read_text().splitlines()]
    return [row for row in found if kind in row]


def weights(task):
    return {f'{m}.{k}': x.clone() for m, module in task.modules.items() for k, x in module.state_dict().items()}


def by_hand(steps, clip=None, **values):
    """The same training as a plain loop. -> (losses of each step, weights after each step)"""
    config, task = prepared(**values)
    network, critic = task.modules['twist_shape'], task.modules['shape_discriminator']
    adam = torch.optim.Adam(task.parameter_groups(config))
    critic_adam = torch.optim.Adam(critic.parameters(), lr=config.learning_rate)
    starts = [config.refiner_learning_rate, config.learning_rate, config.learning_rate]
    losses, states = [], []
    for step in range(steps):
        epoch, index = divmod(step, task.steps_per_epoch)
        for group, start in zip([*adam.param_groups, *critic_adam.param_groups], starts, strict=True):
            group['lr'] = start * config.decay**epoch
        batch = next(task.batches(epoch, index, 0, 1))
        seed_step(config.seed, step, 0)
        named, outputs = task.losses(batch, step)
        adam.zero_grad()
        sum(named.values()).backward()
        if clip:
            gradients = torch.cat([p.grad.flatten() for p in network.parameters()])
            for p in network.parameters():
                p.grad *= min(1, clip / gradients.norm())
        adam.step()
        critic_adam.zero_grad()  # also drops what the networks' loss gave it
        other = task.discriminator_losses(batch, outputs)
        sum(other.values()).backward()
        if clip:
            gradients = torch.cat([p.grad.flatten() for p in critic.parameters()])
            for p in critic.parameters():
                p.grad *= min(1, clip / gradients.norm())
        critic_adam.step()
        losses.append({name: float(x.detach()) for name, x in {**named, **other}.items()})
        states.append(weights(task))
    return losses, states


def test_it_learns(tmp_path):
    rates = {'learning_rate': 1e-2, 'refiner_learning_rate': 1e-2}
    run(tmp_path, epochs=8, batch_size=64, steps_per_epoch=20, log_every=20, checkpoint_every=1000, **rates)
    found = [row['validation']['shape'] for row in rows(tmp_path, 'validation')]
    assert len(found) == 8 and found[-1] < 0.6 * found[0]


def test_it_does_what_a_loop_written_by_hand_does(tmp_path):
    losses, states = by_hand(10)
    task = run(tmp_path, steps=10)
    for row, wanted in zip(rows(tmp_path), losses, strict=True):
        got = {name: row['losses'][name] for name in wanted}
        assert got == wanted
        assert math.isclose(row['losses']['total'], sum(list(wanted.values())[:4]), rel_tol=1e-6)
    assert all(torch.equal(x, states[-1][name]) for name, x in weights(task).items())


def test_the_rates_are_the_recipes(tmp_path):
    run(tmp_path, learning_rate=1e-3, refiner_learning_rate=5e-4, decay=0.9)
    assert [row['epoch'] for row in rows(tmp_path)] == [0] * 4 + [1] * 4 + [2] * 4
    for row in rows(tmp_path):
        wanted = [rate * 0.9 ** row['epoch'] for rate in (5e-4, 1e-3, 1e-3)]
        assert row['learning_rates'] == pytest.approx(wanted, rel=1e-12)


def test_gradients_are_clipped_at_their_norm_together(tmp_path):
    _, states = by_hand(6, clip=0.05)
    task = run(tmp_path, steps=6, gradient_clip=0.05)
    assert all(row['losses']['total_gradient'] > 0.05 for row in rows(tmp_path))  # what is logged is before clipping
    for name, x in weights(task).items():
        torch.testing.assert_close(x, states[-1][name], rtol=1e-4, atol=1e-6)


def test_averages_are_those_of_the_weights_after_each_step_and_are_handed_over(tmp_path):
    _, start = prepared()
    average = {name: x.double() for name, x in weights(start).items()}
    _, states = by_hand(7)
    for state in states:
        average = {name: 0.8 * average[name] + 0.2 * x.double() for name, x in state.items()}
    task = run(tmp_path, steps=7, ema=0.8)
    assert all(torch.equal(x, states[-1][name]) for name, x in weights(task).items())  # trained without them
    loaded, _ = load_checkpoint(tmp_path / 'twist_shape.safetensors', TwistShapeNetwork, Description('twist_shape'))
    for name, x in loaded.state_dict().items():
        torch.testing.assert_close(x.double(), average[f'twist_shape.{name}'], rtol=0, atol=1e-6)


def test_what_is_handed_over_says_where_it_comes_from(tmp_path):
    task = run(tmp_path, steps=5, seed=3)
    expected = Description('twist_shape', task.sizes, body=task.body.id)
    loaded, description = load_checkpoint(
        tmp_path / 'twist_shape.safetensors', TwistShapeNetwork(**task.sizes), expected
    )
    assert all(
        torch.equal(x, task.modules['twist_shape'].state_dict()[name]) for name, x in loaded.state_dict().items()
    )
    told = description.training
    assert (told['data'], told['seed'], told['steps']) == (['random poses'], 3, 5) and len(told['config']) == 64
    assert sorted(path.name for path in tmp_path.glob('*.safetensors')) == ['twist_shape.safetensors']


def test_bfloat16_computes_in_less_and_keeps_weights_in_float32(tmp_path):
    exact, task = run(tmp_path / 'a', steps=6), run(tmp_path / 'b', steps=6, precision='bfloat16')
    assert all(x.dtype == torch.float32 for x in weights(task).values())
    for a, b in zip(rows(tmp_path / 'a'), rows(tmp_path / 'b'), strict=True):
        assert a['losses'] != b['losses']
        assert b['losses']['shape'] == pytest.approx(a['losses']['shape'], rel=0.02)
    assert any(not torch.equal(x, weights(exact)[name]) for name, x in weights(task).items())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device')
@pytest.mark.parametrize('precision', ['float32', 'bfloat16', 'float16'])
def test_it_trains_on_a_gpu_in_every_precision(tmp_path, precision):
    process = Process(torch.device('cuda', 0))
    config = make_config(precision=precision, ema=0.9, gradient_clip=1.0)
    for steps in (5, 12):  # goes on from step 5
        torch.manual_seed(config.seed)
        task = TinyTask(config, process.device)
        assert train(config, task, tmp_path, process, steps)
    run(tmp_path / 'cpu', ema=0.9, gradient_clip=1.0)
    for gpu, cpu in zip(rows(tmp_path), rows(tmp_path / 'cpu'), strict=True):
        assert gpu['losses']['shape'] == pytest.approx(cpu['losses']['shape'], rel=0.05)
    values, _ = read_state(tmp_path / 'checkpoints/step-000000012.safetensors')
    assert bool(values['scaler']) == (precision == 'float16')


@pytest.mark.parametrize(
    'values, world, told',
    [
        ({'precision': 'float16'}, 1, 'precision float16 needs a GPU, the device is cpu; bfloat16 works everywhere'),
        ({'batch_size': 5}, 2, 'batch_size 5 cannot be divided among 2 processes'),
    ],
)
def test_what_does_not_work_here_is_said_first(tmp_path, values, world, told):
    config, task = prepared(**values)
    with pytest.raises(TrainingError) as error:
        train(config, task, tmp_path, Process(torch.device('cpu'), 0, world))
    assert str(error.value) == told and not list(tmp_path.iterdir())


def test_numbers_that_are_not_finite_stop_it_and_are_not_stored(tmp_path):
    config, task = prepared()
    losses = task.losses
    task.losses = lambda batch, step: losses([x * math.nan if step == 5 else x for x in batch], step)
    with pytest.raises(
        TrainingError, match=r'^total is not finite in the 1 steps up to 6; what is stored is from before'
    ):
        train(config, task, tmp_path, CPU)
    stored = sorted(path.name for path in (tmp_path / 'checkpoints').iterdir())
    assert stored == ['step-000000002.safetensors', 'step-000000004.safetensors'] and task.closed == 2


def test_data_that_end_too_early_are_said(tmp_path):
    config, task = prepared()
    batches = task.batches
    task.batches = lambda *place: (batch for batch, _ in zip(batches(*place), range(3), strict=False))
    with pytest.raises(TrainingError, match='the data of epoch 0 ended before step 4, expected 4 steps'):
        train(config, task, tmp_path, CPU)


def test_speed_and_waiting_are_told(tmp_path, capsys):
    run(tmp_path)
    told = capsys.readouterr().err.splitlines()
    assert told[-1].startswith('step 12 of 12: loss ') and ' samples/s, waiting for data ' in told[-1]
    for row in rows(tmp_path):
        assert row['samples_per_second'] > 0 and 0 <= row['waiting_for_data'] <= 1


def test_tensorboard_has_what_the_log_has(tmp_path):
    pytest.importorskip('tensorboard')
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run(tmp_path, steps=7, checkpoint_every=5)
    (tmp_path / 'checkpoints/step-000000007.safetensors').unlink()
    run(tmp_path)  # goes on from step 5: what was drawn behind it is drawn again
    assert len(list((tmp_path / 'tensorboard').iterdir())) == 2
    board = EventAccumulator(str(tmp_path / 'tensorboard'))
    board.Reload()
    for name in ('twist', 'shapes', 'total'):
        drawn = [(event.step, event.value) for event in board.Scalars(f'loss/{name}')]
        wanted = [(row['step'], pytest.approx(row['losses'][name], rel=1e-6)) for row in rows(tmp_path)]
        assert drawn == wanted and len(drawn) == 12
    assert len(board.Scalars('validation/twist')) == 3


def test_without_tensorboard_the_log_is_still_there(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'tensorboard.compat.proto.event_pb2', None)
    run(tmp_path)
    assert len(rows(tmp_path)) == 12 and not (tmp_path / 'tensorboard').exists()


def test_the_papers_recipe():
    config = load_training_config('paper')
    assert (config.learning_rate, config.refiner_learning_rate, config.decay) == (1e-4, 5e-5, 0.9)
    assert (config.epochs, config.batch_size, config.task) == (100, 64, 'paper')
    assert TrainingConfig().task == 'paper'
