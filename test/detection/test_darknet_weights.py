"""The reader and writer of Darknet's weights, on a network of three convolutions; YOLOv4's own is in test_yolov4.py."""

import struct

import numpy as np
import pytest
import torch
from torch import nn

from mesh_perception.detection.darknet_weights import read_weights, write_weights
from mesh_perception.detection.yolov4 import Convolution, YoloV4, convolutions, fuse

HEADER = struct.pack('<iiiQ', 0, 2, 5, 32032000)
NUMBERS = (4 * 4 + 4 * 3 * 9) + (2 * 4 + 2 * 4) + (5 + 5 * 2)


def small():
    return nn.Sequential(
        Convolution(3, 4, 3, 2, 'mish'), Convolution(4, 2, 1), Convolution(2, 5, 1, activation='linear')
    ).eval()


def numbers(seed=0):
    return np.random.default_rng(seed).uniform(0.1, 1, NUMBERS).astype('<f4')


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'small.weights'


def test_numbers_are_read_in_darknets_order(path):
    values = numbers()
    path.write_bytes(HEADER + values.tobytes())
    network = small()
    assert read_weights(path, network) == 32032000
    first, second, last = network
    assert first.norm.bias.tolist() == values[:4].tolist()
    assert first.norm.weight.tolist() == values[4:8].tolist()
    assert first.norm.running_mean.tolist() == values[8:12].tolist()
    assert first.norm.running_var.tolist() == values[12:16].tolist()
    assert first.convolution.weight.tolist() == values[16:124].reshape(4, 3, 3, 3).tolist()
    assert second.norm.bias.tolist() == values[124:126].tolist()
    assert last.convolution.bias.tolist() == values[-15:-10].tolist()
    assert last.convolution.weight.tolist() == values[-10:].reshape(5, 2, 1, 1).tolist()


def test_a_network_written_and_read_is_the_same(path):
    network, other = small(), small()
    path.write_bytes(HEADER + numbers().tobytes())
    read_weights(path, network)
    write_weights(path, network, seen=7)
    assert read_weights(path, other) == 7
    assert path.read_bytes()[20:] == numbers().tobytes()
    image = torch.rand(1, 3, 8, 8)
    assert torch.equal(network(image), other(image))


def test_version_0_1_counts_images_in_four_bytes(path):
    path.write_bytes(struct.pack('<iiiI', 0, 1, 0, 99) + numbers().tobytes())
    network = small()
    assert read_weights(path, network) == 99
    assert network[0].norm.bias.tolist() == numbers()[:4].tolist()


@pytest.mark.parametrize('difference', [-4 * NUMBERS, -4, -1, 1, 4, 1000])
def test_a_file_of_another_length_is_refused_with_both_counts(path, difference):
    whole = HEADER + numbers().tobytes()
    path.write_bytes((whole + bytes(1000))[: len(whole) + difference])
    with pytest.raises(ValueError) as error:
        read_weights(path, small())
    assert str(error.value) == f'{path}: {len(whole) + difference} bytes, expected {len(whole)} for this network'


@pytest.mark.parametrize('size', [0, 1, 11, 12, 19])
def test_a_file_that_ends_in_its_header_is_refused(path, size):
    path.write_bytes(HEADER[:size])
    with pytest.raises(ValueError, match=rf'small\.weights: {size} bytes, expected'):
        read_weights(path, small())


@pytest.mark.parametrize(
    'start',
    [
        b'PK\x03\x04' + bytes(16),  # PyTorch's checkpoints
        b'\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x04M',  # a pickle
        struct.pack('<Q', 64) + b'{"__metadata__"',  # safetensors
        b'version https://git-lfs',
        struct.pack('<iiiQ', 1001, 2, 5, 0),  # Darknet's mark of transposed weights
        struct.pack('<iiiQ', 0, 3, 0, 0),
        struct.pack('<iiiQ', 0, 2, -1, 0),
        struct.pack('>iiiQ', 0, 2, 5, 0),
    ],
)
def test_what_starts_with_another_header_is_refused(path, start):
    path.write_bytes(start + bytes(len(HEADER) - len(start) + 4 * NUMBERS))
    with pytest.raises(ValueError, match=r'small\.weights: starts as version .*, expected Darknet weights of version'):
        read_weights(path, small())


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize('place', [0, 12, 20, NUMBERS - 1])
def test_numbers_that_are_not_finite_are_refused(path, value, place):
    values = numbers()
    values[place] = value
    path.write_bytes(HEADER + values.tobytes())
    with pytest.raises(ValueError, match=r'small\.weights: holds numbers that are not finite'):
        read_weights(path, small())


def test_negative_variances_are_refused(path):
    values = numbers()
    values[13] = -0.1
    path.write_bytes(HEADER + values.tobytes())
    with pytest.raises(ValueError, match=r'small\.weights: holds negative variances'):
        read_weights(path, small())


def test_no_file_or_a_folder_is_refused(path, tmp_path):
    for place in (path, tmp_path):
        with pytest.raises(ValueError, match='no such file'):
            read_weights(place, small())


def test_a_fused_network_is_neither_written_nor_read_into(path):
    fused = fuse(small())
    with pytest.raises(ValueError, match='fused'):
        write_weights(path, fused)
    path.write_bytes(HEADER + numbers().tobytes())
    with pytest.raises(ValueError, match='fused'):
        read_weights(path, fused)


def test_yolov4_needs_as_many_bytes_as_its_released_file_has(path):
    path.write_bytes(HEADER)
    with torch.device('meta'):
        network = YoloV4()
    assert len(convolutions(network)) == 110
    with pytest.raises(ValueError, match='20 bytes, expected 257717640 for this network'):
        read_weights(path, network)
