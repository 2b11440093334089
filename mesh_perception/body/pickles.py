"""Reads the arrays in a pickle without running anything in it, and without chumpy, scipy or numpy's own unpickling.

Every class or function that a pickle names becomes a record that only remembers what it was given; nothing of the file
is ever called. `resolve` then turns the records of numpy, scipy.sparse and chumpy arrays into numpy arrays.
"""

import io
import pickle
import pickletools

import numpy as np


class RefusedError(ValueError):
    """A pickle that holds something else than array data, or is damaged."""


class Record:
    """Stands for any call or object in the file: what it was, its arguments, its state."""

    __slots__ = ('arguments', 'state')

    def __new__(cls, *arguments):
        record = object.__new__(cls)
        record.arguments, record.state = arguments, None
        return record

    def __init__(self, *arguments):
        pass

    def __setstate__(self, state):
        self.state = state


class _Array(Record):  # numpy's _reconstruct(ndarray, (0,), 'b'), state (version, shape, dtype, fortran, data)
    pass


class _Frombuffer(Record):  # numpy's _frombuffer(data, dtype, shape, order) of protocol 5
    pass


class _Scalar(Record):  # numpy's scalar(dtype, data)
    pass


class _Dtype(Record):  # dtype('f8', align, copy), state (version, byte order, ...)
    pass


class _Encoded(Record):  # _codecs.encode(text, 'latin1'): how protocol 2 spells bytes
    pass


class _Sparse(Record):
    pass


class _Chumpy(Record):
    pass


class _Rebuilt(Record):  # copyreg._reconstructor(class, object, None): an object of protocols 0 and 1
    pass


class _Other(Record):  # a class or object that is named but carries no array
    pass


_NUMPY = {'_reconstruct': _Array, 'scalar': _Scalar, '_frombuffer': _Frombuffer}
_NUMPY_MODULES = ('numpy.core.multiarray', 'numpy._core.multiarray', 'numpy.core.numeric', 'numpy._core.numeric')
_KNOWN = {
    ('numpy', 'ndarray'): _Other,
    ('numpy', 'dtype'): _Dtype,
    ('_codecs', 'encode'): _Encoded,
    ('copy_reg', '_reconstructor'): _Rebuilt,
    ('copyreg', '_reconstructor'): _Rebuilt,
    ('__builtin__', 'object'): _Other,
    ('builtins', 'object'): _Other,
    ('__builtin__', 'set'): _Other,
    ('builtins', 'set'): _Other,
}
_SPARSE_MODULES = tuple(f'scipy.sparse.{prefix}{kind}' for prefix in ('', '_') for kind in ('csc', 'csr', 'coo'))
_SPARSE_NAMES = tuple(f'{kind}_{form}' for kind in ('csc', 'csr', 'coo') for form in ('matrix', 'array'))


_SPARSE_KINDS = {
    kind: type(f'_Sparse_{kind}', (_Sparse,), {'__slots__': (), 'kind': kind}) for kind in ('csc', 'csr', 'coo')
}


class _Unpickler(pickle.Unpickler):
    def __init__(self, file, others):
        super().__init__(file, encoding='latin1')
        self._others = others

    def find_class(self, module, name):
        other = self._others(module, name)
        if other is not None:
            return other
        if (module, name) in _KNOWN:
            return _KNOWN[module, name]
        if module in _NUMPY_MODULES and name in _NUMPY:
            return _NUMPY[name]
        if module in _SPARSE_MODULES and name in _SPARSE_NAMES:
            return _SPARSE_KINDS[name[:3]]
        if module.split('.')[0] == 'chumpy' and name.isidentifier():
            return _Chumpy
        named = ascii(f'{module}.{name}')[1:-1][:100]
        raise RefusedError(f'refused: it names {named}, and only array data is read')


def load_records(file: io.BufferedIOBase, others=lambda module, name: None):
    """The pickle's object with records in the place of everything but plain containers, numbers and text.

    others: the kind of Record that stands for a class or function beyond those of arrays, by its module and name; None
    for what is refused. Raises RefusedError for any other class and for damaged data.
    """
    try:
        start = file.tell()
        length = file.seek(0, io.SEEK_END) - start
        file.seek(start)
        for opcode, argument, _ in pickletools.genops(file):
            # The unpickler reserves what these ask for; an honest file never asks for more than it has bytes.
            if opcode.name in ('PUT', 'LONG_BINPUT', 'FRAME') and argument > length:
                raise RefusedError('not a readable pickle (a number in it is out of range)')
        file.seek(start)
        return _Unpickler(file, others).load()
    except RefusedError:
        raise
    except Exception as error:  # a damaged pickle raises nearly anything
        reason = ' '.join(str(error).split())[:100] or type(error).__name__
        raise RefusedError(f'not a readable pickle ({reason})') from None


def resolve(value) -> np.ndarray:
    """The array in a record, a list of numbers or a number. Raises RefusedError where there is none."""
    try:
        return np.asarray(_resolve(value, depth=0))
    except RefusedError:
        raise
    except Exception as error:
        raise RefusedError(f'an array that cannot be read ({" ".join(str(error).split())[:100]})') from None


def resolve_text(value) -> str:
    """The text in a record, or a text: what Python 2 wrote as str or unicode, or numpy's scalar of one.

    Raises RefusedError where there is none.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, (bytes, _Encoded)):
        return _bytes(value).decode('latin1')
    if isinstance(value, _Scalar):
        dtype, data = value.arguments
        kind = dtype.arguments[0] if isinstance(dtype, _Dtype) else ''
        if isinstance(kind, str) and kind[:1] in ('S', 'U') and kind[1:].isdigit():
            encoding = 'latin1' if kind[0] == 'S' else 'utf-32-le'
            return _bytes(data).decode(encoding, 'replace').rstrip('\0')
    raise RefusedError(f'text expected, found {type(value).__name__.strip("_").lower()}')


def elements(value) -> np.ndarray:
    """As `resolve`, but an array of objects comes as one, with what the file has in their places, records too."""
    state = value.state if isinstance(value, _Array) else None
    if not (isinstance(state, tuple) and len(state) == 5 and isinstance(state[4], list)):
        return resolve(value)
    array = np.empty(len(state[4]), object)
    for place, item in enumerate(state[4]):
        array[place] = item
    try:
        return array.reshape(state[1])
    except (TypeError, ValueError):
        raise RefusedError('a damaged array of objects') from None


def _resolve(value, depth):
    if depth > 20:
        raise RefusedError('refused: nested too deeply')
    if isinstance(value, _Rebuilt):
        cls = value.arguments[0]
        if not (isinstance(cls, type) and issubclass(cls, _Sparse | _Chumpy)):
            raise RefusedError('refused: an object that is not an array')
        state, value = value.state, cls()
        value.state = state
    if isinstance(value, _Array):
        _, shape, dtype, fortran, data = value.state
        if isinstance(data, list) and len(data) == 1:  # an object array around one thing, as .npz files hold them
            return _resolve(data[0], depth + 1)
        return _from_bytes(data, dtype, shape, 'F' if fortran else 'C')
    if isinstance(value, _Frombuffer):
        data, dtype, shape, order = value.arguments
        return _from_bytes(data, dtype, shape, order)
    if isinstance(value, _Scalar):
        dtype, data = value.arguments
        return _from_bytes(data, dtype, (), 'C')
    if isinstance(value, _Sparse):
        return _dense(value.kind, {name: item for name, item in value.state.items() if isinstance(name, str)}, depth)
    if isinstance(value, _Chumpy):
        return _chumpy(value.state, depth)
    if isinstance(value, (int, float)):
        return np.asarray(value)
    if isinstance(value, (list, tuple)) and all(isinstance(item, (int, float)) for item in value):
        return np.asarray(value)
    raise RefusedError(f'an array expected, found {type(value).__name__.strip("_").lower()}')


def _from_bytes(data, dtype, shape, order):
    """numpy's own layout of an array of plain numbers."""
    spec, byte_order = dtype.arguments[0], dtype.state[1] if dtype.state else '|'
    if not isinstance(spec, str) or spec[:1] not in tuple('biuf') or not spec[1:].isdigit():
        raise RefusedError(f'refused: an array of {str(spec)[:20]!r}, expected numbers')
    data = _bytes(data)
    dtype = np.dtype(spec).newbyteorder(byte_order)
    array = np.frombuffer(data, dtype).reshape(tuple(int(n) for n in shape), order=order)
    return array.astype(dtype.newbyteorder('='))


def _bytes(data):
    if isinstance(data, _Encoded):
        text, encoding = data.arguments
        if encoding != 'latin1':
            raise RefusedError('refused: an unknown text encoding')
        return text.encode('latin1')
    return data.encode('latin1') if isinstance(data, str) else bytes(data)


def _dense(kind, state, depth):
    """A scipy matrix as a dense array; every index is checked, as scipy would not."""
    shape = tuple(int(n) for n in state.get('_shape', state.get('shape')))
    data = _resolve(state['data'], depth + 1)
    if len(shape) != 2 or min(shape) < 0 or shape[0] * shape[1] > 2**24:
        raise RefusedError(f'refused: a sparse matrix of {shape}')
    if kind == 'coo':
        coordinates = state.get('coords') or (state.get('row'), state.get('col'))
        row, column = (_resolve(c, depth + 1) for c in coordinates)
    else:
        minor = _resolve(state['indices'], depth + 1)
        starts = _resolve(state['indptr'], depth + 1).astype(np.int64)
        if starts[0] != 0 or starts[-1] != len(minor) or (np.diff(starts) < 0).any():
            raise RefusedError('a damaged sparse matrix')
        major = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        row, column = (minor, major) if kind == 'csc' else (major, minor)
    if len(row) and (row.min() < 0 or column.min() < 0 or row.max() >= shape[0] or column.max() >= shape[1]):
        raise RefusedError('a damaged sparse matrix (index out of range)')
    dense = np.zeros(shape, data.dtype)
    np.add.at(dense, (row, column), data)
    return dense


def _chumpy(state, depth):
    """A chumpy array's value: Ch holds it as x; Select holds an array a, the places taken from it and a shape."""
    if isinstance(state, dict) and 'x' in state:
        return _resolve(state['x'], depth + 1)
    if isinstance(state, dict) and 'a' in state and 'idxs' in state:
        picked = _resolve(state['a'], depth + 1).ravel()[_resolve(state['idxs'], depth + 1)]
        shape = state.get('preferred_shape')
        return picked if shape is None else picked.reshape(_resolve(shape, depth + 1).astype(int))
    raise RefusedError('a chumpy expression that holds no array')
