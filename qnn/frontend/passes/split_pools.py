"""Pooling of a large window becomes one of its columns, and one of these results of its rows.

A sum over a map of 112 x 112 pixels needs all of the map in a buffer at once, and a weight for
each pixel; one row of it after the other needs a row. A window of one column is cut into parts that
there is room for. Maxima are taken in two steps also where that is less work, as they are exact
either way.
"""

from dataclasses import replace
from math import ceil, prod

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.average_pool import AveragePool
from qnn.frontend.ops.max_pool import FloatMaxPool
from qnn.frontend.rewrite import Rewrite
from qnn.ir.shape import Shape
from qnn.ir.window import Window

# Values that one row of results reads. Half of a reference array's buffer: the other half holds
# what the next layer reads. Smaller windows keep their sums whole, which no rounding interrupts.
MOST_VALUES = 1 << 17
LANES = 16  # of a word of that buffer: fewer channels take as much
# Weights of the reference array: one for each tap of a sum, and where it is divided by what is no
# power of two as many as that takes terms of 3 bits.
MOST_WEIGHTS, TERMS = 2048, 3
# Of a tile of results, which leave the reference array one by one. Two layers also load twice what
# lies in memory, so that they must save a third of the steps.
LEAST_STEPS = 8


def split_pools(graph: FloatGraph) -> FloatGraph:
    """Exchange each pooling that reads too much at once for one of columns, and one of rows."""
    rewrite = Rewrite(graph)
    for pool in (*rewrite.each(AveragePool), *rewrite.each(FloatMaxPool)):
        source = rewrite[pool.inputs[0]].shape
        windows = _windows(pool, source)
        if windows is None:
            continue
        first = replace(pool, name=rewrite.fresh(f"{pool.name}_row"), window=windows[0])
        if pool.sums:
            # Whole sums first: a division by what is no power of two comes last, and is one.
            first = replace(first, divisor=1)
        first = replace(first, shape=first.output_shape((source,)))
        second = replace(pool, inputs=(first.name,), window=windows[1])
        rewrite.exchange(pool.name, first, second)
    return rewrite.graph()


def reads_too_much(rows: int, source: Shape) -> bool:
    """Whether windows of so many rows of a map want more of a buffer than other maps leave."""
    channels, _, width = source
    values = rows * width * channels
    held = rows * width * ceil(channels / LANES) * LANES
    # Few channels stay whole as long as there is room at all.
    return rows > 1 and (values > MOST_VALUES or held > 2 * MOST_VALUES)


def _windows(pool, source):
    """The windows of both steps; None where one is small enough, or cannot be cut."""
    window, (channels, height, width) = pool.window, source
    rows, columns = window.kernel
    if not pool.sums and _takes_less_in_two(window):
        return _across_and_down(window)
    if rows == 1 or not (reads_too_much(rows, source) or _weighs_too_much(pool)):
        return None
    if columns > 1:
        return _across_and_down(window)
    # Parts of windows that overlap would be summed twice, and rows below a window must be zeros.
    alone = rows == height and window.padding[:2] == (0, 0)
    most = MOST_VALUES // (width * ceil(channels / LANES) * LANES)
    most = min(most, MOST_WEIGHTS // TERMS)
    return _parts(window, height, most) if alone and most > 1 else None


def _weighs_too_much(pool):
    """Whether the weights of a sum, equal as they are, are more than there is room for."""
    if not pool.sums:
        return False
    is_shift = pool.divisor & (pool.divisor - 1) == 0
    return prod(pool.window.kernel) * (1 if is_shift else TERMS) > MOST_WEIGHTS


def _takes_less_in_two(window):
    """Whether maxima of columns, and of these along rows, save a third of the steps of a tile."""
    rows, columns = window.kernel
    if 1 in window.kernel:
        return False
    # Of rows that no window begins at there are results too, in the first step.
    across = window.stride[0] * max(columns, LEAST_STEPS)
    return 2 * rows * columns >= 3 * (across + max(rows, LEAST_STEPS))


def _across_and_down(window):
    """The window's columns alone, and its rows."""
    top, bottom, left, right = window.padding
    (rows, columns), (below, beside) = window.kernel, window.stride
    (far_below, far_beside) = window.dilation
    across = replace(
        window,
        kernel=(1, columns),
        stride=(1, beside),
        padding=(0, 0, left, right),
        dilation=(1, far_beside),
    )
    down = replace(
        window,
        kernel=(rows, 1),
        stride=(below, 1),
        padding=(top, bottom, 0, 0),
        dilation=(far_below, 1),
    )
    return across, down


def _parts(window, height, most):
    """Parts of at most ``most`` rows of the only window down, and all of them."""
    rows = window.kernel[0]
    count = -(-rows // most)
    part = -(-rows // count)
    # Zeros below make the last part as long as the others.
    padding = (0, count * part - height, *window.padding[2:])
    first = replace(window, kernel=(part, 1), stride=(part, window.stride[1]), padding=padding)
    return first, Window(kernel=(count, 1))
