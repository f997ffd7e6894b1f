"""A function that is nearly a ReLU becomes the ReLU and a table of what is left over.

A table has an index of ``INDEX_BITS`` bits at most. Activations of more bits lose the rest of them
where the function rises like its variable. Of SiLU, GELU, hard-swish, softplus or a leaky ReLU
little is left without ``max(x, 0)``, and it is flat where most of the range lies, so that the index
clips there and has finer steps in between: ``f(x) = max(x, 0) + (f(x) - max(x, 0))``. What is like
``min(x, 0)``, as the logarithm of a sigmoid, is split as well.
"""

from collections.abc import Mapping
from dataclasses import replace

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.conv import identity
from qnn.frontend.ops.operator import FloatOperator, sum_of
from qnn.frontend.rewrite import Rewrite
from qnn.functions.elementwise import IDENTITY, Elementwise, applied_to
from qnn.functions.table import INDEX_BITS
from qnn.ptq.choose_index import choose_index, table_error
from qnn.ptq.outliers import Peaks
from qnn.ptq.split_tables import divides
from qnn.quant.activation import choose_type
from qnn.quant.histogram import Histogram

# Mean squared error of one table, as a share of the mean square of its results: 70 dB. Activations
# of 16 bits have some 75 themselves.
COARSE = 1e-7
GAIN = 4.0  # at least, in squared error: three more layers are no price for less
# The lines: where each clamps its variable, below and above.
LINES = ((0.0, None), (None, 0.0))


def split_lines(
    graph: FloatGraph, seen: Mapping[str, Histogram], activation_bits: int, peaks: Peaks
) -> tuple[FloatGraph, dict[str, Histogram]]:
    """The fused ``graph`` with such sums for the functions that need them, and what they hold.

    The layer before a function keeps its name, weights and what was said of them by that name; the
    function's result has another one, which everything reads.

    Parameters
    ----------
    seen : what each tensor held on the calibration data, and each sum before a table
    activation_bits : of all tensors; indices have as many as a table can
    peaks : of the tensors of ``graph``, which are renamed as those are
    """
    rewrite, found = Rewrite(graph), dict(seen)
    if activation_bits <= INDEX_BITS:
        return graph, found
    for node in graph.nodes:
        sums, function = seen.get(sum_of(node.name)), node.unfused()[-1].as_function
        if sums is None or function is None or divides(graph, node):
            continue
        line = _line(function, sums, activation_bits)
        if line is not None:
            _split(rewrite, found, peaks, rewrite[node.name], line)
    return rewrite.graph(), found


def _line(function, sums, bits) -> tuple[float | None, float | None] | None:
    """The line without which least is lost; None: one table of the whole function will do."""
    # A histogram of all channels tells nothing of each one's own, and nothing is true less a line.
    if function.channels is not None or function.is_mask:
        return None
    signal = _power(function, sums)
    whole = _loss(function, sums, bits)
    losses = {line: _loss(_rest(function, line), sums, bits) for line in LINES}
    best = min(losses, key=losses.__getitem__)
    return best if whole > COARSE * signal and losses[best] * GAIN < whole else None


def _power(function: Elementwise, sums: Histogram) -> float:
    """The sum of the squares of what a function gives of all values."""
    results = sums.mapped(function)
    return float((results.centres.square() * results.counts).sum())


def _loss(function, sums, bits) -> float:
    """The squared error of the best table of a function."""
    result = choose_type(sums.mapped(function), bits)
    index = choose_index(function, sums, INDEX_BITS, result)
    return table_error(function, index, sums, result)


def _rest(function: Elementwise, line) -> Elementwise:
    return applied_to("sub.Tensor", [function, applied_to("clamp.default", [IDENTITY, *line]), 1])


def _split(rewrite: Rewrite, found, peaks, node: FloatOperator, line) -> None:
    """Put the line, the table and their sum behind ``node``, which gives the sum before them."""
    total, apply = node.unfused()
    total = replace(total, name=node.name)
    straight, curve, whole = (
        rewrite.fresh(f"{node.name}.{part}") for part in ("straight", "curve", "whole")
    )
    low, high = line
    rest = _rest(apply.as_function, line)
    rewrite.redirect(node.name, whole)
    rewrite.exchange(
        node.name,
        total,
        replace(identity(straight, total), low=low, high=high),
        replace(identity(curve, total), function=rest),
        replace(identity(whole, total), inputs=(curve, straight)),
    )
    found[whole], found[node.name] = found[node.name], found.pop(sum_of(node.name))
    found[sum_of(curve)] = found[node.name]
    found[straight] = found[node.name].mapped(lambda x: x.clamp(low, high))
    found[curve] = found[node.name].mapped(rest)
    peaks.rename(node.name, whole)
