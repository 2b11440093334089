"""Darknet's `.weights` files: what trained YOLO networks come in.

A file is a header (int32 major, minor, revision; then the number of images seen in training, uint64 since version
0.2, uint32 before), and for each convolution float32 numbers: biases, then with batch normalisation scales, means and
variances, then weights (outputs, inputs, height, width). All little-endian. There are no names and no shapes in it:
only the number of bytes tells that a file belongs to a network, so it must match exactly.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mesh_perception.detection.yolov4 import Convolution, convolutions

_VERSION = np.dtype([('major', '<i4'), ('minor', '<i4'), ('revision', '<i4')])
_WRITTEN = (0, 2, 5)  # the version that YOLOv4's authors wrote


def read_weights(path, network: nn.Module) -> int:
    """Fills the network's `Convolution`s from the file; returns how many images its training had seen.

    Raises ValueError, in one line that names the file, where it is none, has another header than version 0.1 or 0.2,
    another number of bytes than the network needs, or numbers that are not finite or, as variances, negative.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f'{path}: no such file, expected Darknet weights')
    tensors = [tensor for layer in convolutions(network) for tensor in _tensors(layer)]
    size = path.stat().st_size
    with path.open('rb') as file:
        seen = _read_header(path, file, size)
        expected = file.tell() + 4 * sum(tensor.numel() for tensor in tensors)
        if size != expected:
            raise ValueError(f'{path}: {size} bytes, expected {expected} for this network')
        with torch.no_grad():
            for tensor in tensors:
                tensor.copy_(torch.from_numpy(_read(path, file, tensor.numel())).view_as(tensor))
    for layer in convolutions(network):
        _check(path, layer)
    return seen


def write_weights(path, network: nn.Module, seen: int = 0) -> None:
    """Writes the network's `Convolution`s as a file of version 0.2. Raises ValueError for a fused network."""
    with Path(path).open('wb') as file:
        file.write(np.array(_WRITTEN, '<i4').tobytes() + np.array(seen, '<u8').tobytes())
        for layer in convolutions(network):
            for tensor in _tensors(layer):
                file.write(np.ascontiguousarray(tensor.detach().cpu().float().numpy(), '<f4'))


def _tensors(layer: Convolution) -> list[Tensor]:
    """A convolution's tensors in the file's order. Raises ValueError for one whose normalisation has been fused."""
    plain, norm = layer.convolution, layer.norm
    if norm is None and layer.activation != 'linear':
        raise ValueError('Darknet weights: the network is fused, expected one with its batch normalisation')
    if norm is None:
        return [plain.bias, plain.weight]
    return [norm.bias, norm.weight, norm.running_mean, norm.running_var, plain.weight]


def _read_header(path: Path, file, size: int) -> int:
    """Leaves the file behind its header; returns the number of images seen."""
    start = file.read(_VERSION.itemsize)
    if len(start) < _VERSION.itemsize:
        raise ValueError(f'{path}: {size} bytes, expected at least {_VERSION.itemsize} of a Darknet header')
    major, minor, revision = np.frombuffer(start, _VERSION)[0].item()
    if major != 0 or minor not in (1, 2) or not 0 <= revision < 100:
        raise ValueError(
            f'{path}: starts as version {major}.{minor}.{revision}, expected Darknet weights of version 0.1 or 0.2'
        )
    counter = file.read(8 if minor == 2 else 4)
    return int.from_bytes(counter, 'little')


def _read(path: Path, file, count: int) -> np.ndarray:
    """`count` float32 numbers in this machine's byte order."""
    numbers = np.frombuffer(file.read(4 * count), '<f4')
    if len(numbers) != count:
        raise ValueError(f'{path}: became shorter while it was read')
    return numbers.astype(np.float32)  # a copy that may be written to, as torch wants it


def _check(path: Path, layer: Convolution) -> None:
    """Raises ValueError for numbers that no training leaves."""
    if not all(tensor.isfinite().all() for tensor in _tensors(layer)):
        raise ValueError(f'{path}: holds numbers that are not finite, expected those of a trained network')
    if layer.norm is not None and (layer.norm.running_var < 0).any():
        raise ValueError(f'{path}: holds negative variances, expected those of a trained network')
