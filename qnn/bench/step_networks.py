"""Networks whose steps of learning are measured: of the shapes that papers give them, for CIFAR."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qnn.bench.applications.networks import UNet
from qnn.nn.zoo import ZOO


class DenseUnit(nn.Module):
    """A normalisation, a convolution, and its results behind what it read."""

    def __init__(self, inputs: int, more: int):
        super().__init__()
        self.bn = nn.BatchNorm2d(inputs)
        self.conv = nn.Conv2d(inputs, more, 3, 1, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs + more, height, width)."""
        # Normalised anew by each unit, so that the normalisation folds into no convolution.
        return torch.cat([x, self.conv(F.relu(self.bn(x)))], 1)


def densenet40() -> nn.Module:
    """DenseNet-40 of growth 12 (arXiv 1608.06993): (batch, 3, 32, 32) to (batch, 10)."""
    channels, growth, blocks, units = 16, 12, 3, 12
    layers: list[nn.Module] = [nn.Conv2d(3, channels, 3, 1, 1, bias=False)]
    # Forty layers: 36 units, the first convolution, two between blocks, and the last layer.
    for block in range(blocks):
        for _ in range(units):
            layers.append(DenseUnit(channels, growth))
            channels += growth
        layers += [nn.BatchNorm2d(channels), nn.ReLU()]
        if block < blocks - 1:
            layers += [nn.Conv2d(channels, channels, 1, bias=False), nn.AvgPool2d(2)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


class InvertedResidual(nn.Module):
    """Wider, channel by channel, narrower, and a sum where the shape stays."""

    def __init__(self, inputs: int, outputs: int, stride: int, widening: int):
        super().__init__()
        wide = inputs * widening
        wider = _normalised(inputs, wide, 1) if widening > 1 else ()
        between = _normalised(wide, wide, 3, stride, wide)
        # The narrow end is linear: a clamp would lose what few channels hold.
        narrower = tuple(_normalised(wide, outputs, 1))[:-1]
        self.body = nn.Sequential(*wider, *between, *narrower)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(batch, outputs, height / stride, width / stride)."""
        return x + self.body(x) if self.residual else self.body(x)


def mobilenet_v2() -> nn.Module:
    """MobileNetV2 (arXiv 1801.04381), without its first halving: (batch, 3, 32, 32) to 10."""
    # Of the paper's table 2: widening, channels, repeats, stride of the first.
    table = ((1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2))
    table += ((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    channels, last = 32, 1280
    layers = [*_normalised(3, channels, 3)]
    for widening, outputs, repeats, first in table:
        for stride in (first, *[1] * (repeats - 1)):
            layers.append(InvertedResidual(channels, outputs, stride, widening))
            channels = outputs
    layers += [*_normalised(channels, last, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(last, 10))


def _normalised(inputs, outputs, kernel, stride=1, groups=1) -> Iterator[nn.Module]:
    yield nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    yield nn.BatchNorm2d(outputs)
    yield nn.ReLU6()


@dataclass(frozen=True)
class StepNetwork:
    """A network, the shape of an image, and how many a step takes."""

    build: Callable[[], nn.Module]
    shape: tuple[int, int, int]
    batch: int = 32

    def module(self) -> nn.Module:
        """The network with the same random weights each time."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return self.build()

    def images(self) -> Tensor:
        """A batch of random images, always the same."""
        return torch.randn(self.batch, *self.shape, generator=torch.Generator().manual_seed(0))


STEP_NETWORKS = {
    "resnet20": StepNetwork(ZOO["resnet20"].build, (3, 32, 32)),
    "densenet40": StepNetwork(densenet40, (3, 32, 32)),
    "mobilenetv2": StepNetwork(mobilenet_v2, (3, 32, 32)),
    "unet": StepNetwork(UNet, (3, 64, 64)),
}
