"""YOLOv4 against OpenCV's own reader of Darknet networks, on weights that nobody trained.

He-initialised weights with calibrated batch-normalisation statistics are written in Darknet's format and run by both.
That people are found in pictures is not shown: the trained weights are not among what is fetched.
"""

import copy
import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from mesh_perception.detection.darknet_weights import write_weights
from mesh_perception.detection.yolov4 import Residual, YoloV4, convolutions
from mesh_perception.detection.yolov4_decoding import decode
from mesh_perception.detection.yolov4_detector import YoloDetector

SIZES = [(128, 128), (160, 96)]  # width, height


def config_writer():
    path = Path(__file__).with_name('darknet_config.py')
    spec = importlib.util.spec_from_file_location('darknet_config', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.yolov4_config


def noise(count, width, height, seed):
    """Images (count, 3, height, width) in [0, 1] of noise."""
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(seed))


def calibrated(seed=0):
    """He-initialised, each channel with a scale and shift of its own, and with the statistics of what it then sees.

    With shifts around 0, a random network of this depth magnifies rounding some thousandfold. So shifts are mostly
    positive, which leaves about a sixth of the activations negative, and residuals are small.
    """
    generator = torch.Generator().manual_seed(seed)
    network = YoloV4()
    for layer in convolutions(network):
        weight = layer.convolution.weight.data
        weight.normal_(0, (2 / weight[0].numel()) ** 0.5, generator=generator)
        if layer.norm is None:
            bias = layer.convolution.bias.data.normal_(0, 1, generator=generator)
            bias.view(3, 85)[:, 4] -= 3  # objectness: some boxes, not all, ...
            bias.view(3, 85)[:, 6:] -= 4  # ... and most of them persons
        else:
            layer.norm.weight.data.uniform_(0.5, 1.5, generator=generator)
            layer.norm.bias.data.normal_(1, 0.5, generator=generator)
            layer.norm.momentum = 1.0
    for module in network.modules():
        if isinstance(module, Residual):
            module.expand.norm.weight.data *= 0.3
    with torch.no_grad():
        network.train()(noise(3, 128, 128, seed + 1))
    return network.eval()


@pytest.fixture(scope='module')
def network():
    return calibrated()


@pytest.fixture(scope='module')
def file(network, tmp_path_factory):
    path = tmp_path_factory.mktemp('yolov4') / 'yolov4.weights'
    write_weights(path, network)
    yield path
    path.unlink()


@pytest.fixture(scope='module')
def detector(file):
    return YoloDetector(file, size=(160, 96))


@pytest.fixture(scope='module')
def darknet(file):
    """{(width, height): (images, raw heads (1, 255, h, w), decoded heads (h * w * 3, 85))} as OpenCV computes them."""
    text, heads = config_writer()()
    net = cv2.dnn.readNetFromDarknet(np.frombuffer(text.encode(), np.uint8), np.fromfile(file, np.uint8))
    names = [f'conv_{i}' for i in heads] + [f'yolo_{i + 1}' for i in heads]
    results = {}
    for size in SIZES:
        images = noise(1, *size, 5)
        net.setInput(images.numpy())
        outputs = [torch.from_numpy(output.copy()) for output in net.forward(names)]
        results[size] = images, outputs[:3], outputs[3:]
    return results


def relative(actual, expected):
    """Largest deviation, of the expected values' standard deviation."""
    return float((actual.double() - expected.double()).abs().max() / expected.double().std())


@pytest.mark.parametrize('size', SIZES)
@torch.inference_mode()
def test_raw_outputs_are_opencvs(darknet, network, size):
    images, expected, _ = darknet[size]
    for actual, other, stride in zip(network(images), expected, (8, 16, 32), strict=True):
        assert actual.shape == other.shape == (1, 255, size[1] // stride, size[0] // stride)
        assert 0.5 < other.std() < 5
        assert relative(actual, other) < 1e-3


@pytest.mark.parametrize('size', SIZES)
@torch.inference_mode()
def test_what_differs_from_opencv_is_a_constant_of_its_normalisation(darknet, network, size):
    """OpenCV adds 1e-6 to variances where Darknet adds 1e-5; with that, only rounding is left."""
    images, expected, _ = darknet[size]
    network = copy.deepcopy(network)
    for layer in convolutions(network):
        if layer.norm is not None:
            layer.norm.eps = 1e-6
    for actual, other in zip(network(images), expected, strict=True):
        assert relative(actual, other) < 1e-4


@pytest.mark.parametrize('size', SIZES)
@torch.inference_mode()
def test_decoded_boxes_and_scores_are_opencvs(darknet, size):
    _, raw, expected = darknet[size]
    boxes, scores = decode(raw)
    start = 0
    for other, stride in zip(expected, (8, 16, 32), strict=True):
        rows, columns = size[1] // stride, size[0] // stride
        other = other.view(rows * columns, 3, 85).transpose(0, 1).reshape(-1, 85)  # ours: anchor by anchor
        low, high = boxes[0, start : start + len(other)].split(2, -1)
        whole = torch.tensor(size)
        torch.testing.assert_close((low + high) / 2 / whole, other[:, :2], rtol=0, atol=1e-5)
        torch.testing.assert_close((high - low) / whole, other[:, 2:4], rtol=1e-5, atol=1e-6)
        ours = scores[0, start : start + len(other)]
        torch.testing.assert_close(ours.where(other[:, 5:] > 0, 0), other[:, 5:], rtol=0, atol=1e-6)
        start += len(other)
    assert start == boxes.shape[1]


@torch.inference_mode()
def test_float32_is_float64_to_a_ten_thousandth(network):
    images = noise(1, 96, 64, 6)
    exact = copy.deepcopy(network).double()(images.double())
    for actual, expected in zip(network(images), exact, strict=True):
        assert relative(actual, expected) < 1e-4


@torch.inference_mode()
def test_the_detectors_network_is_the_files_with_normalisation_folded_in(detector, network):
    images = noise(1, 96, 64, 6)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in detector.network.modules())
    for actual, expected in zip(detector.network(images), network(images), strict=True):
        assert relative(actual, expected) < 1e-4


# Root mean square deviation of the raw outputs, of their spread, after 110 layers with 8 and 11 bits of mantissa.
HALF = [(torch.bfloat16, 0.1), (torch.float16, 0.01)]


def check_half(network, images, dtype, limit):
    half = copy.deepcopy(network).to(dtype)
    for actual, expected in zip(half(images.to(dtype)), network(images), strict=True):
        assert actual.dtype == dtype
        deviation = (actual.double() - expected.double()).square().mean().sqrt() / expected.double().std()
        assert deviation < limit


@pytest.mark.parametrize('dtype, limit', HALF)
@torch.inference_mode()
def test_half_precision_is_close(detector, dtype, limit):
    check_half(detector.network, noise(1, 96, 64, 6), dtype, limit)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
@torch.inference_mode()
def test_cuda_gives_the_same(file, detector, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', False)
    cuda = YoloDetector(file, size=(160, 96), device='cuda')
    images = noise(2, 160, 96, 6)
    for actual, expected in zip(cuda.network(images.cuda()), detector.network(images), strict=True):
        assert relative(actual.cpu(), expected) < 1e-3
    for dtype, limit in HALF:
        check_half(cuda.network, images.cuda(), dtype, limit)
    for ours, theirs in zip(cuda.detect(pictures()), detector.detect(pictures()), strict=True):
        assert ours.boxes.is_cuda and abs(len(ours.scores) - len(theirs.scores)) <= 2
    assert cuda(pictures()[0]).boxes.is_cuda


@torch.inference_mode()
def test_the_network_can_be_exported(detector):
    images = noise(2, 96, 64, 6)
    batch = torch.export.Dim('batch', max=64)
    program = torch.export.export(detector.network, (images,), dynamic_shapes=({0: batch},))
    for count in (1, 3):
        images = noise(count, 96, 64, count)
        for actual, expected in zip(program.module()(images), detector.network(images), strict=True):
            torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)


def test_gradients_reach_every_parameter():
    network = YoloV4().train()
    sum(head.square().mean() for head in network(noise(2, 64, 64, 0))).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in network.parameters())


def pictures():
    """Three uint8 RGB pictures of different shapes."""
    sizes = [(200, 150), (160, 96), (61, 140)]
    return [(noise(1, *size, 10 + i)[0] * 255).byte().permute(1, 2, 0) for i, size in enumerate(sizes)]


def test_three_pictures_at_once_are_three_one_at_a_time(detector):
    together = detector.detect(pictures())
    assert len(together) == 3 and all(len(objects.scores) > 5 for objects in together)
    for picture, objects in zip(pictures(), together, strict=True):
        (alone,) = detector.detect([picture])
        assert alone.classes.tolist() == objects.classes.tolist()
        torch.testing.assert_close(alone.scores, objects.scores, rtol=0, atol=1e-4)
        torch.testing.assert_close(alone.boxes, objects.boxes, rtol=1e-3, atol=1e-2)


def test_detections_are_the_persons_among_the_objects(detector):
    for picture in pictures():
        (objects,) = detector.detect([picture.numpy()])
        people = detector(picture.numpy())
        expected = objects.classes == 0
        torch.testing.assert_close(people.boxes, objects.boxes[expected])
        torch.testing.assert_close(people.scores, objects.scores[expected])
        assert people.keypoints.shape == (len(people), 17, 3) and not people.keypoints.any()
        assert (people.scores >= 0.4).all() and (people.scores.diff() <= 0).all()


def test_boxes_are_in_the_pictures_own_pixels(detector):
    """Grey pictures, the larger exactly five times the smaller, look the same to the network."""
    small, large = (torch.full((48 * k, 80 * k, 3), 90, dtype=torch.uint8) for k in (1, 5))
    one, two = detector.detect([small, large])
    assert len(one.scores) > 5
    torch.testing.assert_close(two.boxes + 0.5, 5 * (one.boxes + 0.5), rtol=1e-4, atol=1e-2)


def test_no_pictures_and_no_objects(detector):
    assert detector.detect([]) == []
    strict = copy.copy(detector)
    strict.threshold = 1.1
    assert len(strict(pictures()[0])) == 0
    assert strict.detect(pictures()[:1])[0].boxes.shape == (0, 4)


def test_an_untrained_network_serves_too():
    detector = YoloDetector(YoloV4(), size=64)
    assert (detector.width, detector.height) == (64, 64)
    assert len(detector(np.zeros((30, 40, 3), np.uint8))) == 0


@pytest.mark.parametrize('size', [0, 31, 600, (608, 600), (-32, 32)])
def test_sizes_that_are_no_multiples_of_32_are_refused(size, tmp_path):
    with pytest.raises(ValueError, match=r'YOLOv4 input: .*, expected positive multiples of 32'):
        YoloDetector(tmp_path / 'none', size)


def test_a_missing_file_is_named_and_where_to_get_it(tmp_path):
    with pytest.raises(ValueError, match=r'none\.weights: no such file; .* releases .* AlexeyAB/darknet'):
        YoloDetector(tmp_path / 'none.weights')
