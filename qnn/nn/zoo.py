"""Networks that come with qnn, and what their inputs need."""

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qnn.errors import ModelError
from qnn.nn.separable import imagenet_mobilenet_v1, tiny_ds_cnn, tiny_mobilenet_v1


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


class BasicBlock(nn.Module):
    """Two convolutions and a shortcut, which is a convolution where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, h, w) to (batch, outputs, h / stride, w / stride)."""
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ImageNetResNet18(nn.Module):
    """ResNet-18 for ImageNet: (batch, 3, 224, 224) to (batch, 1000).

    Parameters have the names that published checkpoints give them.
    """

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(BasicBlock(64, 64, 1), BasicBlock(64, 64, 1))
        self.layer2 = nn.Sequential(BasicBlock(64, 128, 2), BasicBlock(128, 128, 1))
        self.layer3 = nn.Sequential(BasicBlock(128, 256, 2), BasicBlock(256, 256, 1))
        self.layer4 = nn.Sequential(BasicBlock(256, 512, 2), BasicBlock(512, 512, 1))
        self.fc = nn.Linear(512, 1000)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


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
    "resnet18": ZooModel(ImageNetResNet18, *_IMAGENET, (3, 224, 224)),
    "dscnn": ZooModel(tiny_ds_cnn, (_MFCC_ZERO / 255,), (1 / (255 * _MFCC_STEP),), (1, 49, 10)),
    "mobilenetv1_vww": ZooModel(tiny_mobilenet_v1, (0.0,) * 3, (1.0,) * 3, (3, 96, 96)),
    # TensorFlow scales pixels to -1 .. 1.
    "mobilenetv1": ZooModel(imagenet_mobilenet_v1, (0.5,) * 3, (0.5,) * 3, (3, 224, 224)),
    "digits_cnn": ZooModel(DigitsCnn, (0.0,), (1.0,), (1, 8, 8)),
}


def load_model(name: str, checkpoint: Path | str | None = None) -> nn.Module:
    """The model called ``name``, in evaluation mode, with the checkpoint's weights.

    Parameters
    ----------
    name : of the zoo, or ``module:factory`` for a callable of yours that gives a module
    checkpoint : a ``.pt`` file with a flat dictionary of tensors, or ``.safetensors``

    Raises
    ------
    ModelError
        There is no such model, it cannot be built, or the checkpoint does not fit.
    """
    model = ZOO[name].build() if name in ZOO else _built(name)
    if checkpoint is not None:
        _load(model, name, Path(checkpoint))
    return model.eval()


def _built(name):
    module, colon, factory = name.partition(":")
    if not colon or not module or not factory:
        raise ModelError(
            f"model needs to be one of {', '.join(ZOO)} or module:factory, not '{name}'; "
            f"name a module that Python can import and a callable in it"
        )
    try:
        found = getattr(importlib.import_module(module), factory)
    except Exception as error:  # any: it is the user's code
        raise ModelError(
            f"model '{name}' cannot be imported: {error}; check the name and PYTHONPATH"
        ) from error
    try:
        model = found if isinstance(found, nn.Module) else found()
    except Exception as error:  # any: it is the user's code
        raise ModelError(
            f"model '{name}' cannot be built: {type(error).__name__}: {error}; it is called "
            f"without arguments"
        ) from error
    if not isinstance(model, nn.Module):
        kind = "a class" if inspect.isclass(model) else type(model).__name__
        raise ModelError(
            f"model '{name}' needs to give an nn.Module, not {kind}; return the network"
        )
    return model


def _load(model, name, path):
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # any: a missing, cut or foreign file raises many kinds
        reason = getattr(error, "strerror", None) or "it holds something else, or is cut short"
        raise ModelError(
            f"checkpoint {path} cannot be read: {reason}; give a dictionary of tensors that "
            f"torch.save or safetensors wrote"
        ) from error
    difference = _difference(model.state_dict(), state)
    if difference:
        raise ModelError(
            f"checkpoint {path} does not fit model '{name}': {difference}; give the checkpoint of "
            f"this model"
        )
    model.load_state_dict(state, strict=False)  # what may be missing are BatchNorm's counters


def _difference(wanted, state):
    """What first keeps ``state`` from being loaded, or None."""
    if not isinstance(state, dict) or not all(isinstance(t, Tensor) for t in state.values()):
        return "it is no flat dictionary of tensors"
    for name, tensor in wanted.items():
        # Checkpoints of old versions of PyTorch lack these counters, which evaluation does not
        # read.
        if name not in state and not name.endswith("num_batches_tracked"):
            return f"it lacks '{name}'"
        if name in state and state[name].shape != tensor.shape:
            got, needs = tuple(state[name].shape), tuple(tensor.shape)
            return f"its '{name}' has shape {got}, not {needs}"
    unknown = [name for name in state if name not in wanted]
    return f"the model has no '{unknown[0]}'" if unknown else None
