"""ResNet: torchvision's names, an independent forward pass over them, where cells look, checkpoint files."""

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from mesh_perception.checkpoints import load_torchvision
from mesh_perception.skeleton.resnet import ResNet

from .networks import calibrated, random_images

# torchvision's published sizes: entries of the state dict and parameters, both with the classifier.
TORCHVISION = {
    18: (122, 11_689_512),
    34: (218, 21_797_672),
    50: (320, 25_557_032),
    101: (626, 44_549_160),
}
STAGES = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}


def torchvision_names(depth):
    convolutions, norms = ['conv1'], ['bn1']
    for stage, count in enumerate(STAGES[depth], start=1):
        for block in range(count):
            name = f'layer{stage}.{block}.'
            inner = range(1, 4 if depth >= 50 else 3)
            convolutions += [f'{name}conv{i}' for i in inner]
            norms += [f'{name}bn{i}' for i in inner]
            if block == 0 and (stage > 1 or depth >= 50):
                convolutions.append(f'{name}downsample.0')
                norms.append(f'{name}downsample.1')
    statistics = ('weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked')
    return {f'{name}.weight' for name in convolutions} | {f'{name}.{part}' for name in norms for part in statistics}


def reference(state, x, depth):
    """A forward pass written from the names alone. The last stage's strided convolutions are computed densely and their
    odd rows and columns kept: MeTRAbs' bottom-right stride."""

    def convolve(x, name, stride=1, centred=False):
        weight = state[f'{name}.weight']
        padding = weight.shape[-1] // 2
        if centred:
            return functional.conv2d(x, weight, padding=padding)[..., 1::2, 1::2]
        return functional.conv2d(x, weight, stride=stride, padding=padding)

    def norm(x, name):
        mean, variance, weight, bias = (
            state[f'{name}.{part}'][:, None, None] for part in ('running_mean', 'running_var', 'weight', 'bias')
        )
        return (x - mean) / (variance + 1e-5).sqrt() * weight + bias

    x = functional.relu(norm(convolve(x, 'conv1', 2), 'bn1'))
    x = functional.max_pool2d(x, 3, 2, 1)
    strided = 2 if depth >= 50 else 1
    for stage, count in enumerate(STAGES[depth], start=1):
        for block in range(count):
            name = f'layer{stage}.{block}'
            stride = 2 if stage > 1 and block == 0 else 1
            centred = stage == 4 and block == 0
            y = x
            inner = 3 if depth >= 50 else 2
            for i in range(1, inner + 1):
                here = i == strided
                y = norm(convolve(y, f'{name}.conv{i}', stride if here else 1, centred and here), f'{name}.bn{i}')
                y = functional.relu(y) if i < inner else y
            if f'{name}.downsample.0.weight' in state:
                x = norm(convolve(x, f'{name}.downsample.0', stride, centred), f'{name}.downsample.1')
            x = functional.relu(x + y)
    return x


@pytest.mark.parametrize('depth', TORCHVISION)
def test_names_and_sizes_are_torchvisions(depth):
    with torch.device('meta'):
        network = ResNet(depth)
    names = set(network.state_dict())
    assert names == torchvision_names(depth)
    entries, parameters = TORCHVISION[depth]
    classifier = network.channels * 1000 + 1000
    assert len(names) == entries - 2
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters - classifier
    assert network.conv1.weight.shape == (64, 3, 7, 7)
    assert network.layer4[0].downsample[0].weight.shape == (network.channels, network.channels // 2, 1, 1)


@pytest.mark.parametrize('depth', TORCHVISION)
def test_features_are_those_of_a_forward_pass_written_from_the_names(depth):
    images = random_images(2, 64)
    network = calibrated(ResNet(depth), images).double()
    with torch.no_grad():
        features = network(images.double())
        expected = reference(network.state_dict(), images.double(), depth)
    assert features.shape == (2, 512 if depth < 50 else 2048, 2, 2)
    assert features.std() > 0.1
    assert torch.allclose(features, expected, atol=1e-9)


def test_cells_look_at_the_centres_of_their_stride():
    network = ResNet(18).double().eval()
    network.maxpool = torch.nn.AvgPool2d(3, 2, 1)  # symmetric, and with positive weights all of it is linear
    for parameter in network.parameters():
        torch.nn.init.constant_(parameter, 1e-2)
    network.requires_grad_(False)
    images = torch.ones(1, 3, 512, 512, dtype=torch.float64, requires_grad=True)  # wider than the receptive field
    cell = network(images)[0, 0, 8, 7]
    (gradient,) = torch.autograd.grad(cell, images)
    shares = gradient[0].sum(0) / gradient.sum()
    steps = torch.arange(512.0, dtype=torch.float64)
    assert (shares.sum(1) @ steps).item() == pytest.approx(32 * 8 + 16, abs=1e-6)
    assert (shares.sum(0) @ steps).item() == pytest.approx(32 * 7 + 16, abs=1e-6)


def test_another_depth_is_refused():
    with pytest.raises(ValueError, match='depth 152, expected one of 18, 34, 50, 101'):
        ResNet(152)


@pytest.fixture
def checkpoint(tmp_path):
    """A file like torchvision's old ones: with a classifier, without num_batches_tracked."""
    state = {name: torch.randn_like(value.float()) for name, value in ResNet(18).state_dict().items()}
    state = {name: value for name, value in state.items() if not name.endswith('num_batches_tracked')}
    state |= {'fc.weight': torch.randn(1000, 512), 'fc.bias': torch.randn(1000)}
    save_file(state, tmp_path / 'resnet18.safetensors')
    return state, tmp_path / 'resnet18.safetensors'


def test_a_torchvision_file_fills_everything(checkpoint):
    state, path = checkpoint
    network = load_torchvision(path, ResNet(18))
    for name, value in network.state_dict().items():
        assert torch.equal(value, state.get(name, torch.zeros((), dtype=torch.int64)))


@pytest.mark.parametrize('depth', [34, 50])
def test_a_torchvision_file_of_another_depth_is_refused(checkpoint, depth):
    with pytest.raises(ValueError, match=r'resnet18\.safetensors'):
        load_torchvision(checkpoint[1], ResNet(depth))
