"""An average over a large window becomes one over its columns, and one of these over its rows.

A sum over a map of 112 x 112 pixels needs all of the map in a buffer at once; one row of it after
the other needs a row. A window of one column is cut into parts that there is room for.
"""

from dataclasses import replace

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.average_pool import AveragePool
from qnn.frontend.rewrite import Rewrite
from qnn.ir.window import Window

# Values that one row of results reads. Half of a reference array's buffer: the other half holds
# what the next layer reads. Smaller windows keep their sums whole, which no rounding interrupts.
MOST_VALUES = 1 << 17


def split_pools(graph: FloatGraph) -> FloatGraph:
    """Exchange each average that reads too much at once for a sum of columns, and of rows."""
    rewrite = Rewrite(graph)
    for pool in rewrite.each(AveragePool):
        source = rewrite[pool.inputs[0]].shape
        windows = _windows(pool.window, source)
        if windows is None:
            continue
        # Whole sums first: a division by what is no power of two comes last, and is one.
        names = {"name": rewrite.fresh(f"{pool.name}_row"), "window": windows[0], "divisor": 1}
        first = replace(pool, **names)
        first = replace(first, shape=first.output_shape((source,)))
        second = replace(pool, inputs=(first.name,), window=windows[1])
        rewrite.exchange(pool.name, first, second)
    return rewrite.graph()


def _windows(window, source):
    """The windows of both sums; None where one is small enough, or cannot be cut."""
    channels, height, width = source
    rows, columns = window.kernel
    if rows == 1 or rows * width * channels <= MOST_VALUES:
        return None
    if columns > 1:
        return _across_and_down(window)
    # Parts of windows that overlap would be summed twice, and rows below a window must be zeros.
    alone = rows == height and window.padding[:2] == (0, 0)
    most = MOST_VALUES // (width * channels)
    return _parts(window, height, most) if alone and most > 1 else None


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
