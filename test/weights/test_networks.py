"""The imported networks against the runtimes they were made for, on pieces of real footage."""

import sys
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mesh_perception.weights import engine, networks
from mesh_perception.weights.networks import NETWORKS, load_network
from mesh_perception.weights.store import WeightsError, path_of

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'tools'))
from record_tfjs_outputs import test_inputs as recorded_inputs

BLAZEPOSE = ('blazepose_full', 'blazepose_heavy')


@pytest.fixture(scope='module')
def load():
    kept = {}

    def get(name, device='cpu', dtype=torch.float32):
        try:
            if (name, device, dtype) not in kept:
                kept[name, device, dtype] = load_network(name, device, dtype)
        except WeightsError as error:
            pytest.skip(str(error))
        return kept[name, device, dtype]

    return get


@pytest.fixture(scope='module')
def crops():
    images = [cv2.imread(str(ROOT / f'test/data/crop_{name}.jpg'))[..., ::-1] for name in ('man', 'woman')]
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255


@pytest.fixture(scope='module')
def recorded():
    return np.load(ROOT / 'test/data/tfjs_outputs.npz')


def differences(a, b):
    """Largest distances between two BlazePose outputs: image landmarks (px), world landmarks (mm), presence."""
    pixels = (a.landmarks - b.landmarks).view(-1, 39, 5)[..., :2].norm(dim=-1).max().item()
    metres = (a.world - b.world).view(-1, 39, 3).norm(dim=-1).max().item()
    return pixels, 1000 * metres, (a.presence - b.presence).abs().max().item()


@pytest.mark.parametrize('name', BLAZEPOSE)
def test_blazepose_equals_tflite(load, crops, name):
    interpreter_module = pytest.importorskip('ai_edge_litert.interpreter')
    ours = load(name)(crops)
    interpreter = interpreter_module.Interpreter(model_path=str(path_of(NETWORKS[name].files[0])), num_threads=1)
    interpreter.allocate_tensors()
    index = {detail['name']: detail['index'] for detail in interpreter.get_output_details()}
    theirs = []
    for crop in crops:
        image = crop.permute(1, 2, 0)[None].contiguous().numpy()
        interpreter.set_tensor(interpreter.get_input_details()[0]['index'], image)
        interpreter.invoke()
        theirs.append(
            [torch.from_numpy(interpreter.get_tensor(index[n])) for n in ('Identity', 'Identity_1', 'Identity_4')]
        )
    landmarks, score, world = (torch.cat(part) for part in zip(*theirs, strict=True))
    pixels, millimetres, presence = differences(ours, ours._replace(landmarks=landmarks, presence=score, world=world))
    assert pixels < 0.1 and millimetres < 0.1 and presence < 1e-4
    assert (ours.presence > 0.9).all()  # these are people, so the numbers mean something


@pytest.mark.parametrize('name', BLAZEPOSE)
def test_blazepose_features_are_what_its_landmarks_are_linear_in(load, crops, name):
    network = load(name)
    output, graph = network(crops), network.network.graph
    assert output.features.shape == (len(crops), 1152) and 0 <= output.features.min() and output.features.max() <= 6
    makers = {node.output: node for node in graph.nodes}
    last = makers[makers[graph.outputs[0]].inputs[0]].attributes
    landmarks = (
        output.features @ graph.tensors[last['weight']].float().flatten(1).T + graph.tensors[last['bias']].float()
    )
    torch.testing.assert_close(landmarks, output.landmarks, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize('name', BLAZEPOSE)
def test_blazepose_of_a_batch_is_that_of_its_images(load, crops, name):
    batch = torch.cat((crops, crops.flip(-1), crops[:1] * 0.5))
    network = load(name)
    together, alone = network(batch), [network(image[None]) for image in batch]
    pixels, millimetres, presence = differences(
        together, type(together)(*(torch.cat(p) for p in zip(*alone, strict=True)))
    )
    assert pixels < 0.02 and millimetres < 0.1 and presence < 1e-5


@pytest.mark.parametrize('name', ('movenet_320x192', 'movenet_640x384'))
def test_movenet_equals_tfjs(load, recorded, name):
    ours = load('movenet_multipose')(torch.from_numpy(recorded_inputs()[name])).numpy()
    np.testing.assert_allclose(ours, recorded[name], rtol=1e-3, atol=1e-5)
    assert recorded[name][0, 0, 55] > 0.2


def test_nanodet_equals_tfjs(load, recorded):
    levels = load('nanodet')(torch.from_numpy(recorded_inputs()['nanodet']))
    assert [tuple(level.scores.shape) for level in levels] == [(1, n * n, 80) for n in (52, 26, 13)]
    rows = recorded['nanodet_rows']
    scores = torch.cat([level.scores for level in levels], 1)[0].numpy()[rows]
    distances = torch.cat([level.distances for level in levels], 1)[0].numpy()[rows]
    np.testing.assert_allclose(scores, recorded['nanodet_scores'], rtol=1e-3, atol=1e-7)
    np.testing.assert_allclose(distances, recorded['nanodet_distances'], rtol=1e-3, atol=1e-4)
    assert scores[:, 0].max() > 0.5


def test_detectors_of_a_batch_are_those_of_its_images(load):
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(3, 3, 64, 128, generator=generator) * 255
    movenet, nanodet = load('movenet_multipose'), load('nanodet')
    torch.testing.assert_close(movenet(images), torch.cat([movenet(i[None]) for i in images]), rtol=1e-3, atol=1e-5)
    images = torch.randn(2, 3, 416, 416, generator=generator)
    for level, *alone in zip(nanodet(images), *(nanodet(i[None]) for i in images), strict=True):
        torch.testing.assert_close(level.scores, torch.cat([a.scores for a in alone]), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize('name', BLAZEPOSE)
def test_blazepose_in_float16_stays_within_2_px_and_20_mm(load, crops, name):
    pixels, millimetres, presence = differences(load(name)(crops), load(name, dtype=torch.float16)(crops))
    assert pixels < 2 and millimetres < 20 and presence < 1e-2


def test_blazepose_in_bfloat16_warns_that_it_is_wrong(load):
    load('blazepose_full')
    with pytest.warns(UserWarning, match='blazepose_full in bfloat16'):
        load_network('blazepose_full', dtype=torch.bfloat16)


@pytest.mark.parametrize('dtype, place, score', ((torch.float16, 0.003, 0.002), (torch.bfloat16, 0.01, 0.03)))
def test_detectors_in_half_precision_stay_close(load, dtype, place, score):
    inputs = {name: torch.from_numpy(image) for name, image in recorded_inputs().items()}
    exact, half = (load('movenet_multipose', dtype=d)(inputs['movenet_320x192'])[0, :2] for d in (torch.float32, dtype))
    assert (exact - half)[:, 51:55].abs().max() < place
    assert (exact - half)[:, :51].view(2, 17, 3)[..., :2].abs().max() < place
    assert (exact - half)[:, 55].abs().max() < score
    for a, b in zip(*(load('nanodet', dtype=d)(inputs['nanodet']) for d in (torch.float32, dtype)), strict=True):
        assert (a.scores - b.scores).abs().max() < score


@pytest.mark.parametrize('name', NETWORKS)
def test_plain_convolutions_give_what_the_fused_ones_give(load, crops, name, monkeypatch):
    side = 416 if name == 'nanodet' else 256
    image = torch.nn.functional.interpolate(crops[:1], size=(side, side)) * (255 if name.startswith('movenet') else 1)
    fused = load(name).network(image)
    monkeypatch.setattr(engine, '_FUSED_KINDS', ())
    for a, b in zip(fused, load(name).network(image), strict=True):
        assert (a - b).abs().max() <= 1e-3 * b.abs().max()


def test_no_images_give_empty_outputs(load):
    assert [tuple(part.shape) for part in load('blazepose_full')(torch.zeros(0, 3, 256, 256))] == [
        (0, 195),
        (0, 1),
        (0, 117),
        (0, 1152),
    ]
    assert load('movenet_multipose')(torch.zeros(0, 3, 64, 96)).shape == (0, 6, 56)
    assert [tuple(level.distances.shape) for level in load('nanodet')(torch.zeros(0, 3, 416, 416))][2] == (0, 169, 44)


@pytest.mark.parametrize(
    'name, shape',
    (('blazepose_full', (1, 3, 224, 224)), ('movenet_multipose', (1, 3, 250, 256)), ('nanodet', (3, 416, 416))),
)
def test_images_of_a_wrong_shape_are_refused(load, name, shape):
    with pytest.raises(ValueError, match='takes images'):
        load(name)(torch.zeros(shape))


def test_unknown_names_and_types_are_refused():
    with pytest.raises(ValueError, match="unknown network 'blazepose'"):
        load_network('blazepose')
    with pytest.raises(ValueError, match='float64'):
        load_network('nanodet', dtype=torch.float64)


def test_a_damaged_import_is_made_anew(load, tmp_path, monkeypatch):
    load('nanodet')
    monkeypatch.setattr(networks, 'cache_directory', lambda: tmp_path)
    load_network('nanodet')
    (file,) = (tmp_path / 'networks').iterdir()
    good = file.read_bytes()
    file.write_bytes(good[:-100] + bytes([good[-100] ^ 1]) + good[-99:])
    with pytest.warns(UserWarning, match='damaged'):
        load_network('nanodet')
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        load_network('nanodet')


@pytest.mark.gpu
@pytest.mark.parametrize('name', BLAZEPOSE)
def test_blazepose_on_cuda_equals_the_cpu(load, crops, name):
    if not torch.cuda.is_available():
        pytest.skip('no CUDA device')
    torch.backends.cudnn.allow_tf32 = False
    exact = load(name)(crops)
    for dtype, pixels, millimetres in ((torch.float32, 0.1, 0.5), (torch.float16, 2, 20)):
        output = load(name, 'cuda', dtype)(crops.cuda())
        found = differences(exact, type(output)(*(part.cpu() for part in output)))
        assert found[0] < pixels and found[1] < millimetres
