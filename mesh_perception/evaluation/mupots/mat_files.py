"""Reads MATLAB's files of structs, version 5 (through scipy) and 7.3 (through h5py), as plain grids of arrays.

MuPoTS-3D's are {frame x person} cell arrays with a struct, or an array, in each cell. A struct array of that size is
read alike. Nothing in such a file is run; what it claims to hold is limited before it is read.
"""

import io
import zlib
from pathlib import Path

import numpy as np

from mesh_perception.evaluation.mupots.mat_hdf5 import read_hdf5

LARGEST_FILE = 1 << 29  # bytes, unpacked, too; a thousand frames of three people take five million
_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15  # kinds of elements
_DEEPEST = 8  # cells in cells; scipy goes on until the stack is full, and ends the process
_HDF5 = b'\x89HDF\r\n\x1a\n'


class MatError(ValueError):
    """A .mat file that is missing or is something else; one line that names it and what was expected."""


def read_grid(path, name: str) -> list[list]:
    """Variable `name` of a .mat file: rows of cells, each a {field: array} where it holds a struct, else an array.

    Arrays are as MATLAB shows them: two axes at least. Raises MatError.
    """
    path = Path(path)
    expected = f'expected a .mat file with {name} in it, {{frame x person}}'
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise MatError(f'{path}: larger than {LARGEST_FILE} bytes; {expected}')
        data = path.read_bytes()
    except OSError as error:
        raise MatError(f'{path}: {error.strerror or error}; {expected}') from None
    try:
        grid = read_hdf5(data, name) if _HDF5 in data[:520] else _read_version_5(data, name)
    except ImportError:
        raise MatError(
            f'{path}: a .mat file of version 7.3, which only h5py reads: '
            "pip install h5py, or 'mesh_perception[evaluation]'"
        ) from None
    except Exception as error:  # a damaged file raises nearly anything
        said = ''.join(letter if letter.isprintable() else ' ' for letter in str(error))[:160]
        raise MatError(f'{path}: {said or type(error).__name__}; {expected}') from None
    if grid is None:
        raise MatError(f'{path}: no {name} in it; {expected}')
    if grid.ndim != 2:
        raise MatError(f'{path}: {name} has {grid.ndim} axes; {expected}')
    return [list(row) for row in grid]


def _read_version_5(data, name):
    from scipy.io import loadmat

    value = loadmat(io.BytesIO(_unpacked(data)), variable_names=[name]).get(name)
    if value is None:
        return None
    if value.dtype == object:
        grid = np.empty(value.shape, object)
        for place, cell in np.ndenumerate(value):
            # A cell holds an array, and a struct comes as an array (1, 1) of one record.
            grid[place] = _fields(cell.flat[0]) if cell.dtype.names and cell.size == 1 else cell
        return grid
    if value.dtype.names:
        grid = np.empty(value.shape, object)
        for place, record in np.ndenumerate(value):
            grid[place] = _fields(record)
        return grid
    raise ValueError(f'{name} is an array of {value.dtype}')


def _fields(record):
    return {field: record[field] for field in record.dtype.names}


def _unpacked(data):
    """The file with its compressed elements unpacked, as long as they are no larger than a file may be."""
    if len(data) < _HEADER or data[126:128] not in (b'IM', b'MI'):
        raise ValueError('not a MATLAB file')
    order = 'little' if data[126:128] == b'IM' else 'big'
    parts, place, total = [data[:_HEADER]], _HEADER, 0
    while place + 8 <= len(data):
        kind, size = (int.from_bytes(data[place + i : place + i + 4], order) for i in (0, 4))
        content = data[place + 8 : place + 8 + size]
        if len(content) < size:
            raise ValueError('the file breaks off')
        if kind == _COMPRESSED:
            part = zlib.decompressobj().decompress(content, LARGEST_FILE - total + 1)
        else:
            part = data[place : place + 8 + size]
        total += len(part)
        if total > LARGEST_FILE:
            raise ValueError(f'more than {LARGEST_FILE} bytes when unpacked')
        _check_depth(part, order)
        parts.append(part)
        place += 8 + size
    return b''.join(parts)


def _check_depth(data, order):
    waiting = [(0, len(data), 0)]
    while waiting:
        place, end, depth = waiting.pop()
        if depth > _DEEPEST:
            raise ValueError(f'more than {_DEEPEST} arrays inside each other')
        while place + 8 <= end:
            kind, size = (int.from_bytes(data[place + i : place + i + 4], order) for i in (0, 4))
            if kind >> 16:  # up to four bytes within the tag itself
                place += 8
                continue
            if kind == _MATRIX:
                waiting.append((place + 8, min(place + 8 + size, end), depth + 1))
            place += 8 + size + -size % 8
