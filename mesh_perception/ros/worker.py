"""The thread that does the work, always on the newest item."""

import threading

from mesh_perception.ros.mailbox import Mailbox


class Worker:
    """One thread from its making to `close`: drawing contexts belong to the thread that made them."""

    def __init__(self, work, finish):
        """work: called with what is in each item, must not raise. finish: called at the end; both in the thread."""
        self._mailbox = Mailbox()
        self._busy = threading.Lock()  # held while an item is in hand
        self._resting = False
        self._work, self._finish = work, finish
        self._thread = threading.Thread(target=self._run, name='pipeline', daemon=True)
        self._thread.start()

    def put(self, item):
        """Leaves a tuple; True if one that was still waiting was thrown away for it."""
        return self._mailbox.put(item)

    def rest(self):
        """Throws away what waits and waits for the item in hand; `put` nothing until `wake`."""
        self._resting = True
        self._mailbox.clear()
        with self._busy:
            pass

    def wake(self):
        """After `rest`."""
        self._resting = False

    def close(self):
        """Like `rest`, for good; with the thread goes what it made."""
        self._resting = True
        self._mailbox.close()
        self._thread.join()

    def _run(self):
        while (item := self._mailbox.take()) is not None:
            with self._busy:
                if not self._resting:
                    self._work(*item)
        self._finish()
