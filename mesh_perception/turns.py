"""Turns in the order of asking: a lock that nobody can keep from the others by coming back at once."""

import threading
from collections import deque


class Turns:
    """A context manager for several threads; whoever has waited longest goes next."""

    def __init__(self):
        self._lock = threading.Lock()
        self._taken = False
        self._waiting = deque()

    def __enter__(self):
        with self._lock:
            if not self._taken:
                self._taken = True
                return
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        mine.acquire()  # released by whoever hands over; the turn stays taken in between

    def __exit__(self, *_):
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False
