"""Batches made ahead by worker processes, and out of two datasets together."""

import copy
import os
from dataclasses import replace
from multiprocessing.util import Finalize

from torch.utils.data import DataLoader, Dataset

from mesh_perception.training.datasets.samples import Samples
from mesh_perception.training.interrupt import deaf_to_ctrl_c


class Together(Dataset):
    """Batches of two datasets' batches, one behind the other."""

    def __init__(self, first: Dataset, second: Dataset):
        self.first, self.second = first, second

    def __getitem__(self, key) -> Samples:
        first, second = self.first[key], self.second[key]
        return Samples.cat([first, replace(second, pictures=second.pictures + first.pictures.amax() + 1)])


def batches(dataset: Dataset, epoch: int, indices, workers: int = 0):
    """Iterates over the batches of an epoch that `indices` name, in their order, made ahead by worker processes.

    0 workers: made when asked for, in this process.
    """
    options = {}
    if workers:
        # Tensors on their way to a process move to shared memory, under the feet of numpy arrays that look at them.
        dataset = copy.deepcopy(dataset)
        options = {
            'multiprocessing_context': 'spawn',  # a forked process would share the parent's EGL and threads
            'prefetch_factor': 2,
            'worker_init_fn': _start_worker,
        }
    keys = [(epoch, index) for index in indices]
    with deaf_to_ctrl_c():  # the trainer finishes its step, for which it needs its workers
        made = iter(DataLoader(dataset, batch_size=None, sampler=keys, num_workers=workers, **options))
    try:
        yield from made
    except (ValueError, OSError) as error:  # a worker's has the whole traceback in its text
        raise ValueError(str(error).strip().splitlines()[-1].removeprefix('ValueError: ')) from None
    except RuntimeError as error:
        if 'exited unexpectedly' not in str(error):
            raise
        raise ValueError(f'crops: {error}; fewer workers need less memory') from None


def _start_worker(_):
    os.environ.setdefault('LP_NUM_THREADS', '0')  # Mesa's software renderer would start a thread a core in each process
    # The last thing of all: where Python ends in order, a thread of the renderer sometimes aborts the process.
    Finalize(None, os._exit, args=(0,), exitpriority=-100)
