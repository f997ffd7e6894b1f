"""Networks that come with qnn, and what their inputs need."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qnn.errors import ModelError
from qnn.nn.factory import from_factory
from qnn.nn.fresh import check_values, differing, looks_untrained
from qnn.nn.imagenet import MobileNetV2, resnet18, resnet50
from qnn.nn.separable import imagenet_mobilenet_v1, tiny_ds_cnn, tiny_mobilenet_v1
from qnn.nn.weights import load_weights


class OptionABlock(nn.Module):
    """Two convolutions and a shortcut without weights: every n-th pixel, zero channels around."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        # Half of the new channels on each side, as the published checkpoints were trained.
        self.stride, self.more = stride, (outputs - inputs) // 2

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, h, w) to (batch, outputs, h / stride, w / stride)."""
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.more:
            skipped = x[:, :, :: self.stride, :: self.stride]
            x = F.pad(skipped, (0, 0, 0, 0, self.more, self.more))
        return F.relu(x + y)


class CifarResNet(nn.Module):
    """ResNet of 6 ``blocks`` + 2 layers for 32x32 images: (batch, 3, 32, 32) to (batch, 10)."""

    def __init__(self, blocks: int):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        self.layer1 = self._layer(blocks, 16, 16, 1)
        self.layer2 = self._layer(blocks, 16, 32, 2)
        self.layer3 = self._layer(blocks, 32, 64, 2)
        self.linear = nn.Linear(64, 10)

    @staticmethod
    def _layer(blocks, inputs, outputs, stride):
        rest = [OptionABlock(outputs, outputs, 1) for _ in range(blocks - 1)]
        return nn.Sequential(OptionABlock(inputs, outputs, stride), *rest)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = F.relu(self.bn1(self.conv1(x)))
        return self.linear(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))


class TinyResNet8(nn.Module):
    """MLPerf Tiny's image classification network: (batch, 3, 32, 32) of 0..255 to (batch, 10)."""

    def __init__(self):
        super().__init__()
        # With biases, which Keras gives convolutions even before a BatchNorm.
        self.conv0, self.bn0 = nn.Conv2d(3, 16, 3, 1, 1), _keras_norm(16)
        self.conv1, self.bn1 = nn.Conv2d(16, 16, 3, 1, 1), _keras_norm(16)
        self.conv2, self.bn2 = nn.Conv2d(16, 16, 3, 1, 1), _keras_norm(16)
        self.conv3, self.bn3 = nn.Conv2d(16, 32, 3, 2), _keras_norm(32)
        self.conv4, self.bn4 = nn.Conv2d(32, 32, 3, 1, 1), _keras_norm(32)
        self.short5 = nn.Conv2d(16, 32, 1, 2)
        self.conv6, self.bn6 = nn.Conv2d(32, 64, 3, 2), _keras_norm(64)
        self.conv7, self.bn7 = nn.Conv2d(64, 64, 3, 1, 1), _keras_norm(64)
        self.short8 = nn.Conv2d(32, 64, 1, 2)
        self.fc = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = F.relu(self.bn0(self.conv0(x)))
        x = F.relu(x + self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        y = F.relu(self.bn3(self.conv3(_pad_behind(x))))
        x = F.relu(self.short5(x) + self.bn4(self.conv4(y)))
        y = F.relu(self.bn6(self.conv6(_pad_behind(x))))
        x = F.relu(self.short8(x) + self.bn7(self.conv7(y)))
        return self.fc(x.mean((2, 3)))


def _keras_norm(channels):
    return nn.BatchNorm2d(channels, eps=1e-3)


def _pad_behind(x):
    """Keras pads even sizes at the right and below only when the stride is 2."""
    return F.pad(x, (0, 1, 0, 1))


class DigitsCnn(nn.Module):
    """A residual block and a concatenation, small: (batch, 1, 8, 8) to (batch, 10)."""

    def __init__(self):
        super().__init__()
        self.stem = _unit(1, 16, 3)
        self.conv1 = _unit(16, 16, 3)
        self.conv2 = nn.Sequential(nn.Conv2d(16, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16))
        self.pool = nn.MaxPool2d(2)
        self.wide = _unit(16, 16, 3)
        self.narrow = _unit(16, 8, 1)
        self.last = _unit(24, 32, 3)
        self.fc = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = self.stem(x)
        x = self.pool(F.relu(x + self.conv2(self.conv1(x))))
        x = torch.cat([self.wide(x), self.narrow(x)], 1)
        return self.fc(self.last(x).mean((2, 3)))


def _unit(inputs, outputs, kernel):
    conv = nn.Conv2d(inputs, outputs, kernel, 1, kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())


@dataclass(frozen=True)
class ZooModel:
    """A network of the zoo.

    Members
    -------
    build : gives the untrained module
    mean, std : what it takes is ``(pixel / 255 - mean) / std``
    shape : of one image, (channels, height, width)
    """

    build: Callable[[], nn.Module]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    shape: tuple[int, int, int]


# MFCC come as bytes, whose integers x from -128 to 127 stand for (x - 83) * step: the input of
# MLPerf Tiny's int8 network. As a byte counts from 0, x = byte - 128.
_MFCC_ZERO, _MFCC_STEP = 128 + 83, 0.5847029
# Of torchvision, as are those of the CIFAR checkpoints, which were trained with them too.
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_CIFAR = (3, 32, 32)

ZOO = {
    "resnet8": ZooModel(TinyResNet8, (0.0,) * 3, (1 / 255,) * 3, _CIFAR),
    "resnet20": ZooModel(lambda: CifarResNet(3), *_IMAGENET, _CIFAR),
    "resnet56": ZooModel(lambda: CifarResNet(9), *_IMAGENET, _CIFAR),
    "resnet18": ZooModel(resnet18, *_IMAGENET, (3, 224, 224)),
    "resnet50": ZooModel(resnet50, *_IMAGENET, (3, 224, 224)),
    "dscnn": ZooModel(tiny_ds_cnn, (_MFCC_ZERO / 255,), (1 / (255 * _MFCC_STEP),), (1, 49, 10)),
    "mobilenetv1_vww": ZooModel(tiny_mobilenet_v1, (0.0,) * 3, (1.0,) * 3, (3, 96, 96)),
    # TensorFlow scales pixels to -1 .. 1.
    "mobilenetv1": ZooModel(imagenet_mobilenet_v1, (0.5,) * 3, (0.5,) * 3, (3, 224, 224)),
    "mobilenetv2": ZooModel(MobileNetV2, *_IMAGENET, (3, 224, 224)),
    "digits_cnn": ZooModel(DigitsCnn, (0.0,), (1.0,), (1, 8, 8)),
}

NO_CHECKPOINT = "none"  # what a user writes who wants the weights that a factory gives


def load_model(
    name: str,
    checkpoint: Path | str | None = None,
    note: Callable[[str], None] | None = None,
) -> nn.Module:
    """The model called ``name``, in evaluation mode, with the checkpoint's weights.

    Parameters
    ----------
    name : of the zoo, or ``module:factory`` for a callable of yours that gives a module
    checkpoint : a file that ``qnn.nn.weights.load_weights`` takes
    note : takes one line that says what was taken of the checkpoint and how, if not all as it is

    Raises
    ------
    ModelError
        There is no such model, it cannot be built, or the checkpoint does not fit; or
        weights have no values.
    """
    model = _built(name)
    if checkpoint is not None:
        said = load_weights(model, checkpoint, name).note
        if said and note is not None:
            note(said)
    check_values(model, name)
    # A module of torch.export stays as it was exported: PyTorch refuses to change it.
    with suppress(NotImplementedError):
        model.eval()
    return model


def load_trained(
    name: str,
    checkpoint: Path | str | None,
    note: Callable[[str], None],
    option: str = "--checkpoint",
) -> nn.Module:
    """As ``load_model``; without a checkpoint, the factory must give the same weights each time.

    Parameters
    ----------
    checkpoint : a file, ``"none"`` for the weights that the factory gives, or None, the same if
        these are not drawn at random
    note : also takes a line about weights that look untrained
    option : by which a user gives a checkpoint of this model

    Raises
    ------
    ModelError
        As ``load_model`` does, or the weights are random and no checkpoint is given.
    """
    if checkpoint is not None:
        return load_model(name, None if str(checkpoint) == NO_CHECKPOINT else checkpoint, note)
    model = load_model(name)
    if other := random_tensor(name, model):
        raise ModelError(
            f"model '{name}' has other weights each time that it is built, as '{other}' has, so "
            f"they are random; give trained ones with {option} FILE, or go on with these by "
            f"{option} {NO_CHECKPOINT}"
        )
    # A warning and no refusal: a seeded factory may be meant, for sizes and for trials.
    if looks_untrained(model):
        note(
            f"model '{name}' looks untrained: its weights are as PyTorch's layers begin; give "
            f"trained ones with {option} FILE"
        )
    return model


def random_tensor(name: str, model: nn.Module | None = None) -> str | None:
    """A parameter that is other in each model that the factory gives; None if there is none.

    Parameters
    ----------
    model : one that the factory gave, if there is one already
    """
    return differing(model or _built(name), _built(name))


def _built(name):
    return ZOO[name].build() if name in ZOO else from_factory(name, ZOO)
