"""Storing a Training and going on from it, exactly: weights, Adam's moments, averages, scale and counters."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from torch import Tensor

from mesh_perception.training.settings import MAY_CHANGE
from mesh_perception.training.state import TrainingError, newest_state, tidy, write_state


def store(training, out: Path):
    """Writes a checkpoint into out/checkpoints (process 0). Raises TrainingError where that is not possible."""
    if training.process.first:
        values = {
            'step': training.step,
            'steps_per_epoch': training.task.steps_per_epoch,
            'config': _plain(training.config),
            'scaler': training.scaler.state_dict(),
        }
        write_state(out / 'checkpoints', training.step, values, dict(_tensors(training)))


def restore(training, out: Path):
    """Brings a Training to where the newest whole checkpoint is; without one it is stored as it is, which shows early
    whether there is room. Raises TrainingError where the recipe, the data or the networks are not those it was begun
    with."""
    folder, first = out / 'checkpoints', training.process.first
    found = newest_state(folder, say=(lambda line: print(line, file=sys.stderr)) if first else (lambda line: None))
    if found:
        values, tensors = found
        _check_same(folder, training, values)
        _fill(folder, training, tensors)
        if training.scaler.is_enabled():
            training.scaler.load_state_dict(values['scaler'])
        training.step = values['step']
    steps = training.process.gather(training.step)
    if len(set(steps)) > 1:
        raise TrainingError(f'{out}: processes see different checkpoints (steps {steps}); it must be a shared folder')
    if first and found:
        tidy(folder, training.step)
    elif first:
        store(training, out)


def _check_same(folder, training, values):
    now = _plain(training.config) | {'steps_per_epoch': training.task.steps_per_epoch}
    then = values['config'] | {'steps_per_epoch': values['steps_per_epoch']}
    then, now = _dotted(then), _dotted(now)
    for key in now:
        if key not in MAY_CHANGE and then.get(key) != now[key]:
            was, is_now = then.get(key), now[key]
            raise TrainingError(
                f'{folder}: was begun with {key} {was!r}, now it is {is_now!r}; choose another --out to begin anew'
            )


def _dotted(config):
    settings = config.pop('settings') or {}
    return config | {f'settings.{key}': value for key, value in settings.items()}


def _plain(config):
    """A recipe as JSON gives it back."""
    return json.loads(json.dumps(asdict(config), default=str))


def _tensors(training):
    """(name, tensor) of everything that goes into a checkpoint."""
    for name, module in training.task.modules.items():
        for key, tensor in module.state_dict().items():
            yield f'modules.{name}.{key}', tensor
    for number, optimizer in enumerate(training.optimizers):
        for index, state in optimizer.state_dict()['state'].items():
            for key, tensor in state.items():
                yield f'optimizers.{number}.{index}.{key}', tensor
    for name, tensor in (training.average or {}).items():
        yield f'average.{name}', tensor


def _fill(folder, training, tensors: dict[str, Tensor]):
    try:
        for name, module in training.task.modules.items():
            module.load_state_dict(_under(tensors, f'modules.{name}.'))
        for name, tensor in (training.average or {}).items():
            tensor.copy_(tensors[f'average.{name}'])
        for number, optimizer in enumerate(training.optimizers):
            state = {}
            for name, tensor in _under(tensors, f'optimizers.{number}.').items():
                index, key = name.split('.', 1)
                state.setdefault(int(index), {})[key] = tensor
            groups = optimizer.state_dict()['param_groups']
            optimizer.load_state_dict({'state': state, 'param_groups': groups})
    except (KeyError, RuntimeError) as error:
        reason = ' '.join(str(error).split())[:300]
        raise TrainingError(f'{folder}: holds other networks than these ({reason}); choose another --out') from None


def _under(tensors, prefix):
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
