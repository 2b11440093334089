import io
import os
import pickle
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

from mesh_perception.body import BodyFileError
from mesh_perception.body.reader import read_body_file

sys.path.insert(0, str(Path(__file__).parent))
from smpl_files import body_arrays, chumpy_pickles, python2_pickle, write_pickle


def assert_same(read, arrays):
    assert set(read) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array, err_msg=name)
        assert read[name].dtype.kind == array.dtype.kind


@pytest.fixture(scope='module')
def written_with_chumpy(tmp_path_factory):
    folder, arrays = tmp_path_factory.mktemp('chumpy'), body_arrays()
    chumpy_pickles(folder, arrays)
    return folder, arrays


@pytest.mark.parametrize('protocol', range(6))
def test_reads_chumpy_pickles_without_chumpy(written_with_chumpy, protocol):
    folder, arrays = written_with_chumpy
    assert_same(read_body_file(folder / f'body{protocol}.pkl'), arrays)
    assert 'chumpy' not in sys.modules


def test_reads_what_python_2_wrote(written_with_chumpy):
    folder, arrays = written_with_chumpy
    data = (folder / 'python2.pkl').read_bytes()
    assert b'cnumpy.core.multiarray\n_reconstruct' in data and b'cscipy.sparse.csc\ncsc_matrix' in data
    assert b'_codecs' not in data
    assert_same(read_body_file(folder / 'python2.pkl'), arrays)


def test_python_2_writer_of_these_tests_is_true_to_the_format():
    loaded = pickle.loads(python2_pickle({'a': np.arange(300.0)}), encoding='latin1')
    np.testing.assert_array_equal(loaded['a'], np.arange(300.0))


@pytest.mark.parametrize('kind', ['csc', 'csr', 'coo', None])
@pytest.mark.parametrize('protocol', [0, 2, 4, 5])
def test_reads_sparse_and_dense_regressors(tmp_path, kind, protocol):
    arrays = body_arrays()
    assert_same(read_body_file(write_pickle(tmp_path / 'body.pkl', arrays, protocol, kind)), arrays)


def test_reads_fortran_order_big_endian_and_scalars(tmp_path):
    arrays = body_arrays()
    stored = {name: np.asfortranarray(array).astype(array.dtype.newbyteorder('>')) for name, array in arrays.items()}
    assert_same(read_body_file(write_pickle(tmp_path / 'body.pkl', stored, sparse=None)), arrays)


def test_reads_npz_and_ignores_other_members(tmp_path):
    arrays = body_arrays()
    np.savez(tmp_path / 'body.npz', **arrays, part2num=np.array({'a': os.system}, dtype=object))
    assert_same(read_body_file(tmp_path / 'body.npz'), arrays)


def test_reads_an_npz_whose_regressor_is_an_object(tmp_path):
    arrays = body_arrays()
    boxed = np.empty((), object)
    boxed[()] = scipy.sparse.csc_matrix(arrays['J_regressor'])
    np.savez(tmp_path / 'body.npz', **{**arrays, 'J_regressor': boxed})
    assert_same(read_body_file(tmp_path / 'body.npz'), arrays)


class Calls:
    def __init__(self, function, *arguments):
        self.what = function, arguments

    def __reduce__(self):
        return self.what


def hostile(marker):
    import builtins
    import functools
    import shutil
    import subprocess

    command = f'touch {marker}'
    return {
        'os.system': Calls(os.system, command),
        'subprocess': Calls(subprocess.check_output, ['touch', str(marker)]),
        'eval': Calls(builtins.eval, f'open({str(marker)!r}, "w")'),
        'getattr': Calls(builtins.getattr, 'text', 'join'),
        'partial': Calls(functools.partial, os.system, command),
        'nested': {'inner': [Calls(tuple, [Calls(os.system, command)])]},
        'numpy': Calls(np.load, str(marker)),
        'rmtree': Calls(shutil.rmtree, str(marker.parent / 'x')),
        'class': Path(marker),
    }


@pytest.mark.parametrize('kind', list(hostile(Path('x'))))
@pytest.mark.parametrize('protocol', [0, 2, 4])
@pytest.mark.parametrize('where', ['alone', 'weights', 'other', 'npz'])
def test_refuses_hostile_pickles_without_running_them(tmp_path, kind, protocol, where):
    marker = tmp_path / 'ran'
    thing, arrays = hostile(marker)[kind], body_arrays()
    path = tmp_path / 'body.pkl'
    if where == 'npz':
        boxed = np.empty((), object)
        boxed[()] = thing
        np.savez(path.with_suffix('.npz'), **{**arrays, 'weights': boxed})
        path = path.with_suffix('.npz')
    else:
        content = thing if where == 'alone' else {**arrays, ('weights' if where == 'weights' else 'extra'): thing}
        path.write_bytes(pickle.dumps(content, protocol=protocol))
    with pytest.raises(BodyFileError, match='refused: it names') as caught:
        read_body_file(path)
    assert str(path) in str(caught.value) and '\n' not in str(caught.value)
    assert not marker.exists()


def test_names_the_class_it_refuses(tmp_path):
    (tmp_path / 'body.pkl').write_bytes(pickle.dumps(Calls(os.system, 'true')))
    with pytest.raises(BodyFileError, match=r'(posix|nt)\.system'):
        read_body_file(tmp_path / 'body.pkl')


@pytest.mark.parametrize(
    'program',
    [
        b'cos\nsystem\n(S"touch ran"\ntR.',  # the classic
        b'(S"touch ran"\nios\nsystem\n.',  # INST
        b'cnumpy.core.multiarray\n_reconstruct\n}S"__code__"\nI1\nsb.',  # state on a class of ours
        b'cnumpy.core.multiarray\n_reconstruct\nN}S"__defaults__"\nI1\ns\x86b.',
        b'\x80\x04\x8c\x06chumpy\x8c\x09ch.os.sys\x93.',  # a dotted name inside an admitted module
        b'ccopy_reg\n_reconstructor\n(c__builtin__\nobject\nc__builtin__\nobject\nNtR.',
        b'ccopy_reg\n_reconstructor\n(I1\nI2\nNtR.',
        b'\x80\x02r\xff\xff\xff\x7f.',
        b'\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x00N.',  # a huge memo, a huge frame
        b'\x82\x01.',
        b'Pname\n.',
        b'\x80\x05\x97.',
        b'',
        b'.',
        b'N.',
        b'not a pickle',
        b'\x80\x02}(K',
        b'(' * 100000,
    ],
)
def test_refuses_crafted_programs_in_one_line(tmp_path, program):
    path = tmp_path / 'body.pkl'
    path.write_bytes(program)
    with pytest.raises(BodyFileError) as caught:
        read_body_file(path)
    assert str(path) in str(caught.value) and '\n' not in str(caught.value)


@pytest.mark.parametrize(
    'damage',
    [
        {'indices': np.array([10**6])},
        {'indptr': np.array([0, 5, 2])},
        {'indices': np.array([-1])},
        {'_shape': (10**6, 10**6)},
        {'data': 'text'},
        {'indptr': np.array([])},
    ],
)
def test_refuses_damaged_sparse_matrices(tmp_path, damage):
    matrix = scipy.sparse.csc_matrix(np.eye(3))
    matrix.__dict__.update(damage)
    (tmp_path / 'body.pkl').write_bytes(pickle.dumps({'J_regressor': matrix}))
    with pytest.raises(BodyFileError, match='J_regressor'):
        read_body_file(tmp_path / 'body.pkl')


@pytest.mark.parametrize('share', [0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize('suffix', ['.pkl', '.npz'])
def test_refuses_truncated_files(tmp_path, share, suffix):
    whole = tmp_path / f'whole{suffix}'
    if suffix == '.pkl':
        write_pickle(whole, body_arrays())
    else:
        np.savez(whole, **body_arrays())
    data = whole.read_bytes()
    path = tmp_path / f'cut{suffix}'
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(BodyFileError, match='cut'):
        read_body_file(path)


def test_damaged_bytes_never_raise_anything_else(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / 'body.pkl'
    whole = bytearray(write_pickle(path, body_arrays(vertices=24, betas=1)).read_bytes())
    interesting = np.concatenate([np.arange(200), len(whole) - np.arange(1, 200)])
    for _ in range(150):
        data = bytearray(whole)
        for place in rng.choice(interesting, 3):
            data[place] = rng.integers(256)
        path.write_bytes(data)
        try:
            read_body_file(path)
        except BodyFileError as error:
            assert '\n' not in str(error)


def test_refuses_files_and_archives_that_are_too_large(tmp_path, monkeypatch):
    path = write_pickle(tmp_path / 'body.pkl', body_arrays())
    with zipfile.ZipFile(tmp_path / 'bomb.npz', 'w', zipfile.ZIP_DEFLATED) as archive:
        member = io.BytesIO()
        np.save(member, np.zeros(4_000_000))
        archive.writestr('v_template.npy', member.getvalue())
    monkeypatch.setattr('mesh_perception.body.reader.LARGEST_FILE', path.stat().st_size - 1)
    for file in (path, tmp_path / 'bomb.npz'):
        with pytest.raises(BodyFileError, match='too large'):
            read_body_file(file)


def test_refuses_what_is_not_there(tmp_path):
    for path in (tmp_path / 'missing.pkl', tmp_path):
        with pytest.raises(BodyFileError, match=str(path)):
            read_body_file(path)
