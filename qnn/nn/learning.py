"""The forward pass of a quantized convolution in training: the grid's values, with gradients."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from qnn.nn.center import centered
from qnn.quant import activation, pow2
from qnn.quant.estimators import ClippedStraightThrough, Given

if TYPE_CHECKING:
    from qnn.nn.layers import QuantConv


class LearnedExponent(nn.Module):
    """A tensor's exponent as a parameter: the forward pass rounds it, its gradient is LSQ's.

    Parameters
    ----------
    exponent : to start from
    high : the tensor's greatest integer, of either sign
    count : values of the tensor in one image

    Source
        Esser et al., arXiv:1902.08153, equations 3 to 5, for a scale that is a power of two:
        the gradient of the rounded logarithm passes straight through.
    """

    def __init__(self, exponent: int, high: int, count: int):
        super().__init__()
        self.value = nn.Parameter(torch.tensor(float(exponent), dtype=torch.float64))
        # The paper's 1 / sqrt(N Q): steps of a scale become as large, relatively, as those of
        # weights.
        self.gain = (count * high) ** -0.5

    def __int__(self) -> int:
        return round(self.value.item())

    def steps(self) -> Tensor:
        """Steps of the grid in one unit, 2**exponent, with a gradient."""
        held = self.value.detach()
        # The value is unchanged, its gradient is multiplied: "gradient scale" of the paper's
        # appendix.
        eased = held + (self.value - held) * self.gain
        return torch.exp2(eased + (eased.round() - eased).detach())


@dataclass(frozen=True, eq=False)
class Exponents:
    """Learned exponents around one convolution; None where the frozen exponent stays."""

    operand: LearnedExponent | None
    skip: LearnedExponent | None
    result: LearnedExponent | None


def forward(conv: "QuantConv", x: Tensor, skip: Tensor | None) -> Tensor:
    """Integers of the result, as evaluation has them, in float arithmetic that may round.

    With frozen statistics, float32 and sums below 2**24 they are equal, but for the last place of
    an unrounded result, which evaluation chooses anew where exponents are learnt. The rounding of
    activations passes gradients where it does not clamp (Hubara et al., arXiv:1609.07061).
    """
    kind = x.device.type
    if torch.is_autocast_enabled(kind) and _outgrows(conv, torch.get_autocast_dtype(kind)):
        with torch.autocast(kind, enabled=False):
            return _forward(conv, x.float(), None if skip is None else skip.float())
    return _forward(conv, x, skip)


def _outgrows(conv, dtype):
    """Whether float16, which ends at 65504, is too narrow for the result's integers."""
    # 16 bits reach 65535, which float16 does not.
    return dtype == torch.float16 and (not conv.plan.rounded or conv.plan.bits > 15)


def _forward(conv, x, skip):
    settle_exponents(conv)
    given = _weights(conv)
    operand, skipped, result = _steps(conv)
    weight = (given * (result / operand)).to(x.dtype)
    if conv.statistics == "batch" and conv.plan.eps is not None:
        v = _centered(conv, conv.convolve(x, weight), result)
    else:
        v = conv.convolve(x, weight, (_grid_bias(conv) * result).to(x.dtype))
    if skip is not None:
        v = _plus(v, skip, result / skipped)
    if conv.lookup is not None:
        return conv.lookup.learn(v, conv.type)
    return activation.learn_snap(v, *conv.bounds()) if conv.plan.rounded else v


@torch.no_grad()
def settle_exponents(conv: "QuantConv") -> None:
    """Give a convolution the exponents that were learnt: bounds and bias follow them."""
    learned = conv.exponents or Exponents(None, None, None)
    for exponent, buffer in (
        (learned.operand, conv.input_exponent),
        (learned.skip, conv.skip_exponent),
        (learned.result, conv.exponent),
    ):
        if exponent is not None:
            buffer.fill_(int(exponent))


def _weights(conv):
    """The weights that the layer computes with."""
    # Not in float64, as nothing is to be rounded: of all weights that is a pass each way.
    if isinstance(conv.estimator, Given) and conv.is_folded:
        return conv.weight
    return grid_values(conv, conv.folded()[0])


def grid_values(conv: "QuantConv", weight: Tensor) -> Tensor:
    """The weights of the forward pass for the folded ones, (outputs, ...), with a gradient."""
    if conv.plan.fixed:
        return pow2.values(conv.indices(), conv.weight_exponent, conv.plan.weight_bits)
    if conv.estimator is None:
        default = ClippedStraightThrough(conv.plan.weight_bits, conv.plan.grid_terms)
        return default(weight, conv.weight_exponent)
    return conv.estimator(weight, conv.weight_exponent)


def _steps(conv):
    """Steps in one unit of operand, skip operand and result: numbers, or tensors that learn."""
    learned = conv.exponents or Exponents(None, None, None)
    return (
        _step(learned.operand, conv.input_exponent),
        _step(learned.skip, conv.skip_exponent),
        _step(learned.result, conv.sum_exponent),
    )


def _plus(v, skip, factor):
    # A number is multiplied and added in one pass; one that learns needs a gradient.
    return v + skip * factor if isinstance(factor, Tensor) else torch.add(v, skip, alpha=factor)


def _step(learned, frozen):
    if learned is not None:
        return learned.steps()
    return None if frozen is None else 2.0 ** int(frozen)


def _grid_bias(conv):
    """The bias in steps of the sum's last place, where its rounding is that of evaluation."""
    bias = conv.folded_bias()
    scale = pow2.exp2(conv.units())
    # Rounded in the forward pass alone; the gradient is that of the bias itself.
    return bias + (activation.round_half_up(bias * scale) / scale - bias).detach()


def _centered(conv, v, result):
    """``v``, which has no bias yet, with the mean that BatchNorm gives each channel of a batch."""
    factor = conv.factor()
    # A channel with a factor of 0 gives a constant; any scale will do that can be divided by.
    scale = torch.where(factor == 0, 1.0, factor) * result
    bias = 0.0 if conv.bias is None else conv.bias
    mean = ((conv.mean - bias) * scale).detach()
    v = centered(v, conv.beta * result, mean, conv.ghost_batch, conv.momentum)
    with torch.no_grad():
        conv.mean.copy_(mean / scale + bias)
    return v
