"""Checkpoints come back as they were saved, or are refused in one line; saving never leaves half a file."""

import json
import os
import pickle
import struct
import subprocess
import sys
from collections import OrderedDict
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from mesh_perception import tensor_files
from mesh_perception.checkpoints import (
    CheckpointError,
    Description,
    load_checkpoint,
    load_torchvision,
    provenance,
    read_description,
    save_checkpoint,
)


def small(width=4, depth=2):
    layers = [nn.Linear(width, width) for _ in range(depth)]
    return nn.Sequential(*layers, nn.BatchNorm1d(width))


def described(**changes):
    values = {
        'architecture': 'refiner',
        'hyperparameters': {'width': 4, 'depth': 2},
        'body': 'open',
        'inputs': {'size': [256, 256], 'colours': 'RGB'},
        'training': provenance({'learning_rate': 1e-3}, ['synthetic'], seed=0, steps=10),
    }
    return Description(**{**values, **changes})


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / 'refiner.safetensors'
    torch.manual_seed(0)
    save_checkpoint(path, small(), described())
    return path


def rewrite(path, metadata=None, **changes):
    """The same file with other tensors (None drops one) and metadata."""
    with safe_open(path, 'pt') as file:
        known = file.metadata()
    tensors = {**load_file(path), **changes}
    save_file({k: v for k, v in tensors.items() if v is not None}, path, {**known, **(metadata or {})})


def refusal(path, module=None, expected=None):
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(path, module or small(), expected or described())
    text = str(error.value)
    assert text.startswith(f'{path}: ') and '\n' not in text and len(text) < 700 and text.isprintable()
    return text.removeprefix(f'{path}: ')


def test_what_was_saved_comes_back_into_a_module_of_any_type(saved):
    torch.manual_seed(0)
    original = small().state_dict()
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        module, description = load_checkpoint(saved, small().to(dtype), described())
        assert description == read_description(saved)
        for name, tensor in module.state_dict().items():
            assert torch.equal(tensor, original[name].to(tensor.dtype))


def test_a_builder_gets_the_hyperparameters_in_the_file(saved):
    module, _ = load_checkpoint(saved, small, Description(architecture='refiner'))
    assert len(module) == 3 and module[0].weight.shape == (4, 4) and module[0].weight.device.type == 'cpu'


def test_bfloat16_integers_shared_and_empty_tensors_survive(tmp_path):
    module = nn.Module()
    module.a = nn.Parameter(torch.randn(3, 2).to(torch.bfloat16).T)
    module.b = module.a
    module.register_buffer('count', torch.tensor(7))
    module.register_buffer('none', torch.zeros(0, 4))
    save_checkpoint(tmp_path / 'x.safetensors', module, described())
    again, _ = load_checkpoint(tmp_path / 'x.safetensors', module, described())
    assert again.count == 7 and again.none.shape == (0, 4)


def test_the_header_tells_where_the_weights_come_from(saved):
    with safe_open(saved, 'pt') as file:
        training = json.loads(file.metadata()['description'])['training']
    assert (training['data'], training['seed'], training['steps']) == (['synthetic'], 0, 10)
    assert len(training['config']) == 64 and training['date'].endswith('Z') and training['mesh_perception']


@pytest.mark.parametrize(
    'changes, told',
    [
        ({'architecture': 'skeleton'}, "architecture is 'refiner', expected 'skeleton'"),
        ({'body': 'SMPL_NEUTRAL-0badcafe'}, "body is 'open', expected 'SMPL_NEUTRAL-0badcafe'"),
        ({'joint_set': 'coco_17'}, "joint_set is 'smpl_24', expected 'coco_17'"),
        ({'hyperparameters': {'width': 1024}}, 'hyperparameters.width is 4, expected 1024'),
        ({'hyperparameters': {'people': 3}}, 'hyperparameters.people is None, expected 3'),
        ({'inputs': {'colours': 'BGR'}}, "inputs.colours is 'RGB', expected 'BGR'"),
        ({'inputs': {'size': (224, 224)}}, 'inputs.size is [256, 256], expected [224, 224]'),
    ],
)
def test_a_mismatch_is_told_with_both_values(saved, changes, told):
    assert refusal(saved, expected=described(**changes)) == told


def test_what_is_not_expected_is_not_compared(saved):
    load_checkpoint(saved, small(), Description(joint_set=None))
    load_checkpoint(saved, small(), described(inputs={'size': (256, 256)}, training={}))


def test_tensors_that_do_not_fit_are_named(saved):
    told = refusal(saved, small(width=5))
    assert 'of another shape: 0.weight (4, 4) instead of (5, 5), 0.bias (4,) instead of (5,)' in told
    assert 'and 5 more' in told
    rewrite(saved, **{'1.bias': None, 'more\n\x1b[31m': torch.zeros(1)})
    told = refusal(saved)
    assert 'missing: 1.bias' in told and r'unexpected: more\n\x1b[31m' in told


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_weights_that_are_not_finite_are_neither_loaded_nor_saved(saved, value, monkeypatch):
    before, module = saved.read_bytes(), small()
    with torch.no_grad():
        module[1].weight[2, 2] = value
    with pytest.raises(CheckpointError, match=r'1\.weight holds values that are not finite'):
        save_checkpoint(saved, module, described())
    assert saved.read_bytes() == before
    with monkeypatch.context() as patch:
        patch.setattr('mesh_perception.checkpoints._check_finite', lambda *_: None)
        save_checkpoint(saved, module, described())
    target = small()
    kept = {name: tensor.clone() for name, tensor in target.state_dict().items()}
    assert refusal(saved, target) == '1.weight holds values that are not finite'
    assert all(torch.equal(tensor, kept[name]) for name, tensor in target.state_dict().items())


def test_a_file_cut_anywhere_is_refused(saved):
    data = saved.read_bytes()
    for length in (0, 1, 7, 8, 9, 100, len(data) // 2, len(data) - 1):
        saved.write_bytes(data[:length])
        assert refusal(saved)


def test_a_changed_byte_is_refused_wherever_it_is(saved):
    data = saved.read_bytes()
    for place in range(0, len(data), 37):
        saved.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert refusal(saved)


@pytest.mark.parametrize('length', [tensor_files.LARGEST_HEADER + 1, 1 << 40, (1 << 64) - 1])
def test_a_huge_header_is_refused_before_it_is_read(saved, length):
    with saved.open('wb') as file:
        file.write(struct.pack('<Q', length) + b'{')
        file.truncate(tensor_files.LARGEST_HEADER + 100)
    assert 'too large' in refusal(saved) or length > 1 << 30


def test_a_huge_file_a_folder_and_a_pipe_are_refused(saved):
    with saved.open('wb') as file:
        file.truncate(tensor_files.LARGEST_FILE + 1)
    assert 'too large' in refusal(saved)
    saved.unlink()
    assert refusal(saved) == 'No such file or directory'
    os.mkfifo(saved)
    assert refusal(saved) == 'not a file'
    assert refusal(saved.parent) == 'not a file'


def test_safetensors_of_others_are_refused_by_their_format(saved):
    save_file(load_file(saved), saved)
    assert refusal(saved) == "format is None, expected 'mesh_perception checkpoint'"
    save_file(load_file(saved), saved, {'format': 'x' * 1000 + '\n'})
    assert 'xxx...' in refusal(saved)


@pytest.mark.parametrize(
    'metadata, told',
    [
        ({'version': '2'}, "format version is '2', expected '1'"),
        ({'description': '[' * 100_000}, 'not readable as JSON'),
        ({'description': '{'}, 'not readable as JSON'),
        ({'description': '[]'}, "'list'"),
        ({'description': '{"architecture": "refiner"}'}, "['architecture']"),
        ({'description': json.dumps({**vars(Description()), 'body': 3})}, 'body is 3'),
        ({'description': json.dumps({**vars(Description()), 'inputs': []})}, 'inputs is []'),
    ],
)
def test_a_description_that_is_none_is_refused(saved, metadata, told):
    rewrite(saved, metadata)
    assert told in refusal(saved)


@pytest.mark.parametrize(
    'hyperparameters, told',
    [
        ({'width': 1 << 40}, 'hyperparameters.width is 1099511627776'),
        ({'width': 16000}, 'instead of (16000, 16000)'),  # a gigabyte, were it made
        ({'width': 'wide'}, 'no network can be made'),
        ({'width': -1}, 'no network can be made'),
        ({'colour': 1}, 'no network can be made'),
    ],
)
def test_a_file_does_not_make_a_network_larger_than_itself(saved, hyperparameters, told):
    save_checkpoint(saved, small(), described(hyperparameters=hyperparameters))
    assert told in refusal(saved, small, described(hyperparameters={}))


class Malicious:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.filterwarnings('ignore:Detected pickle protocol')
@pytest.mark.parametrize('form', ['torch', 'legacy', 'pickle'])
def test_no_code_in_a_file_is_ever_run(tmp_path, form):
    path, proof = tmp_path / 'resnet50.pth', tmp_path / 'ran'
    content = OrderedDict({'conv1.weight': torch.zeros(2), 'fc.bias': Malicious(f'touch {proof}')})
    if form == 'pickle':
        path.write_bytes(pickle.dumps(Malicious(f'touch {proof}')))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == 'torch')
    for load in (lambda: load_checkpoint(path, small(), described()), lambda: load_torchvision(path, small())):
        with pytest.raises(CheckpointError) as error:
            load()
        assert str(error.value).startswith(f'{path}: ') and '\n' not in str(error.value)
    assert not proof.exists()
    if form == 'torch':
        assert 'it names posix.system' in str(error.value)


@pytest.mark.parametrize('form', ['zip', 'legacy', 'safetensors', 'nested'])
def test_torchvision_weights_load_without_the_classifier_and_without_counts(tmp_path, form):
    path, original = tmp_path / f'resnet.{form}', small()
    state = {name: t for name, t in original.state_dict().items() if 'num_batches' not in name}
    state |= {'fc.weight': torch.zeros(3, 4), 'fc.bias': torch.zeros(3)}
    if form == 'safetensors':
        save_file(state, path)
    else:
        state = OrderedDict(state)
        torch.save(
            {'state_dict': state} if form == 'nested' else state, path, _use_new_zipfile_serialization=form != 'legacy'
        )
    loaded = load_torchvision(path, small())
    assert all(torch.equal(t, original.state_dict()[name]) for name, t in loaded.state_dict().items())
    with pytest.raises(CheckpointError, match=r'missing: 3\.weight, 3\.bias'):
        load_torchvision(path, small(depth=3))


@pytest.mark.parametrize(
    'content, told',
    [
        ([1, 2], "holds 'list'"),
        ({}, "holds 'dict'"),
        ({'epoch': 3}, "'epoch' is of type 'int'"),
        ({'a': torch.zeros(1).expand(1 << 40)}, 'larger than the file'),
        ({'a': torch.zeros(2).to_sparse()}, 'not a plain tensor'),
        ({'a': torch.zeros(2, device='meta')}, 'not a plain tensor'),
        ({'a': torch.tensor([float('nan')])}, 'unexpected: a'),
    ],
)
def test_other_contents_are_refused(tmp_path, content, told):
    path = tmp_path / 'resnet.pth'
    torch.save(content, path)
    with pytest.raises(CheckpointError) as error:
        load_torchvision(path, small())
    assert told in str(error.value) and '\n' not in str(error.value)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(CheckpointError):
        load_torchvision(path, small())


def test_a_failed_save_leaves_the_old_file_and_no_other(saved, monkeypatch):
    before = saved.read_bytes()

    def full(_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(tensor_files.os, 'fsync', full)
    with pytest.raises(CheckpointError, match='No space left on device'):
        save_checkpoint(saved, small(), described())
    assert saved.read_bytes() == before and list(saved.parent.iterdir()) == [saved]


def test_a_description_that_is_no_json_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match='cannot be written as JSON'):
        save_checkpoint(tmp_path / 'a', small(), replace(described(), inputs={'size': torch.zeros(2)}))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('moment', ['save_file', 'os.fsync', 'os.replace'])
def test_whoever_is_killed_while_saving_leaves_the_old_file(saved, moment):
    """The process dies before the temporary file is whole, before it is on the disk, and before it is renamed."""
    before = saved.read_bytes()
    program = f"""
import os, signal, sys, torch
from mesh_perception import checkpoints, tensor_files
def die(*arguments):
    if {moment!r} == 'save_file':
        open(arguments[1], 'wb').write(b'half')
    os.kill(os.getpid(), signal.SIGKILL)
tensor_files.{moment} = die
checkpoints.save_checkpoint(sys.argv[1], torch.nn.Linear(2, 2), checkpoints.Description('other'))
"""
    done = subprocess.run([sys.executable, '-c', program, str(saved)], capture_output=True, timeout=60)
    assert done.returncode == -9, done.stderr
    assert saved.read_bytes() == before and load_checkpoint(saved, small(), described())
    left = [path.name for path in saved.parent.iterdir() if path != saved]
    assert len(left) == 1 and left[0].startswith('.refiner.safetensors.')
