"""TFLite (flatbuffers, frozen for one image, NHWC) to the graph of `graph.py`: what BlazePose's files use, and a
clear refusal of the rest."""

import struct
from collections.abc import Sequence

import numpy as np
import tflite
import torch

from mesh_perception.weights.graph import Graph, NetworkFileError, Node, simplify

_ACTIVATIONS = {0: 'none', 1: 'relu', 3: 'relu6'}
_TYPES = {0: np.float32, 1: np.float16, 2: np.int32}
_NAMES = {value: name for name, value in vars(tflite.BuiltinOperator).items() if name.isupper()}


def import_tflite(data: bytes, outputs: Sequence[str], where: str) -> Graph:
    """The graph that computes the tensors named `outputs` (in that order) of the TFLite model in `data`.

    Branches that these outputs do not need are not even read. `where` names the file in messages.
    Raises NetworkFileError for a damaged file, an operator that is not supported, or an output that is not there.
    """
    try:
        return _Importer(data, where).run(outputs)
    except NetworkFileError:
        raise
    except (
        struct.error,
        IndexError,
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        OverflowError,
        MemoryError,
    ) as error:
        raise NetworkFileError(f'{where}: not a readable TFLite file ({type(error).__name__}: {error})') from error


class _Importer:
    def __init__(self, data: bytes, where: str):
        if data[4:8] != b'TFL3':
            raise NetworkFileError(f'{where}: not a TFLite file')
        self.where, self.size = where, len(data)
        self.model = tflite.Model.GetRootAsModel(data, 0)
        if self.model.SubgraphsLength() != 1 or self.model.Subgraphs(0).InputsLength() != 1:
            raise NetworkFileError(f'{where}: expected one graph with one input')
        self.graph = self.model.Subgraphs(0)
        if max(self.graph.OperatorsLength(), self.graph.TensorsLength()) > self.size:
            raise NetworkFileError(f'{where}: not a readable TFLite file (impossible counts)')
        self.constants: dict[int, np.ndarray] = {}
        self.tensors: dict[str, torch.Tensor] = {}

    def run(self, outputs: Sequence[str]) -> Graph:
        names = {self.graph.Tensors(int(i)).Name().decode(): int(i) for i in self.graph.OutputsAsNumpy()}
        if absent := [name for name in outputs if name not in names]:
            raise NetworkFileError(f'{self.where}: has no output {absent[0]!r}, only {sorted(names)}')
        operators = [self.graph.Operators(i) for i in range(self.graph.OperatorsLength())]
        wanted, kept = {names[name] for name in outputs}, []
        for operator in reversed(operators):
            if any(int(i) in wanted for i in operator.OutputsAsNumpy()):
                wanted.update(int(i) for i in operator.InputsAsNumpy())
                kept.append(operator)
        nodes = [node for operator in reversed(kept) if (node := self.node(operator))]
        graph = Graph(
            str(self.graph.Inputs(0)), tuple(str(names[name]) for name in outputs), tuple(nodes), self.tensors
        )
        return simplify(graph.check(self.where)).check(self.where)

    def node(self, operator) -> Node | None:
        code = self.model.OperatorCodes(operator.OpcodeIndex())
        # old writers fill only the 8-bit field, new ones both
        name = _NAMES.get(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()), 'CUSTOM')
        inputs, (output,) = [int(i) for i in operator.InputsAsNumpy()], operator.OutputsAsNumpy()
        if name == 'DEQUANTIZE':
            self.constants[int(output)] = self.constant(inputs[0])
            return None
        if (build := getattr(self, f'_{name.lower()}', None)) is None:
            raise NetworkFileError(f'{self.where}: unsupported TFLite operator {name}')
        op, used, attributes = build(operator, inputs)
        return Node(op, tuple(str(i) for i in inputs[:used]), str(output), attributes)

    def shape(self, index: int) -> list[int]:
        return [int(size) for size in self.graph.Tensors(index).ShapeAsNumpy()]

    def constant(self, index: int) -> np.ndarray:
        if index not in self.constants:
            tensor = self.graph.Tensors(index)
            if tensor.Type() not in _TYPES:
                raise NetworkFileError(f'{self.where}: unsupported TFLite tensor type {tensor.Type()}')
            raw = self.model.Buffers(tensor.Buffer()).DataAsNumpy()
            if isinstance(raw, int):
                raise NetworkFileError(f'{self.where}: tensor {index} should be a constant and has no data')
            self.constants[index] = raw.view(_TYPES[tensor.Type()]).reshape(self.shape(index))
        return self.constants[index]

    def store(self, name: str, array: np.ndarray) -> str:
        if not np.isfinite(array).all():
            raise NetworkFileError(f'{self.where}: tensor {name} holds values that are not finite')
        self.tensors[name] = torch.from_numpy(array.copy())
        return name

    def options(self, operator, kind):
        table = operator.BuiltinOptions()
        options = kind()
        options.Init(table.Bytes, table.Pos)
        return options

    def activation(self, options) -> str:
        kind = options.FusedActivationFunction()
        if kind not in _ACTIVATIONS:
            raise NetworkFileError(f'{self.where}: unsupported TFLite activation {kind}')
        return _ACTIVATIONS[kind]

    def padding(self, options, source: int, kernel: Sequence[int], stride: Sequence[int]) -> list[int]:
        if options.Padding() == tflite.Padding.VALID:
            return [0, 0, 0, 0]
        return same_padding(self.shape(source)[1:3], kernel, stride)

    def _convolution(self, options, inputs, weight: np.ndarray, groups: int):
        if (options.DilationHFactor(), options.DilationWFactor()) != (1, 1):
            raise NetworkFileError(f'{self.where}: unsupported TFLite convolution with dilation')
        stride = [options.StrideH(), options.StrideW()]
        return (
            'conv',
            1,
            {
                'weight': self.store(f'{inputs[1]}.weight', weight),
                'bias': self.store(f'{inputs[2]}.bias', self.constant(inputs[2])),
                'stride': stride,
                'pad': self.padding(options, inputs[0], weight.shape[2:], stride),
                'groups': groups,
                'activation': self.activation(options),
            },
        )

    def _conv_2d(self, operator, inputs):
        return self._convolution(
            self.options(operator, tflite.Conv2DOptions), inputs, self.constant(inputs[1]).transpose(0, 3, 1, 2), 1
        )

    def _depthwise_conv_2d(self, operator, inputs):
        weight = self.constant(inputs[1]).transpose(3, 0, 1, 2)
        return self._convolution(
            self.options(operator, tflite.DepthwiseConv2DOptions), inputs, weight, self.shape(inputs[0])[3]
        )

    def _add(self, operator, inputs):
        return 'add', 2, {'activation': self.activation(self.options(operator, tflite.AddOptions))}

    def _pad(self, operator, inputs):
        (n0, n1), (top, bottom), (left, right), (c0, c1) = self.constant(inputs[1]).tolist()
        if n0 or n1 or c0:
            raise NetworkFileError(f'{self.where}: unsupported TFLite padding of the batch or in front of the channels')
        return 'pad', 1, {'pad': [top, bottom, left, right], 'channels': c1, 'value': 0}

    def _max_pool_2d(self, operator, inputs):
        options = self.options(operator, tflite.Pool2DOptions)
        kernel, stride = [options.FilterHeight(), options.FilterWidth()], [options.StrideH(), options.StrideW()]
        return (
            'max_pool',
            1,
            {'kernel': kernel, 'stride': stride, 'pad': self.padding(options, inputs[0], kernel, stride)},
        )

    def _resize_bilinear(self, operator, inputs):
        options = self.options(operator, tflite.ResizeBilinearOptions)
        (height, width), target = self.shape(inputs[0])[1:3], self.constant(inputs[1]).tolist()
        if options.AlignCorners() or not options.HalfPixelCenters() or target[0] * width != target[1] * height:
            raise NetworkFileError(f'{self.where}: unsupported TFLite resize')
        return 'resize', 1, {'factor': target[0] / height}

    def _logistic(self, operator, inputs):
        return 'sigmoid', 1, {}

    def _reshape(self, operator, inputs):
        _, height, width, channels = self.shape(inputs[0])
        if height != 1 or width != 1 or self.shape(int(operator.Outputs(0))) != [1, channels]:
            raise NetworkFileError(f'{self.where}: unsupported TFLite reshape')
        return 'flatten', 1, {}


def same_padding(size: Sequence[int], kernel: Sequence[int], stride: Sequence[int]) -> list[int]:
    """TensorFlow's 'SAME' padding of an image of `size` (height, width) as [top, bottom, left, right]: the odd pixel
    goes behind."""
    totals = [max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in zip(size, kernel, stride, strict=True)]
    return [part for total in totals for part in (total // 2, total - total // 2)]
