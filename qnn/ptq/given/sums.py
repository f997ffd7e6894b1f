"""What is known exactly of the sums of a layer: their step, their range, and what is added."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from qnn.frontend.ops.conv import FloatConv
from qnn.frontend.ops.operator import FloatOperator
from qnn.quant.pow2 import exp2
from qnn.quant.qtype import QType

Ranges = Mapping[str, tuple[int, int]]  # of each tensor, the least and the greatest integer
# A mantissa has 53 bits: finer than that lies no binary place of a float from its first one.
MOST_PLACES = 200


@dataclass(frozen=True, eq=False)
class LayerSums:
    """``gain * (whole numbers * 2**-unit) + bias`` of each channel; all tensors (channels,).

    Members
    -------
    unit : exponents of the steps of all that is summed, int64
    least, most : that the whole numbers reach, float64
    gain, bias : of what follows, float64; the gain is 1 where powers of two were taken in
    weight : (channels, ...) float64 with those powers of two; None of a product of tensors
    """

    unit: Tensor
    least: Tensor
    most: Tensor
    gain: Tensor
    bias: Tensor
    weight: Tensor | None

    @property
    def is_plain(self) -> bool:
        """Whether nothing is multiplied behind the sums."""
        return bool((self.gain == 1).all())


def sums_of(node: FloatOperator, types: Mapping[str, QType], ranges: Ranges) -> LayerSums:
    """The sums of a convolution or a product, over operands of those types and ranges."""
    if not node.weighs:
        return _of_product(node, types, ranges)
    gain, bias = behind(node)
    weight, shares = _apart(node)
    gain = gain / shares
    if bool(is_power(gain).all()):
        weight, gain = weight * gain[:, None, None, None], torch.ones_like(gain)
    source = node.inputs[0]
    unit = places_of(weight.flatten(1)) + types[source].exponent
    if node.skip is not None:
        unit = unit.clamp(min=types[node.skip].exponent)
    steps = weight * exp2(unit - types[source].exponent)[:, None, None, None]
    least, most = _reach(steps.flatten(1), *ranges[source])
    if node.skip is not None:
        shift = exp2(unit - types[node.skip].exponent)
        least, most = (
            end + shift * own for end, own in zip((least, most), ranges[node.skip], strict=True)
        )
    return LayerSums(unit, least, most, gain, bias, weight)


def _apart(conv):
    """Weights, and what they are to be divided by: of a mean, ones and how many numbers it has."""
    weight = conv.weight.double()
    most = weight.abs().flatten(1).amax(1)
    # float32 has no third: the whole number whose share it is nearest to.
    counts = torch.round(1 / most.clamp(min=2.0**-40))
    means = conv.fixed and bool(((1 / counts).float().double() == most).all())
    if not means:
        return weight, torch.ones_like(most)
    ones = torch.round(weight * counts[:, None, None, None])
    return ones, counts


def behind(conv: FloatConv) -> tuple[Tensor, Tensor]:
    """Factor and shift of each channel behind the sums of weights as they are held."""
    scale = torch.full((len(conv.weight),), conv.scale, dtype=torch.float64)
    bias = torch.zeros_like(scale) if conv.bias is None else conv.bias.double()
    norm = conv.batchnorm
    if norm is None:
        return scale, bias
    factor = norm.gamma.double() / (norm.var.double() + norm.eps).sqrt()
    return scale * factor, (bias - norm.mean.double()) * factor + norm.beta.double()


def _of_product(node, types, ranges):
    one, other = node.inputs
    channels = node.shape[0]
    ends = [a * b for a in ranges[one] for b in ranges[other]]
    full = torch.ones(channels, dtype=torch.float64)
    unit = torch.full((channels,), types[one].exponent + types[other].exponent)
    return LayerSums(unit, full * min(ends), full * max(ends), full, full * 0, None)


def _reach(steps, low, high):
    """The least and the greatest sum of weights in steps, for operands from low to high."""
    # Padding is zeros, whatever the operand's range.
    low, high = min(low, 0), max(high, 0)
    up, down = steps.clamp(min=0).sum(1), steps.clamp(max=0).sum(1)
    return up * low + down * high, up * high + down * low


def is_power(x: Tensor) -> Tensor:
    """Whether each number is a power of two, of either sign."""
    return torch.frexp(x).mantissa.abs() == 0.5


def places_of(x: Tensor) -> Tensor:
    """Binary places that all numbers of a row have behind the point, (rows,) int64; 0 of zeros.

    They are negative where all numbers are multiples of 2, of 4 and so on.
    """
    mantissa, exponent = torch.frexp(x.double())
    # As whole numbers of 53 bits, whose lowest bit that is set says how many zeros there are.
    whole = (mantissa.abs() * 2.0**53).to(torch.int64)
    lowest = torch.frexp((whole & -whole).double()).exponent.to(torch.int64) - 1
    places = 53 - lowest - exponent.to(torch.int64)
    return torch.where(whole == 0, -MOST_PLACES, places).amax(1).clamp(min=-MOST_PLACES) * (
        (whole != 0).any(1).to(torch.int64)
    )
