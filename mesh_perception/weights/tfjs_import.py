"""TF.js graph models (a JSON graph and a file of weights, NHWC) to the graph of `graph.py`: what MoveNet and NanoDet
use.

The files mix NHWC operators with transposes; here every image is kept as NCHW and only its *name* in the file is
remembered, so that the transposes vanish. Shapes are followed for the model's nominal input size, which decides
paddings; see `import_tfjs`.
"""

import base64
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mesh_perception.weights.graph import Graph, NetworkFileError, Node, simplify
from mesh_perception.weights.tflite_import import same_padding

_CHANNELS_LAST, _CHANNELS_FIRST = 'NHWC', 'NCHW'
_ROWS, _ROWS_TRANSPOSED = 'NLC', 'NCL'
_TRANSPOSED = {
    (_CHANNELS_LAST, (0, 3, 1, 2)): _CHANNELS_FIRST,
    (_CHANNELS_FIRST, (0, 2, 3, 1)): _CHANNELS_LAST,
    (_ROWS_TRANSPOSED, (0, 2, 1)): _ROWS,
}
_WEIGHT_TYPES = {'float32': np.dtype('<f4'), 'float16': np.dtype('<f2'), 'int32': np.dtype('<i4')}
_FUSED = {'Relu': 'relu', 'Relu6': 'relu6'}


@dataclass(frozen=True)
class _Image:
    """A value of the graph: its name there, how the file lays it out, and its channels, height and width at the
    nominal size."""

    name: str
    layout: str
    shape: tuple[int, int, int]


@dataclass(frozen=True)
class _Size:
    """Height and width of an image, times a factor: what up-sampling layers compute."""

    image: _Image
    factor: float = 1.0


def import_tfjs(
    model: bytes, weights: bytes, outputs: Sequence[str], layout: str, size: tuple[int, int], where: str
) -> Graph:
    """The graph that computes the nodes named `outputs` (in that order), images as NCHW, of a TF.js graph model.

    `model` is the JSON file, `weights` the binary one; `layout` ('NHWC' or 'NCHW') is how the file takes its image
    and `size` its nominal (height, width). The result is valid for every size that divides by the network's stride if
    the nominal one does. Nodes that the outputs do not need are not read. Raises NetworkFileError for damaged files
    and for operators that are not supported; `where` names the file.
    """
    try:
        document = json.loads(model)
        constants = _read_weights(document['weightsManifest'], weights, where)
        graph = _Importer(document['modelTopology']['node'], constants, layout, size, where).run(outputs)
    except NetworkFileError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise NetworkFileError(
            f'{where}: not a readable TF.js graph model ({type(error).__name__}: {error})'
        ) from error
    return simplify(graph.check(where)).check(where)


def _read_weights(manifest: list, data: bytes, where: str) -> dict[str, np.ndarray]:
    arrays, offset = {}, 0
    for entry in (weight for group in manifest for weight in group['weights']):
        stored = entry.get('quantization', {}).get('dtype', entry['dtype'])
        if stored not in _WEIGHT_TYPES or any(not isinstance(n, int) or n < 0 for n in entry['shape']):
            raise NetworkFileError(f'{where}: unsupported TF.js weight {entry["name"]!r} ({stored}, {entry["shape"]})')
        count = math.prod(entry['shape'])
        if offset + count * _WEIGHT_TYPES[stored].itemsize > len(data):
            raise NetworkFileError(f'{where}: the file of weights ends within {entry["name"]!r}')
        arrays[entry['name']] = np.frombuffer(data, _WEIGHT_TYPES[stored], count, offset).reshape(entry['shape'])
        offset += arrays[entry['name']].nbytes
    if offset != len(data):
        raise NetworkFileError(f'{where}: the file of weights has {len(data)} bytes where {offset} are described')
    return arrays


class _Importer:
    def __init__(self, nodes: list, constants: dict[str, np.ndarray], layout: str, size: tuple[int, int], where: str):
        self.entries = {entry['name']: entry for entry in nodes}
        self.values: dict[str, object] = dict(constants)
        self.layout, self.size, self.where = layout, size, where
        self.nodes: dict[str, Node] = {}
        self.tensors: dict[str, torch.Tensor] = {}
        self.input = ''

    def run(self, outputs: Sequence[str]) -> Graph:
        if absent := [name for name in outputs if name not in self.entries]:
            raise NetworkFileError(f'{self.where}: has no node {absent[0]!r}')
        for name in self.order(outputs):
            self.values[name] = self.read(self.entries[name])
        results = [self.values[name] for name in outputs]
        if any(not isinstance(value, _Image) or value.layout == _ROWS_TRANSPOSED for value in results):
            raise NetworkFileError(f'{self.where}: an output is neither an image nor rows of one')
        return Graph(self.input, tuple(value.name for value in results), tuple(self.nodes.values()), self.tensors)

    def order(self, outputs: Sequence[str]) -> list[str]:
        """Names of the nodes that `outputs` need and that are not constants, each behind what it needs."""
        done: dict[str, None] = {}
        open_names: set[str] = set()
        stack = list(reversed(outputs))
        while stack:
            name = stack[-1]
            needs = [need for need in self.inputs(self.entries[name]) if need not in self.values and need not in done]
            if name in done or not needs:
                done.setdefault(stack.pop())
                continue
            if name in open_names:
                raise NetworkFileError(f'{self.where}: node {name!r} depends on itself')
            open_names.add(name)
            stack.extend(needs)
        return list(done)

    def inputs(self, entry: dict) -> list[str]:
        return [name.partition(':')[0] for name in entry.get('input', []) if not name.startswith('^')]

    def read(self, entry: dict):
        op, name = entry['op'], entry['name']
        build = getattr(self, f'_read_{op.lstrip("_").lower()}', None)
        if build is None:
            raise NetworkFileError(f'{self.where}: unsupported TF.js operator {op}')
        inputs = []
        for source in entry.get('input', []):
            base, _, number = source.partition(':')
            value = self.values[base]
            inputs.append(value[int(number or 0)] if isinstance(value, tuple) else value)
        result = build(entry, *inputs)
        if result is None:
            raise NetworkFileError(f'{self.where}: unsupported use of TF.js operator {op} in {name!r}')
        return result

    def emit(
        self, entry: dict, op: str, sources: Sequence[_Image], shape, layout: str, suffix='', **attributes
    ) -> _Image:
        name = entry['name'] + suffix
        self.nodes[name] = Node(op, tuple(source.name for source in sources), name, attributes)
        return _Image(name, layout, tuple(shape))

    def store(self, name: str, array: np.ndarray) -> str:
        if not np.isfinite(array).all():
            raise NetworkFileError(f'{self.where}: tensor {name!r} holds values that are not finite')
        self.tensors[name] = torch.from_numpy(np.array(array))
        return name

    # --- one method an operator; None means that this use of it is not supported

    def _read_placeholder(self, entry):
        self.input = entry['name']
        return _Image(entry['name'], self.layout, (3, *self.size))

    def _read_cast(self, entry, x):
        return x

    _read_identity = _read_cast

    def _convolution(self, entry, x, weight: np.ndarray, groups: int, bias: np.ndarray, fused: list[str]):
        strides, dilations = _attribute(entry, 'strides'), _attribute(entry, 'dilations', [1, 1, 1, 1])
        padding, kernel = _attribute(entry, 'padding'), weight.shape[2:]
        if x.layout != _CHANNELS_LAST or _attribute(entry, 'data_format', 'NHWC') != 'NHWC' or set(dilations) != {1}:
            return None
        if padding not in ('SAME', 'VALID') or fused not in (
            [],
            ['BiasAdd'],
            ['BiasAdd', 'Relu'],
            ['BiasAdd', 'Relu6'],
        ):
            return None
        stride = strides[1:3]
        pad = same_padding(x.shape[1:], kernel, stride) if padding == 'SAME' else [0, 0, 0, 0]
        name = entry['name']
        return self.emit(
            entry,
            'conv',
            [x],
            (weight.shape[0], *_window(x.shape[1:], kernel, stride, pad)),
            x.layout,
            weight=self.store(f'{name}.weight', weight),
            bias=self.store(f'{name}.bias', bias),
            stride=stride,
            pad=pad,
            groups=groups,
            activation=_FUSED[fused[1]] if len(fused) == 2 else 'none',
        )

    def _read_conv2d(self, entry, x, weight):
        bias = np.zeros(weight.shape[3], weight.dtype)
        return self._convolution(entry, x, weight.transpose(3, 2, 0, 1), 1, bias, [])

    def _read_fusedconv2d(self, entry, x, weight, bias):
        return self._convolution(entry, x, weight.transpose(3, 2, 0, 1), 1, bias, _attribute(entry, 'fused_ops'))

    def _read_depthwiseconv2dnative(self, entry, x, weight):
        return self._read_fuseddepthwiseconv2dnative(
            entry, x, weight, np.zeros(weight.shape[2] * weight.shape[3], weight.dtype)
        )

    def _read_fuseddepthwiseconv2dnative(self, entry, x, weight, bias):
        channels = weight.shape[2]
        weight = weight.transpose(2, 3, 0, 1).reshape(-1, 1, *weight.shape[:2])
        return self._convolution(entry, x, weight, channels, bias, _attribute(entry, 'fused_ops', []))

    def _read_add(self, entry, a, b):
        if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
            return a + b
        if isinstance(b, np.ndarray):
            maker = self.nodes.get(a.name)
            if b.size == 1 or maker is None or maker.op != 'conv':
                return self._scale(entry, a, 1.0, b)
            if (
                b.shape != (a.shape[0],)
                or a.layout != _CHANNELS_LAST
                or maker.attributes['activation'] != 'none'
                or not self.only_use(a, entry)
            ):
                return None
            self.store(maker.attributes['bias'], self.tensors[maker.attributes['bias']].numpy() + b)
            return a
        if not isinstance(a, _Image) or a.layout != b.layout or a.shape != b.shape:
            return None
        return self.emit(entry, 'add', [a, b], a.shape, a.layout, activation='none')

    _read_addv2 = _read_add

    def only_use(self, image: _Image, entry: dict) -> bool:
        users = [other for other in self.entries.values() if image.name in self.inputs(other)]
        return len(users) == 1 and users[0] is entry

    def _scale(self, entry, x, factor, offset):
        factor, offset = np.unique(factor), np.unique(offset)
        if not isinstance(x, _Image) or factor.size != 1 or offset.size != 1:
            return None
        return self.emit(entry, 'scale', [x], x.shape, x.layout, factor=float(factor[0]), offset=float(offset[0]))

    def _read_sub(self, entry, x, y):
        return self._scale(entry, x, 1.0, -y) if isinstance(y, np.ndarray) else None

    def _read_mul(self, entry, x, y):
        if isinstance(x, _Size) and isinstance(y, np.ndarray) and y.shape == (2,) and y[0] == y[1]:
            return _Size(x.image, x.factor * float(y[0]))
        return self._scale(entry, x, y, 0.0) if isinstance(y, np.ndarray) else None

    def _read_shape(self, entry, x):
        return _Size(x) if x.layout == _CHANNELS_LAST else None

    def _read_stridedslice(self, entry, size, begin, end, step):
        masks = [
            _attribute(entry, f'{kind}_mask', 0) for kind in ('begin', 'end', 'ellipsis', 'new_axis', 'shrink_axis')
        ]
        image_part = (
            isinstance(size, _Size)
            and (begin.tolist(), end.tolist(), step.tolist()) == ([1], [3], [1])
            and not any(masks)
        )
        return size if image_part else None

    def _read_resizebilinear(self, entry, x, size):
        if (
            x.layout != _CHANNELS_LAST
            or _attribute(entry, 'align_corners', False)
            or not _attribute(entry, 'half_pixel_centers', False)
        ):
            return None
        if isinstance(size, _Size):
            factors = {size.factor} if size.image.shape[1:] == x.shape[1:] else set()
        else:
            factors = {new / old for new, old in zip(size.tolist(), x.shape[1:], strict=True)}
        if len(factors) != 1:
            return None
        factor = factors.pop()
        return self.emit(
            entry, 'resize', [x], (x.shape[0], *(round(n * factor) for n in x.shape[1:])), x.layout, factor=factor
        )

    def _read_maxpool(self, entry, x):
        kernel, stride, padding = (
            _attribute(entry, 'ksize')[1:3],
            _attribute(entry, 'strides')[1:3],
            _attribute(entry, 'padding'),
        )
        if x.layout != _CHANNELS_LAST or padding not in ('SAME', 'VALID'):
            return None
        pad = same_padding(x.shape[1:], kernel, stride) if padding == 'SAME' else [0, 0, 0, 0]
        shape = (x.shape[0], *_window(x.shape[1:], kernel, stride, pad))
        return self.emit(entry, 'max_pool', [x], shape, x.layout, kernel=kernel, stride=stride, pad=pad)

    def _read_pad(self, entry, x, pads, value=0.0):
        sides = dict(zip(x.layout, pads.tolist(), strict=True))
        if sides['N'] != [0, 0] or sides['C'] != [0, 0]:
            return None
        shape = (x.shape[0], x.shape[1] + sum(sides['H']), x.shape[2] + sum(sides['W']))
        value = '-inf' if value == -np.inf else float(value)
        return self.emit(entry, 'pad', [x], shape, x.layout, pad=sides['H'] + sides['W'], channels=0, value=value)

    _read_padv2 = _read_pad

    def _read_leakyrelu(self, entry, x):
        return self.emit(
            entry, 'activation', [x], x.shape, x.layout, activation=f'leaky:{_attribute(entry, "alpha", 0.2)}'
        )

    def _read_sigmoid(self, entry, x):
        return self.emit(entry, 'sigmoid', [x], x.shape, x.layout)

    def _read_transpose(self, entry, x, order):
        layout = _TRANSPOSED.get((x.layout, tuple(order.tolist())))
        return _Image(x.name, layout, x.shape) if layout else None

    def _read_concatv2(self, entry, *inputs):
        *images, axis = inputs
        if len({image.layout for image in images}) != 1 or images[0].layout[int(axis)] != 'C':
            return None
        return self.emit(
            entry, 'concat', images, (sum(i.shape[0] for i in images), *images[0].shape[1:]), images[0].layout
        )

    def _read_splitv(self, entry, x, lengths, axis):
        if x.layout[int(axis)] != 'C' or lengths.sum() != x.shape[0]:
            return None
        stops = np.cumsum(lengths).tolist()
        return tuple(
            self.emit(entry, 'channels', [x], (stop - start, *x.shape[1:]), x.layout, f':{i}', start=start, stop=stop)
            for i, (start, stop) in enumerate(zip([0, *stops], stops, strict=False))
        )

    def _read_sparsetodense(self, entry, indices, shape, values, default):
        # left over from ONNX's "0 keeps this size", which these models never use
        return np.full(shape.tolist(), default) if indices.size == 0 and shape.size == 1 and shape[0] < 16 else None

    def _read_reshape(self, entry, x, shape):
        if not isinstance(x, _Image) or x.layout != _CHANNELS_FIRST or shape.tolist() != [1, x.shape[0], -1]:
            return None
        return self.emit(entry, 'rows', [x], x.shape, _ROWS_TRANSPOSED)


def _window(size, kernel, stride, pad) -> list[int]:
    return [(n + a + b - k) // s + 1 for n, k, s, a, b in zip(size, kernel, stride, pad[::2], pad[1::2], strict=True)]


def _attribute(entry: dict, name: str, default=None):
    """An attribute of a TensorFlow node in its JSON form, where bytes are base64 and integers are strings."""
    if name not in entry.get('attr', {}):
        return default
    ((kind, value),) = entry['attr'][name].items()
    if kind == 'list':
        return [_plain(kind, item) for kind, items in value.items() for item in items]
    return _plain(kind, value)


def _plain(kind: str, value):
    if kind == 's':
        return base64.b64decode(value, validate=True).decode()
    return int(value) if kind == 'i' else value
