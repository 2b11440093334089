"""What is seen of a training: OUT/log.jsonl, TensorBoard where it is installed, a progress bar, and plain lines."""

import json
import math
import os
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from mesh_perception.training.board import Board
from mesh_perception.training.state import TrainingError


@dataclass
class Reading:
    """What happened in some steps."""

    means: dict[str, float]  # of each scalar
    samples: int = 0
    seconds: float = 0.0
    waited: float = 0.0  # s of these until data were there

    @property
    def speed(self):
        """Samples/s."""
        return self.samples / max(self.seconds, 1e-9)

    @property
    def waiting(self):
        """Share of the time."""
        return self.waited / max(self.seconds, 1e-9)

    def __str__(self):
        loss = f'loss {self.means["total"]:.4g}, ' if self.means else ''
        return f'{loss}{self.speed:.3g} samples/s, waiting for data {100 * self.waiting:.0f} %'


class Meter:
    """Sums up steps until they are read."""

    def __init__(self):
        self.steps, self.sums, self.waited, self.begin = 0, {}, 0.0, time.perf_counter()

    def waiting(self, batches: Iterable):
        """The batches, with the time until each is there counted as waiting. (On a GPU that may be more than it is: it
        may still be busy with the step before.)"""
        batches, nothing = iter(batches), object()
        while True:
            begin = time.perf_counter()
            batch = next(batches, nothing)
            self.waited += time.perf_counter() - begin
            if batch is nothing:
                return
            yield batch

    def add(self, values: dict[str, torch.Tensor]):
        """A step's scalars; they stay on their device until they are read."""
        self.steps += 1
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0) + value.detach()

    def read(self, step: int, batch_size: int) -> Reading:
        """The steps since the last time. Raises TrainingError where a scalar is not finite."""
        means = {name: float(total) / self.steps for name, total in self.sums.items()}
        for name, value in means.items():
            if not math.isfinite(value):
                raise TrainingError(
                    f'{name} is not finite in the {self.steps} steps up to {step}; what is stored is from before. '
                    'Lower the learning rate, or set gradient_clip'
                )
        reading = Reading(means, self.steps * batch_size, time.perf_counter() - self.begin, self.waited)
        self.__init__()
        return reading


class Logs:
    """Writes only where `first` (of several processes). Lines of log.jsonl behind `step` are dropped: they are done
    again. A context manager. Raises TrainingError where the log cannot be written."""

    def __init__(self, out: Path, step: int, last: int, first: bool):
        self.first, self.path, self.board, self.whole = first, out / 'log.jsonl', None, Reading({})
        self.bar = tqdm(total=last, initial=step, unit='step', dynamic_ncols=True, disable=None if first else True)
        if first:
            _cut(self.path, step)
            try:
                self.board = Board(out / 'tensorboard', step)
            except ImportError:
                pass  # log.jsonl has it all

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.bar.close()
        if self.board:
            self.board.close()

    def say(self, line: str):
        """A line on stderr, above the progress bar."""
        if self.first:
            tqdm.write(line, file=sys.stderr)

    def steps(self, step: int, epoch: int, rates: list[float], reading: Reading):
        """What a Meter read."""
        speed = {'samples_per_second': reading.speed, 'waiting_for_data': reading.waiting}
        curves = (
            _named('loss', reading.means) | _named('learning_rate', dict(enumerate(rates))) | _named('speed', speed)
        )
        self._write({'step': step, 'epoch': epoch, 'losses': reading.means, 'learning_rates': rates} | speed, curves)
        self.bar.set_postfix_str(str(reading), refresh=False)
        self.bar.update(step - self.bar.n)
        whole = self.whole
        whole.means, whole.samples = reading.means, whole.samples + reading.samples
        whole.seconds, whole.waited = whole.seconds + reading.seconds, whole.waited + reading.waited

    def validation(self, step: int, figures: dict[str, float]):
        """What the task's `validate` found."""
        self._write({'step': step, 'validation': figures}, _named('validation', figures))
        self.say(f'step {step}: ' + ', '.join(f'{name} {value:.4g}' for name, value in figures.items()))

    def _write(self, row, curves):
        """A line of log.jsonl, and points on TensorBoard's curves."""
        if not self.first:
            return
        try:
            with self.path.open('a') as file:
                file.write(json.dumps(row) + '\n')
            if self.board:
                self.board.plot(row['step'], curves)
        except OSError as error:
            raise TrainingError(
                f'{self.path.parent}: the log cannot be written ({error.strerror or error}). Make room, and the same '
                'command goes on from the last checkpoint'
            ) from None


def _named(group, values):
    return {f'{group}/{name}': value for name, value in values.items()}


def _cut(path, step):
    """The log as it was after `step`; a line that was not finished is dropped, too."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text().splitlines():
        try:
            if json.loads(line)['step'] > step:
                break
        except ValueError:
            break
        kept.append(line + '\n')
    temporary = path.with_name('.log.jsonl')
    temporary.write_text(''.join(kept))
    os.replace(temporary, path)
