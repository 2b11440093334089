"""Shared memory that Fast DDS's processes left behind when they were killed.

Each of them has a segment under /dev/shm, 67 MB with the shipped profile for large images, and holds a lock on an empty
file beside it. A killed process leaves both, and nothing ever takes them away: a node that is restarted again and again
would fill the memory. `fastdds shm clean` does what is done here, where it is installed.
"""

import fcntl
import os
import re
import time
from pathlib import Path

FOLDER = Path('/dev/shm')
# The lock's file; older versions of Fast DDS have the other prefix. Ports are left alone: Fast DDS mends those itself.
_LOCK = re.compile(r'(fastdds|fastrtps)_[0-9a-f]{16}_el')
# Seconds within which a lock may not be held yet by whoever is just making it.
_NEW = 5.0


def remove_dead_segments(folder=FOLDER):
    """Removes the segments whose process is gone, as far as they are ours to remove. -> how many."""
    removed = 0
    try:
        names = [name for name in os.listdir(folder) if _LOCK.fullmatch(name)]
    except OSError:  # another system
        return 0
    for name in names:
        lock = Path(folder, name)
        try:
            with open(lock) as file:
                if time.time() - os.fstat(file.fileno()).st_mtime < _NEW:
                    continue
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                Path(folder, name.removesuffix('_el')).unlink(missing_ok=True)
                lock.unlink()
                removed += 1
        except OSError:  # held by a living process, another user's, or just gone
            continue
    return removed
