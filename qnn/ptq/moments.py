"""Second moments of what a layer reads, and of what it should give, over sampled positions."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from qnn.nn.layers import QuantConv

# With twice as many, in up to twice the time, a ResNet-8 loses no less; with half, 3 % more.
POSITIONS = 1 << 16  # of a layer's results that its moments are taken from, about
FEWEST = 16  # images that they are taken from, however large
# Squares of so many in float64 take 512 MiB, and rounding needs some copies.
MOST_INPUTS = 1 << 13  # of a sum, whose second moments are taken
VALUES = 1 << 24  # of windows that are held at a time: 64 MiB in float32
PART = 256  # inputs whose products with others are computed at once
# A variance that is less of a squared mean is the last places of float32, 2**-24, and no more.
CONSTANT = 1e-10


@dataclass(frozen=True, eq=False)
class Moments:
    """Means over all sums of a layer, of its operand's windows x and of the wanted sums t.

    About the means of x and t, where the layer has a bias to take means back; of inputs that do
    not vary there, 0. All are float64.

    Members
    -------
    second : (groups, inputs, inputs) of x x^T; None of more than ``MOST_INPUTS`` inputs
    cross : (groups, rows, inputs) of t x^T, likewise
    x : (groups, inputs) means
    t : (outputs,) means
    """

    second: Tensor | None
    cross: Tensor | None
    x: Tensor
    t: Tensor


@torch.no_grad()
def moments_of(conv: QuantConv, x: Tensor, wanted: Callable[[slice], Tensor]) -> Moments:
    """The moments of a layer over the first images, as many as ``POSITIONS`` takes.

    Parameters
    ----------
    x : (images, channels, height, width) reals of the operand
    wanted : of images, the sums that they should have, (images, outputs, height, width)
    """
    outputs, *shape = conv.plan.weight_shape
    groups, inputs = conv.plan.window.groups, shape[0] * shape[1] * shape[2]
    rows = outputs // groups
    positions = conv.plan.shape[1] * conv.plan.shape[2]
    images = min(len(x), max(FEWEST, -(-POSITIONS // positions)))
    step = max(1, VALUES // (inputs * groups * positions))
    whole = inputs <= MOST_INPUTS
    second = torch.zeros(groups, *((inputs, inputs) if whole else (0, 0)), dtype=torch.float64)
    cross = torch.zeros(groups, rows, inputs, dtype=torch.float64)
    means, sums = torch.zeros(groups, inputs).double(), torch.zeros(groups, rows).double()
    # Moments about a value nearby: of a large mean's square, float32 would keep no variance.
    origin, t_origin = torch.zeros(groups, inputs), torch.zeros(groups, rows)
    # Products of values around 1e30, or 1e-30, are no float32: powers of two take them near 1.
    unit, t_unit = _unit(x[:images]), 1.0
    for start in range(0, images, step):
        part = slice(start, min(start + step, images))
        read = conv.windows(x[part].float() / unit)
        # In the order of the windows: images, then positions.
        t = wanted(part).flatten(2).transpose(1, 2).reshape(len(read), groups, rows)
        t_unit = _unit(t) if start == 0 else t_unit
        t = t / t_unit
        if conv.moves_mean:
            if start == 0:
                origin, t_origin = read.mean(0), t.mean(0)
            read, t = read - origin, t - t_origin
        # Products in float32, sums of parts in float64.
        if whole:
            _add_products(second, read)
            cross += torch.einsum("ngo,ngi->goi", t, read)
        means += _total(read)
        sums += _total(t)
    origin, t_origin = origin.double() * unit, t_origin.double() * t_unit
    second, cross = second * unit**2, cross * (unit * t_unit)
    means, sums = means * unit, sums * t_unit
    count = images * positions
    if not whole:
        means, sums = means / count + origin, sums / count + t_origin
        return Moments(None, None, means, sums.flatten())
    second.triu_()
    second += second.triu(1).transpose(1, 2)
    second, cross, means, sums = (each / count for each in (second, cross, means, sums))
    if conv.moves_mean:
        second -= means[:, :, None] * means[:, None]
        cross -= sums[:, :, None] * means[:, None]
        means, sums = means + origin, sums + t_origin
        varies = second.diagonal(dim1=1, dim2=2) > CONSTANT * means.square()
        second *= varies[:, :, None] & varies[:, None]
        cross *= varies[:, None]
    else:
        cross -= conv.folded_bias().reshape(groups, rows, 1) * means[:, None]
    return Moments(second, cross, means, sums.flatten())


def _add_products(second: Tensor, read: Tensor) -> None:
    """Add what ``read`` gives to the upper triangle of ``second``; what is below it means nothing.

    Of many inputs, products take most of the time of all moments, and half of them come twice.
    """
    for start in range(0, second.shape[1], PART):
        here, rest = read[..., start : start + PART], read[..., start:]
        second[:, start : start + PART, start:] += torch.einsum("ngi,ngj->gij", here, rest)


def _total(values: Tensor) -> Tensor:
    """The sum over the first dimension in float32, as products are: a fifth of float64's time."""
    return (values.new_ones(1, len(values)) @ values.flatten(1)).reshape(values.shape[1:])


def _unit(values: Tensor) -> float:
    """The power of two next above all values."""
    reach = float(values.abs().max())
    return 2.0 ** math.frexp(reach)[1] if 0 < reach < math.inf else 1.0
