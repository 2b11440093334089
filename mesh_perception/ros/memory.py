"""Memory of this process and of its share of an accelerator, for diagnostics."""

import os
from pathlib import Path

import torch

_STATM = Path('/proc/self/statm')


def memory_values(device):
    """{key: MiB as text}: resident memory, where the system tells, and on a CUDA torch device what torch holds."""
    values = {}
    resident = resident_bytes()
    if resident is not None:
        values['resident memory, MiB'] = _mebibytes(resident)
    if device is not None and device.type == 'cuda':
        values['GPU memory allocated, MiB'] = _mebibytes(torch.cuda.memory_allocated(device))
        values['GPU memory reserved, MiB'] = _mebibytes(torch.cuda.memory_reserved(device))
    return values


def resident_bytes():
    """Resident memory of this process; None where there is no /proc."""
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf('SC_PAGE_SIZE')
    except (OSError, IndexError, ValueError):
        return None


def _mebibytes(count):
    return f'{count / 2**20:.0f}'
