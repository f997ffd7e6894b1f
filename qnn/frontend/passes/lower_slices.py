"""A slice is a copy with a stride, whose kernel picks the first row and column."""

from dataclasses import replace
from math import gcd

import torch

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.conv import identity
from qnn.frontend.ops.slice import Slice
from qnn.frontend.rewrite import Rewrite


def lower_slices(graph: FloatGraph) -> FloatGraph:
    """Exchange each slice for such a copy."""
    rewrite = Rewrite(graph)
    for node in rewrite.each(Slice):
        source = rewrite[node.inputs[0]]
        copy = identity(node.name, source)
        taps = [_taps(source.shape[1 + a], node.shape[1 + a], node, a) for a in (0, 1)]
        (rows, top, down), (columns, left, right) = taps
        weight = torch.zeros(source.shape[0], 1, rows, columns)
        weight[:, :, top, left] = 1
        window = replace(
            copy.window, kernel=(rows, columns), stride=node.stride, dilation=(down, right)
        )
        rewrite.exchange(node.name, replace(copy, shape=node.shape, weight=weight, window=window))
    return rewrite.graph()


def _taps(size: int, wanted: int, node: Slice, axis: int) -> tuple[int, int, int]:
    """(kernel, which of its places is taken, dilation) along an axis, with a small kernel.

    A window's places reach from the slice's own to the border on both sides, so that as many
    windows fit as are wanted; with a dilation that divides both distances, few places do.
    """
    before, step = node.start[axis], node.stride[axis]
    least = size - 1 - (wanted - 1) * step - before  # what has to lie behind, but for a rest
    best = None
    for behind in range(max(least - step + 1, 0), least + 1):
        dilation = gcd(before, behind) or 1
        kernel = (before + behind) // dilation + 1
        if best is None or kernel < best[0]:
            best = (kernel, before // dilation, dilation)
    assert best is not None, f"slice '{node.name}' reaches over its operand"
    return best
