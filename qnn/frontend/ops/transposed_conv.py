"""TransposedConv: a convolution that enlarges, each pixel spread over a kernel of results."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from qnn.frontend.ops.operator import FloatOperator, options
from qnn.ir.shape import Shape
from qnn.ir.window import Pair


@dataclass(frozen=True, eq=False, kw_only=True)
class TransposedConv(FloatOperator):
    """The transposed convolution of PyTorch, whose parameters these are.

    Members
    -------
    weight : (inputs, outputs / groups, kernel height, kernel width)
    padding : rows and columns that are cut from each side of the result
    more : rows and columns that the result has behind it (output_padding)
    """

    kind = "transposed"

    weight: Tensor
    bias: Tensor | None
    stride: Pair
    padding: Pair
    more: Pair
    dilation: Pair
    groups: int

    def output_shape(self, sources: tuple[Shape, ...]) -> Shape:
        sizes = (self._size(axis, size) for axis, size in enumerate(sources[0][1:]))
        return self.weight.shape[1] * self.groups, *sizes

    def _size(self, axis, size):
        reach = self.dilation[axis] * (self.weight.shape[2 + axis] - 1) + 1
        # From the first pixel's first tap to the last one's last.
        whole = (size - 1) * self.stride[axis] + reach + self.more[axis]
        return whole - 2 * self.padding[axis]

    def evaluate(self, x: Tensor) -> Tensor:
        return F.conv_transpose2d(
            x,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self.more,
            self.groups,
            self.dilation,
        )

    def details(self) -> list[str]:
        kernel = tuple(self.weight.shape[2:])
        values = {"kernel": kernel, "stride": self.stride, "padding": self.padding}
        values |= {"more": self.more, "dilation": self.dilation, "groups": self.groups}
        return options(values, {})
