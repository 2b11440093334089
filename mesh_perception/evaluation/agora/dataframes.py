"""Columns of a pickled pandas DataFrame, read without pandas and without running anything in the file.

AGORA's truth comes as such pickles. A DataFrame's pickle holds a block manager: the names of its columns, and blocks of
columns of one type, each with the columns' places. Two layouts exist: a state of four parts, with the blocks under
'0.14.1' in the last (pandas before 1.3; the real files were written by one of these), and arguments (blocks, axes).
Checked with files that pandas 1.0.3, 1.5.3, 2.3.3 and 3.1.1 wrote, protocols 2, 4 and 5.
"""

from pathlib import Path

import numpy as np

from mesh_perception.body.pickles import Record, RefusedError, elements, load_records


class DataFrameError(ValueError):
    """A file that is not a pickled DataFrame with the wanted columns; one line that names it."""


class _Frame(Record):  # DataFrame, state {'_data' or '_mgr': manager, ...}
    pass


class _Manager(Record):
    pass


class _Block(Record):  # _unpickle_block(values, places, dimensions)
    pass


class _Index(Record):  # _new_Index(class, {'data': names, ...})
    pass


class _Backed(Record):  # __pyx_unpickle_NDArrayBacked(class, checksum, None), state (dtype, array): text in pandas 3
    pass


class _Slice(Record):
    pass


class _Other(Record):
    pass


_PANDAS = {
    'DataFrame': _Frame,
    'BlockManager': _Manager,
    '_unpickle_block': _Block,
    '_new_Index': _Index,
    '__pyx_unpickle_NDArrayBacked': _Backed,
}


def _others(module, name):
    if module.split('.')[0] == 'pandas':
        return _PANDAS.get(name, _Other)
    return _Slice if module in ('builtins', '__builtin__') and name == 'slice' else None


def read_dataframe(path, wanted) -> dict:
    """The wanted columns of a pickled DataFrame by name: each a list with one value a row, as the file has it.

    A value is a number, a text, a list, or a record that `body.pickles` reads. Raises DataFrameError.
    """
    path = Path(path)
    try:
        with path.open('rb') as file:
            frame = load_records(file, _others)
        return _columns(frame, wanted)
    except OSError as error:
        raise DataFrameError(f'{path}: {error.strerror or error}') from None
    except RefusedError as error:
        raise DataFrameError(f'{path}: {error}; expected a pickled pandas DataFrame') from None


def _columns(frame, wanted):
    if not isinstance(frame, _Frame):
        raise RefusedError(f'it holds {type(frame).__name__.strip("_").lower()}')
    try:
        names, blocks = _manager(frame.state['_mgr'] if '_mgr' in frame.state else frame.state['_data'])
        missing = [name for name in wanted if name not in names]
        if missing:
            raise RefusedError(f'no column {", ".join(missing)} among {", ".join(map(str, names))[:200]}')
        found = {}
        for values, places in blocks:
            for place, row in zip(_places(places, len(names)), values, strict=True):
                if names[place] in wanted:
                    found[names[place]] = list(row)
        return {name: found[name] for name in wanted}
    except RefusedError:
        raise
    except Exception as error:  # a damaged file raises nearly anything
        raise RefusedError(f'a DataFrame that cannot be read ({" ".join(str(error).split())[:100]})') from None


def _manager(manager):
    """-> names of the columns, list of (values (columns, rows), places)."""
    if isinstance(manager.state, tuple):
        content = manager.state[3]['0.14.1']
        axes, blocks = content['axes'], [(block['values'], block['mgr_locs']) for block in content['blocks']]
    else:
        blocks, axes = manager.arguments[:2]
        blocks = [block.arguments[:2] for block in blocks]
    names = _array(axes[0].arguments[1]['data']).tolist()
    return names, [(np.atleast_2d(_array(values)), places) for values, places in blocks]


def _array(values):
    return elements(values.state[1] if isinstance(values, _Backed) else values)


def _places(places, count):
    if isinstance(places, _Slice):
        return range(count)[slice(*places.arguments)]
    return _array(places).tolist()
