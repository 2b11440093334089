"""Room for one waiting item: whatever arrives later replaces it, so that work is always done on the newest."""

import threading


class Mailbox:
    """Handed from one thread to another; `put` never waits."""

    def __init__(self):
        self._condition = threading.Condition()
        self._items = []
        self._closed = False

    def put(self, item):
        """Leaves an item; True if one that nobody had taken was thrown away for it."""
        with self._condition:
            replaced = bool(self._items)
            self._items = [item]
            self._condition.notify()
            return replaced

    def take(self):
        """Waits for an item and takes it; None once the mailbox is closed."""
        with self._condition:
            self._condition.wait_for(lambda: self._items or self._closed)
            return None if self._closed else self._items.pop()

    def clear(self):
        """Throws the waiting item away."""
        with self._condition:
            self._items = []

    def close(self):
        """Ends every `take`, now and later."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
