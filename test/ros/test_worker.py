"""The thread that does the work: the newest item, rest that is one, and an end that takes along what was made."""

import threading

import pytest

from mesh_perception.ros.worker import Worker


class Job:
    """Work that a test lets go on."""

    def __init__(self):
        self.begun, self.go_on = threading.Semaphore(0), threading.Semaphore(0)
        self.done, self.ended = [], []

    def __call__(self, item):
        self.begun.release()
        assert self.go_on.acquire(timeout=10)
        self.done.append((item, threading.get_ident()))

    def finish(self):
        self.ended.append(threading.get_ident())


@pytest.fixture
def job():
    return Job()


@pytest.fixture
def worker(job):
    worker = Worker(job, job.finish)
    yield worker
    job.go_on.release(100)
    worker.close()


def begins(job):
    return job.begun.acquire(timeout=10)


def test_what_waits_is_replaced_by_what_is_newer(worker, job):
    assert not worker.put((1,)) and begins(job)
    assert not worker.put((2,)) and worker.put((3,)) and worker.put((4,))
    job.go_on.release(2)
    assert begins(job)
    worker.close()
    assert [item for item, _ in job.done] == [1, 4]


def test_rest_waits_for_the_item_in_hand_and_drops_the_next(worker, job):
    worker.put((1,))
    assert begins(job)
    worker.put((2,))
    resting = threading.Thread(target=worker.rest)
    resting.start()
    resting.join(0.2)
    assert resting.is_alive(), 'the item is still in hand'
    job.go_on.release()
    resting.join(10)
    assert not resting.is_alive() and [item for item, _ in job.done] == [1]
    worker.put((3,))
    assert not job.begun.acquire(timeout=0.2), 'whoever rests works on nothing'
    worker.wake()
    worker.put((4,))
    assert begins(job)


def test_the_end_comes_after_the_item_in_hand_in_the_same_thread(worker, job):
    worker.put((1,))
    assert begins(job)
    worker.put((2,))
    job.go_on.release()
    worker.close()
    assert [item for item, _ in job.done] == [1] and job.ended == [job.done[0][1]] != [threading.get_ident()]
