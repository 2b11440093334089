"""DataFrames' pickles against pandas itself, against an old pandas' file, and against files that mean harm."""

import pickle
import sys
from pathlib import Path

import numpy as np
import pandas
import pytest

from mesh_perception.body.pickles import elements, resolve_text
from mesh_perception.evaluation.agora.dataframes import DataFrameError, read_dataframe

sys.path.insert(0, str(Path(__file__).parent))
from agora_files import row, standing, write_truth

OLD = Path(__file__).parent / 'data' / 'pandas_1_0_3.pkl'


@pytest.mark.parametrize('protocol', [2, 4, 5])
def test_columns_are_those_that_pandas_reads(tmp_path, protocol):
    rows = [row(name, [standing(0, seed=1), standing(1)], vertices=5) for name in ('a.png', 'b.png', 'c.png')]
    path = write_truth(tmp_path / 'x.pkl', rows, protocol)
    truth = pandas.read_pickle(path)
    found = read_dataframe(path, list(truth.columns))
    assert [resolve_text(name) for name in found['imgPath']] == truth['imgPath'].tolist()
    assert found['camX'] == truth['camX'].tolist() and found['camYaw'] == truth['camYaw'].tolist()
    assert found['isValid'] == truth['isValid'].tolist() and found['gender'] == truth['gender'].tolist()
    for name in ('gt_joints_2d', 'gt_joints_3d', 'gt_verts'):
        for cell, expected in zip(found[name], truth[name], strict=True):
            np.testing.assert_array_equal([elements(value) for value in cell], expected)


@pytest.mark.parametrize(
    'change',
    [
        lambda frame: frame[frame['number'] > 1],
        lambda frame: frame.iloc[::-1],
        lambda frame: pandas.concat([frame, frame]),
        lambda frame: frame[['cells', 'number', 'text', 'other']],
        lambda frame: frame.assign(other=frame['other'] / 2, more=[[1], [2], [3]]),
        lambda frame: frame.set_index('text', drop=False),
    ],
)
def test_whatever_was_done_to_a_frame_rows_and_columns_stay_together(tmp_path, change):
    frame = pandas.DataFrame({'number': [1, 2, 3], 'cells': [[1, 2], [], [3]], 'other': [7, 8, 9], 'text': list('abc')})
    frame = change(frame)
    frame.to_pickle(tmp_path / 'x.pkl')
    found = read_dataframe(tmp_path / 'x.pkl', list(frame.columns))
    assert {name: list(values) for name, values in found.items()} == {n: frame[n].tolist() for n in frame.columns}


def test_an_old_pandas_file_is_read():
    """Written by pandas 1.0.3 with numpy 1.18.5 on Python 3.8, as the true files: three rows, the last taken away, the
    rest turned around."""
    found = read_dataframe(OLD, ['imgPath', 'camX', 'camYaw', 'isValid', 'occlusion', 'kid', 'gt_joints_3d'])
    assert found['imgPath'] == ['b.png', 'a.png'] and found['camX'] == [2.5, 1.5] and found['camYaw'] == [0, 0]
    assert found['isValid'] == [[True], [True, False]] and found['occlusion'] == [[0.0], [10.5, 95.0]]
    assert [elements(cell).tolist() for cell in found['kid']] == [[False], [False, False]]
    people = [[elements(value) for value in cell] for cell in found['gt_joints_3d']]
    for image, person, start in ((0, 0, 10), (1, 0, 0), (1, 1, 100)):
        np.testing.assert_array_equal(people[image][person], np.arange(6.0).reshape(2, 3) + start)


class Payload:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        import os

        return os.system, (self.command,)


@pytest.mark.parametrize('protocol', [2, 4, 5])
def test_a_command_in_a_cell_is_refused_and_not_run(tmp_path, protocol):
    mark = tmp_path / 'run'
    frame = pandas.DataFrame({'imgPath': ['a.png'], 'hidden': [[Payload(f'touch {mark}')]]})
    frame.to_pickle(tmp_path / 'x.pkl', protocol=protocol)
    with pytest.raises(DataFrameError, match=rf'^{tmp_path}/x.pkl: refused: it names \w+.system, ') as error:
        read_dataframe(tmp_path / 'x.pkl', ['imgPath'])
    assert not mark.exists() and '\n' not in str(error.value)
    pandas.read_pickle(tmp_path / 'x.pkl')
    assert mark.exists()  # it would have been


def test_pandas_own_functions_are_not_run_either(tmp_path):
    class Reader:
        def __reduce__(self):
            return pandas.read_csv, (str(tmp_path / 'secret.csv'),)

    (tmp_path / 'x.pkl').write_bytes(pickle.dumps(pandas.DataFrame({'a': [Reader()], 'b': [3]})))
    assert read_dataframe(tmp_path / 'x.pkl', ['b']) == {'b': [3]}  # there is no such file: it would have failed


@pytest.mark.parametrize(
    ('write', 'says'),
    [
        (lambda path: None, 'No such file'),
        (lambda path: path.write_bytes(b''), 'not a readable pickle'),
        (lambda path: path.write_bytes(OLD.read_bytes()[:-40]), 'not a readable pickle'),
        (lambda path: path.write_bytes(pickle.dumps({'imgPath': []})), 'it holds dict; expected a pickled pandas'),
        (lambda path: path.write_bytes(pickle.dumps(pandas.DataFrame)), 'it holds type'),
        (lambda path: pandas.DataFrame({'x': [1], 'y': ['a']}).to_pickle(path), 'no column imgPath among x, y'),
    ],
)
def test_what_is_no_such_frame_is_named_in_one_line(tmp_path, write, says):
    path = tmp_path / 'x.pkl'
    write(path)
    with pytest.raises(DataFrameError, match=rf'^{path}: .*{says}') as error:
        read_dataframe(path, ['imgPath'])
    assert '\n' not in str(error.value)


def test_damage_anywhere_is_an_error_of_ours_or_the_same_columns(tmp_path):
    good, rng = OLD.read_bytes(), np.random.default_rng(0)
    for _ in range(300):
        data = bytearray(good)
        data[rng.integers(len(data))] = rng.integers(256)
        (tmp_path / 'x.pkl').write_bytes(data)
        try:
            assert set(read_dataframe(tmp_path / 'x.pkl', ['imgPath', 'isValid'])) == {'imgPath', 'isValid'}
        except DataFrameError as error:
            assert '\n' not in str(error)
