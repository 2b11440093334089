"""Turns: one at a time, in the order of asking."""

import threading
import time

import pytest

from mesh_perception.turns import Turns


def test_only_one_at_a_time():
    turns, inside, most = Turns(), [], []

    def work():
        for _ in range(200):
            with turns:
                inside.append(1)
                most.append(len(inside))
                time.sleep(0)
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(most) == 800 and max(most) == 1


def test_whoever_comes_back_at_once_does_not_keep_the_others_waiting():
    """A plain lock fails this: the thread that lets go takes it again before another one wakes up."""
    turns, counts, end = Turns(), [0, 0, 0], time.monotonic() + 0.5

    def work(number):
        while time.monotonic() < end:
            with turns:
                counts[number] += 1
                time.sleep(0.002)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert max(counts) - min(counts) <= 3 and min(counts) > 10, counts


def test_a_turn_that_fails_is_handed_on():
    turns = Turns()
    with pytest.raises(ZeroDivisionError), turns:
        raise ZeroDivisionError
    with turns:
        pass
