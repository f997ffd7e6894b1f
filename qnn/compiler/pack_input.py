"""Several kernel taps in one feature word of an input: its first layer then takes fewer steps.

An image has few channels, so that a word of its pixels leaves most lanes idle. Where every reader
of an input is a dense convolution with the same window, a word can hold what several taps of that
window read: the host gathers it (``hw.spec.image.Gather``), and the convolution becomes one with
more channels and a smaller kernel. Sums have the same terms, so that no value changes.
"""

from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from hw.spec.config import SvpeConfig
from hw.spec.tensors import Gather
from qnn.ir.graph import Graph
from qnn.ir.ops import Conv
from qnn.ir.window import Window


@dataclass(frozen=True)
class _Axis:
    """A window along one axis, before packing."""

    size: int  # of the input
    kernel: int
    stride: int
    dilation: int
    before: int  # padding
    outputs: int


@dataclass(frozen=True)
class _Packed:
    """The same axis when a word holds ``taps``: its words, and the window over them."""

    taps: int
    words: int
    first: int  # pixel of the first tap of the first word
    step: int  # pixels from word to word
    kernel: int
    stride: int
    dilation: int
    padding: tuple[int, int]


def pack_input(graph: Graph, name: str, config: SvpeConfig) -> tuple[Graph, Gather | None]:
    """``graph`` with the input ``name`` packed, and how; itself and None where that stays."""
    given = graph[name]
    axes = _windows(graph, given)
    if axes is None:
        return graph, None
    channels = given.shape[0]
    down, across = _fewest_steps(channels, axes, config.lanes)
    if down.taps * across.taps == 1:
        return graph, None
    gather = Gather(
        shape=given.shape,
        taps=(down.taps, across.taps),
        dilation=(axes[0].dilation, axes[1].dilation),
        first=(down.first, across.first),
        step=(down.step, across.step),
    )
    shape = (down.taps * across.taps * channels, down.words, across.words)
    changed = {node.name: _over(node, down, across) for node in graph.users(name)}
    changed[name] = replace(given, shape=shape, table=None, statistics=None, axes=None)
    nodes = tuple(changed.get(node.name, node) for node in graph.nodes)
    return replace(graph, nodes=nodes), gather


def _windows(graph, given):
    """The window that all readers share, down and across; None if the input cannot be packed."""
    name, (_, *sizes) = given.name, given.shape
    readers = graph.users(name)
    # An input that is an output too must stay as the user gave it.
    if not readers or name in (output.name for output in graph.outputs):
        return None
    if not all(isinstance(n, Conv) and n.window.groups == 1 and n.skip != name for n in readers):
        return None
    windows = {
        (w.kernel, w.stride, w.dilation, (w.padding[0], w.padding[2]), n.shape[1:])
        for n, w in ((n, n.window) for n in readers)
    }
    # What a window cuts off is not there to be gathered, and words go from the left to the right.
    cut = any(min(n.window.padding) < 0 or n.window.backwards for n in readers)
    if len(windows) > 1 or cut:
        return None
    return tuple(_Axis(*axis) for axis in zip(sizes, *windows.pop(), strict=True))


def _fewest_steps(channels, axes, lanes):
    """The packing of both axes with the fewest steps; of equals, the one with the fewest words."""

    def cost(pair):
        down, across = pair
        blocks = -(-down.taps * across.taps * channels // lanes)
        return down.kernel * across.kernel * blocks, down.words * across.words * blocks

    pairs = product(*(_options(axis) for axis in axes))
    fitting = [
        (down, across)
        for down, across in pairs
        # One tap is the plain input, of any number of channels; what is packed fits one word. All
        # taps may take several where no pixel comes twice by that: a linear layer of an image.
        if down.taps * across.taps in (1, *range(2, lanes // channels + 1))
        or (down.kernel == across.kernel == 1 and not any(map(_overlap, axes)))
    ]
    return min(fitting, key=cost)


def _overlap(axis):
    """Whether some pixel is read by two windows that follow each other."""
    return axis.outputs > 1 and axis.stride <= axis.dilation * (axis.kernel - 1)


def _options(axis):
    """One tap a word leaves the axis as it is; more make a word for each output, or few more."""
    plain = _Packed(
        taps=1,
        words=axis.size,
        first=0,
        step=1,
        kernel=axis.kernel,
        stride=axis.stride,
        dilation=axis.dilation,
        padding=(axis.before, max(0, _reach(axis) - axis.size)),
    )
    packed = (_pack(axis, taps) for taps in range(2, axis.kernel + 1))
    return [plain, *(each for each in packed if each is not None)]


def _reach(axis):
    """The pixel after the last one that the window reads."""
    last = (axis.outputs - 1) * axis.stride + axis.dilation * (axis.kernel - 1)
    return last + 1 - axis.before


def _pack(axis, taps):
    """The axis with ``taps`` in a word; None where words of two steps would not share a grid."""
    kernel, pixels = -(-axis.kernel // taps), taps * axis.dilation
    step = axis.stride if axis.outputs > 1 else pixels
    if kernel > 1 and pixels % step:
        return None
    dilation = pixels // step if kernel > 1 else 1
    # Exactly the words that some output reads, so that the window never leaves them before the end.
    needed = axis.outputs + (kernel - 1) * dilation
    words = min(needed, -(-(axis.size + axis.before) // step))  # those behind hold padding only
    return _Packed(
        taps=taps,
        words=words,
        first=-axis.before,
        step=step,
        kernel=kernel,
        stride=1,
        dilation=dilation,
        padding=(0, needed - words),
    )


def _over(node, down, across):
    """The convolution over packed words: taps of a word become channels."""
    terms, outputs, channels, height, width = node.codes.shape
    more = (down.kernel * down.taps - height, across.kernel * across.taps - width)
    codes = np.pad(node.codes, ((0, 0), (0, 0), (0, 0), (0, more[0]), (0, more[1])))
    shape = (terms, outputs, channels, down.kernel, down.taps, across.kernel, across.taps)
    codes = codes.reshape(shape).transpose(0, 1, 4, 6, 2, 3, 5)
    return replace(
        node,
        codes=codes.reshape(terms, outputs, -1, down.kernel, across.kernel),
        window=Window(
            kernel=(down.kernel, across.kernel),
            stride=(down.stride, across.stride),
            dilation=(down.dilation, across.dilation),
            padding=(*down.padding, *across.padding),
        ),
    )
