"""Reads a body file's arrays, .npz or SMPL's own .pkl, without running anything in it."""

import io
import zipfile
from pathlib import Path

import numpy as np

from mesh_perception.body.pickles import RefusedError, load_records, resolve

LARGEST_FILE = 1 << 30  # bytes, of a file and of what an .npz unpacks to; SMPL's largest file has 250 MB
MEMBERS = ('v_template', 'shapedirs', 'posedirs', 'J_regressor', 'weights', 'f', 'kintree_table')
OPTIONAL_MEMBERS = ('faces_light', 'name', 'licence')


class BodyFileError(ValueError):
    """A body file that cannot be used; one line that names the file and says why."""


def read_body_file(path: Path) -> dict:
    """The arrays that a body is made of, by SMPL's names, as far as the file has them; other content is ignored.

    Raises BodyFileError for a file that is missing, too large, damaged, or holds anything but array data where an array
    is expected.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise RefusedError('not a file')
        if size > LARGEST_FILE:
            raise RefusedError(f'too large for a body file ({size} bytes, at most {LARGEST_FILE})')
        with path.open('rb') as file:
            start = file.read(4)
            file.seek(0)
            return _read_npz(file) if start == b'PK\x03\x04' else _read_pickle(file)
    except RefusedError as error:
        raise BodyFileError(f'{path}: {error}') from None
    except OSError as error:
        raise BodyFileError(f'{path}: {error.strerror or error}') from None


def _read_pickle(file):
    content = load_records(file)
    if not isinstance(content, dict):
        raise RefusedError('not a body file: a dictionary of arrays expected (.pkl or .npz)')
    return {name: _named(name, content[name]) for name in MEMBERS if name in content}


def _named(name, value):
    try:
        return resolve(value)
    except RefusedError as error:
        raise RefusedError(f'{name}: {error}') from None


def _read_npz(file):
    arrays = {}
    try:
        with zipfile.ZipFile(file) as archive:
            sizes = {item.filename: item.file_size for item in archive.infolist()}
            names = [name for name in MEMBERS + OPTIONAL_MEMBERS if f'{name}.npy' in sizes]
            if sum(sizes[f'{name}.npy'] for name in names) > LARGEST_FILE:
                raise RefusedError(f'too large for a body file (unpacks to more than {LARGEST_FILE} bytes)')
            for name in names:
                arrays[name] = _read_npy(archive.read(f'{name}.npy'), name)
    except RefusedError:
        raise
    except Exception as error:  # a damaged archive raises nearly anything
        raise RefusedError(f'a damaged .npz ({" ".join(str(error).split())[:100]})') from None
    return arrays


def _read_npy(data, name):
    """One member. Some of SMPL's .npz files keep an object (a sparse regressor) in a member: a pickle inside."""
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
    *_, dtype = read_header(stream)
    if not dtype.hasobject:
        stream.seek(0)
        return np.lib.format.read_array(stream, allow_pickle=False)
    value = load_records(io.BytesIO(data[stream.tell() :]))
    return _named(name, value)
