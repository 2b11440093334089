"""Runs the graphs of `graph.py` as torch modules: any batch size, CPU and CUDA, float32 and half precision."""

import torch
import torch.nn.functional as F
from torch import nn

from mesh_perception.weights.graph import Graph


class GraphModule(nn.Module):
    """The network of one graph: (N, C, H, W) in, a list with one tensor for each output out.

    `dtype` is what the body runs in; the last convolution before each output and all behind it run in float32, because the outputs are
    coordinates that half precision cannot hold (256 px in bfloat16 are known to 1 px). Outputs are float32.
    """

    def __init__(self, graph: Graph, dtype: torch.dtype = torch.float32):
        super().__init__()
        self.graph, self.dtype = graph, dtype
        exact = _behind_last_convolution(graph)
        for index, node in enumerate(graph.nodes):
            if node.op == 'conv':
                kind = torch.float32 if node.output in exact else dtype
                for key in ('weight', 'bias'):
                    tensor = graph.tensors[node.attributes[key]].to(kind)
                    if key == 'weight':
                        tensor = tensor.contiguous(memory_format=torch.channels_last)
                    self.register_buffer(f'{key}_{index}', tensor, persistent=False)
        self.steps = _plan(graph, exact, dtype)

    @torch.inference_mode()
    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        values = {self.graph.input: images.to(self.dtype).contiguous(memory_format=torch.channels_last)}
        for index, (node, kind, finished) in enumerate(self.steps):
            inputs = [values[name].to(kind) for name in node.inputs]
            values[node.output] = self._run(index, node, inputs)
            for name in finished:
                del values[name]
        return [values[name].float() for name in self.graph.outputs]

    def _run(self, index: int, node, inputs: list[torch.Tensor]) -> torch.Tensor:
        attributes = node.attributes
        x = inputs[0]
        match node.op:
            case 'conv':
                top, bottom, left, right = attributes['pad']
                if (top, left) != (bottom, right):
                    x, top, left = F.pad(x, (left, right, top, bottom)), 0, 0
                weight, bias = getattr(self, f'weight_{index}'), getattr(self, f'bias_{index}')
                x = F.conv2d(x, weight, bias, attributes['stride'], (top, left), groups=attributes['groups'])
                return _activate_(x, attributes['activation'])
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
            case _:
                raise NotImplementedError(node.op)


def _activate_(x: torch.Tensor, activation: str) -> torch.Tensor:
    kind, _, slope = activation.partition(':')
    if kind == 'relu6':
        return F.hardtanh_(x, 0.0, 6.0)
    if kind == 'relu':
        return x.relu_()
    if kind == 'leaky':
        return F.leaky_relu_(x, float(slope))
    return x


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


def _plan(graph: Graph, exact: set[str], dtype: torch.dtype) -> list:
    """Each node with the type it runs in and the values that are not needed after it."""
    last: dict[str, int] = {}
    for index, node in enumerate(graph.nodes):
        for name in node.inputs:
            last[name] = index
    steps = []
    for index, node in enumerate(graph.nodes):
        finished = {name for name in node.inputs if last[name] == index} - set(graph.outputs)
        steps.append((node, torch.float32 if node.output in exact else dtype, tuple(finished)))
    return steps
