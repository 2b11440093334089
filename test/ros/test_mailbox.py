"""The newest item waits, alone."""

import threading
import time

from mesh_perception.ros.mailbox import Mailbox


def test_the_newest_replaces_the_waiting_one():
    mailbox = Mailbox()
    assert [mailbox.put(i) for i in range(3)] == [False, True, True]
    assert mailbox.take() == 2
    assert mailbox.put(3) is False
    mailbox.clear()
    assert mailbox.put(4) is False


def test_close_ends_a_waiting_take():
    mailbox, taken = Mailbox(), []
    reader = threading.Thread(target=lambda: taken.append(mailbox.take()), daemon=True)
    reader.start()
    mailbox.close()
    reader.join(2)
    assert taken == [None]
    mailbox.put(1)
    assert mailbox.take() is None


def test_every_item_is_taken_or_reported_as_replaced():
    mailbox, taken = Mailbox(), []

    def read():
        while (item := mailbox.take()) is not None:
            taken.append(item)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    replaced = sum(mailbox.put(i) for i in range(10000))
    deadline = time.monotonic() + 10
    while len(taken) + replaced < 10000 and time.monotonic() < deadline:
        time.sleep(0.001)
    mailbox.close()
    reader.join(2)
    assert taken == sorted(set(taken)) and taken[-1] == 9999
