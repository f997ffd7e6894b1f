"""A resampling is a fixed convolution for each part of its result whose weights are alike.

Along an axis, results that lie a step apart mostly have the same weights, of pixels that move on by
a stride: upsampling by two has two such phases, and borders are parts of few pixels. A part down
and a part across make one convolution of each channel; all of them are interleaved. Columns may
come in reverse, as a convolution reads them so.
"""

from dataclasses import dataclass, replace
from itertools import product

import torch
from torch import Tensor

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.conv import identity
from qnn.frontend.ops.interleave import FloatInterleave
from qnn.frontend.ops.operator import FloatOperator
from qnn.frontend.ops.resample import Resample
from qnn.frontend.rewrite import Rewrite
from qnn.ir.window import Window

# Beyond, rows and columns are resampled one after the other, with a tensor between them.
MOST_PARTS = 64
CLOSE = 1e-6  # what PyTorch's weights in float32 may differ by, that are the same


@dataclass(frozen=True)
class AxisPart:
    """Results ``first``, ``first + step``, ...: the same weights of pixels a stride apart."""

    first: int
    count: int
    pixel: int  # the first that has a weight, of the first result
    stride: int  # less than 0 where the results are in reverse
    weights: tuple[float, ...]

    def takes(self, size: int) -> bool:
        """Whether it is all pixels of an axis of ``size``, one after the other."""
        return (self.count, self.stride, self.weights) == (size, 1, (1.0,))


def lower_resamples(graph: FloatGraph) -> FloatGraph:
    """Exchange each for such convolutions."""
    rewrite = Rewrite(graph)
    for node in rewrite.each(Resample):
        source = rewrite[node.inputs[0]]
        (down, vertical), (right, horizontal) = parts_of(node.rows), columns_of(node.columns)
        if len(vertical) * len(horizontal) <= MOST_PARTS:
            nodes = _lowered(node.name, source, (down, right), vertical, horizontal)
        else:
            still = _all_of(source.shape[2])
            nodes = _lowered(f"{node.name}.rows", source, (down, 1), vertical, still)
            still = _all_of(len(node.rows))
            nodes += _lowered(node.name, nodes[-1], (1, right), still, horizontal)
        rewrite.exchange(node.name, *nodes)
    return rewrite.graph()


def _all_of(size):
    return (AxisPart(0, size, 0, 1, (1.0,)),)


def parts_of(matrix: Tensor) -> tuple[int, tuple[AxisPart, ...]]:
    """The step between results of a part, and the parts of an axis that has this matrix.

    Parameters
    ----------
    matrix : (results, pixels), with a weight other than 0 in each row
    """
    rows = [_row(row) for row in matrix]
    tried = [(step, _parts(rows, step)) for step in range(1, min(len(rows), MOST_PARTS) + 1)]
    # Of equals the first, whose parts lie closest.
    return min(tried, key=lambda each: len(each[1]))


def columns_of(matrix: Tensor) -> tuple[int, tuple[AxisPart, ...]]:
    """``parts_of`` columns, whose results are in reverse where those are fewer parts."""
    ahead, back = parts_of(matrix), parts_of(matrix.flip(0))
    if len(ahead[1]) <= len(back[1]):
        return ahead
    step, parts = back
    return step, tuple(_in_reverse(part, step, len(matrix)) for part in reversed(parts))


def _in_reverse(part, step, size):
    """A part of results that are counted from the last one of ``size``, counted from the first."""
    further = part.count - 1
    return replace(
        part,
        first=size - 1 - part.first - further * step,
        pixel=part.pixel + further * part.stride,
        stride=-part.stride if further else 1,
    )


def _row(row):
    """The first pixel of a result, and the weights from there on."""
    where = (row.abs() > CLOSE).nonzero()[:, 0].tolist()
    return where[0], tuple(row[where[0] : where[-1] + 1].tolist())


def _parts(rows, step):
    found = []
    for phase in range(min(step, len(rows))):
        part = None
        for result in range(phase, len(rows), step):
            pixel, weights = rows[result]
            if part is not None and _goes_on(part, pixel, weights):
                stride = pixel - part.pixel if part.count == 1 else part.stride
                part = found[-1] = replace(part, count=part.count + 1, stride=stride)
                continue
            part = AxisPart(result, 1, pixel, 1, weights)
            found.append(part)
    return tuple(found)


def _goes_on(part, pixel, weights):
    """Whether a part's next result may have this first pixel and these weights."""
    stride = pixel - part.pixel if part.count == 1 else part.stride
    same = len(weights) == len(part.weights) and all(
        abs(a - b) <= CLOSE for a, b in zip(weights, part.weights, strict=True)
    )
    # A stride is at least 1: pixels that are met again begin a part of their own.
    return same and stride >= 1 and pixel == part.pixel + part.count * stride


def _lowered(name, source, step, vertical, horizontal) -> tuple[FloatOperator, ...]:
    pairs = list(product(vertical, horizontal))
    if len(pairs) == 1:
        return (_conv(name, source, *pairs[0]),)
    made, inputs = [], []
    for down, right in pairs:
        # A copy of the whole image is the image: the compiler copies where it must.
        if down.takes(source.shape[1]) and right.takes(source.shape[2]):
            inputs.append(source.name)
            continue
        made.append(_conv(f"{name}.{down.first}_{right.first}", source, down, right))
        inputs.append(made[-1].name)
    offsets = tuple((down.first, right.first) for down, right in pairs)
    height, width = (sum(p.count for p in parts) for parts in (vertical, horizontal))
    whole = FloatInterleave(
        name=name,
        inputs=tuple(inputs),
        shape=(source.shape[0], height, width),
        step=step,
        offsets=offsets,
    )
    return *made, whole


def _conv(name, source, down, right):
    copy = identity(name, source)
    channels, *sizes = source.shape
    weight = torch.outer(torch.tensor(down.weights), torch.tensor(right.weights))
    padding = []
    for part, size in zip((down, right), sizes, strict=True):
        ends = part.pixel, part.pixel + (part.count - 1) * part.stride
        # What lies beside the part is cut off.
        padding += [-min(ends), max(ends) + len(part.weights) - size]
    window = Window(
        kernel=tuple(weight.shape),
        stride=(down.stride, right.stride),
        padding=tuple(padding),
        groups=channels,
    )
    return replace(
        copy,
        shape=(channels, down.count, right.count),
        weight=weight.expand(channels, 1, -1, -1).contiguous(),
        window=window,
    )
