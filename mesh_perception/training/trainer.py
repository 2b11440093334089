"""The trainer: `train_epoch` is the loop, `train_step` what happens with one batch. What is trained is a Task."""

import math
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mesh_perception.checkpoints import provenance, save_checkpoint
from mesh_perception.training.average import averaged, start_average, update_average
from mesh_perception.training.distributed import Process, Side, in_parallel
from mesh_perception.training.interrupt import Interrupt
from mesh_perception.training.logs import Logs, Meter
from mesh_perception.training.resume import restore, store
from mesh_perception.training.settings import TrainingConfig
from mesh_perception.training.state import TrainingError
from mesh_perception.training.task import Task

_DTYPES = {'float32': None, 'bfloat16': torch.bfloat16, 'float16': torch.float16}


@dataclass
class Training:
    """Everything that a training changes, and what it is made with."""

    config: TrainingConfig
    task: Task
    process: Process
    networks: dict[str, nn.Module]  # all but the discriminators
    sides: list[nn.Module]  # the networks with their losses, then the discriminators with theirs, where there are any
    optimizers: list[torch.optim.Optimizer]  # one a side
    scaler: torch.amp.GradScaler  # does nothing unless in float16
    average: dict[str, Tensor] | None
    step: int = 0  # done so far


def train(config: TrainingConfig, task: Task, out: Path, process: Process, steps: int | None = None) -> bool:
    """Trains until config.epochs are over or `steps` are done, all in all; goes on from what is stored in `out`.

    -> whether it got there; after Ctrl-C it stores where it stands and returns False. At the end the networks are
    written to out/NAME.safetensors. Raises TrainingError, CheckpointError and what the task raises: one line.
    """
    training = begin(config, task, process)
    last = min(config.epochs * task.steps_per_epoch, steps or math.inf)
    restore(training, out)
    stop = False
    with Logs(out, training.step, last, process.first) as logs, Interrupt() as interrupt:
        while training.step < last and not stop:
            stop = train_epoch(training, out, last, logs, interrupt)
        logs.say(f'step {training.step} of {last}: {logs.whole}')
    if process.first and not stop:
        hand_over(training, out)
    return not stop


def train_epoch(training: Training, out: Path, last: int, logs: Logs, interrupt: Interrupt) -> bool:
    """What is left of an epoch. -> whether somebody wants to stop."""
    config, task, process = training.config, training.task, training.process
    epoch, start = divmod(training.step, task.steps_per_epoch)
    end = min((epoch + 1) * task.steps_per_epoch, last)
    rates = set_learning_rates(training, epoch)
    meter = Meter()
    with closing(task.batches(epoch, start, process.rank, process.world)) as batches:
        for batch in meter.waiting(islice(batches, end - training.step)):
            meter.add(train_step(training, batch))
            stop = any(process.gather(interrupt.asked))
            storing = stop or training.step == last or training.step % config.checkpoint_every == 0
            if storing or training.step == end or training.step % config.log_every == 0:
                reading = meter.read(training.step, config.batch_size)
                logs.steps(training.step, epoch, rates, reading)
            if storing:
                store(training, out)
            if stop:
                return True
    if training.step < end:
        raise TrainingError(f'the data of epoch {epoch} ended before step {training.step + 1}, expected {end} steps')
    logs.say(f'epoch {epoch}, step {end}: {reading}')
    if config.validate_every and (end == last or (epoch + 1) % config.validate_every == 0):
        logs.validation(end, validate(training))
    return False


def train_step(training: Training, batch) -> dict[str, Tensor]:
    """One step of the networks, then one of the discriminators on what came out. -> scalars to log"""
    config, discriminators = training.config, training.sides[1:]
    seed_step(config.seed, training.step, training.process.rank)
    for side in discriminators:
        side.requires_grad_(False)
    values, outputs = _update(training, 0, 'total', batch, training.step)
    for side in discriminators:
        side.requires_grad_(True)
        values |= _update(training, 1, 'discriminators', batch, outputs)[0]
    training.scaler.update()
    if training.average:
        update_average(training.average, training.networks, config.ema)
    training.step += 1
    return values


def _update(training, number, name, *arguments):
    """Forward, backward and Adam's step of one side. -> (its scalars, what else its losses returned)"""
    config, scaler, optimizer = training.config, training.scaler, training.optimizers[number]
    optimizer.zero_grad()
    dtype = _DTYPES[config.precision]
    with torch.autocast(training.process.device.type, dtype, enabled=dtype is not None):
        losses, outputs = training.sides[number](*arguments)
    total = sum(losses.values())
    scaler.scale(total).backward()
    scaler.unscale_(optimizer)
    parameters = [p for group in optimizer.param_groups for p in group['params']]
    norm = nn.utils.clip_grad_norm_(parameters, config.gradient_clip or math.inf)
    scaler.step(optimizer)
    if scaler.is_enabled():  # a step whose gradient overflowed is left out, and the next one scaled less
        norm = norm.nan_to_num(0, 0, 0)
    return {name: total, f'{name}_gradient': norm, **losses}, outputs


def begin(config: TrainingConfig, task: Task, process: Process) -> Training:
    """A Training at step 0. Raises TrainingError for what does not work on this device or with so many processes."""
    if config.batch_size % process.world:
        raise TrainingError(f'batch_size {config.batch_size} cannot be divided among {process.world} processes')
    if config.precision == 'float16' and process.device.type != 'cuda':
        raise TrainingError(f'precision float16 needs a GPU, the device is {process.device}; bfloat16 works everywhere')
    networks = {name: module for name, module in task.modules.items() if name not in task.discriminators}
    sides = [Side(networks, task.losses)]
    optimizers = [torch.optim.Adam(task.parameter_groups(config))]
    if task.discriminators:
        others = {name: task.modules[name] for name in task.discriminators}
        sides.append(Side(others, lambda batch, outputs: (task.discriminator_losses(batch, outputs), None)))
        optimizers.append(torch.optim.Adam(sides[1].parameters(), config.learning_rate))
    return Training(
        config,
        task,
        process,
        networks,
        [in_parallel(side, process) for side in sides],
        optimizers,
        torch.amp.GradScaler(process.device.type, enabled=config.precision == 'float16'),
        start_average(networks) if config.ema else None,
    )


def seed_step(seed: int, step: int, rank: int):
    """Seeds torch's global generators for one step: nothing of them has to be stored to go on exactly."""
    torch.manual_seed(int(np.random.SeedSequence([seed, step, rank]).generate_state(1)[0]))


def set_learning_rates(training: Training, epoch: int) -> list[float]:
    """Adam's rates of an epoch: those that training began with, times decay each epoch."""
    groups = [group for optimizer in training.optimizers for group in optimizer.param_groups]
    for group in groups:
        group['lr'] = group.setdefault('initial_lr', group['lr']) * training.config.decay**epoch
    return [group['lr'] for group in groups]


def validate(training: Training) -> dict[str, float]:
    """The task's figures, on process 0."""
    if not training.process.first:
        return {}
    with averaged(training.average, training.networks), _evaluating(training.task.modules), torch.no_grad():
        return training.task.validate()


def hand_over(training: Training, out: Path):
    """Writes the networks that the task describes to out/NAME.safetensors, for model sets. Raises CheckpointError."""
    task = training.task
    where_from = provenance(training.config, task.data, training.config.seed, training.step)
    with averaged(training.average, training.networks):
        for name, description in task.descriptions().items():
            path = out / f'{name}.safetensors'
            save_checkpoint(path, task.modules[name], replace(description, training=where_from))


@contextmanager
def _evaluating(modules):
    """In eval mode inside, behind it each part in the mode it had."""
    modes = [(part, part.training) for module in modules.values() for part in module.modules()]
    for module in modules.values():
        module.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode
