"""ProductConv: a convolution that copies its operand to where the epilogue multiplies it."""

from dataclasses import dataclass, replace

import numpy as np

from qnn.ir.ops import Conv, Multiply, Operator
from qnn.ir.products import Products
from qnn.ir.window import Window


@dataclass(frozen=True, eq=False, kw_only=True)
class ProductConv(Conv):
    """A convolution of weight 1 whose sums the epilogue multiplies by its skip operand.

    The array and the compiler treat it as any other with a skip operand; what differs is the
    arithmetic, and so what its values can reach.
    """

    kind = "multiply"
    multiplies = True

    def sums(self, sources: tuple[Operator, ...]) -> Products:
        """The products of operands of the types of ``sources``."""
        one, other = sources
        return Products(epilogue=self.epilogue, result=self.type, one=one.type, other=other.type)


def copied_and_multiplied(node: Multiply, bits: int) -> ProductConv:
    """The product ``node`` as such a convolution, with codes of ``bits`` bits."""
    channels = node.shape[0]
    # A skip operand has a shift, which a factor has not.
    epilogue = replace(node.epilogue, skip_left=np.zeros(channels, np.int64))
    return ProductConv(
        name=node.name,
        inputs=node.inputs,
        shape=node.shape,
        type=node.type,
        window=Window(kernel=(1, 1), groups=channels),
        codes=np.ones((1, channels, 1, 1, 1), np.int8),
        weight_bits=bits,
        epilogue=epilogue,
    )
