"""One copy of the networks for all nodes of a process that use the same, given back with the last of them."""

import ctypes
import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import torch

from mesh_perception.pipeline import MeshPipeline, choose_device


class SharedModels:
    """Makes pipelines; those of the same model set, body and device have the same networks."""

    def __init__(self):
        self._parts = weakref.WeakValueDictionary()
        self._lock = threading.Lock()

    def pipeline(self, config):
        """A pipeline with a tracker of its own. Raises ValueError, one line, as MeshPipeline does."""
        # Tracking is each camera's own.
        key = replace(config, tracking=None, device=str(choose_device(config.device)))
        # In a thread that ends: torch's threads belong to the one that uses them, and a second team on the same cores
        # makes each frame take a quarter longer.
        with self._lock, ThreadPoolExecutor(1) as own:  # whoever comes second waits for the networks of the first
            pipeline = own.submit(MeshPipeline, config, shared=self._parts.get(key)).result()
            self._parts[key] = pipeline.parts
            return pipeline


def give_memory_back():
    """What nobody refers to any more goes back to the accelerator and to the system, not only to their allocators."""
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):  # other systems than those with glibc
        pass
