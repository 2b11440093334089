"""MATLAB's version 7.3, which is HDF5: axes reversed, cells and struct arrays as references to other objects."""

import io

import numpy as np

_MOST_CELLS = 1 << 20
_MOST_NUMBERS = 1 << 12  # in one cell; a pose has 51


def read_hdf5(data: bytes, name: str):
    """Variable `name` as an object array {field: array} or of arrays; None if it is not there.

    Raises ImportError without h5py, and ValueError or what h5py raises for what is not expected. References lead
    nowhere outside the file: its links and its data must be its own.
    """
    import h5py

    with h5py.File(io.BytesIO(data), 'r') as file:
        if file.get(name, getlink=True) is None:
            return None
        value = _own(file, name)
        if isinstance(value, h5py.Group):  # a struct array: each field is a grid of references
            fields = {field: _cells(file, _own(value, field)) for field in value}
            shapes = {grid.shape for grid in fields.values()}
            if len(shapes) != 1:
                raise ValueError(f'{name}: fields of different sizes')
            grid = np.empty(shapes.pop(), object)
            for place in np.ndindex(grid.shape):
                grid[place] = {field: cells[place] for field, cells in fields.items()}
            return grid
        return _cells(file, value)


def _own(group, name):
    """A member of a group that lies in the same file."""
    import h5py

    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f'{name}: a link elsewhere')
    return group[name]


def _cells(file, dataset):
    """What a grid of references refers to."""
    import h5py

    if not isinstance(dataset, h5py.Dataset) or h5py.check_ref_dtype(dataset.dtype) is not h5py.Reference:
        raise ValueError(f'{dataset.name}: no cell array and no struct array')
    references = _numbers(dataset, _MOST_CELLS)
    grid = np.empty(references.shape, object)
    for place, reference in np.ndenumerate(references):
        target = file[reference]
        if isinstance(target, h5py.Group):
            grid[place] = {field: _numbers(_own(target, field)) for field in target}
        else:
            grid[place] = _numbers(target)
    return grid


def _numbers(dataset, most=_MOST_NUMBERS):
    import h5py

    if not isinstance(dataset, h5py.Dataset):
        raise ValueError(f'{dataset.name}: a struct where numbers were expected')
    if dataset.external or dataset.is_virtual:
        raise ValueError(f'{dataset.name}: data in other files')
    if dataset.shape is None or dataset.size > most:
        raise ValueError(f'{dataset.name}: of size {dataset.size}, at most {most} expected')
    if dataset.attrs.get('MATLAB_empty', 0):  # then the numbers are the empty array's sizes
        return np.zeros((0, 0))
    return dataset[()].T
