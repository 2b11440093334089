"""Writes MuPoTS-3D in its true formats: cell arrays of structs, as MATLAB's versions 5 and 7.3 hold them."""

import numpy as np
from scipy.io import savemat

FOCAL, CENTER = (1500.0, 1480.0), (1000.0, 560.0)


def annotation(joints_mm, universal_mm=None, valid=True, focal=FOCAL, center=CENTER):
    """One cell of `annotations` for joints (17, 3) mm in the camera's frame."""
    joints = np.asarray(joints_mm, float)
    pixels = joints[:, :2] / joints[:, 2:] * focal + center
    universal = joints if universal_mm is None else np.asarray(universal_mm, float)
    return {
        'bbox': np.array([[1.0, 2.0, 3.0, 4.0]]),
        'annot2': pixels.T,
        'annot3': joints.T,
        'univ_annot3': universal.T,
        'isValidFrame': np.array([[bool(valid)]]),
    }


def write_sequence(data, number, annotations, hidden=None, version=5, cells=True):
    """annot.mat and occlusion.mat of rows of annotations, {frame x person}; hidden: the same of (17,)."""
    folder = data / f'TS{number}'
    folder.mkdir(parents=True, exist_ok=True)
    grid = _grid(annotations)
    labels = _grid(hidden or [[np.zeros(17) for _ in row] for row in annotations])
    for place in np.ndindex(labels.shape):
        labels[place] = np.asarray(labels[place], float).reshape(1, 17)
    if version == 5:
        content = grid if cells else _struct_array(grid)
        savemat(folder / 'annot.mat', {'annotations': content}, do_compression=True)
        savemat(folder / 'occlusion.mat', {'occlusion_labels': labels}, do_compression=True)
    else:
        write_hdf5(folder / 'annot.mat', 'annotations', grid, cells)
        write_hdf5(folder / 'occlusion.mat', 'occlusion_labels', labels)
    return folder


def _grid(rows):
    grid = np.empty((len(rows), len(rows[0])), object)
    for i, row in enumerate(rows):
        for j, cell in enumerate(row):
            grid[i, j] = cell
    return grid


def _struct_array(grid):
    array = np.empty(grid.shape, [(name, object) for name in grid.flat[0]])
    for place, cell in np.ndenumerate(grid):
        for name, value in cell.items():
            array[place][name] = value
    return array


def write_hdf5(path, name, grid, cells=True):
    """As MATLAB's save -v7.3 does: a block of 512 bytes before HDF5, axes reversed, what cells hold below #refs#."""
    import h5py

    with h5py.File(path, 'w', userblock_size=512) as file:
        refs = file.create_group('#refs#')
        if cells:
            targets = [_cell(refs, f'c{i}', cell) for i, cell in enumerate(grid.T.flat)]
            _references(file, name, targets, grid.T.shape, 'cell')
        else:
            group = file.create_group(name)
            group.attrs['MATLAB_class'] = np.bytes_('struct')
            for field in grid.flat[0]:
                targets = [_cell(refs, f'{field}{i}', cell[field]) for i, cell in enumerate(grid.T.flat)]
                _references(group, field, targets, grid.T.shape, None)
    with path.open('r+b') as file:
        header = b'MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Thu Jan 18 10:00:00 2018 HDF5 schema 1.00 .'
        file.write(header.ljust(116) + bytes(8) + b'\x00\x02IM')


def _references(group, name, targets, shape, kind):
    import h5py

    references = np.empty(shape, h5py.ref_dtype)
    for place, target in zip(np.ndindex(shape), targets, strict=True):
        references[place] = target.ref
    dataset = group.create_dataset(name, data=references, dtype=h5py.ref_dtype)
    if kind:
        dataset.attrs['MATLAB_class'] = np.bytes_(kind)


def _cell(group, name, value):
    if not isinstance(value, dict):
        return _array(group, name, value)
    target = group.create_group(name)
    target.attrs['MATLAB_class'] = np.bytes_('struct')
    for field, content in value.items():
        _array(target, field, content)
    return target


def _array(group, name, value):
    value = np.atleast_2d(value)
    kind = 'logical' if value.dtype == bool else 'double'
    if not value.size:
        dataset = group.create_dataset(name, data=np.array(value.shape, np.uint64))
        dataset.attrs['MATLAB_empty'] = np.uint8(1)
    else:
        dataset = group.create_dataset(name, data=value.T.astype(np.uint8) if kind == 'logical' else value.T)
    dataset.attrs['MATLAB_class'] = np.bytes_(kind)
    return dataset
