"""Random small networks out of every supported operator, for properties of the whole chain."""

import math
import warnings
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class Case:
    """A float model, what to quantize it with, and pixels to try it on.

    ``options`` are keyword arguments of ``quantize``; with them come mean and std, or not.
    ``images`` are (count, channels, height, width): uint8 pixels with mean and std, else floats.
    """

    model: nn.Module
    calibration: Tensor  # what the float model takes
    images: Tensor
    options: dict


class Residual(nn.Module):
    """Adds two branches, or one to its input; a branch of None is the input itself."""

    def __init__(self, one: nn.Module, other: nn.Module | None, relu: bool):
        super().__init__()
        self.one, self.other, self.relu = one, other, relu

    def forward(self, x: Tensor) -> Tensor:
        other = x if self.other is None else self.other(x)
        y = torch.add(self.one(x), other)
        return F.relu(y) if self.relu else y


class Met(nn.Module):
    """The input and a branch of it, met by an operator of two tensors; a gate is its mean."""

    def __init__(self, branch: nn.Module, operator: str, over: tuple[int, ...]):
        super().__init__()
        self.branch, self.operator, self.over = branch, operator, over

    def forward(self, x: Tensor) -> Tensor:
        y = self.branch(x)
        y = y.mean(self.over, keepdim=True) if self.over else y
        return getattr(torch, self.operator)(x, y)


class Squared(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * x


class Doubled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + x


class Joined(nn.Module):
    """Concatenates branches; None is the input itself."""

    def __init__(self, *branches: nn.Module | None):
        super().__init__()
        self.own = [branch is None for branch in branches]
        self.branches = nn.ModuleList(b for b in branches if b is not None)

    def forward(self, x: Tensor) -> Tensor:
        rest = iter(self.branches)
        return torch.cat([x if own else next(rest)(x) for own in self.own], 1)


class OptionA(nn.Module):
    """Every n-th pixel, with zero channels around."""

    def __init__(self, step: tuple[int, int], more: tuple[int, int]):
        super().__init__()
        self.step, self.more = step, more

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, :: self.step[0], :: self.step[1]], (0, 0, 0, 0, *self.more))


class Mean(nn.Module):
    def __init__(self, keepdim: bool):
        super().__init__()
        self.keepdim = keepdim

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3), keepdim=self.keepdim)


class Flat(nn.Module):
    def __init__(self, how: str):
        super().__init__()
        self.how = how

    def forward(self, x: Tensor) -> Tensor:
        if self.how == "view":
            return x.view(x.size(0), -1)
        return x.flatten(1) if self.how == "flatten" else x.reshape(len(x), -1)


class Clamped(nn.Module):
    def __init__(self, low: float | None, high: float | None):
        super().__init__()
        self.low, self.high = low, high

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(self.low, self.high)


class Two(nn.Module):
    """Returns its inner tensor too."""

    def __init__(self, body: nn.Module, head: nn.Module):
        super().__init__()
        self.body, self.head = body, head

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.body(x)
        return self.head(y), y


MOST_MACS = 200_000  # of one layer, so that simulation stays quick
MOST_ENLARGED = 60  # pixels of an image that becomes larger


@st.composite
def models(draw, most_layers: int = 5, most_size: int = 11) -> Case:
    """A network of up to ``most_layers`` blocks and a head, on images up to ``most_size`` wide.

    Weights are random, some channels nearly or wholly dead; BatchNorm statistics are random too.
    """
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    channels = draw(st.sampled_from((1, 2, 3, 5, 8, 9)))
    size = (draw(st.integers(3, most_size)), draw(st.integers(3, most_size)))
    shape = (channels, *size)
    body = []
    for _ in range(draw(st.integers(1, most_layers))):
        layer, shape = draw(blocks(shape))
        body.append(layer)
    head = draw(heads(shape))
    inner = nn.Sequential(*body)
    model = Two(inner, head) if draw(st.integers(0, 7)) == 0 else nn.Sequential(inner, head)
    model.train(draw(st.booleans()))
    _randomise(draw, model, generator)
    count = draw(st.integers(1, 3))
    options = {
        "weight_bits": draw(_weight_bits(model)),
        "activation_bits": draw(st.sampled_from((8, 8, 4, 5, 6))),
        "terms": draw(st.sampled_from((1, 1, 1, 2, 3))),
    }
    if draw(st.booleans()):
        mean, std = draw(st.sampled_from(((0.0, 1.0), (0.5, 0.25), (0.0, 1 / 255), (0.45, 0.2))))
        options |= {"mean": mean, "std": std}
        pixels = torch.randint(0, 256, (8 + count, channels, *size), generator=generator)
        reals = ((pixels.double() / 255 - mean) / std).float()
        return Case(model, reals[:8], pixels[8:].to(torch.uint8), options)
    reals = torch.randn(8 + count, channels, *size, generator=generator)
    reals = reals.abs() if draw(st.booleans()) else reals
    scale = 2.0 ** draw(st.integers(-4, 4))
    return Case(model, reals[:8] * scale, reals[8:] * scale * 1.5, options)


@st.composite
def _weight_bits(draw, model):
    """One number, or one for each layer that has weights."""
    layers = [n for n, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    if not layers or draw(st.booleans()):
        return draw(st.integers(2, 5))
    # A transposed convolution is a layer for each phase.
    phases = [f"{n}*" for n, m in model.named_modules() if isinstance(m, nn.ConvTranspose2d)]
    return {name: draw(st.integers(2, 5)) for name in layers + phases}


def at_most(weight_bits: int | dict[str, int], most: int) -> int | dict[str, int]:
    """What ``quantize`` takes as ``weight_bits``, for a configuration that has ``most``."""
    if isinstance(weight_bits, int):
        return min(weight_bits, most)
    return {name: min(bits, most) for name, bits in weight_bits.items()}


@st.composite
def blocks(draw, shape):
    """A layer or small subnetwork for tensors of ``shape``, and the shape that it gives."""
    kinds = [_conv_block, _pad_conv, _residual, _met, _joined, _plain]
    # What enlarges an image, as long as it stays small.
    kinds += [_transposed, _resampled] if math.prod(shape[1:]) <= MOST_ENLARGED else []
    if min(shape[1:]) >= 2:
        kinds += [_max_pool, _avg_pool, _option_a]
    layer, new = draw(st.sampled_from(kinds))(draw, shape)
    return layer, new


@st.composite
def heads(draw, shape):
    """What ends the network: a classifier, or nothing, or an activation."""
    kind = draw(st.sampled_from(("mean", "flat", "pool", "conv", "nothing", "relu", "two")))
    channels, height, width = shape
    flat = draw(st.sampled_from(("view", "flatten", "reshape")))
    if kind == "flat" and channels * height * width <= 400:
        return nn.Sequential(Flat(flat), nn.Dropout(), nn.Linear(channels * height * width, 5))
    if kind == "pool":
        return nn.Sequential(
            nn.AdaptiveAvgPool2d(1), Flat(flat), nn.Linear(channels, 4, bias=False)
        )
    if kind == "conv":
        return nn.Conv2d(channels, 3, 1)
    if kind == "nothing":
        return nn.Identity()
    if kind == "relu":
        return nn.ReLU()
    if kind == "two":
        hidden = nn.Sequential(nn.Linear(channels, 9), nn.BatchNorm1d(9), nn.ReLU())
        return nn.Sequential(Mean(False), hidden, nn.Linear(9, 3))
    return nn.Sequential(Mean(True), nn.ReLU(), nn.Flatten(), nn.Linear(channels, 7))


def _activation(draw):
    return draw(
        st.sampled_from(
            (
                nn.ReLU(),
                nn.ReLU6(),
                nn.Hardtanh(-0.5, 0.75),
                Clamped(0.25, None),
                Clamped(None, 1.0),
            )
        )
    )


def _conv(draw, shape, outputs=None, padding=None, stride=None):
    """A convolution that fits ``shape``, and the shape that it gives."""
    kernel = tuple(draw(st.integers(1, min(n, 4))) for n in shape[1:])
    room = [(n - 1) // (k - 1) if k > 1 else 2 for n, k in zip(shape[1:], kernel, strict=True)]
    dilation = tuple(draw(st.integers(1, min(r, 2))) for r in room)
    stride = stride or tuple(draw(st.integers(1, 3)) for _ in range(2))
    if padding is None:
        padding = tuple(draw(st.integers(0, 2)) for _ in range(2))
    if padding == "same":
        stride = (1, 1)
    outputs = outputs or draw(st.sampled_from((1, 3, 4, 6, 8, 9, 12, 17, shape[0], 2 * shape[0])))
    shared = math.gcd(shape[0], outputs)
    groups = draw(st.sampled_from((1, *(n for n in range(1, shared + 1) if shared % n == 0))))
    bias = draw(st.booleans())
    conv = nn.Conv2d(shape[0], outputs, kernel, stride, padding, dilation, groups, bias)
    return conv, _shape_after(conv, shape)


def _shape_after(layer, shape):
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch copies for padding="same" with even kernels
        return tuple(layer.eval()(torch.zeros(2, *shape)).shape[1:])


def _conv_block(draw, shape):
    conv, new = _conv(draw, shape, padding=draw(st.sampled_from((None, "same"))))
    layers = [conv]
    if draw(st.booleans()):
        layers.append(nn.BatchNorm2d(new[0]))
    if draw(st.booleans()):
        layers.append(_activation(draw))
    return nn.Sequential(*layers), new


def _same(draw, shape, outputs):
    """A convolution that keeps height and width."""
    conv, _ = _conv(draw, shape, outputs=outputs, padding="same")
    return nn.Sequential(conv, nn.BatchNorm2d(outputs)) if draw(st.booleans()) else conv


def _pad_conv(draw, shape):
    pad = nn.ZeroPad2d(tuple(draw(st.integers(0, 2)) for _ in range(4)))
    conv, new = _conv(draw, _shape_after(pad, shape))
    return nn.Sequential(pad, conv), new


def _residual(draw, shape):
    branch = _same(draw, shape, shape[0])
    if draw(st.booleans()):
        branch = nn.Sequential(_same(draw, shape, shape[0]), nn.ReLU(), branch)
    if draw(st.integers(0, 4)) == 0:
        branch = nn.Sequential(branch, nn.ReLU())
    other = draw(st.sampled_from((None, None, "conv", "pool")))
    if other == "conv":
        other = _same(draw, shape, shape[0])
    if other == "pool":
        other = nn.MaxPool2d(3, 1, 1)
    return Residual(branch, other, draw(st.booleans())), shape


def _met(draw, shape):
    operator = draw(st.sampled_from(("mul", "mul", "sub", "rsub", "maximum", "minimum")))
    over = draw(st.sampled_from(((), (2, 3), (2, 3), (3,))))
    channels = draw(st.sampled_from((1, shape[0])))
    return Met(_same(draw, shape, channels), operator, over), shape


def _joined(draw, shape):
    branches = []
    for _ in range(draw(st.integers(1, 2))):
        branch = _same(draw, shape, draw(st.sampled_from((1, 3, 8))))
        branches.append(nn.Sequential(branch, nn.ReLU()) if draw(st.booleans()) else branch)
    other = draw(st.sampled_from(("own", "pool", "average", "none")))
    if other == "own" or (other == "none" and len(branches) == 1):
        branches.append(None)
    if other == "pool":
        branches.append(nn.MaxPool2d(3, 1, 1))
    if other == "average":
        branches.append(nn.AvgPool2d(3, 1, 1))
    joined = Joined(*branches)
    return joined, _shape_after(joined, shape)


def _plain(draw, shape):
    layer = draw(
        st.sampled_from(
            (
                nn.Identity(),
                nn.Dropout(),
                nn.BatchNorm2d(shape[0]),
                Doubled(),
                Squared(),
                nn.ZeroPad2d(1),
            )
        )
    )
    layer = nn.Sequential(layer, nn.ReLU()) if draw(st.booleans()) else layer
    return layer, _shape_after(layer, shape)


def _transposed(draw, shape):
    kernel = tuple(draw(st.integers(1, 3)) for _ in range(2))
    stride = tuple(draw(st.integers(1, 2)) for _ in range(2))
    dilation = draw(st.integers(1, 2))
    padding = tuple(draw(st.integers(0, (k - 1) // 2)) for k in kernel)
    more = tuple(draw(st.integers(0, max(s, dilation) - 1)) for s in stride)
    outputs = draw(st.sampled_from((1, 3, shape[0], 2 * shape[0])))
    groups = draw(st.sampled_from((1, math.gcd(shape[0], outputs))))
    bias = draw(st.booleans())
    conv = nn.ConvTranspose2d(
        shape[0], outputs, kernel, stride, padding, more, groups, bias, dilation
    )
    layers = [conv, *([nn.BatchNorm2d(outputs)] * draw(st.booleans()))]
    layers += [_activation(draw)] * draw(st.booleans())
    layer = nn.Sequential(*layers)
    return layer, _shape_after(layer, shape)


class Called(nn.Module):
    """A module of one function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def _resampled(draw, shape):
    layers = [
        nn.Upsample(scale_factor=2),
        nn.Upsample(scale_factor=draw(st.sampled_from((1.5, 2, (1, 3))))),
        nn.Upsample(scale_factor=2, mode="bilinear", align_corners=draw(st.booleans())),
        Called(lambda x: torch.cat([F.relu(x), x], 2)),
        Called(lambda x: torch.cat([x, F.max_pool2d(x, 3, 1, 1)], 3)),
        nn.ReplicationPad2d(1),
    ]
    layers += [nn.ReflectionPad2d((1, 0, 1, 1))] * (min(shape[1:]) > 1)
    layers += [nn.PixelShuffle(2)] * (shape[0] % 4 == 0)
    layers += [nn.PixelUnshuffle(2)] * (shape[1] % 2 == shape[2] % 2 == 0)
    layer = draw(st.sampled_from(layers))
    layer = nn.Sequential(layer, nn.ReLU()) if draw(st.booleans()) else layer
    return layer, _shape_after(layer, shape)


def _max_pool(draw, shape):
    kernel = tuple(draw(st.integers(1, min(n, 3))) for n in shape[1:])
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    stride = tuple(draw(st.integers(1, 2)) for _ in range(2))
    pool = nn.MaxPool2d(kernel, stride, padding, ceil_mode=draw(st.booleans()))
    layer = nn.Sequential(pool, nn.ReLU()) if draw(st.booleans()) else pool
    return layer, _shape_after(layer, shape)


def _avg_pool(draw, shape):
    kernel = tuple(draw(st.integers(1, min(n, 3))) for n in shape[1:])
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    pool = nn.AvgPool2d(kernel, draw(st.integers(1, 2)), padding)
    if draw(st.booleans()):
        pool = nn.AdaptiveAvgPool2d((1, None))
    return pool, _shape_after(pool, shape)


def _option_a(draw, shape):
    step = (draw(st.integers(1, 2)), draw(st.integers(1, 2)))
    more = (draw(st.integers(0, 3)), draw(st.integers(0, 3)))
    layer = OptionA(step, more)
    new = _shape_after(layer, shape)
    if more == (0, 0) or draw(st.booleans()):
        return layer, new
    branch, after = _conv(
        draw,
        shape,
        outputs=new[0],
        padding=(0, 0),
        stride=step,
    )
    return (Residual(layer, branch, True), new) if after == new else (layer, new)


@torch.no_grad()
def _randomise(draw, model: nn.Module, generator: torch.Generator) -> None:
    """Weights of many scales, and statistics as a trained network might have."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            count = (module.num_features,)
            module.running_mean.copy_(torch.randn(count, generator=generator) * 0.3)
            module.running_var.copy_(torch.rand(count, generator=generator) * 2 + 0.05)
            module.weight.copy_(torch.randn(count, generator=generator) * 0.5 + 1)
            module.bias.copy_(torch.randn(count, generator=generator) * 0.3)
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            weight = module.weight
            weight.copy_(torch.randn(weight.shape, generator=generator) * weight[0].numel() ** -0.5)
            weight[0] *= draw(st.sampled_from((1.0, 1.0, 1.0, 2.0**-6, 2.0**-20, 0.0)))
            if module.bias is not None:
                noise = torch.randn(module.bias.shape, generator=generator)
                module.bias.copy_(noise * draw(st.sampled_from((0.1, 0.1, 3.0))))
