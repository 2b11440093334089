"""Ctrl-C asks once, is obeyed at once the second time, and leaves workers alone."""

import multiprocessing
import os
import signal
import time

import pytest

from mesh_perception.training import interrupt
from mesh_perception.training.interrupt import Interrupt, deaf_to_ctrl_c


def test_the_first_only_asks_and_the_second_interrupts(monkeypatch):
    with Interrupt() as asked:
        assert not asked.asked
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)  # the same one, passed on by torchrun
        assert asked.asked
        monkeypatch.setattr(interrupt, '_APART', 0.0)
        time.sleep(0.01)
        signal.raise_signal(signal.SIGTERM)  # never more than asks
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_afterwards_signals_do_what_they_did():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with Interrupt():
        assert signal.getsignal(signal.SIGTERM) not in before
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_workers_do_not_hear_it_from_their_first_moment_on():
    with deaf_to_ctrl_c():
        worker = multiprocessing.get_context('spawn').Process(target=time.sleep, args=(30,))
        worker.start()
    try:
        for _ in range(5):
            os.kill(worker.pid, signal.SIGINT)
            time.sleep(0.1)
        assert worker.is_alive()
        assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())  # we do
    finally:
        worker.terminate()
        worker.join(10)
    assert worker.exitcode == -signal.SIGTERM
