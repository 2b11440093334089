"""Reads SMPL files without running anything in them: .npz, and .pkl that may hold chumpy or scipy arrays."""
from pathlib import Path

import numpy as np


class BodyFileError(ValueError):
    """A body file that cannot be used; one line that says why."""


def read_body_file(path: Path) -> dict:
    """A body file's arrays by name."""
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}
