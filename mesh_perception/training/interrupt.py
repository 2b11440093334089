"""Ctrl-C while training: the step is finished and stored first, and workers go on until then."""

import signal
import threading
import time
from contextlib import contextmanager
from multiprocessing import resource_tracker

_APART = 1.0  # s; torchrun may pass on a Ctrl-C that reached the process already


class Interrupt:
    """While the context lasts, SIGINT and SIGTERM only set `asked`; a second Ctrl-C raises KeyboardInterrupt."""

    def __init__(self):
        self.asked, self.when, self.before = False, 0.0, {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            self.before = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_):
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _ask(self, number, frame):
        if self.asked and number == signal.SIGINT and time.monotonic() - self.when > _APART:
            raise KeyboardInterrupt
        self.asked, self.when = True, self.when if self.asked else time.monotonic()


@contextmanager
def deaf_to_ctrl_c():
    """Processes started inside inherit a blocked SIGINT: Ctrl-C in a terminal reaches them, too, and from their first
    moment on they leave it to the trainer."""
    resource_tracker.ensure_running()  # at its start it would let SIGINT through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
