"""Small networks of the kinds that applications use, written as their users write them."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qnn.bench.applications.shapes import CLASSES


def _unit(inputs, outputs, kernel=3, stride=1, groups=1, activation: type[nn.Module] = nn.ReLU):
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), activation())


class UNet(nn.Module):
    """A class for each pixel: down by pooling, up by transposed convolutions (arXiv 1505.04597)."""

    def __init__(self, width: int = 16, classes: int = 1 + len(CLASSES)):
        super().__init__()
        widths = [width, 2 * width, 4 * width]
        self.down = nn.ModuleList(
            nn.Sequential(_unit(before, now), _unit(now, now))
            for before, now in zip([3, *widths], widths, strict=False)
        )
        self.rise = nn.ModuleList(
            nn.ConvTranspose2d(2 * now, now, 2, stride=2) for now in reversed(widths[:-1])
        )
        self.up = nn.ModuleList(
            nn.Sequential(_unit(2 * now, now), _unit(now, now)) for now in reversed(widths[:-1])
        )
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, classes, height, width) of images (batch, 3, height, width)."""
        kept = []
        for block in self.down:
            x = block(x if not kept else F.max_pool2d(x, 2))
            kept.append(x)
        # The deepest is what goes up; the others join it, the nearest first.
        for rise, block, skip in zip(self.rise, self.up, reversed(kept[:-1]), strict=True):
            x = block(torch.cat([rise(x), skip], 1))
        return self.head(x)


class SplitBlock(nn.Module):
    """YOLO's: channels are split, a half goes through residual units, and all are joined."""

    def __init__(self, channels: int):
        super().__init__()
        half = channels // 2
        self.first = _unit(channels, channels, 1, activation=nn.SiLU)
        self.one = _unit(half, half, activation=nn.SiLU)
        self.other = _unit(half, half, activation=nn.SiLU)
        self.last = _unit(3 * half, channels, 1, activation=nn.SiLU)

    def forward(self, x: Tensor) -> Tensor:
        """The shape of ``x``."""
        kept, moved = self.first(x).chunk(2, 1)
        return self.last(torch.cat([kept, moved, moved + self.other(self.one(moved))], 1))


class Detector(nn.Module):
    """YOLO-like: SiLU, split blocks, pooling at several sizes, upsampling, one head.

    The head gives (batch, height / 8, width / 8, 5 + classes): whether a shape's centre is in the
    cell, its place in the cell, the logarithms of its sizes, and a logit for each class.
    """

    def __init__(self, width: int = 16, classes: int = len(CLASSES)):
        super().__init__()
        self.stem = _unit(3, width, stride=2, activation=nn.SiLU)
        self.second = nn.Sequential(
            _unit(width, 2 * width, stride=2, activation=nn.SiLU), SplitBlock(2 * width)
        )
        self.third = nn.Sequential(
            _unit(2 * width, 4 * width, stride=2, activation=nn.SiLU), SplitBlock(4 * width)
        )
        self.fourth = nn.Sequential(
            _unit(4 * width, 8 * width, stride=2, activation=nn.SiLU), SplitBlock(8 * width)
        )
        self.squeeze = _unit(8 * width, 4 * width, 1, activation=nn.SiLU)
        self.pool = nn.MaxPool2d(5, 1, 2)
        self.join = _unit(12 * width, 4 * width, 1, activation=nn.SiLU)
        self.rise = nn.Upsample(scale_factor=2)
        self.neck = _unit(8 * width, 4 * width, activation=nn.SiLU)
        self.head = nn.Conv2d(4 * width, 5 + classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The head's values for images (batch, 3, height, width)."""
        near = self.third(self.second(self.stem(x)))
        deep = self.squeeze(self.fourth(near))
        # Twice pooled is pooled at twice the reach.
        once = self.pool(deep)
        deep = self.join(torch.cat([deep, once, self.pool(once)], 1))
        return self.head(self.neck(torch.cat([self.rise(deep), near], 1))).permute(0, 2, 3, 1)


class Squeeze(nn.Module):
    """A factor for each channel, computed from all channels' means (arXiv 1709.01507)."""

    def __init__(self, channels: int, gate: type[nn.Module], reduction: int = 4):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(channels, channels // reduction, 1)
        self.expand = nn.Conv2d(channels // reduction, channels, 1)
        self.gate = gate()

    def forward(self, x: Tensor) -> Tensor:
        """The shape of ``x``."""
        return x * self.gate(self.expand(F.relu(self.reduce(self.pool(x)))))


class Inverted(nn.Module):
    """MobileNetV3's: wider, channel by channel, a gate, narrower (arXiv 1905.02244)."""

    def __init__(self, inputs, outputs, wide, kernel, stride, gated, activation):
        super().__init__()
        self.block = nn.Sequential(
            _unit(inputs, wide, 1, activation=activation),
            _unit(wide, wide, kernel, stride, wide, activation=activation),
            Squeeze(wide, nn.Hardsigmoid) if gated else nn.Identity(),
            _unit(wide, outputs, 1, activation=nn.Identity),
        )
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(batch, outputs, height / stride, width / stride)."""
        return x + self.block(x) if self.residual else self.block(x)


def mobilenet_v3(classes: int = 10) -> nn.Module:
    """MobileNetV3-like, for images of 32 x 32: hard-swish, gates, kernels of 3 and 5."""
    relu, swish = nn.ReLU, nn.Hardswish
    return nn.Sequential(
        _unit(3, 16, activation=swish),
        Inverted(16, 16, 16, 3, 1, True, relu),
        Inverted(16, 24, 64, 3, 2, False, relu),
        Inverted(24, 24, 72, 3, 1, False, relu),
        Inverted(24, 40, 96, 5, 2, True, swish),
        Inverted(40, 40, 120, 5, 1, True, swish),
        Inverted(40, 48, 144, 5, 1, True, swish),
        _unit(48, 160, 1, activation=swish),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(160, 128),
        swish(),
        nn.Linear(128, classes),
    )


class GatedResidual(nn.Module):
    """ResNet's basic block with a gate by channel before the sum."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.body = nn.Sequential(
            _unit(inputs, outputs, stride=stride),
            _unit(outputs, outputs, activation=nn.Identity),
            Squeeze(outputs, nn.Sigmoid),
        )
        same = stride == 1 and inputs == outputs
        self.shortcut = (
            nn.Identity() if same else _unit(inputs, outputs, 1, stride, activation=nn.Identity)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, outputs, height / stride, width / stride)."""
        return F.relu(self.body(x) + self.shortcut(x))


def se_resnet(classes: int = 10) -> nn.Module:
    """SE-ResNet-14, for images of 32 x 32."""
    # Half of ResNet's depth, so that training takes minutes on a CPU.
    widths = ((16, 1), (16, 1), (32, 2), (32, 1), (64, 2), (64, 1))
    blocks, inputs = [], 16
    for outputs, stride in widths:
        blocks.append(GatedResidual(inputs, outputs, stride))
        inputs = outputs
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))
    return nn.Sequential(_unit(3, 16), *blocks, *head)


def keyword_spotter(classes: int = 12) -> nn.Module:
    """One-dimensional: coefficients are channels, (batch, 10, 49), as TC-ResNet (1904.03814)."""

    def unit(inputs, outputs, kernel, stride=1, groups=1):
        conv = nn.Conv1d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        return nn.Sequential(conv, nn.BatchNorm1d(outputs), nn.ReLU())

    return nn.Sequential(
        # Wide kernels in time see as far as a syllable lasts.
        unit(10, 48, 5),
        unit(48, 48, 9, 2, 48),
        unit(48, 64, 1),
        nn.MaxPool1d(2),
        unit(64, 64, 9, 1, 64),
        unit(64, 96, 1),
        nn.Dropout(0.3),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(96, classes),
    )
