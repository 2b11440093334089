"""Where a training stands, as files it can go on from.

One safetensors file a checkpoint, in OUT/checkpoints: the tensors of networks, optimisers and averages, and a JSON text
with counters and the recipe. A file takes its name once it is whole and on the disk, and has a sha256 of everything
inside; so whenever the process is killed, what is there under its name is whole. Reading runs no code.
"""

import json
from pathlib import Path

from torch import Tensor

from mesh_perception.tensor_files import TensorFileError, checksum, open_safetensors, shown, write_safetensors

FORMAT = 'mesh_perception training state'
VERSION = '1'
KEPT = 2
_NAMES = 'step-*.safetensors'


class TrainingError(ValueError):
    """A training that cannot begin or go on; one line that says why and what to do."""


def write_state(folder: Path, step: int, values: dict, tensors: dict[str, Tensor]) -> Path:
    """Writes a checkpoint and removes all but the last KEPT. Raises TrainingError where it cannot be written; what was
    there before is left as it was."""
    path = folder / _name(step)
    text = json.dumps(values, sort_keys=True)
    tensors = {name: tensor.detach().cpu() for name, tensor in tensors.items()}
    metadata = {'format': FORMAT, 'version': VERSION, 'state': text, 'sha256': checksum(text, tensors)}
    try:
        write_safetensors(path, tensors, metadata)
        for old in sorted(folder.glob(_NAMES))[:-KEPT]:
            old.unlink()
    except OSError as error:
        reason = error.strerror or str(error).removeprefix(f'{path}: ')
        raise TrainingError(
            f'{path}: cannot be written ({reason}); {_standing(folder)}. Make room, and the same command goes on'
        ) from None
    return path


def read_state(path: Path) -> tuple[dict, dict[str, Tensor]]:
    """(values, tensors) of a checkpoint. Raises TensorFileError, naming the file, for one that is not whole."""
    with open_safetensors(path) as file:
        metadata = file.metadata() or {}
        if (metadata.get('format'), metadata.get('version')) != (FORMAT, VERSION):
            found = shown(f'{metadata.get("format")} {metadata.get("version")}')
            raise TensorFileError(f'{path}: holds {found}, expected {FORMAT!r}, version {VERSION}')
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    text = metadata.get('state', '')
    if checksum(text, tensors) != metadata.get('sha256'):
        raise TensorFileError(f'{path}: damaged (its checksum does not match)')
    return json.loads(text), tensors


def newest_state(folder: Path, say) -> tuple[dict, dict[str, Tensor]] | None:
    """The newest whole checkpoint, or None where there is no checkpoint at all.

    say(line) hears of each damaged one that is passed over. Raises TrainingError where all are damaged.
    """
    paths = sorted(folder.glob(_NAMES), reverse=True)
    faults = []
    for path in paths:
        try:
            found = read_state(path)
        except TensorFileError as error:
            faults.append(str(error))
            continue
        for fault in faults:
            say(f'{fault}; going on from {path.name} instead')
        return found
    if faults:
        raise TrainingError(f'{faults[0]}; no other checkpoint is whole: choose another --out, or remove {folder}')
    return None


def tidy(folder: Path, step: int):
    """Before going on from `step`: sets newer checkpoints, which are damaged, aside as NAME.damaged, and removes what
    processes that were killed while writing left."""
    for path in folder.glob(_NAMES):
        if path.name > _name(step):
            path.rename(f'{path}.damaged')
    for half in folder.glob(f'.{_NAMES}.*'):
        half.unlink()


def _name(step):
    return f'step-{step:09d}.safetensors'


def _standing(folder):
    paths = sorted(folder.glob(_NAMES))
    return f'the last checkpoint is {paths[-1].name}' if paths else 'there is no checkpoint yet'
