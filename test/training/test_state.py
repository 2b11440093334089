"""Checkpoints of a training: what is there under its name is whole, what is damaged is said and passed over."""

import os

import pytest
import torch

from mesh_perception.tensor_files import TensorFileError
from mesh_perception.training import state
from mesh_perception.training.state import TrainingError, newest_state, read_state, tidy, write_state


def tensors(number=0):
    return {
        'a': torch.full((3, 2), float(number)),
        'b': torch.arange(3, dtype=torch.float64).to(torch.bfloat16),
        'count': torch.tensor(7),
        'none': torch.zeros(0, 4),
    }


def written(folder, *steps):
    return [write_state(folder, step, {'step': step, 'scale': 0.1 + 0.2}, tensors(step)) for step in steps]


def test_what_was_written_comes_back(tmp_path):
    (path,) = written(tmp_path / 'new' / 'folder', 12)
    values, found = read_state(path)
    assert values == {'step': 12, 'scale': 0.1 + 0.2} and path.name == 'step-000000012.safetensors'
    assert all(torch.equal(x, tensors(12)[name]) and x.dtype == tensors()[name].dtype for name, x in found.items())
    assert found.keys() == tensors().keys()


def test_the_last_two_are_kept(tmp_path):
    paths = written(tmp_path, 9, 99, 1000, 20000)
    assert sorted(tmp_path.iterdir()) == paths[2:]
    assert newest_state(tmp_path, print)[0]['step'] == 20000


def test_without_any_there_is_none(tmp_path):
    assert newest_state(tmp_path, print) is None and newest_state(tmp_path / 'not there', print) is None


def test_a_damaged_byte_is_refused_wherever_it_is(tmp_path):
    (path,) = written(tmp_path, 5)
    data = path.read_bytes()
    for place in range(0, len(data), 7):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(TensorFileError) as error:
            read_state(path)
        assert str(error.value).startswith(f'{path}: ') and '\n' not in str(error.value)


@pytest.mark.parametrize('damage', ['cut', 'changed', 'emptied', 'other'])
def test_the_one_before_is_used_and_named_where_the_newest_is_damaged(tmp_path, damage):
    older, newest = written(tmp_path, 5, 10)
    data = newest.read_bytes()
    contents = {
        'cut': data[:-1],
        'changed': data[:-3] + b'x' + data[-2:],
        'emptied': b'',
        'other': b'{"step": 10}' * 20,
    }
    newest.write_bytes(contents[damage])
    heard = []
    values, _ = newest_state(tmp_path, heard.append)
    assert values['step'] == 5 and len(heard) == 1 and '\n' not in heard[0]
    assert heard[0].startswith(f'{newest}: ') and heard[0].endswith(f'; going on from {older.name} instead')


def test_where_all_are_damaged_nothing_is_begun_anew(tmp_path):
    for path in written(tmp_path, 5, 10):
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(
        TrainingError, match=r'step-000000010.*no other checkpoint is whole: choose another --out'
    ) as error:
        newest_state(tmp_path, print)
    assert '\n' not in str(error.value) and len(list(tmp_path.iterdir())) == 2


def test_tidying_sets_newer_ones_aside_and_removes_halves(tmp_path):
    older, newest = written(tmp_path, 5, 10)
    half = tmp_path / f'.{newest.name}.abc123'
    half.write_bytes(b'half')
    tidy(tmp_path, 5)
    assert sorted(tmp_path.iterdir()) == [older, tmp_path / f'{newest.name}.damaged']
    written(tmp_path, 7)  # later than what is gone on from, earlier than what was damaged
    assert newest_state(tmp_path, print)[0]['step'] == 7


def test_a_disk_that_is_full_leaves_what_was_there(tmp_path, monkeypatch):
    (path,) = written(tmp_path, 5)
    monkeypatch.setattr(state, 'write_safetensors', lambda *_: os.write(os.open('/dev/full', os.O_WRONLY), b'x'))
    with pytest.raises(TrainingError) as error:
        written(tmp_path, 10)
    name = 'step-000000010.safetensors'
    assert str(error.value) == (
        f'{tmp_path / name}: cannot be written (No space left on device); the last checkpoint is {path.name}. '
        'Make room, and the same command goes on'
    )
    assert list(tmp_path.iterdir()) == [path] and newest_state(tmp_path, print)


def test_nothing_is_pickled(tmp_path):
    (path,) = written(tmp_path, 5)
    data = path.read_bytes()
    assert data[8:9] == b'{' and b'ctorch' not in data and not data.startswith(b'PK')
