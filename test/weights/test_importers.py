"""The graph file and the importers: what they keep, and what they refuse."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tflite
import torch
import torch.nn.functional as F

from mesh_perception.weights.engine import GraphModule
from mesh_perception.weights.graph import Graph, NetworkFileError, Node, load_graph, save_graph, simplify
from mesh_perception.weights.store import WeightsError, path_of
from mesh_perception.weights.tfjs_import import import_tfjs
from mesh_perception.weights.tflite_import import import_tflite, same_padding

ROOT = Path(__file__).resolve().parents[2]
BLAZEPOSE_OUTPUTS = ('Identity', 'Identity_1', 'Identity_4')


def original(name):
    try:
        return path_of(name).read_bytes()
    except WeightsError as error:
        pytest.skip(str(error))


def small_graph():
    """Padding, a convolution with uneven padding, its activation apart, and a sum of two convolutions."""
    generator = torch.Generator().manual_seed(0)
    tensors = {
        n: torch.randn(s, generator=generator) for n, s in (('w', (8, 3, 3, 3)), ('v', (8, 8, 1, 1)), ('b', (8,)))
    }
    conv = {'bias': 'b', 'groups': 1, 'activation': 'none'}
    nodes = (
        Node('pad', ('x',), 'padded', {'pad': [1, 0, 1, 0], 'channels': 0, 'value': 0}),
        Node('conv', ('padded',), 'a', {**conv, 'weight': 'w', 'stride': [2, 2], 'pad': [0, 2, 0, 2]}),
        Node('activation', ('a',), 'b', {'activation': 'relu6'}),
        Node('conv', ('b',), 'c', {**conv, 'weight': 'v', 'stride': [1, 1], 'pad': [0, 0, 0, 0]}),
        Node('add', ('c', 'b'), 'd', {'activation': 'none'}),
        Node('activation', ('d',), 'y', {'activation': 'leaky:0.1'}),
        Node('sigmoid', ('a',), 'unused', {}),
    )
    return Graph('x', ('y',), nodes, tensors).check('small')


def test_simplified_graphs_compute_the_same():
    graph, x = small_graph(), torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    t = graph.tensors
    b = F.conv2d(F.pad(x, (1, 2, 1, 2)), t['w'], t['b'], 2).clamp(0, 6)
    wanted = F.leaky_relu(F.conv2d(b, t['v'], t['b']) + b, 0.1)
    for g in (graph, simplify(graph)):
        torch.testing.assert_close(GraphModule(g)(x)[0], wanted, rtol=1e-4, atol=1e-4)
    assert len(simplify(graph).nodes) < len(graph.nodes)


@pytest.mark.parametrize('size', (7, 8, 32))
@pytest.mark.parametrize('kernel, stride', ((1, 1), (3, 1), (3, 2), (5, 2)))
def test_same_padding_keeps_tensorflows_output_size(size, kernel, stride):
    before, after = same_padding((size, size), (kernel, kernel), (stride, stride))[:2]
    assert (size + before + after - kernel) // stride + 1 == -(-size // stride) and after - before in (0, 1)


def test_a_graph_file_gives_back_the_graph(tmp_path):
    graph = simplify(small_graph())
    save_graph(graph, tmp_path / 'g.safetensors', 3, 'origin')
    read = load_graph(tmp_path / 'g.safetensors', 3, 'origin')
    assert read.nodes == graph.nodes and read.outputs == graph.outputs
    assert all(torch.equal(read.tensors[n], t) for n, t in graph.tensors.items())
    for version, source in ((4, 'origin'), (3, 'other')):
        with pytest.raises(NetworkFileError, match='not version'):
            load_graph(tmp_path / 'g.safetensors', version, source)


def test_any_damaged_byte_of_a_graph_file_is_noticed(tmp_path):
    path = tmp_path / 'g.safetensors'
    save_graph(simplify(small_graph()), path, 1, 'origin')
    good, generator = path.read_bytes(), np.random.default_rng(0)
    graph = load_graph(path, 1, 'origin')
    for place in generator.integers(0, len(good), 150):
        path.write_bytes(good[:place] + bytes([good[place] ^ 0x11]) + good[place + 1 :])
        try:  # a byte between the header's own fields may be changed without changing anything that is read
            read = load_graph(path, 1, 'origin')
            assert read.nodes == graph.nodes and all(torch.equal(read.tensors[n], t) for n, t in graph.tensors.items())
        except NetworkFileError as error:
            assert str(path) in str(error)
    path.write_bytes(good[: len(good) // 2])
    with pytest.raises(NetworkFileError, match=r'g\.safetensors'):
        load_graph(path, 1, 'origin')


def test_two_processes_may_write_the_same_file_at_once(tmp_path):
    path = tmp_path / 'g.safetensors'
    save_graph(simplify(small_graph()), path, 1, 'origin')
    script = (
        'import sys; from pathlib import Path; from mesh_perception.weights.graph import load_graph, save_graph\n'
        'for _ in range(50): save_graph(load_graph(Path(sys.argv[1]), 1, "origin"), Path(sys.argv[1]), 1, "origin")'
    )
    workers = [subprocess.Popen([sys.executable, '-c', script, str(path)], cwd=ROOT) for _ in range(2)]
    assert [worker.wait(60) for worker in workers] == [0, 0]
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_blazepose_is_imported_without_its_segmentation():
    graph = import_tflite(original('pose_landmark_full.tflite'), BLAZEPOSE_OUTPUTS, 'full')
    everything = import_tflite(original('pose_landmark_full.tflite'), (*BLAZEPOSE_OUTPUTS, 'Identity_2'), 'full')
    assert len(graph.nodes) < len(everything.nodes)


def test_damaged_tflite_files_are_refused_by_name():
    data = original('pose_landmark_full.tflite')
    for broken in (b'', b'abc', data[:1000], data[: len(data) // 2], data[:4] + b'XXXX' + data[8:]):
        with pytest.raises(NetworkFileError, match=r'^odd\.tflite: '):
            import_tflite(broken, BLAZEPOSE_OUTPUTS, 'odd.tflite')
    with pytest.raises(NetworkFileError, match="no output 'Mask'"):
        import_tflite(data, ('Mask',), 'odd.tflite')
    generator = np.random.default_rng(0)
    for _ in range(25):  # the description of the graph lies behind the weights
        broken = bytearray(data)
        for place in generator.integers(len(data) - 100_000, len(data), 20):
            broken[place] ^= int(generator.integers(1, 256))
        try:
            import_tflite(bytes(broken), BLAZEPOSE_OUTPUTS, 'odd.tflite')
        except NetworkFileError as error:
            assert '\n' not in str(error)


def test_an_unsupported_tflite_operator_is_named():
    data = bytearray(original('pose_landmark_full.tflite'))
    model = tflite.Model.GetRootAsModel(data, 0)
    for i in range(model.OperatorCodesLength()):
        code = model.OperatorCodes(i)
        if max(code.BuiltinCode(), code.DeprecatedBuiltinCode()) == tflite.BuiltinOperator.LOGISTIC:
            for field in (4, 10):  # the old and the new place of the code in the table
                if offset := code._tab.Offset(field):
                    data[code._tab.Pos + offset] = tflite.BuiltinOperator.TANH
    with pytest.raises(NetworkFileError, match='unsupported TFLite operator TANH'):
        import_tflite(bytes(data), BLAZEPOSE_OUTPUTS, 'odd.tflite')


def test_damaged_tfjs_files_are_refused_by_name():
    model, weights = original('nanodet.json'), original('nanodet.bin')

    def read(model, weights):
        return import_tfjs(model, weights, ('Identity', 'Identity_3'), 'NCHW', (416, 416), 'odd.json')

    assert read(model, weights).nodes
    with pytest.raises(NetworkFileError, match=r'odd\.json: the file of weights ends within'):
        read(model, weights[:-7])
    with pytest.raises(NetworkFileError, match=r'odd\.json: the file of weights has'):
        read(model, weights + b'1234')
    for broken in (b'', model[:5000], b'[]', b'{"weightsManifest": 3}', b'\xff\xfe'):
        with pytest.raises(NetworkFileError, match=r'^odd\.json: '):
            read(broken, weights)
    document = json.loads(model)
    node = next(n for n in document['modelTopology']['node'] if n['op'] == 'LeakyRelu')
    node['op'] = 'Einsum'
    with pytest.raises(NetworkFileError, match=r'unsupported TF\.js operator Einsum'):
        read(json.dumps(document).encode(), weights)
    node['op'], node['input'] = 'LeakyRelu', ['Identity']
    with pytest.raises(NetworkFileError, match='depends on itself'):
        read(json.dumps(document).encode(), weights)
