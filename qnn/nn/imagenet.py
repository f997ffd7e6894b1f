"""Networks for ImageNet whose parameters have the names that published checkpoints give them."""

import torch.nn.functional as F
from torch import Tensor, nn

# Of each stage of MobileNetV2: how much wider its blocks are inside, their outputs, how many
# blocks, the stride of the first (arXiv 1801.04381, table 2).
INVERTED = (
    *((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)),
    *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
)


class BasicBlock(nn.Module):
    """Two convolutions and a shortcut, which is a convolution where the shape changes."""

    WIDER = 1  # outputs over the channels of its stage

    def __init__(self, inputs: int, channels: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = _shortcut(inputs, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, h, w) to (batch, channels, h / stride, w / stride)."""
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """A 3x3 convolution of few channels between two 1x1 ones, and a shortcut."""

    WIDER = 4

    def __init__(self, inputs: int, channels: int, stride: int):
        super().__init__()
        outputs = self.WIDER * channels
        self.conv1, self.bn1 = nn.Conv2d(inputs, channels, 1, bias=False), nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3, self.bn3 = nn.Conv2d(channels, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.downsample = _shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, h, w) to (batch, 4 * channels, h / stride, w / stride)."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(F.relu(self.bn2(self.conv2(y)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


def _shortcut(inputs, outputs, stride):
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


class ImageNetResNet(nn.Module):
    """ResNet of four stages of ``blocks``: (batch, 3, 224, 224) to (batch, 1000)."""

    def __init__(self, block: type[BasicBlock] | type[Bottleneck], blocks: tuple[int, ...]):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inputs = 64
        for stage, count in enumerate(blocks):
            channels = 64 << stage
            outputs = block.WIDER * channels
            first = block(inputs, channels, 1 if stage == 0 else 2)
            rest = [block(outputs, channels, 1) for _ in range(count - 1)]
            self.add_module(f"layer{stage + 1}", nn.Sequential(first, *rest))
            inputs = outputs
        self.fc = nn.Linear(inputs, 1000)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


def resnet18() -> ImageNetResNet:
    """ResNet-18."""
    return ImageNetResNet(BasicBlock, (2, 2, 2, 2))


def resnet50() -> ImageNetResNet:
    """ResNet-50, whose 3x3 convolutions have the stride, as published checkpoints were trained."""
    return ImageNetResNet(Bottleneck, (3, 4, 6, 3))


class LinearBottleneck(nn.Module):
    """A depthwise convolution of many channels between two 1x1 ones, and a shortcut if it fits."""

    def __init__(self, inputs: int, outputs: int, stride: int, wider: int):
        super().__init__()
        inside = wider * inputs
        first = [] if wider == 1 else [_unit(inputs, inside, 1)]
        depthwise = _unit(inside, inside, 3, stride, groups=inside)
        last = nn.Conv2d(inside, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.conv = nn.Sequential(*first, depthwise, *last)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, h, w) to (batch, outputs, h / stride, w / stride)."""
        return x + self.conv(x) if self.shortcut else self.conv(x)


def _unit(inputs, outputs, kernel, stride=1, groups=1):
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU6())


class MobileNetV2(nn.Module):
    """MobileNetV2 of width 1: (batch, 3, 224, 224) to (batch, 1000)."""

    def __init__(self):
        super().__init__()
        layers, inputs = [_unit(3, 32, 3, 2)], 32
        for wider, outputs, count, stride in INVERTED:
            for number in range(count):
                step = stride if number == 0 else 1
                layers.append(LinearBottleneck(inputs, outputs, step, wider))
                inputs = outputs
        self.features = nn.Sequential(*layers, _unit(inputs, 1280, 1))
        # Dropout computes nothing here; it is there for the names of what stands behind it.
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, 1000))

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return self.classifier(self.features(x).mean((2, 3)))
