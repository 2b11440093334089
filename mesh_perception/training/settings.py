"""Training files: YAML read into dataclasses that refuse what they do not know."""

import importlib
import math
from dataclasses import dataclass, replace
from typing import Any

from mesh_perception.yaml_files import ConfigurationError, build, field, file_of, read_keys, shipped_names

# Each module has Settings and make_task, see training.task.
TASKS = {
    'paper': 'mesh_perception.training.paper',
    'embedded': 'mesh_perception.training.embedded',
}


def within(default, low, high):
    """A key whose value lies in [low, high]."""
    return field(default, within=(low, high))


def one_of(*choices):
    """A key with these values, the first being the default."""
    return field(choices[0], choices=choices)


@dataclass(frozen=True)
class TrainingConfig:
    """One recipe (Sec. 3.4). What belongs to a task alone is in its own `settings`."""

    task: str = 'paper'
    name: str = ''  # of the training file
    seed: int = within(0, 0, 2**31 - 1)
    epochs: int = within(100, 1, 1_000_000)
    batch_size: int = within(64, 1, 1 << 20)  # samples a step, all processes together
    learning_rate: float = within(1e-4, 0, 1)
    refiner_learning_rate: float = within(5e-5, 0, 1)
    decay: float = within(0.9, 0, 1)  # of the learning rates, each epoch
    precision: str = one_of('float32', 'bfloat16', 'float16')  # in which layers are computed; weights are float32
    gradient_clip: float = within(0.0, 0, 1e9)  # largest norm of all gradients together; 0: as they are
    ema: float = within(0.0, 0, 1)  # decay a step of averaged weights, which are validated and handed over; 0: none
    log_every: int = within(10, 1, 1_000_000)  # steps
    checkpoint_every: int = within(500, 1, 1_000_000)  # steps
    validate_every: int = within(1, 0, 1_000_000)  # epochs; 0: never
    settings: Any = None


# What may differ from what a training was begun with when it goes on.
MAY_CHANGE = ('name', 'epochs', 'log_every', 'checkpoint_every', 'validate_every', 'settings.workers')


def load_training_config(recipe) -> TrainingConfig:
    """recipe: a name in config/training, or the path of a YAML file. Raises ConfigurationError naming file and key."""
    path = file_of(recipe, 'training', 'training')
    data = read_keys(path)
    settings = data.pop('settings', None) or {}
    if not isinstance(settings, dict):
        raise ConfigurationError(f"{path}: 'settings' must hold keys, got {settings!r}")
    config = build(TrainingConfig, {'name': path.stem, **data}, str(path))
    if config.task not in TASKS:
        raise ConfigurationError(f"{path}: 'task' must be one of {', '.join(TASKS)}, got {config.task!r}")
    settings = build(task_module(config.task).Settings, settings, str(path), 'settings.')
    return replace(config, settings=settings)


def task_module(name):
    """The module of one of TASKS."""
    return importlib.import_module(TASKS[name])


def recipes():
    """The names of the training files that ship with the package."""
    return shipped_names('training')


def check_weights(weights, terms):
    """Factors of losses, {name: number}. Raises ValueError for one that is none of `terms` or no finite number >= 0."""
    unknown = set(weights) - set(terms)
    if unknown:
        raise ValueError(f'settings.weights: unknown {", ".join(sorted(unknown))}; expected some of {", ".join(terms)}')
    for name, value in weights.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
            raise ValueError(f'settings.weights.{name}: {value!r}, expected a number that is not negative')
