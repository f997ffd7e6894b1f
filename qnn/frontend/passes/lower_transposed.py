"""A transposed convolution is a plain convolution for each phase of its result.

Result o sums what pixels i give it, o + padding = i * stride + tap * dilation. For the results of
one phase, which lie a stride apart, these are the same taps, and the pixels that they meet move on
by one from result to result: a convolution.
"""

from dataclasses import dataclass
from itertools import product

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.conv import FloatConv
from qnn.frontend.ops.interleave import FloatInterleave
from qnn.frontend.ops.transposed_conv import TransposedConv
from qnn.frontend.rewrite import Rewrite
from qnn.ir.window import Window


@dataclass(frozen=True)
class _Phase:
    """One phase along one axis: its first result and their count, its taps, and its window."""

    offset: int
    count: int
    taps: tuple[int, ...]  # of the transposed kernel, in the order of the pixels that they meet
    dilation: int
    padding: tuple[int, int]


def lower_transposed(graph: FloatGraph) -> FloatGraph:
    """Exchange each for its phases, which are interleaved."""
    rewrite = Rewrite(graph)
    for node in rewrite.each(TransposedConv):
        source = rewrite[node.inputs[0]]
        pairs = list(product(*(_phases(node, source.shape, axis) for axis in range(2))))
        if len(pairs) == 1:
            rewrite.exchange(node.name, _conv(node, node.name, *pairs[0]))
            continue
        convs = [_conv(node, f"{node.name}.{a.offset}_{b.offset}", a, b) for a, b in pairs]
        whole = FloatInterleave(
            name=node.name,
            inputs=tuple(conv.name for conv in convs),
            shape=node.shape,
            step=node.stride,
            offsets=tuple((down.offset, right.offset) for down, right in pairs),
        )
        rewrite.exchange(node.name, *convs, whole)
    return rewrite.graph()


def _phases(node, source, axis) -> list[_Phase]:
    size, results = source[1 + axis], node.shape[1 + axis]
    stride, dilation = node.stride[axis], node.dilation[axis]
    found = []
    # A result of fewer rows than a stride has fewer phases.
    for offset in range(min(stride, results)):
        place = offset + node.padding[axis]
        # The later the tap, the earlier the pixel that it meets.
        met = {
            (place - tap * dilation) // stride: tap
            for tap in range(node.weight.shape[2 + axis])
            if (place - tap * dilation) % stride == 0
        }
        count = len(range(offset, results, stride))
        found.append(_phase(offset, met, size, count))
    return found


def _phase(offset, met, size, count):
    # What meets no pixel in any result only widens the window.
    pixels = sorted(pixel for pixel in met if -count < pixel < size)
    taps = tuple(met[pixel] for pixel in pixels)
    # Without any, a tap of zero stands at the first pixel.
    first, *more = pixels or [0]
    last = more[-1] if more else first
    return _Phase(
        offset=offset,
        count=count,
        taps=taps,
        dilation=more[0] - first if more else 1,
        padding=(-first, count + last - size),
    )


def _conv(node, name, down, right):
    outputs = node.weight.shape[1] * node.groups
    # (inputs, outputs / groups) becomes (outputs, inputs / groups), group by group.
    grouped = node.weight.unflatten(0, (node.groups, -1)).transpose(1, 2).flatten(0, 1)
    weight = grouped[:, :, list(down.taps or [0])][:, :, :, list(right.taps or [0])]
    # Where one axis has no taps, nothing but the bias is left of the results.
    weight = weight * bool(down.taps and right.taps)
    return FloatConv(
        name=name,
        inputs=node.inputs,
        shape=(outputs, down.count, right.count),
        window=Window(
            kernel=tuple(weight.shape[2:]),
            dilation=(down.dilation, right.dilation),
            padding=(*down.padding, *right.padding),
            groups=node.groups,
        ),
        weight=weight.contiguous(),
        bias=node.bias,
    )
