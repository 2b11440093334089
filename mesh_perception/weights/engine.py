"""Runs the graphs of `graph.py` as torch modules: any batch size, CPU and CUDA, float32 and half precision.

On the CPU the convolutions go through oneDNN's fused operators, the ones that torch's own compiler emits, with their
weights laid out once: nothing is compiled, so a new batch or image size costs nothing extra. Where torch lacks them,
its plain operators run instead.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mesh_perception.weights.graph import Graph, Node


class GraphModule(nn.Module):
    """The network of one graph: (N, C, H, W), N >= 1, in; a list with one float32 tensor for each output out.

    `dtype` is what the body runs in; the last convolution before each output and all behind it run in float32, because
    the outputs are coordinates that half precision cannot hold (256 px in bfloat16 are known to 1 px).
    """

    def __init__(self, graph: Graph, dtype: torch.dtype = torch.float32):
        super().__init__()
        self.graph, self.dtype = graph, dtype
        exact = _behind_last_convolution(graph)
        self.steps = []
        for index, node in enumerate(graph.nodes):
            kind = torch.float32 if node.output in exact else dtype
            if node.op == 'conv':
                weight, pad = _symmetric(graph.tensors[node.attributes['weight']], node.attributes['pad'])
                weight = weight.to(kind).contiguous(memory_format=torch.channels_last)
                self.register_buffer(f'weight_{index}', weight, persistent=False)
                bias = graph.tensors[node.attributes['bias']].to(kind, copy=True)
                self.register_buffer(f'bias_{index}', bias, persistent=False)
                node = replace(node, attributes={**node.attributes, 'pad': pad})
            self.steps.append((index, node, kind))
        self.finished = _last_uses(graph)
        self.packed: dict[int, tuple[tuple, Callable]] = {}

    def _apply(self, fn, recurse=True):
        self.packed = {}  # made again from the weights wherever these go
        return super()._apply(fn, recurse)

    @torch.inference_mode()
    def forward(self, images: Tensor) -> list[Tensor]:
        fused = images.device.type == 'cpu' and _fused_kinds()
        values = {self.graph.input: images.to(self.dtype).contiguous(memory_format=torch.channels_last)}
        for index, node, kind in self.steps:
            inputs = [v if v.dtype is kind else v.to(kind) for v in map(values.__getitem__, node.inputs)]
            if node.op == 'conv':
                convolve = self._convolve_fused if fused and kind in fused else self._convolve
                values[node.output] = convolve(index, node.attributes, *inputs)
            else:
                values[node.output] = _run(node, inputs)
            for name in self.finished[index]:
                del values[name]
        return [values[name].float() for name in self.graph.outputs]

    def _convolve(self, index: int, attributes: dict, x: Tensor, other: Tensor | None = None) -> Tensor:
        weight, bias = getattr(self, f'weight_{index}'), getattr(self, f'bias_{index}')
        x = F.conv2d(x, weight, bias, attributes['stride'], attributes['pad'], 1, attributes['groups'])
        return _activate_(x if other is None else x.add_(other), attributes['activation'])

    def _convolve_fused(self, index: int, attributes: dict, x: Tensor, other: Tensor | None = None) -> Tensor:
        # The best layout depends on the image's size, but hardly on how many there are, unless it is one.
        key = len(x) > 1, x.shape[2], x.shape[3]
        known, convolve = self.packed.get(index, (None, None))
        if known != key:
            convolve = self._prepare(index, attributes, x, other is not None)
            self.packed[index] = key, convolve
        return convolve(x) if other is None else convolve(x, other)

    def _prepare(self, index: int, attributes: dict, x: Tensor, adds: bool) -> Callable:
        """The fused convolution as a function, its weights laid out for images like x: what can be looked up once is,
        because a small network's steps are as short as the looking up."""
        shape = (attributes['pad'], attributes['stride'], (1, 1), attributes['groups'])
        weight = getattr(self, f'weight_{index}').contiguous()
        weight = torch.ops.mkldnn._reorder_convolution_weight(weight, *shape, x.shape)
        bias, (kind, _, slope) = getattr(self, f'bias_{index}'), attributes['activation'].partition(':')
        alone = torch.ops.mkldnn._convolution_pointwise.default
        adding = torch.ops.mkldnn._convolution_pointwise.binary
        if not adds:
            how = {'none': ('none', []), 'relu': ('relu', []), 'relu6': ('hardtanh', [0.0, 6.0])}.get(kind)
            how = how or ('leaky_relu', [float(slope)])
            return lambda x: alone(x, weight, bias, *shape, *how, '')
        if kind in ('none', 'relu'):
            behind = None if kind == 'none' else kind
            return lambda x, other: adding(x, other, weight, bias, *shape, 'add', None, behind, [], None)
        activation = attributes['activation']
        return lambda x, other: _activate_(alone(x, weight, bias, *shape, 'none', [], '').add_(other), activation)


def _run(node: Node, inputs: list[Tensor]) -> Tensor:
    """One operator other than a convolution; never changes its inputs."""
    x, attributes = inputs[0], node.attributes
    match node.op:
        case 'add':
            return _activate_(x + inputs[1], attributes['activation'])
        case 'scale':
            return x * attributes['factor'] + attributes['offset']
        case 'pad':
            top, bottom, left, right = attributes['pad']
            return F.pad(x, (left, right, top, bottom, 0, attributes['channels']), value=float(attributes['value']))
        case 'max_pool':
            top, bottom, left, right = attributes['pad']
            if (top, left) != (bottom, right):
                x, top, left = F.pad(x, (left, right, top, bottom), value=float('-inf')), 0, 0
            return F.max_pool2d(x, attributes['kernel'], attributes['stride'], (top, left))
        case 'resize':
            return F.interpolate(x, scale_factor=attributes['factor'], mode='bilinear', align_corners=False)
        case 'activation':
            return _activate_(x.clone(), attributes['activation'])
        case 'sigmoid':
            return torch.sigmoid(x)
        case 'concat':
            return torch.cat(inputs, 1)
        case 'channels':
            return x[:, attributes['start'] : attributes['stop']]
        case 'flatten':
            return x.flatten(1)
        case 'rows':
            return x.flatten(2).transpose(1, 2)
    raise NotImplementedError(node.op)


def _activate_(x: Tensor, activation: str) -> Tensor:
    kind, _, slope = activation.partition(':')
    if kind == 'relu6':
        return F.hardtanh_(x, 0.0, 6.0)
    if kind == 'relu':
        return x.relu_()
    if kind == 'leaky':
        return F.leaky_relu_(x, float(slope))
    return x


_FUSED_KINDS: tuple[torch.dtype, ...] | None = None


def _fused_kinds() -> tuple[torch.dtype, ...]:
    """The types in which this machine's torch has the fused convolutions; found out once by trying them."""
    global _FUSED_KINDS
    if _FUSED_KINDS is None:
        kinds = []
        for kind in (torch.float32, torch.bfloat16, torch.float16):
            try:
                x, weight = torch.ones(1, 16, 4, 4, dtype=kind), torch.ones(16, 16, 1, 1, dtype=kind)
                shape = ([0, 0], [1, 1], [1, 1], 1)
                packed = torch.ops.mkldnn._reorder_convolution_weight(weight, *shape)
                y = torch.ops.mkldnn._convolution_pointwise(x, packed, None, *shape, 'hardtanh', [0.0, 6.0], '')
                z = torch.ops.mkldnn._convolution_pointwise.binary(
                    x, x, packed, None, *shape, 'add', None, 'relu', [], None
                )
                if y.sum() == 6 * 256 and z.sum() == 17 * 256:
                    kinds.append(kind)
            except (AttributeError, RuntimeError, TypeError):
                pass
        _FUSED_KINDS = tuple(kinds)
    return _FUSED_KINDS


def _symmetric(weight: Tensor, pad: list[int]) -> tuple[Tensor, tuple[int, int]]:
    """A kernel that needs as much padding in front as behind, and that padding: zeros in front of the kernel do not
    change the convolution, and a little arithmetic is cheaper than a padded copy of the image."""
    top, bottom, left, right = pad
    front = (max(right - left, 0), max(left - right, 0), max(bottom - top, 0), max(top - bottom, 0))
    return F.pad(weight, front), (max(top, bottom), max(left, right))


def _behind_last_convolution(graph: Graph) -> set[str]:
    """Names of the outputs' last convolutions and of all nodes behind these."""
    names, waiting = set(), list(graph.outputs)
    makers = {node.output: node for node in graph.nodes}
    while waiting:
        node = makers.get(waiting.pop())
        if node and node.output not in names:
            names.add(node.output)
            if node.op != 'conv':
                waiting.extend(node.inputs)
    return names


def _last_uses(graph: Graph) -> list[tuple[str, ...]]:
    """For each node the values that nothing needs after it."""
    last = {name: index for index, node in enumerate(graph.nodes) for name in node.inputs}
    return [
        tuple(name for name in dict.fromkeys(node.inputs) if last[name] == index and name not in graph.outputs)
        for index, node in enumerate(graph.nodes)
    ]
