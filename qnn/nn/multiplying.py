"""The layer that multiplies two tensors: exact in evaluation, differentiable in training."""

import torch
from torch import Tensor, nn

from qnn.ir.epilogue import Epilogue
from qnn.nn.plan import MultiplyPlan
from qnn.quant import activation
from qnn.quant.qtype import QType


class QuantMultiply(nn.Module):
    """``clamp(round(one * other))``, both of integers of their own types.

    The exponents are those of its operands and of its result.
    """

    def __init__(self, plan: MultiplyPlan):
        super().__init__()
        self.plan = plan
        for name in ("input_exponent", "other_exponent", "exponent"):
            self.register_buffer(name, torch.zeros((), dtype=torch.int64))

    @property
    def operand_exponents(self) -> tuple[Tensor, ...]:
        """The exponents that the layer takes its operands to have."""
        return self.input_exponent, self.other_exponent

    @property
    def type(self) -> QType:
        """The type of the result."""
        return QType(self.plan.bits, self.plan.signed, int(self.exponent))

    def epilogue(self) -> Epilogue[Tensor]:
        """Shifts from the exponents, and the clamp; there is no bias."""
        more = int(self.input_exponent + self.other_exponent - self.exponent)
        zeros = torch.zeros(self.plan.shape[0], dtype=torch.int64, device=self.exponent.device)
        low, high = self.bounds()
        # A result of finer units than the product has moves left instead.
        return Epilogue(
            left=zeros + max(0, -more), bias=zeros, right=zeros + max(0, more), low=low, high=high
        )

    def bounds(self) -> tuple[int, int]:
        """The least and the greatest result, as integers of its type."""
        return activation.bounds(self.type, self.plan.low, self.plan.high)

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        """Integers of the result: exact in evaluation, differentiable in training.

        Gradients pass the rounding where nothing is clamped, and are those of the product.
        """
        more = int(self.input_exponent + self.other_exponent - self.exponent)
        if self.training:
            return activation.learn_snap(one * other * 2.0**-more, *self.bounds())
        # Products of 16-bit integers are exact in float64, and so is a power of two.
        product = one.double() * other.double() * 2.0**-more
        low, high = self.bounds()
        return activation.round_half_up(product).clamp(low, high).to(torch.float32)
