"""A float convolution in as few passes over its tensors as there can be, for a teacher."""

from dataclasses import dataclass, fields

from torch import Tensor

from qnn.frontend.ops.conv import FloatConv
from qnn.nn.convolution import convolution


@dataclass(frozen=True, eq=False, kw_only=True)
class SwiftConv(FloatConv):
    """What a ``FloatConv`` computes, in another order, so that the last place may differ.

    Normalisation and scale are in the weights, and padding is the convolution's own.
    """

    @staticmethod
    def of(conv: FloatConv) -> "SwiftConv":
        """The same layer, with its normalisation in its weights."""
        held = {field.name: getattr(conv, field.name) for field in fields(FloatConv) if field.init}
        # In float64, so that each weight is rounded once, as are the student's.
        weight = conv.weight.double() * conv.scale
        bias = 0.0 if conv.bias is None else conv.bias.double()
        if conv.batchnorm is not None:
            norm = conv.batchnorm
            factor = norm.gamma.double() / (norm.var.double() + norm.eps).sqrt()
            weight = weight * factor[:, None, None, None]
            bias = (bias - norm.mean.double()) * factor + norm.beta.double()
        # Without any, the convolution has one pass fewer.
        bias = bias.float() if isinstance(bias, Tensor) else None
        folded = {"weight": weight.float(), "bias": bias, "batchnorm": None, "scale": 1.0}
        return SwiftConv(**held | folded)

    def evaluate(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        y = convolution(x, self.weight, self.bias, self.window)
        # The sums are nobody else's, and fresh memory costs more than a pass over it.
        y = y if skip is None else y.add_(skip)
        if self.function is not None:
            return self.function(y)
        return y.clamp_(self.low, self.high) if self.clamped else y
