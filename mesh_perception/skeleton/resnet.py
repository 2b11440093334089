"""ResNet as a feature extractor, with torchvision's parameter names so that its checkpoints load (`checkpoints.py`).

One thing differs from torchvision's: the last stride is *centred* (MeTRAbs, Sarandi et al. 2020). torchvision's strided
convolutions are centred on even positions, which leaves the last cells looking at pixels 0, 32, ..., 224 of 256: the
right and lower borders are seen from one side alone. Here the convolutions that stride into the last stage are centred
on odd positions, and cell i looks at pixel 32 i + 16. Weights and their names are the same.
"""

from torch import Tensor, nn
from torch.nn.functional import pad

STRIDE = 32  # pixels from one cell of the features to the next


class _CentredConv2d(nn.Conv2d):
    """A convolution of stride 2 whose output i is centred on input 2 i + 1."""

    def forward(self, x):
        reach = self.kernel_size[0] // 2
        # a negative padding leaves the first row and column out
        return super().forward(pad(x, (reach - 1, reach, reach - 1, reach)))


def _conv(inputs, outputs, kernel, stride=1, centred=False):
    if centred:
        return _CentredConv2d(inputs, outputs, kernel, stride, bias=False)
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)


class _Basic(nn.Module):
    """Two 3x3 convolutions; the block of ResNet-18 and 34."""

    expansion = 1

    def __init__(self, inputs, width, stride, centred, downsample):
        super().__init__()
        self.conv1 = _conv(inputs, width, 3, stride, centred)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv(width, width, 3)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = downsample

    def forward(self, x):
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y))
        return (y + (x if self.downsample is None else self.downsample(x))).relu()


class _Bottleneck(nn.Module):
    """1x1, 3x3, 1x1; the block of ResNet-50 and 101. The 3x3 convolution strides, as torchvision's does."""

    expansion = 4

    def __init__(self, inputs, width, stride, centred, downsample):
        super().__init__()
        self.conv1 = _conv(inputs, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv(width, width, 3, stride, centred)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = _conv(width, 4 * width, 1)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = downsample

    def forward(self, x):
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y)).relu()
        y = self.bn3(self.conv3(y))
        return (y + (x if self.downsample is None else self.downsample(x))).relu()


# Depth: block, and how many of them in each of the four stages (He et al. 2016, table 1).
LAYOUTS = {
    18: (_Basic, (2, 2, 2, 2)),
    34: (_Basic, (3, 4, 6, 3)),
    50: (_Bottleneck, (3, 4, 6, 3)),
    101: (_Bottleneck, (3, 4, 23, 3)),
}


class ResNet(nn.Module):
    """Images (N, 3, H, W), normalised, H and W multiples of 32 -> features (N, channels, H / 32, W / 32).

    depth is 18, 34 (512 channels), 50 or 101 (2048 channels, the paper's F_img in R^(8x8x2048) at 256x256); another
    one raises ValueError. Starts from He et al.'s initialisation, as torchvision does.
    """

    def __init__(self, depth: int = 50):
        super().__init__()
        if depth not in LAYOUTS:
            raise ValueError(f'ResNet: depth {depth!r}, expected one of {", ".join(map(str, LAYOUTS))}')
        self.depth = depth
        block, counts = LAYOUTS[depth]
        self.channels = 512 * block.expansion
        self.conv1 = _conv(3, 64, 7, 2)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = _stage(block, 64, 64, counts[0], stride=1)
        self.layer2 = _stage(block, 64 * block.expansion, 128, counts[1], stride=2)
        self.layer3 = _stage(block, 128 * block.expansion, 256, counts[2], stride=2)
        self.layer4 = _stage(block, 256 * block.expansion, 512, counts[3], stride=2, centred=True)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode='fan_out', nonlinearity='relu')

    def forward(self, images: Tensor) -> Tensor:
        x = self.maxpool(self.bn1(self.conv1(images)).relu())
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


def _stage(block, inputs, width, count, stride, centred=False):
    outputs = width * block.expansion
    downsample = None
    if stride > 1 or inputs != outputs:
        downsample = nn.Sequential(_conv(inputs, outputs, 1, stride, centred), nn.BatchNorm2d(outputs))
    blocks = [block(inputs, width, stride, centred, downsample)]
    blocks += [block(outputs, width, 1, False, None) for _ in range(count - 1)]
    return nn.Sequential(*blocks)
