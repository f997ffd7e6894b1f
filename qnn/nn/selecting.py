"""Layers that select: each result is one value of an operand, in the operand's type."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qnn.ir.exact import interleaved
from qnn.ir.window import Padding
from qnn.nn.layer_plans import ConcatPlan, InterleavePlan, MaxPoolPlan


class QuantMaxPool(nn.Module):
    """The maximum over each window."""

    def __init__(self, plan: MaxPoolPlan):
        super().__init__()
        self.plan = plan

    def forward(self, x: Tensor) -> Tensor:
        """Integers of the operand's type."""
        window = self.plan.window
        # Less than any integer, so that padding never wins.
        x = padded(x, window.padding, float("-inf"))
        return F.max_pool2d(x, window.kernel, window.stride, dilation=window.dilation)


class QuantConcat(nn.Module):
    """Channels one after the other."""

    def __init__(self, plan: ConcatPlan):
        super().__init__()
        self.plan = plan

    def forward(self, *operands: Tensor) -> Tensor:
        """Integers of the operands' common type."""
        return torch.cat(operands, 1)


class QuantInterleave(nn.Module):
    """Pixels of several tensors side by side."""

    def __init__(self, plan: InterleavePlan):
        super().__init__()
        self.plan = plan

    def forward(self, *operands: Tensor) -> Tensor:
        """Integers of the operands' common type."""
        return interleaved(operands, self.plan.shape, self.plan.step, self.plan.offsets)


def padded(x: Tensor, padding: Padding, value: float) -> Tensor:
    """``x`` with ``value`` around each image: top, bottom, left, right."""
    top, bottom, left, right = padding
    return F.pad(x, (left, right, top, bottom), value=value) if any(padding) else x
