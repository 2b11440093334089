"""Small helpers of the skeleton network's tests."""

import torch
from torch.nn.functional import interpolate


def calibrated(network, images):
    """The network in evaluation mode, as tame as a trained one: batch-norm statistics of these images, and blocks
    that add little each, because many random layers magnify rounding a thousandfold."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
        if hasattr(module, 'downsample'):
            torch.nn.init.constant_(getattr(module, 'bn3', module.bn2).weight, 0.2)
    network.train()
    with torch.no_grad():
        network(images)
    return network.eval()


def random_images(count, size, seed=0):
    """Soft blobs in [0, 1]: unlike noise, no two images and no two places in them are alike."""
    blobs = torch.rand(count, 3, 6, 6, generator=torch.Generator().manual_seed(seed))
    return interpolate(blobs, (size, size), mode='bicubic').clamp(0, 1)
