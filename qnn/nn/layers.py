"""The layer that convolves, of float parameters and frozen exponents; which layer a plan has.

Between layers travel integers in float tensors: q, for the reals ``q * 2**-exponent``.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qnn.ir.epilogue import Epilogue
from qnn.nn import learning
from qnn.nn.convolution import convolution
from qnn.nn.input_layer import QuantInput
from qnn.nn.layer_plans import (
    ConcatPlan,
    ConvPlan,
    InputPlan,
    InterleavePlan,
    MaxPoolPlan,
    MultiplyPlan,
    type_of,
)
from qnn.nn.lookup import lookup_of
from qnn.nn.multiplying import QuantMultiply
from qnn.nn.selecting import QuantConcat, QuantInterleave, QuantMaxPool, padded
from qnn.quant import activation, pow2
from qnn.quant.estimators import Estimator
from qnn.quant.qtype import QType

FLOAT32_LIMIT = 1 << 23  # below 2**24, with a bit to spare for adding one half


def _exponent() -> Tensor:
    return torch.zeros((), dtype=torch.int64)


class QuantConv(nn.Module):
    """``clamp(round(conv(x, grid(w gamma / sqrt(var + eps))) + bias + skip))``, or a table of it.

    The exponents are those of its operands, of its result and of each output channel's weights.

    Members
    -------
    estimator : how the gradient passes the weights' grid in training; None: clipped
        straight-through. Evaluation needs None: ``qnn.nn.learn.finish`` sees to it
    unit : (outputs,) powers of two that the weights are in: 1 but in training, where it is about
        the grid's greatest value, so that a step of Adam means the same in every channel; a state
        dictionary does not hold it
    statistics : of BatchNorm in training: "frozen", or "batch", where means are those of groups of
        ``ghost_batch`` images (None: all) and ``mean`` moves by ``momentum``; ``var`` is frozen
    exponents : learned ones of the operand, skip operand and result, while training learns them
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
        # In no file: folded weights do not depend on it, and a kept model has 1 everywhere.
        self.register_buffer("unit", torch.ones(outputs), persistent=False)
        self.register_buffer("mean", torch.zeros(outputs) if normalised else None)
        self.register_buffer("var", torch.ones(outputs) if normalised else None)
        self.register_buffer("weight_exponent", torch.zeros(outputs, dtype=torch.int64))
        self.register_buffer("input_exponent", _exponent())
        self.register_buffer("skip_exponent", _exponent() if len(plan.inputs) == 2 else None)
        self.register_buffer("exponent", _exponent())
        self.lookup = lookup_of(plan)
        self.input_reach = self.skip_reach = 0  # greatest magnitudes of the operands' integers
        self.estimator: Estimator | None = None
        self.statistics, self.ghost_batch, self.momentum = "frozen", None, 0.1
        self.exponents: learning.Exponents | None = None

    def _hold(self, name, value, learned=None):
        learned = not self.plan.fixed if learned is None else learned
        if learned and value is not None:
            value = nn.Parameter(value)
        (self.register_parameter if learned else self.register_buffer)(name, value)

    @property
    def operand_exponents(self) -> tuple[Tensor, ...]:
        """The exponents that the layer takes its operands to have."""
        found = (self.input_exponent, self.skip_exponent)
        return found[: len(self.plan.inputs)]

    @property
    def type(self) -> QType:
        """The type of the result."""
        return type_of(self.plan, int(self.exponent))

    def factor(self) -> Tensor | None:
        """BatchNorm's factor of each channel, (outputs,) float64; None if there is no BatchNorm."""
        if self.plan.eps is None:
            return None
        return self.gamma.double() / (self.var.double() + self.plan.eps).sqrt()

    @property
    def is_folded(self) -> bool:
        """Whether the weights are held as ``folded`` gives them."""
        return self.plan.eps is None and self.plan.scale == 1 and bool((self.unit == 1).all())

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weights (outputs, ...) and bias (outputs,) in float64, BatchNorm and scale applied."""
        return self.weight.double() * self._folded_scale()[:, None, None, None], self.folded_bias()

    def folded_bias(self) -> Tensor:
        """The bias alone, (outputs,) float64."""
        factor = self.factor()
        bias = torch.zeros_like(self.unit.double()) if self.bias is None else self.bias.double()
        return bias if factor is None else (bias - self.mean.double()) * factor + self.beta.double()

    def _folded_scale(self):
        factor, scale = self.factor(), self.unit.double() * self.plan.scale
        return scale if factor is None else scale * factor

    @torch.no_grad()
    def mend_silent(self) -> None:
        """Give channels that BatchNorm multiplies by 0 weights of 0 instead, which can learn."""
        if self.plan.eps is None:
            return
        # Weights times 0 get no gradient, for ever; weights of 0 times a positive factor do.
        silent = self.gamma == 0
        self.weight[silent] = 0.0
        self.mean.copy_(torch.where(silent, 0 if self.bias is None else self.bias, self.mean))
        self.gamma.copy_(torch.where(silent, (self.var + self.plan.eps).sqrt(), self.gamma))

    @torch.no_grad()
    def set_unit(self, unit: Tensor) -> None:
        """Hold the weights in other units, (outputs,) powers of two, which changes none of them."""
        self.weight.mul_((self.unit / unit)[:, None, None, None])
        self.unit.copy_(unit)

    @torch.no_grad()
    def set_codes(self, indices: Tensor, exponent: Tensor) -> None:
        """Choose the weights so that ``indices()`` gives these, and bias and BatchNorm stay.

        Parameters
        ----------
        indices : (terms, outputs, inputs / groups, height, width) signed
        exponent : (outputs,) integers
        """
        values = pow2.values(indices, exponent, self.plan.weight_bits) / self.plan.scale
        self.mend_silent()
        factor = self.factor()
        if factor is not None:
            values = values / factor[:, None, None, None]
        self.weight.copy_(values / self.unit.double()[:, None, None, None])
        self.weight_exponent.copy_(exponent)

    @torch.no_grad()
    def add_bias(self, more: Tensor) -> None:
        """Add (outputs,) reals to the folded bias, in the parameter that the layer has for it."""
        held = self.beta if self.plan.eps is not None else self.bias
        if held is not None:
            held.add_(more)

    @property
    def moves_mean(self) -> bool:
        """Whether the layer has a parameter that ``add_bias`` adds to."""
        return self.plan.bias or self.plan.eps is not None

    def columns(self, x: Tensor) -> Tensor:
        """The reals of an operand that each sum reads, one row per output position.

        Parameters
        ----------
        x : (batch, channels, height, width) integers of the operand

        Returns
        -------
        (batch * positions, groups, channels / groups * kernel height * kernel width)
        """
        return self.windows(x * 2.0 ** -int(self.input_exponent))

    def windows(self, x: Tensor) -> Tensor:
        """``columns`` of an operand in reals."""
        window = self.plan.window
        x = padded(x, window.padding, 0.0)
        stride = window.forwards().stride
        taken = F.unfold(x, window.kernel, dilation=window.dilation, stride=stride)
        if window.backwards:
            taken = taken.unflatten(2, self.plan.shape[1:]).flip(3).flatten(2)
        return taken.unflatten(1, (window.groups, -1)).movedim(3, 1).flatten(0, 1)

    def indices(self) -> Tensor:
        """Signed weight indices, (terms, outputs, inputs / groups, height, width) int8."""
        plan, weight = self.plan, self.folded()[0]
        return pow2.nearest(weight, self.weight_exponent, plan.weight_bits, plan.grid_terms)

    @property
    def sum_exponent(self) -> Tensor:
        """The exponent that sums are rounded to: the result's, or that of a table's index."""
        return self.exponent if self.lookup is None else self.lookup.exponent

    def units(self) -> Tensor:
        """F of each output channel, (outputs,) int64: its sum is in units of 2**-F."""
        least = self.sum_exponent
        if self.skip_exponent is not None:
            # A sum has units at least as fine as all that enters or leaves it: each shifts one way
            # only.
            least = torch.maximum(least, self.skip_exponent)
        return torch.maximum(self._units_before(), least)

    def _units_before(self):
        """F of each output channel, without a left shift."""
        weight_exponent = self.weight_exponent
        if self.estimator is not None:
            weight_exponent = self.estimator.exported_exponent(weight_exponent)
        return self.input_exponent + self.plan.fraction_bits - weight_exponent

    def epilogue(self) -> Epilogue[Tensor]:
        """Shifts and bias from the exponents and the folded bias, and the clamp."""
        units = self.units()
        low, high = self.bounds() if self.plan.rounded else (0, 0)
        return Epilogue(
            left=units - self._units_before(),
            bias=activation.round_half_up(self.folded_bias() * pow2.exp2(units)).to(torch.int64),
            right=units - self.sum_exponent,
            skip_left=None if self.skip_exponent is None else units - self.skip_exponent,
            rounded=self.plan.rounded,
            low=low,
            high=high,
            table=None if self.lookup is None else self.lookup.table.to(torch.int64),
        )

    def reach(self, indices: Tensor, epilogue: Epilogue[Tensor]) -> Tensor:
        """Bound of every sum on the way, per output channel, in integers: (outputs,) float64."""
        weights = pow2.reach_of(indices, self.plan.weight_bits)
        reach = weights * self.input_reach * pow2.exp2(epilogue.left)
        # Half of the last place is added before the right shift, to round half up.
        reach = reach + epilogue.bias.double().abs() + pow2.exp2(epilogue.right) / 2
        if epilogue.skip_left is not None:
            reach = reach + self.skip_reach * pow2.exp2(epilogue.skip_left)
        return reach

    def bounds(self) -> tuple[int, int]:
        """The least and the greatest result, as integers of its type; with a table, index."""
        if self.lookup is not None:
            return self.lookup.index.low, self.lookup.index.high
        return activation.bounds(self.type, self.plan.low, self.plan.high)

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        """Integers of the result: exact in evaluation, differentiable in training."""
        if self.training:
            return learning.forward(self, x, skip)
        assert self.estimator is None, f"layer '{self.plan.name}' is still in training"
        return self._exact(x, skip)

    def _exact(self, x, skip):
        """Compute in float32, and in float64 only where float32 could round."""
        indices, epilogue = self.indices(), self.epilogue()
        small = bool((self.reach(indices, epilogue) < FLOAT32_LIMIT).all())
        dtype = torch.float32 if small else torch.float64
        weight = pow2.integers(indices, self.plan.weight_bits).double()
        # The left shift goes into the weights: exact, as it is a power of two, and one pass fewer.
        weight = (weight * pow2.exp2(epilogue.left)[:, None, None, None]).to(dtype)
        v = self.convolve(x.to(dtype), weight) + epilogue.bias.to(dtype)[:, None, None]
        if skip is not None:
            v = v + skip.to(dtype) * pow2.exp2(epilogue.skip_left).to(dtype)[:, None, None]
        if not epilogue.rounded:
            return v
        v = activation.round_half_up(v * pow2.exp2(-epilogue.right).to(dtype)[:, None, None])
        v = v.clamp(epilogue.low, epilogue.high).to(torch.float32)
        return v if self.lookup is None else self.lookup(v)

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """The sums of the convolution over ``x``, without its epilogue."""
        return convolution(x, weight, bias, self.plan.window)


LAYERS = {
    InputPlan: QuantInput,
    ConvPlan: QuantConv,
    MultiplyPlan: QuantMultiply,
    MaxPoolPlan: QuantMaxPool,
    ConcatPlan: QuantConcat,
    InterleavePlan: QuantInterleave,
}
