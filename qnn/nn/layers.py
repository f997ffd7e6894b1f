"""Layers of a quantized network: float parameters, frozen exponents, exact results.

Every tensor between layers holds reals ``q * 2**-exponent`` for integers q.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qnn.nn.plan import ConcatPlan, ConvPlan, InputPlan, MaxPoolPlan
from qnn.quant import activation, pow2
from qnn.quant.qtype import QType

FLOAT32_LIMIT = 1 << 23  # below 2**24, with a bit to spare for adding one half


def _exponent() -> Tensor:
    return torch.zeros((), dtype=torch.int64)


class QuantInput(nn.Module):
    """Reals to the input's grid."""

    def __init__(self, plan: InputPlan):
        super().__init__()
        self.plan = plan
        self.register_buffer("exponent", _exponent())
        table = torch.zeros(plan.shape[0], 256, dtype=torch.int32) if plan.pixels else None
        self.register_buffer("table", table)

    @property
    def type(self) -> QType:
        """Of the result."""
        return QType(self.plan.bits, self.plan.signed, int(self.exponent))

    def forward(self, x: Tensor) -> Tensor:
        """Round half up, in float64 so that the sum with one half is exact."""
        return activation.snap(x.to(torch.float64), self.type).to(torch.float32)

    def from_pixels(self, x: Tensor) -> Tensor:
        """Reals of 8-bit pixels, by the table; (batch, channels, height, width) uint8."""
        channels = torch.arange(len(self.table), device=x.device)[:, None, None]
        return self.table[channels, x.long()].to(torch.float32) * self.type.scale


@dataclass(frozen=True, eq=False)
class Epilogue:
    """A convolution's integers, (outputs,) int64 each, as ``qnn.graph.ir.Conv`` defines them."""

    left: Tensor
    bias: Tensor
    right: Tensor
    skip_left: Tensor | None
    exponent: Tensor  # F: the sum with bias and skip is in units of 2**-F


class QuantConv(nn.Module):
    """``clamp(round(conv(x, grid(w gamma / sqrt(var + eps))) + bias + skip))``.

    The exponents are those of its operands, of its result and of each output channel's weights.
    """

    def __init__(self, plan: ConvPlan):
        super().__init__()
        self.plan = plan
        outputs = plan.weight_shape[0]
        self._hold("weight", torch.zeros(plan.weight_shape))
        self._hold("bias", torch.zeros(outputs) if plan.bias else None)
        normalised = plan.eps is not None
        self._hold("gamma", torch.ones(outputs) if normalised else None, learned=True)
        self._hold("beta", torch.zeros(outputs) if normalised else None, learned=True)
        self.register_buffer("mean", torch.zeros(outputs) if normalised else None)
        self.register_buffer("var", torch.ones(outputs) if normalised else None)
        self.register_buffer("weight_exponent", torch.zeros(outputs, dtype=torch.int64))
        self.register_buffer("input_exponent", _exponent())
        self.register_buffer("skip_exponent", _exponent() if len(plan.inputs) == 2 else None)
        self.register_buffer("exponent", _exponent())
        self.input_reach = self.skip_reach = 0  # greatest magnitudes of the operands' integers

    def _hold(self, name, value, learned=None):
        learned = not self.plan.fixed if learned is None else learned
        if learned and value is not None:
            value = nn.Parameter(value)
        (self.register_parameter if learned else self.register_buffer)(name, value)

    @property
    def type(self) -> QType:
        """Of the result."""
        return QType(self.plan.bits, self.plan.signed, int(self.exponent))

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weights (outputs, ...) and bias (outputs,) in float64, BatchNorm and scale applied."""
        weight, wide = self.weight.double(), torch.float64
        bias = torch.zeros(len(weight), dtype=wide, device=weight.device)
        bias = bias if self.bias is None else self.bias.double()
        if self.plan.eps is not None:
            factor = self.gamma.double() / (self.var.double() + self.plan.eps).sqrt()
            weight = weight * factor[:, None, None, None]
            bias = (bias - self.mean.double()) * factor + self.beta.double()
        return weight * self.plan.scale, bias

    def indices(self) -> Tensor:
        """Signed weight indices, (terms, outputs, inputs / groups, height, width) int8."""
        weight = self.folded()[0]
        return pow2.nearest(weight, self.weight_exponent, self.plan.weight_bits, self.plan.terms)

    def epilogue(self) -> Epilogue:
        """Shifts and bias from the exponents and the folded bias."""
        most = pow2.most_index(self.plan.weight_bits)
        units = self.input_exponent + most - 1 - self.weight_exponent
        least = self.exponent
        if self.skip_exponent is not None:
            least = torch.maximum(least, self.skip_exponent)
        left = (least - units).clamp(min=0)
        units = units + left
        bias = activation.round_half_up(self.folded()[1] * pow2.exp2(units)).to(torch.int64)
        right = units - self.exponent
        skip_left = None if self.skip_exponent is None else units - self.skip_exponent
        return Epilogue(left, bias, right, skip_left, units)

    def reach(self, indices: Tensor, epilogue: Epilogue) -> Tensor:
        """Bound of every sum on the way, per output channel, in integers: (outputs,) float64."""
        magnitudes = (1 << indices.to(torch.int64).abs() >> 1).flatten(2).sum((0, 2)).double()
        reach = magnitudes * self.input_reach * pow2.exp2(epilogue.left)
        reach = reach + epilogue.bias.double().abs() + pow2.exp2(epilogue.right) / 2
        if epilogue.skip_left is not None:
            reach = reach + self.skip_reach * pow2.exp2(epilogue.skip_left)
        return reach

    def bounds(self) -> tuple[int, int]:
        """Least and greatest result, as integers of its type."""
        type = self.type
        low, high = (
            None if bound is None else int(activation.encode(torch.tensor(bound), type))
            for bound in (self.plan.low, self.plan.high)
        )
        return type.low if low is None else low, type.high if high is None else high

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        """Reals of the result; float64 only where float32 could round."""
        indices, epilogue = self.indices(), self.epilogue()
        small = bool((self.reach(indices, epilogue) < FLOAT32_LIMIT).all())
        dtype = torch.float32 if small else torch.float64
        weight = pow2.values(indices, self.weight_exponent, self.plan.weight_bits).to(dtype)
        v = F.conv2d(
            padded(x.to(dtype), self.plan.padding, 0.0),
            weight,
            stride=self.plan.stride,
            dilation=self.plan.dilation,
            groups=self.plan.groups,
        )
        bias = epilogue.bias.double() * pow2.exp2(-epilogue.exponent)
        v = v + bias.to(dtype)[:, None, None]
        if skip is not None:
            v = v + skip.to(dtype)
        if not self.plan.rounded:
            return v
        low, high = self.bounds()
        scale = 2.0 ** int(self.exponent)
        return (activation.round_half_up(v * scale).clamp(low, high) / scale).to(torch.float32)


class QuantMaxPool(nn.Module):
    """The maximum over each window."""

    def __init__(self, plan: MaxPoolPlan):
        super().__init__()
        self.plan = plan

    def forward(self, x: Tensor) -> Tensor:
        """Reals of the operand's type."""
        x = padded(x, self.plan.padding, float("-inf"))
        return F.max_pool2d(x, self.plan.kernel, self.plan.stride, dilation=self.plan.dilation)


class QuantConcat(nn.Module):
    """Channels one after the other."""

    def __init__(self, plan: ConcatPlan):
        super().__init__()
        self.plan = plan

    def forward(self, *operands: Tensor) -> Tensor:
        """Reals of the operands' common type."""
        return torch.cat(operands, 1)


def padded(x: Tensor, padding: tuple[int, int, int, int], value: float) -> Tensor:
    """``x`` with ``value`` around each image: top, bottom, left, right."""
    top, bottom, left, right = padding
    return F.pad(x, (left, right, top, bottom), value=value) if any(padding) else x


LAYERS = {
    InputPlan: QuantInput,
    ConvPlan: QuantConv,
    MaxPoolPlan: QuantMaxPool,
    ConcatPlan: QuantConcat,
}
