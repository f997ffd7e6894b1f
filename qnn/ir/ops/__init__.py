"""The operators of the integer graph: a new one is a file of this package and a line here."""

from qnn.ir.ops.concat import Concat
from qnn.ir.ops.conv import Conv
from qnn.ir.ops.input import Input
from qnn.ir.ops.interleave import Interleave
from qnn.ir.ops.max_pool import MaxPool
from qnn.ir.ops.multiply import Multiply
from qnn.ir.ops.operator import Operator

# The order is that of words in messages: what a reader of a graph meets first.
OPERATORS: tuple[type[Operator], ...] = (
    Input,
    Conv,
    Multiply,
    MaxPool,
    Concat,
    Interleave,
)
