"""A small graph language for imported networks: few operators, NCHW, no fixed batch size, kept as one safetensors file.

Every operator works on (N, C, H, W) tensors and never mentions N, so a graph imported from a file that was frozen for
one image runs on any number of images. Padding is explicit: (top, bottom, left, right).
"""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from mesh_perception.tensor_files import checksum, write_safetensors

FORMAT = 'mesh_perception network'

# operator: (possible numbers of inputs, or None for any, and the attributes it must have)
OPERATORS = {
    'conv': ((1, 2), {'weight', 'bias', 'stride', 'pad', 'groups', 'activation'}),
    'add': ((2,), {'activation'}),
    'scale': ((1,), {'factor', 'offset'}),
    'pad': ((1,), {'pad', 'channels', 'value'}),
    'max_pool': ((1,), {'kernel', 'stride', 'pad'}),
    'resize': ((1,), {'factor'}),
    'activation': ((1,), {'activation'}),
    'sigmoid': ((1,), set()),
    'concat': (None, set()),
    'channels': ((1,), {'start', 'stop'}),
    'flatten': ((1,), set()),
    'rows': ((1,), set()),
}
ACTIVATIONS = ('none', 'relu', 'relu6', 'leaky')


class NetworkFileError(ValueError):
    """A network's file is damaged, odd, or uses something that the importer does not know."""


@dataclass(frozen=True)
class Node:
    """One operator: `inputs` are names of earlier outputs, `output` is the name of its own, `attributes` are JSON
    values.

    conv (weight and bias name tensors; a second input is added before the activation), add, scale (x * factor +
    offset), pad (image sides, then zero channels behind), max_pool, resize (bilinear, half-pixel centres),
    activation, sigmoid, concat and channels (along C), flatten (N, C*H*W), rows (N, H*W, C).
    """

    op: str
    inputs: tuple[str, ...]
    output: str
    attributes: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Graph:
    """Nodes in the order of execution, the name of the one input, the names of the outputs, and the constant
    tensors."""

    input: str
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    tensors: dict[str, torch.Tensor]

    def check(self, where: str) -> 'Graph':
        """Return the graph itself if it is well formed, else raise NetworkFileError naming `where` and the fault."""
        known = {self.input}
        for node in self.nodes:
            if node.op not in OPERATORS:
                raise NetworkFileError(f'{where}: unknown operator {node.op!r}')
            counts, attributes = OPERATORS[node.op]
            if set(node.attributes) != attributes or (counts is not None and len(node.inputs) not in counts):
                raise NetworkFileError(f'{where}: malformed {node.op} node {node.output!r}')
            if node.attributes.get('activation', 'none').split(':')[0] not in ACTIVATIONS:
                raise NetworkFileError(f'{where}: unknown activation {node.attributes["activation"]!r}')
            missing = [name for name in node.inputs if name not in known]
            missing += [
                node.attributes[key]
                for key in {'weight', 'bias'} & attributes
                if node.attributes[key] not in self.tensors
            ]
            if missing:
                raise NetworkFileError(
                    f'{where}: node {node.output!r} needs {missing[0]!r}, which nothing makes before it'
                )
            known.add(node.output)
        if lost := [name for name in self.outputs if name not in known]:
            raise NetworkFileError(f'{where}: nothing makes the output {lost[0]!r}')
        return self


def simplify(graph: Graph) -> Graph:
    """Fold paddings into the convolutions behind them, sums and activations into those before, and drop what is
    unused."""
    uses = _count_uses(graph.nodes, graph.outputs)
    renamed: dict[str, str] = {}
    result: dict[str, Node] = {}
    for node in graph.nodes:
        node = replace(node, inputs=tuple(renamed.get(name, name) for name in node.inputs))
        before = result.get(node.inputs[0])
        makers = [result.get(name) for name in node.inputs]
        if (
            node.op == 'conv'
            and before
            and before.op == 'pad'
            and before.attributes['value'] == 0
            and not before.attributes['channels']
        ):
            pad = [a + b for a, b in zip(before.attributes['pad'], node.attributes['pad'], strict=True)]
            node = replace(node, inputs=before.inputs, attributes={**node.attributes, 'pad': pad})
        elif node.op == 'max_pool' and before and before.op == 'pad' and before.attributes['value'] == '-inf':
            pad = [a + b for a, b in zip(before.attributes['pad'], node.attributes['pad'], strict=True)]
            node = replace(node, inputs=before.inputs, attributes={**node.attributes, 'pad': pad})
        elif node.op == 'activation' and before and before.op in ('conv', 'add') and uses[before.output] == 1:
            if before.attributes['activation'] == 'none':
                result[before.output] = replace(before, attributes={**before.attributes, **node.attributes})
                renamed[node.output] = before.output
                uses[before.output] = uses[node.output]
                continue
        elif node.op == 'add' and node.inputs[0] != node.inputs[1]:
            # the later of two summands that only this sum uses: its own inputs are there, and so is the other summand
            order = list(result)
            for maker in sorted(filter(None, makers), key=lambda m: -order.index(m.output)):
                plain = maker.op == 'conv' and maker.attributes['activation'] == 'none' and len(maker.inputs) == 1
                if plain and uses[maker.output] == 1:
                    other = node.inputs[1] if node.inputs[0] == maker.output else node.inputs[0]
                    del result[maker.output]
                    attributes = {**maker.attributes, **node.attributes}
                    node = replace(maker, inputs=(*maker.inputs, other), output=node.output, attributes=attributes)
                    break
        result[node.output] = node
    outputs = tuple(renamed.get(name, name) for name in graph.outputs)
    return drop_unused(Graph(graph.input, outputs, tuple(result.values()), graph.tensors))


def drop_unused(graph: Graph) -> Graph:
    """The graph without the nodes and tensors that no output depends on."""
    wanted, kept = set(graph.outputs), []
    for node in reversed(graph.nodes):
        if node.output in wanted:
            wanted.update(node.inputs)
            kept.append(node)
    names = {node.attributes[key] for node in kept for key in ('weight', 'bias') if key in node.attributes}
    return replace(graph, nodes=tuple(reversed(kept)), tensors={name: graph.tensors[name] for name in sorted(names)})


def save_graph(graph: Graph, path: Path, version: int, source: str) -> None:
    """Write `graph` to `path` in one step, with a checksum; a reader or another writer never sees half a file.

    `version` is the importer's, `source` the sha256 of what was imported; `load_graph` asks for both.
    """
    text = _to_json(graph)
    metadata = {
        'format': FORMAT,
        'version': str(version),
        'source': source,
        'graph': text,
        'sha256': checksum(text, graph.tensors),
    }
    write_safetensors(path, graph.tensors, metadata)


def load_graph(path: Path, version: int, source: str) -> Graph:
    """Read what `save_graph` wrote. NetworkFileError if it is damaged, or of another version or source."""
    try:
        with safe_open(path, framework='pt') as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError, ValueError) as error:
        raise NetworkFileError(f'{path}: not a readable network file ({error})') from error
    if (metadata.get('format'), metadata.get('version'), metadata.get('source')) != (FORMAT, str(version), source):
        raise NetworkFileError(f'{path}: not version {version} of this network')
    text = metadata.get('graph', '')
    if metadata.get('sha256') != checksum(text, tensors):
        raise NetworkFileError(f'{path}: damaged (its checksum does not match)')
    try:
        stored = json.loads(text)
        nodes = tuple(Node(n['op'], tuple(n['inputs']), n['output'], n['attributes']) for n in stored['nodes'])
        return Graph(stored['input'], tuple(stored['outputs']), nodes, tensors).check(str(path))
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise NetworkFileError(f'{path}: not a readable network file ({error!r})') from error


def _to_json(graph: Graph) -> str:
    nodes = [asdict(node) for node in graph.nodes]
    return json.dumps({'input': graph.input, 'outputs': graph.outputs, 'nodes': nodes}, sort_keys=True)


def _count_uses(nodes, outputs) -> dict[str, int]:
    uses = {node.output: 0 for node in nodes}
    for name in [*(name for node in nodes for name in node.inputs), *outputs]:
        uses[name] = uses.get(name, 0) + 1
    return uses
