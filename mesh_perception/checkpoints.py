"""Trained networks as files: safetensors with a header that says what is inside, checked against what is expected.

One file holds one network. Its metadata has `format`, `version`, `sha256` (of the description and every tensor) and
`description`, a `Description` as JSON. Loading never runs code out of a file.
"""

import hashlib
import json
import time
from dataclasses import asdict, dataclass, field, fields, is_dataclass

import torch
from torch import nn

from mesh_perception import __version__
from mesh_perception.tensor_files import (
    TensorFileError,
    checksum,
    open_safetensors,
    read_tensors,
    shown,
    write_safetensors,
)

FORMAT = 'mesh_perception checkpoint'
VERSION = '1'
LARGEST_NUMBER = 1 << 14  # of a hyperparameter that a network is built from
_FEW = 3  # tensors named in a message


class CheckpointError(TensorFileError):
    """A checkpoint that cannot be used; one line that names the file and says why. A ValueError."""


@dataclass(frozen=True)
class Description:
    """What a checkpoint is, as plain JSON values.

    As what is expected of a file: None is not compared, of the dicts only the keys given are, `training` never is.
    """

    architecture: str | None = None  # for example 'refiner'
    hyperparameters: dict = field(default_factory=dict)  # the network's arguments: width, depth, people, ...
    body: str | None = None  # BodyModel.id of the body that it was trained with
    joint_set: str | None = 'smpl_24'
    inputs: dict = field(default_factory=dict)  # conventions: image size, colour order, normalisation, units, ...
    training: dict = field(default_factory=dict)  # where the weights come from: see `provenance`


def provenance(config, data, seed, steps):
    """A Description's `training`: config (dataclass or dict) as its sha256, the data's names, seed, steps, and when."""
    text = json.dumps(asdict(config) if is_dataclass(config) else config, sort_keys=True)
    return {
        'config': hashlib.sha256(text.encode()).hexdigest(),
        'data': data,
        'seed': seed,
        'steps': steps,
        'date': time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime()),
        'mesh_perception': __version__,
        'torch': torch.__version__,
    }


def save_checkpoint(path, module, description):
    """Writes a module's state and its Description in one step: a reader, or a crash, never meets half a file.

    Raises CheckpointError where the folder cannot be written, a weight is not finite or the description is no JSON.
    """
    try:
        text = json.dumps(asdict(description), sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f'{path}: the description cannot be written as JSON ({shown(str(error))})') from None
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}
    _check_finite(path, tensors)
    metadata = {'format': FORMAT, 'version': VERSION, 'description': text, 'sha256': checksum(text, tensors)}
    try:
        write_safetensors(path, tensors, metadata)
    except OSError as error:
        raise CheckpointError(f'{path}: cannot be written ({error.strerror or error})') from None


def read_description(path):
    """The Description in a checkpoint's header; no tensor is read. Raises CheckpointError if it is none of ours."""
    try:
        with open_safetensors(path) as file:
            return _description(path, file.metadata())[0]
    except TensorFileError as error:
        raise CheckpointError(str(error)) from None


def load_checkpoint(path, module, expected):
    """Loads a checkpoint into a network. -> (module, the file's Description)

    module: an nn.Module (keeps its device and dtype), or a function that makes one from the file's hyperparameters
    as keyword arguments, once they are found to be what is expected and to fit the tensors in the file.
    expected: Description. Raises CheckpointError, naming the file, for what is damaged, differs from `expected` (both
    values are told), lacks tensors, has more or other ones, or has weights that are not finite.
    """
    try:
        with open_safetensors(path) as file:
            description, text, sha256 = _description(path, file.metadata())
            _compare(path, description, expected)
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}
            if not isinstance(module, nn.Module):
                module = _make(path, module, description.hyperparameters, shapes)
            _check_names(path, module, shapes)
            tensors = {name: file.get_tensor(name) for name in shapes}
            if checksum(text, tensors) != sha256:
                raise CheckpointError(f'{path}: damaged (its checksum does not match)')
            _fill(path, module, tensors)
    except CheckpointError:
        raise
    except TensorFileError as error:
        raise CheckpointError(str(error)) from None
    return module, description


def load_torchvision(path, backbone):
    """Loads a torchvision ResNet's weights, .pth or .safetensors, into a network with its names. The classifier (`fc`)
    is left out. Raises CheckpointError as `load_checkpoint` does.
    """
    try:
        tensors = read_tensors(path)
    except TensorFileError as error:
        raise CheckpointError(str(error)) from None
    tensors = {name: tensor for name, tensor in tensors.items() if name not in ('fc.weight', 'fc.bias')}
    for name, own in backbone.state_dict().items():
        if name.endswith('.num_batches_tracked'):  # older files lack it, and only training without momentum reads it
            tensors.setdefault(name, torch.zeros_like(own))
    _check_names(path, backbone, {name: tuple(tensor.shape) for name, tensor in tensors.items()})
    _fill(path, backbone, tensors)
    return backbone


def _description(path, metadata):
    """(Description, its text, the checksum) from the header."""
    metadata = metadata or {}
    if metadata.get('format') != FORMAT:
        raise CheckpointError(f'{path}: format is {shown(metadata.get("format"))}, expected {FORMAT!r}')
    if metadata.get('version') != VERSION:
        raise CheckpointError(f'{path}: format version is {shown(metadata.get("version"))}, expected {VERSION!r}')
    text = metadata.get('description', '')
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        raise CheckpointError(f'{path}: its description is not readable as JSON') from None
    kinds = {
        f.name: dict if f.name in ('hyperparameters', 'inputs', 'training') else str | None for f in fields(Description)
    }
    if not isinstance(values, dict) or set(values) != set(kinds):
        given = sorted(values) if isinstance(values, dict) else type(values).__name__
        raise CheckpointError(f'{path}: its description has {shown(given)}, expected {sorted(kinds)}')
    for name, kind in kinds.items():
        if not isinstance(values[name], kind):
            raise CheckpointError(f'{path}: {name} is {shown(values[name])} in its description')
    return Description(**values), text, metadata.get('sha256')


def _compare(path, found, expected):
    expected = json.loads(json.dumps(asdict(expected)))  # as the file would say it: a tuple is a list
    for name in ('architecture', 'joint_set', 'body', 'hyperparameters', 'inputs'):
        here, wanted = getattr(found, name), expected[name]
        if isinstance(wanted, dict):
            pairs = [(f'{name}.{key}', here.get(key), value) for key, value in wanted.items()]
        else:
            pairs = [(name, here, wanted)] if wanted is not None else []
        for label, have, want in pairs:
            if have != want or type(have) is not type(want):
                raise CheckpointError(f'{path}: {label} is {shown(have)}, expected {shown(want)}')


def _make(path, build, hyperparameters, shapes):
    """The network, made without memory first: a file must not ask for more than it has."""
    for name, value in hyperparameters.items():
        if isinstance(value, (int, float)) and abs(value) > LARGEST_NUMBER:
            raise CheckpointError(
                f'{path}: hyperparameters.{name} is {shown(value)}, at most {LARGEST_NUMBER} expected'
            )
    try:
        with torch.device('meta'):
            _check_names(path, build(**hyperparameters), shapes)
        return build(**hyperparameters)
    except CheckpointError:
        raise
    except (TypeError, ValueError, RuntimeError, ArithmeticError) as error:
        reason = shown(str(error).strip().partition('\n')[0], 200)[1:-1]
        raise CheckpointError(f'{path}: no network can be made of its hyperparameters ({reason})') from None


def _check_names(path, module, shapes):
    """Refuses missing, unexpected and wrong-shaped tensors, by name."""
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    faults = [
        ('missing', [n for n in wanted if n not in shapes]),
        ('unexpected', [shown(n)[1:-1] for n in shapes if n not in wanted]),
        (
            'of another shape',
            [f'{n} {shapes[n]} instead of {wanted[n]}' for n in wanted if n in shapes and shapes[n] != wanted[n]],
        ),
    ]
    parts = [
        f'{kind}: {", ".join(names[:_FEW])}' + (f' and {len(names) - _FEW} more' if len(names) > _FEW else '')
        for kind, names in faults
        if names
    ]
    if parts:
        raise CheckpointError(f'{path}: its tensors do not fit the network; {"; ".join(parts)}')


def _fill(path, module, tensors):
    _check_finite(path, tensors)
    for name, own in module.state_dict().items():
        if name in tensors and tensors[name].is_floating_point() != own.is_floating_point():
            raise CheckpointError(f'{path}: {name} is {tensors[name].dtype}, expected {own.dtype}')
    module.load_state_dict(tensors)


def _check_finite(path, tensors):
    for name, tensor in tensors.items():
        if tensor.is_complex() or (tensor.is_floating_point() and not torch.isfinite(tensor).all()):
            raise CheckpointError(f'{path}: {name} holds values that are not finite')
