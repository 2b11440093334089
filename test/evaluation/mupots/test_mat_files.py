"""MATLAB's files, versions 5 and 7.3, as they are written and as nobody should have written them."""

import struct
import sys
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from mesh_perception.evaluation.mupots import mat_files
from mesh_perception.evaluation.mupots.mat_files import MatError, read_grid

sys.path.insert(0, str(Path(__file__).parent))
from mupots_files import annotation, write_sequence

VERSIONS = [(5, True), (5, False), (7.3, True), (7.3, False)]


def rows(frames=3, people=2):
    rng = np.random.default_rng(0)
    poses = rng.uniform((-900, -900, 3000), (900, 900, 5000), (frames, people, 17, 3))
    return [
        [annotation(pose, pose + 7, valid=(i + j) % 3 != 2) for j, pose in enumerate(row)]
        for i, row in enumerate(poses)
    ]


@pytest.mark.parametrize(('version', 'cells'), VERSIONS)
def test_cells_of_structs_and_struct_arrays_of_both_versions_are_read_as_they_were_written(tmp_path, version, cells):
    written = rows()
    folder = write_sequence(tmp_path, 1, written, version=version, cells=cells)
    read = read_grid(folder / 'annot.mat', 'annotations')
    assert [len(row) for row in read] == [2, 2, 2]
    for read_row, written_row in zip(read, written, strict=True):
        for cell, expected in zip(read_row, written_row, strict=True):
            assert set(cell) == set(expected)
            for name, value in expected.items():
                np.testing.assert_array_equal(cell[name], value)


@pytest.mark.parametrize('version', [5, 7.3])
def test_cells_of_numbers_and_of_nothing_are_read(tmp_path, version):
    written = rows()
    hidden = [[np.arange(17) == 3 * i + j for j in range(2)] for i in range(3)]
    folder = write_sequence(tmp_path, 1, written, hidden, version)
    read = read_grid(folder / 'occlusion.mat', 'occlusion_labels')
    np.testing.assert_array_equal([[cell[0] for cell in row] for row in read], hidden)

    written[0][0]['annot2'] = np.zeros((0, 0))
    folder = write_sequence(tmp_path, 2, written, version=version)
    assert read_grid(folder / 'annot.mat', 'annotations')[0][0]['annot2'].size == 0


def refused(path, name='annotations'):
    with pytest.raises(MatError) as error:
        read_grid(path, name)
    said = str(error.value)
    assert said.startswith(str(path)) and '\n' not in said and said.isprintable()
    return said


@pytest.mark.parametrize('version', [5, 7.3])
def test_damaged_files_are_refused_in_one_line(tmp_path, version):
    path = write_sequence(tmp_path, 1, rows(), version=version) / 'annot.mat'
    whole = path.read_bytes()
    for size in (0, 7, 127, 200, 600, len(whole) // 2, len(whole) - 9):
        path.write_bytes(whole[:size])
        assert 'expected a .mat file with annotations' in refused(path)
    rng = np.random.default_rng(0)
    for _ in range(60):
        damaged = np.frombuffer(whole, np.uint8).copy()
        damaged[rng.integers(124, len(damaged), 20)] = rng.integers(0, 256, 20)
        path.write_bytes(damaged.tobytes())
        try:
            read_grid(path, 'annotations')  # what is left may be sound
        except MatError as error:
            assert str(path) in str(error) and '\n' not in str(error)


def test_what_is_missing_is_named(tmp_path):
    assert 'No such file' in refused(tmp_path / 'annot.mat')
    savemat(tmp_path / 'other.mat', {'joints': np.zeros((3, 14, 5)), 'annotations3': np.zeros((2, 2))})
    assert 'no annotations in it' in refused(tmp_path / 'other.mat')
    assert 'array of float64' in refused(tmp_path / 'other.mat', 'annotations3')
    with h5py.File(tmp_path / 'other.h5', 'w') as file:
        file['numbers'] = np.zeros((4, 4))
    assert 'no annotations in it' in refused(tmp_path / 'other.h5')
    assert 'no cell array and no struct array' in refused(tmp_path / 'other.h5', 'numbers')


def test_version_7_3_without_h5py_says_what_to_install(tmp_path, monkeypatch):
    path = write_sequence(tmp_path, 1, rows(), version=7.3) / 'annot.mat'
    monkeypatch.setitem(sys.modules, 'h5py', None)
    assert "pip install h5py, or 'mesh_perception[evaluation]'" in refused(path)


def test_small_files_that_unpack_to_large_ones_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(mat_files, 'LARGEST_FILE', 1 << 20)
    packed = zlib.compress(struct.pack('<II', 14, 1 << 24) + bytes(1 << 24), 9)
    path = tmp_path / 'annot.mat'
    path.write_bytes(b'MATLAB 5.0'.ljust(124) + b'\x00\x01IM' + struct.pack('<II', 15, len(packed)) + packed)
    assert path.stat().st_size < 1 << 15 and 'when unpacked' in refused(path)
    path.write_bytes(bytes((1 << 20) + 1))
    assert 'larger than' in refused(path)


def element(kind, content):
    return struct.pack('<II', kind, len(content)) + content + bytes(-len(content) % 8)


def test_cells_within_cells_without_end_do_not_end_the_process(tmp_path):
    depth = 200_000  # half of it is enough for a stack of 8 MB
    head = element(6, struct.pack('<II', 1, 0)) + element(5, struct.pack('<ii', 1, 1)) + element(1, b'')
    sizes = np.arange(depth, 0, -1) * (len(head) + 8) - 8
    first = element(6, struct.pack('<II', 1, 0)) + element(5, struct.pack('<ii', 1, 1)) + element(1, b'annotations')
    nested = b''.join(struct.pack('<II', 14, size) + head for size in sizes.tolist())
    path = tmp_path / 'annot.mat'
    path.write_bytes(b'MATLAB 5.0'.ljust(124) + b'\x00\x01IM' + element(14, first + nested))
    assert 'inside each other' in refused(path)


def test_hdf5_that_leads_to_other_files_is_refused(tmp_path):
    with h5py.File(tmp_path / 'secret.h5', 'w') as file:
        file['annotations'] = np.ones((2, 2))
    for name, link in (('outside', h5py.ExternalLink('secret.h5', '/annotations')), ('soft', h5py.SoftLink('/x'))):
        with h5py.File(tmp_path / f'{name}.mat', 'w') as file:
            file['annotations'] = link
        assert 'a link elsewhere' in refused(tmp_path / f'{name}.mat')
    (tmp_path / 'raw').write_bytes(bytes(64))
    with h5py.File(tmp_path / 'raw.mat', 'w') as file:
        cells = file.create_dataset('annotations', (1, 1), h5py.ref_dtype)
        external = file.create_dataset('data', (8,), 'f8', external=[(str(tmp_path / 'raw'), 0, 64)])
        cells[0, 0] = external.ref
    assert 'data in other files' in refused(tmp_path / 'raw.mat')
    with h5py.File(tmp_path / 'huge.mat', 'w') as file:
        file.create_dataset('annotations', (1 << 20, 1 << 20), h5py.ref_dtype, chunks=(64, 64))
    assert 'of size' in refused(tmp_path / 'huge.mat')
