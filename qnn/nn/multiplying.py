"""The layer that multiplies two tensors: exact in evaluation, differentiable in training."""

import torch
from torch import Tensor, nn

from qnn.ir.epilogue import Epilogue
from qnn.nn.layer_plans import MultiplyPlan, type_of
from qnn.nn.lookup import lookup_of
from qnn.quant import activation
from qnn.quant.qtype import QType


class QuantMultiply(nn.Module):
    """``clamp(round(one * other))``, or a table of it, both of integers of their own types.

    The exponents are those of its operands and of its result.
    """

    def __init__(self, plan: MultiplyPlan):
        super().__init__()
        self.plan = plan
        for name in ("input_exponent", "other_exponent", "exponent"):
            self.register_buffer(name, torch.zeros((), dtype=torch.int64))
        self.lookup = lookup_of(plan)

    @property
    def operand_exponents(self) -> tuple[Tensor, ...]:
        """The exponents that the layer takes its operands to have."""
        return self.input_exponent, self.other_exponent

    @property
    def type(self) -> QType:
        """The type of the result."""
        return type_of(self.plan, int(self.exponent))

    def epilogue(self) -> Epilogue[Tensor]:
        """Shifts from the exponents, and the clamp; there is no bias."""
        more = self._excess()
        zeros = torch.zeros(self.plan.shape[0], dtype=torch.int64, device=self.exponent.device)
        low, high = self.bounds()
        # A result of finer units than the product has moves left instead.
        return Epilogue(
            left=zeros + max(0, -more),
            bias=zeros,
            right=zeros + max(0, more),
            low=low,
            high=high,
            table=None if self.lookup is None else self.lookup.table.to(torch.int64),
        )

    def _excess(self):
        """Places behind the point that a product has more than what it is rounded to."""
        result = self.exponent if self.lookup is None else self.lookup.exponent
        return int(self.input_exponent + self.other_exponent - result)

    def bounds(self) -> tuple[int, int]:
        """The least and the greatest result, as integers of its type; with a table, index."""
        if self.lookup is not None:
            return self.lookup.index.low, self.lookup.index.high
        return activation.bounds(self.type, self.plan.low, self.plan.high)

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        """Integers of the result: exact in evaluation, differentiable in training.

        Gradients pass the rounding where nothing is clamped, and are those of the product.
        """
        more = self._excess()
        if self.training:
            v = one * other * 2.0**-more
            if self.lookup is not None:
                return self.lookup.learn(v, self.type)
            return activation.learn_snap(v, *self.bounds())
        # Products of 16-bit integers are exact in float64, and so is a power of two.
        product = one.double() * other.double() * 2.0**-more
        low, high = self.bounds()
        found = activation.round_half_up(product).clamp(low, high).to(torch.float32)
        return found if self.lookup is None else self.lookup(found)
