"""The operators that are measured, on maps of one size, and what each of them has to compute."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qnn.bench.operators.bound import NeededMap, Shape

CHANNELS = 64
GROUPS = 8  # of a group normalisation
POOLED, UNEVEN = 7, 5  # sizes that adaptive pooling gives: one divides 28 and 112, and one does not


@dataclass(frozen=True, kw_only=True)
class OperatorCase:
    """One operator between two convolutions.

    Members
    -------
    shapes : of its operands
    function : what it computes of them, and of its ``layers``
    maps : what it has to compute beside those convolutions; none where they take it in
    """

    name: str
    shapes: tuple[Shape, ...]
    function: Callable[..., Tensor]
    maps: tuple[NeededMap, ...] = ()
    layers: tuple[nn.Module, ...] = ()


def operator_cases(pixels: int) -> tuple[OperatorCase, ...]:
    """All cases on maps of ``pixels`` rows and columns; weights are those of seed 0."""
    torch.manual_seed(0)
    families = (_values, _pairs, _enlarging, _selecting, _sums, _windows, _normalising, _known)
    return tuple(case for family in families for case in family(pixels))


def _case(name, function, shapes, maps=(), layers=()):
    return OperatorCase(
        name=name, function=function, shapes=tuple(shapes), maps=tuple(maps), layers=tuple(layers)
    )


def _map(channels, height, width=None, **more):
    return NeededMap(shape=(channels, height, height if width is None else width), **more)


def _over_all(n):
    """Sums of all pixels: one column each, as parts would be rounded."""
    return _map(CHANNELS, 1, 1, reads=n * n)


def _over_rows(n):
    """Such sums by rows, where operators round in between."""
    return [_map(CHANNELS, n, 1, reads=n, stride=n), _map(CHANNELS, 1, 1, reads=n)]


def _values(n):
    x = (CHANNELS, n, n)
    # Behind a maximum that no function of these commutes with, so that it is a layer of its own.
    pool = _map(*x, reads=9)
    return [
        _case("table", lambda x: F.silu(F.max_pool2d(x, 3, 1, 1)), [x], [pool, _map(*x)]),
        _case("square", lambda x: F.max_pool2d(x, 3, 1, 1).square(), [x], [pool, _map(*x)]),
        _case("table, behind a convolution", F.silu, [x]),
        _case("PReLU, behind a convolution", _last, [x], layers=[nn.PReLU(CHANNELS)]),
    ]


def _pairs(n):
    x, gate, place = (CHANNELS, n, n), (CHANNELS, 1, 1), (1, n, n)
    both = _map(*x, skip=True)
    return [
        _case("product", torch.mul, [x, x], [both]),
        _case("product with a value per channel", torch.mul, [x, gate], [both]),
        _case("product with a value per pixel", torch.mul, [x, place], [both]),
        _case("sum", torch.add, [x, x], [both]),
        _case("sum with a value per channel", torch.add, [x, gate], [both]),
        _case("sum with a value per pixel", torch.add, [x, place], [both]),
        _case("maximum of two", torch.maximum, [x, x], [both, both]),
        _case("quotient", lambda a, b: a / (1 + b), [x, x], [both]),
    ]


def _enlarging(n):
    x, twice = (CHANNELS, n, n), (CHANNELS, 2 * n, 2 * n)
    # A phase of a transposed convolution has its share of the kernel's taps.
    blocks = CHANNELS // 16
    layers = {
        "2x2": (nn.ConvTranspose2d(CHANNELS, CHANNELS, 2, 2), (1, 1, 1, 1)),
        "3x3": (nn.ConvTranspose2d(CHANNELS, CHANNELS, 3, 2, 1, 1), (1, 2, 2, 4)),
        "4x4": (nn.ConvTranspose2d(CHANNELS, CHANNELS, 4, 2, 1), (4, 4, 4, 4)),
    }
    found = [
        _case(f"transposed {size}", _last, [x], [_map(*x, reads=t * blocks) for t in taps], [layer])
        for size, (layer, taps) in layers.items()
    ]
    # Each result of a bilinear enlargement is computed from four pixels, in two terms at most.
    linear = [_map(*x, reads=4)] * 4
    return [
        *found,
        _case("nearest x2", lambda x: F.interpolate(x, scale_factor=2), [x], [_map(*twice)]),
        _case("bilinear x2", _bilinear, [x], linear),
        _case("pixel shuffle, with its convolution", _last, [x], [_map(*x, reads=blocks)], [_up()]),
    ]


def _selecting(n):
    x, wide = (CHANNELS, n, n), (16, 2 * n, 2 * n)
    half = (CHANNELS, n // 2, n // 2)
    pool = _map(*half, reads=4, stride=2)
    return [
        _case("pixel unshuffle", lambda x: F.pixel_unshuffle(x, 2), [wide], [_map(*x, reads=4)]),
        _case("slice with steps", lambda x: x[:, :, 1::2, ::2], [x]),
        _case("slice of what others read", _sliced, [x], [_map(*half, stride=2), pool]),
        _case("channels with steps", lambda x: x[:, 3::2], [x]),
        _case("channel shuffle", lambda x: F.channel_shuffle(x, 4), [x]),
        _case("concatenation", lambda a, b: torch.cat([a, b], 1), [x, x]),
        _case("concatenation of columns", lambda a, b: torch.cat([a, b], 3), [x, x]),
        _case("columns in reverse", lambda x: x.flip(3), [x], [_map(*x)]),
    ]


def _sums(n):
    x = (CHANNELS, n, n)
    line = _map(CHANNELS, n, 1, reads=n)
    return [
        _case("mean over space", _mean_over(2, 3), [x], [_over_all(n)]),
        _case("mean over columns", _mean_over(3), [x], [line]),
        _case("sum over rows", lambda x: x.sum(2, keepdim=True), [x], [line]),
        _case("mean over channels", _mean_over(1), [x], [_map(1, n, n, reads=CHANNELS // 16)]),
    ]


def _windows(n):
    x = (CHANNELS, n, n)
    side = n // POOLED
    ceil_mode = {"stride": 2, "padding": 1, "ceil_mode": True, "count_include_pad": False}
    return [
        _case(
            "adaptive mean",
            lambda x: F.adaptive_avg_pool2d(x, POOLED),
            [x],
            [_map(CHANNELS, POOLED, reads=side * side, stride=side)],
        ),
        _case(
            "adaptive maximum, uneven",
            lambda x: F.adaptive_max_pool2d(x, UNEVEN),
            [x],
            _uneven(n),
        ),
        _case(
            "mean of cut windows",
            lambda x: F.avg_pool2d(x, 3, **ceil_mode),
            [x],
            # A ninth takes three terms of 3 bits.
            [_map(CHANNELS, n // 2 + 1, reads=27, stride=2)],
        ),
        _case("reflected border", _reflected, [x], [_map(CHANNELS, n + 2)]),
    ]


def _normalising(n):
    x, place = (CHANNELS, n, n), (1, n, n)
    blocks = CHANNELS // 16
    both = _map(*x, skip=True)
    # Less the mean, squared, and times the factor.
    maps = [both, _map(*x), both]
    whole, by_rows = [_over_all(n)] * 2, _over_rows(n) * 2
    pixel = _map(*place, reads=blocks)
    norm = nn.LayerNorm(CHANNELS)
    gate = [nn.Conv2d(CHANNELS, 16, 1), nn.Conv2d(16, CHANNELS, 1)]
    return [
        _case("squeeze and excite", _squeezed, [x], [_over_all(n), both], gate),
        _case(
            "group normalisation", _last, [x], [*maps, *by_rows], [nn.GroupNorm(GROUPS, CHANNELS)]
        ),
        _case("instance normalisation", _last, [x], [*maps, *whole], [nn.InstanceNorm2d(CHANNELS)]),
        # The mean and the factor of a pixel are one word each, which all channels read.
        _case("layer normalisation", _tokens, [x], [*maps, pixel, pixel], [norm]),
    ]


def _known(n):
    x = (CHANNELS, n, n)
    blocks = CHANNELS // 16
    depthwise = nn.Conv2d(CHANNELS, CHANNELS, 3, 1, 1, groups=CHANNELS)
    return [
        _case("convolution 3x3", _last, [x], [_map(*x, reads=9 * blocks)], [_conv()]),
        _case("depthwise 3x3", _last, [x], [_map(*x, reads=9)], [depthwise]),
        _case(
            "maximum pooling",
            lambda x: F.max_pool2d(x, 3, 2, 1),
            [x],
            [_map(CHANNELS, n // 2, reads=9, stride=2)],
        ),
    ]


def _uneven(n):
    """Windows of two sizes that take turns along each axis: results that lie between each other."""
    counts = (UNEVEN + 1) // 2, UNEVEN // 2
    sizes = n // UNEVEN + 1, n // UNEVEN + 2
    return [
        NeededMap(shape=(CHANNELS, rows, columns), reads=high * wide)
        for rows, high in zip(counts, sizes, strict=True)
        for columns, wide in zip(counts, sizes, strict=True)
    ]


def _last(x, layer):
    return layer(x)


def _conv():
    return nn.Conv2d(CHANNELS, CHANNELS, 3, 1, 1)


def _up():
    return nn.Sequential(nn.Conv2d(CHANNELS, CHANNELS, 1), nn.PixelShuffle(2))


def _bilinear(x):
    return F.interpolate(x, scale_factor=2, mode="bilinear")


def _reflected(x):
    return F.pad(x, (1, 1, 1, 1), mode="reflect")


def _sliced(x):
    return torch.cat([x[:, :, ::2, ::2], F.max_pool2d(x, 2)], 1)


def _mean_over(*axes):
    return lambda x: x.mean(axes, keepdim=True)


def _squeezed(x, narrow, wide):
    return x * torch.sigmoid(wide(F.relu(narrow(x.mean((2, 3), keepdim=True)))))


def _tokens(x, norm):
    return norm(x.movedim(1, -1)).movedim(-1, 1)
