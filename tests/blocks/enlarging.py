"""What writes with steps and offsets: transposed convolutions, resampling, shuffles and borders."""

import math
from types import MappingProxyType

import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch import nn

from tests.blocks.parts import Called, divisors, is_small, norm, of_rank


def _transposed(draw, shape):
    if not is_small(shape):
        return None
    axes = range(len(shape) - 1)
    kernel = tuple(draw(st.integers(1, 4)) for _ in axes)
    stride = tuple(draw(st.integers(1, 3)) for _ in axes)
    dilation = tuple(draw(st.integers(1, 2)) for _ in axes)
    padding = tuple(draw(st.integers(0, (k - 1) // 2)) for k in kernel)
    more = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
    outputs = draw(st.sampled_from((1, 3, shape[0], 2 * shape[0])))
    groups = draw(st.sampled_from((1, 1, *divisors(math.gcd(shape[0], outputs)))))
    kind = of_rank(shape, nn.ConvTranspose1d, nn.ConvTranspose2d)
    bias = draw(st.booleans())
    conv = kind(shape[0], outputs, kernel, stride, padding, more, groups, bias, dilation)
    layers = [conv, *([norm(shape, outputs)] * draw(st.booleans()))]
    return nn.Sequential(*layers, *[nn.ReLU()] * draw(st.booleans()))


def _resampled(**fields):
    def make(draw, shape):
        if not is_small(shape):
            return None
        own = dict(fields)
        if own.get("mode") in ("linear", "bicubic"):
            own["align_corners"] = draw(st.booleans())
        if own.get("mode") == "linear":
            own["mode"] = "linear" if len(shape) == 2 else "bilinear"
        layer = Called(lambda x: F.interpolate(x, **own))
        return nn.Sequential(layer, nn.ReLU()) if draw(st.booleans()) else layer

    return make


def _of_images(make):
    return lambda draw, shape: make(draw, shape) if len(shape) == 3 else None


def _shuffled(draw, shape):
    factor = draw(st.integers(2, 3))
    if not is_small(shape):
        return None
    # Computed by the convolution before it, or copied where there is none.
    if shape[0] % factor**2 == 0 and draw(st.booleans()):
        return nn.PixelShuffle(factor)
    conv = nn.Conv2d(shape[0], 2 * factor**2, 3, padding=1)
    return nn.Sequential(conv, nn.PixelShuffle(factor), *[nn.ReLU()] * draw(st.booleans()))


def _unshuffled(draw, shape):
    return nn.PixelUnshuffle(2) if shape[1] % 2 == shape[2] % 2 == 0 else None


def _bordered(mode):
    def make(draw, shape):
        if not is_small(shape) or min(shape[1:]) < 2:
            return None
        pads = tuple(draw(st.integers(0, 1)) for _ in range(2 * len(shape[1:])))
        return Called(lambda x: F.pad(x, pads, mode=mode)) if any(pads) else None

    return make


def _beside(along):
    """A concatenation along the first or the last axis of the space."""

    def make(draw, shape):
        if not is_small(shape):
            return None
        axis = 2 if along == "first" else len(shape)
        parts = draw(st.permutations((lambda x: x, F.relu, lambda x: x)))
        parts = parts[: draw(st.integers(2, 3))]
        return Called(lambda x: torch.cat([part(x) for part in parts], axis))

    return make


KINDS = MappingProxyType(
    {
        "transposed": _transposed,
        "another transposed": _transposed,
        "nearest by 2": _resampled(scale_factor=2),
        "nearest by 3": _resampled(scale_factor=3),
        "nearest by 1.5": _resampled(scale_factor=1.5),
        "linear by 2": _resampled(scale_factor=2, mode="linear"),
        "linear by 3": _resampled(scale_factor=3, mode="linear"),
        "cubic by 2": _of_images(_resampled(scale_factor=2, mode="bicubic")),
        "pixel shuffle": _of_images(_shuffled),
        "pixel unshuffle": _of_images(_unshuffled),
        "reflected border": _bordered("reflect"),
        "replicated border": _bordered("replicate"),
        "circular border": _bordered("circular"),
        "rows below rows": _beside("first"),
        "columns beside columns": _of_images(_beside("last")),
    }
)
