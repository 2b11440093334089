"""YOLOv4's network (Bochkovskiy et al. 2020, arXiv:2004.10934), the paper's detector, in plain torch.

CSPDarknet53 with Mish, spatial pyramid pooling, PANet with leaky ReLUs, and three anchor heads for COCO's 80 classes.
Batch normalisation divides by sqrt(variance + 1e-5), as Darknet does. The modules stand in the order in which Darknet
stores their weights: `darknet_weights` relies on it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

CLASSES = 80  # COCO's
STRIDES = (8, 16, 32)  # of the heads, in input pixels
_OUTPUTS = 3 * (5 + CLASSES)  # an anchor's x, y, width, height, objectness and classes, for three anchors
_LEAK = 0.1


class Convolution(nn.Module):
    """Convolution and activation ('mish', 'leaky' or 'linear'), with batch normalisation unless it is linear."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1, activation: str = 'leaky'):
        super().__init__()
        self.activation = activation
        normalised = activation != 'linear'
        self.convolution = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=not normalised)
        self.norm = nn.BatchNorm2d(outputs) if normalised else None

    def forward(self, x: Tensor) -> Tensor:
        x = self.convolution(x)
        if self.norm is not None:
            x = self.norm(x)
        if self.activation == 'mish':
            return F.mish(x)
        return F.leaky_relu(x, _LEAK) if self.activation == 'leaky' else x


class Residual(nn.Module):
    """1x1 and 3x3 convolutions added to their input."""

    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.reduce = Convolution(channels, hidden, 1, activation='mish')
        self.expand = Convolution(hidden, channels, 3, activation='mish')

    def forward(self, x: Tensor) -> Tensor:
        return x + self.expand(self.reduce(x))


class CrossStage(nn.Module):
    """Halves the resolution; then a part passes by `blocks` residual blocks, and both are joined (CSPNet)."""

    def __init__(self, inputs: int, outputs: int, blocks: int):
        super().__init__()
        first = outputs == 64  # the first stage's two parts are as wide as its output
        width = outputs if first else outputs // 2
        self.down = Convolution(inputs, outputs, 3, 2, 'mish')
        self.bypass = Convolution(outputs, width, 1, activation='mish')
        self.enter = Convolution(outputs, width, 1, activation='mish')
        self.blocks = nn.Sequential(*(Residual(width, width // 2 if first else width) for _ in range(blocks)))
        self.leave = Convolution(width, width, 1, activation='mish')
        self.join = Convolution(2 * width, outputs, 1, activation='mish')

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(x)
        return self.join(torch.cat((self.leave(self.blocks(self.enter(x))), self.bypass(x)), 1))


def _alternate(inputs: int, width: int, count: int) -> nn.Sequential:
    """`count` convolutions, 1x1 to `width` and 3x3 to twice that in turn."""
    layers = []
    for i in range(count):
        outputs, size = (2 * width, 3) if i % 2 else (width, 1)
        layers.append(Convolution(inputs, outputs, size))
        inputs = outputs
    return nn.Sequential(*layers)


class Pyramid(nn.Module):
    """Spatial pyramid pooling: the widest maximum first, the input last."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([F.max_pool2d(x, size, 1, size // 2) for size in (13, 9, 5)] + [x], 1)


class TopDown(nn.Module):
    """Joins a coarse level, enlarged, with the next finer one of the backbone."""

    def __init__(self, coarse: int, fine: int, width: int):
        super().__init__()
        self.coarse = Convolution(coarse, width, 1)
        self.fine = Convolution(fine, width, 1)
        self.mix = _alternate(2 * width, width, 5)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        enlarged = F.interpolate(self.coarse(coarse), scale_factor=2.0, mode='nearest')
        return self.mix(torch.cat((self.fine(fine), enlarged), 1))


class BottomUp(nn.Module):
    """Joins a fine level, shrunk, with the next coarser one."""

    def __init__(self, width: int):
        super().__init__()
        self.down = Convolution(width, 2 * width, 3, 2)
        self.mix = _alternate(4 * width, 2 * width, 5)

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        return self.mix(torch.cat((self.down(fine), coarse), 1))


def _head(width: int) -> nn.Sequential:
    return nn.Sequential(Convolution(width, 2 * width, 3), Convolution(2 * width, _OUTPUTS, 1, activation='linear'))


class YoloV4(nn.Module):
    """Images (N, 3, H, W), RGB in [0, 1], H and W multiples of 32, to raw outputs (N, 255, H/s, W/s), s = 8, 16, 32.

    The 255 channels are three anchors' x, y, width, height, objectness and 80 classes, before any sigmoid.
    64 429 405 numbers are stored for it (64 363 101 parameters and the normalisation's statistics).
    """

    def __init__(self):
        super().__init__()
        self.stem = Convolution(3, 32, 3, activation='mish')
        self.stage1 = CrossStage(32, 64, 1)
        self.stage2 = CrossStage(64, 128, 2)
        self.stage3 = CrossStage(128, 256, 8)
        self.stage4 = CrossStage(256, 512, 8)
        self.stage5 = CrossStage(512, 1024, 4)
        self.before_pyramid = _alternate(1024, 512, 3)
        self.pyramid = Pyramid()
        self.after_pyramid = _alternate(2048, 512, 3)
        self.top_down16 = TopDown(512, 512, 256)
        self.top_down8 = TopDown(256, 256, 128)
        self.head8 = _head(128)
        self.bottom_up16 = BottomUp(128)
        self.head16 = _head(256)
        self.bottom_up32 = BottomUp(256)
        self.head32 = _head(512)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        c8 = self.stage3(self.stage2(self.stage1(self.stem(images))))
        c16 = self.stage4(c8)
        p32 = self.after_pyramid(self.pyramid(self.before_pyramid(self.stage5(c16))))
        p16 = self.top_down16(p32, c16)
        p8 = self.top_down8(p16, c8)
        n16 = self.bottom_up16(p8, p16)
        n32 = self.bottom_up32(n16, p32)
        return self.head8(p8), self.head16(n16), self.head32(n32)


def convolutions(network: nn.Module) -> list[Convolution]:
    """The network's `Convolution`s in the order in which Darknet stores them."""
    return [module for module in network.modules() if isinstance(module, Convolution)]


def fuse(network: nn.Module) -> nn.Module:
    """Folds batch normalisation into the convolutions, in place, for inference; returns the network.

    Do this in float32, before a change to half precision.
    """
    for layer in convolutions(network):
        if layer.norm is not None:
            plain, norm = layer.convolution, layer.norm
            plain.weight, plain.bias = fuse_conv_bn_weights(
                plain.weight, None, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
            )
            layer.norm = None
    return network.eval()
