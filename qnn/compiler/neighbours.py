"""Depthwise layers whose steps take several taps of a kernel's row, from neighbouring columns."""

from hw.spec.config import SvpeConfig
from qnn.compiler.segments import Segments
from qnn.ir.ops import Operator
from qnn.ir.window import Window


def neighbours_of(node: Operator, operand: Segments, result: Segments, config: SvpeConfig) -> int:
    """How many neighbours a column takes values of in each step; 0 if it takes none."""
    window = node.window
    alone = (
        not node.takes_maximum
        and node.depthwise
        # Rows then find their channels' values in the lanes of their own numbers.
        and operand == result
    )
    if not config.neighbours or not alone or window.backwards or window.dilation[1] > 1:
        return 0
    width, stride = window.kernel[1], window.stride[1]
    count = min(config.neighbours, -(-width // stride) - 1)
    # Windows that lie apart have no taps in common, and those of wide strides too few.
    return count if stride == 1 or width <= stride * (1 + count) else 0


def steps_of_row(window: Window, neighbours: int) -> list[tuple[int, ...]]:
    """Of each step of a kernel's row, the tap of a column's own value and those of its neighbours.

    Each is a step's ``stride_of_row`` behind the one before. Those past the kernel are left out.
    """
    width, stride = window.kernel[1], window.stride[1]
    if not neighbours:
        return [(tap,) for tap in range(width)]
    reach = (1 + neighbours) * stride
    firsts = range(0, width, reach) if stride == 1 else range(stride)
    return [tuple(range(first, min(width, first + reach), stride)) for first in firsts]


def stride_of_row(window: Window, neighbours: int) -> int:
    """Columns of the operand from one step of a kernel's row to the next."""
    if window.stride[1] > 1 or not neighbours:
        return window.dilation[1]
    return 1 + neighbours
