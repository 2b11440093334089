"""Milliseconds a stage, for diagnostics and benchmarks."""

import time
from contextlib import contextmanager

import torch


class Stopwatch:
    """Adds up the time of named stages; `synchronize` waits for the device first (benchmarks only)."""

    def __init__(self, synchronize=False):
        self.synchronize = synchronize
        self.milliseconds = {}

    def _now(self):
        if self.synchronize and torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter()

    @contextmanager
    def __call__(self, stage):
        begin = self._now()
        try:
            yield
        finally:
            self.milliseconds[stage] = self.milliseconds.get(stage, 0.0) + 1e3 * (self._now() - begin)
