"""An average over a large window becomes one over its columns, and one of these over its rows.

A sum over a map of 112 x 112 pixels needs all of the map in a buffer at once; one row of it after
the other needs a row.
"""

from dataclasses import replace

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.average_pool import AveragePool
from qnn.frontend.rewrite import Rewrite

# Values that one row of results reads. Half of a reference array's buffer: the other half holds
# what the next layer reads. Smaller windows keep their sums whole, which no rounding interrupts.
MOST_VALUES = 1 << 17


def split_pools(graph: FloatGraph) -> FloatGraph:
    """Exchange each average that reads too much at once for a sum of columns, and of rows."""
    rewrite = Rewrite(graph)
    for pool in rewrite.each(AveragePool):
        rows, columns = pool.window.kernel
        channels, _, width = rewrite[pool.inputs[0]].shape
        if min(rows, columns) == 1 or rows * width * channels <= MOST_VALUES:
            continue
        across, down = _windows(pool.window)
        source = rewrite[pool.inputs[0]]
        # Whole sums first: a division by what is no power of two comes last, and is one.
        first = replace(pool, name=rewrite.fresh(f"{pool.name}_row"), window=across, divisor=1)
        first = replace(first, shape=first.output_shape((source.shape,)))
        second = replace(pool, inputs=(first.name,), window=down)
        rewrite.exchange(pool.name, first, second)
    return rewrite.graph()


def _windows(window):
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
