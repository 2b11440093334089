"""Files of named tensors: safetensors written in one step; safetensors and torch's .pth read without trusting them."""

import hashlib
import os
import pickle
import re
import struct
import tempfile
import zipfile
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

LARGEST_FILE = 4 << 30  # bytes
LARGEST_HEADER = 4 << 20  # bytes; a thousand tensors need a tenth of a megabyte


class TensorFileError(ValueError):
    """A file of tensors that cannot be used; one line that names the file and says why."""


def shown(value, limit=100):
    """A value out of a file as printable ASCII of at most `limit` characters, for a message of one line."""
    text = ascii(value)
    return text if len(text) <= limit else f'{text[: limit - 3]}...'


def write_safetensors(path, tensors, metadata):
    """Writes {name: tensor} and {key: text}; whoever reads `path`, whatever happens, finds the old file or the new one.

    The temporary file lies beside `path` under a hidden name and is on the disk before it takes the place. Raises
    OSError where it cannot be written.
    """
    path = Path(path)
    tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f'.{path.name}.')
        os.close(handle)
        save_file(tensors, temporary, metadata)
        os.chmod(temporary, 0o644)
        _flush(temporary)
        os.replace(temporary, path)
        temporary = None
        _flush(path.parent)
    except SafetensorError as error:
        raise OSError(f'{path}: {error}') from None
    finally:
        if temporary:
            Path(temporary).unlink(missing_ok=True)


def _flush(path):
    """Waits until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def checksum(text, tensors):
    """The sha256 of a text and of named tensors on the CPU: names, types, shapes and bytes."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f'{name} {tensor.dtype} {tuple(tensor.shape)}'.encode())
        digest.update(memoryview(tensor.contiguous().reshape(-1).view(torch.uint8).numpy()))
    return digest.hexdigest()


@contextmanager
def open_safetensors(path):
    """The safetensors file, opened for reading one tensor at a time (safetensors' safe_open).

    Raises TensorFileError for one that is missing, too large, cut short or something else; also for what goes wrong
    while it is read.
    """
    path = Path(path)
    try:
        size = _size(path)
        start = _start(path, 8)
        length = struct.unpack('<Q', start)[0] if len(start) == 8 else size
        if 8 + length > size:
            raise TensorFileError(f'{path}: not a safetensors file, or cut short')
        if length > LARGEST_HEADER:
            raise TensorFileError(f'{path}: its header of {length} bytes is too large (at most {LARGEST_HEADER})')
        with safe_open(str(path), framework='pt') as file:
            yield file
    except (SafetensorError, OSError, UnicodeDecodeError) as error:
        reason = getattr(error, 'strerror', None) or shown(str(error))[1:-1]
        raise TensorFileError(f'{path}: not readable as safetensors ({reason})') from None


def read_tensors(path):
    """{name: tensor} on the CPU of a safetensors file, or of a state dict that torch.save wrote (.pth).

    Nothing in the file is run: torch's restricted unpickler admits tensors and plain containers alone. Raises
    TensorFileError for anything else, and for tensors that are larger than the file.
    """
    path = Path(path)
    size = _size(path)
    if _start(path, 9)[8:] == b'{':
        with open_safetensors(path) as file:
            return {name: file.get_tensor(name) for name in file.keys()}
    content = _load_pth(path, size)
    if isinstance(content, dict) and isinstance(content.get('state_dict'), dict):
        content = content['state_dict']
    if not isinstance(content, dict) or not content:
        raise TensorFileError(f'{path}: holds {shown(type(content).__name__)}, expected a state dict')
    for name, tensor in content.items():
        if not isinstance(name, str) or type(tensor) not in (torch.Tensor, torch.nn.Parameter):
            kind = shown(type(tensor).__name__)
            raise TensorFileError(f'{path}: {shown(name)} is of type {kind}, expected a state dict of tensors')
        if tensor.is_sparse or tensor.is_quantized or tensor.is_meta or tensor.layout != torch.strided:
            raise TensorFileError(f'{path}: {shown(name)} is not a plain tensor')
        # A few bytes repeated by strides of zero pass for terabytes.
        if tensor.numel() * tensor.element_size() > min(size, tensor.untyped_storage().nbytes()):
            raise TensorFileError(f'{path}: {shown(name)} {tuple(tensor.shape)} is larger than the file')
    return {name: tensor.detach() for name, tensor in content.items()}


def _load_pth(path, size):
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if sum(item.file_size for item in archive.infolist()) > size:  # torch stores without compression
                    raise TensorFileError(f'{path}: unpacks to more than it holds')
        return torch.load(path, map_location='cpu', weights_only=True)
    except TensorFileError:
        raise
    except pickle.UnpicklingError as error:
        named = re.search(r'GLOBAL ([\w.]{1,100})', str(error))
        reason = f'refused: it names {named[1]}, and only tensors are read' if named else 'damaged, or not only tensors'
        raise TensorFileError(f'{path}: {reason}') from None
    except Exception as error:  # a damaged file raises nearly anything
        reason = shown(str(error).strip().partition('\n')[0])[1:-1] or type(error).__name__
        raise TensorFileError(f"{path}: not readable as safetensors or as torch's .pth ({reason})") from None


def _start(path, count):
    try:
        with path.open('rb') as file:
            return file.read(count)
    except OSError as error:
        raise TensorFileError(f'{path}: {error.strerror or error}') from None


def _size(path):
    """The bytes of a regular file of an acceptable size (a pipe would be waited for)."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise TensorFileError(f'{path}: {error.strerror or error}') from None
    if not path.is_file():
        raise TensorFileError(f'{path}: not a file')
    if size > LARGEST_FILE:
        raise TensorFileError(f'{path}: too large ({size} bytes, at most {LARGEST_FILE})')
    return size
