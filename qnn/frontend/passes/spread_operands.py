"""Operands that are spread over space or channels, or subtracted, become what the epilogue takes.

It adds or multiplies by a tensor of the result's shape, or by one that has a single channel, a
single pixel or both. What is spread otherwise goes through a fixed convolution that copies each
value to its places.
"""

from dataclasses import replace

import torch

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.add import Add
from qnn.frontend.ops.conv import FloatConv, identity
from qnn.frontend.ops.multiply import FloatMultiply
from qnn.frontend.ops.operator import FloatOperator
from qnn.frontend.rewrite import Rewrite
from qnn.ir.shape import Shape
from qnn.ir.window import Window


def spread_operands(graph: FloatGraph) -> FloatGraph:
    """Give each sum and product a first operand of its shape and a second that it can spread."""
    rewrite = Rewrite(graph)
    for kind in (Add, FloatMultiply):
        for node in rewrite.each(kind):
            node = _unscaled(node, rewrite) if kind is Add else node
            _spread(node, rewrite)
    return rewrite.graph()


def _unscaled(node, rewrite):
    """The sum without a factor, which the weights of a fixed convolution take in its place."""
    if node.alpha == 1:
        return node
    source = rewrite[node.inputs[1]]
    # A mean that is subtracted: a fixed sum that nothing else reads.
    if source.only_weighs and rewrite.uses(source.name) == 1:
        plain = replace(node, alpha=1.0)
        rewrite.exchange(source.name, _times(source, node.alpha))
        rewrite.exchange(node.name, plain)
        return plain
    scaled = _times(identity(f"{node.name}.scaled", source), node.alpha)
    plain = replace(node, inputs=(node.inputs[0], scaled.name), alpha=1.0)
    rewrite.exchange(node.name, scaled, plain)
    return plain


def _times(conv, factor):
    return replace(conv, weight=conv.weight * factor)


def _spread(node, rewrite):
    whole = node.shape
    # The one that is nearer to the result goes first, so that at most one of two is copied whole.
    first, second = sorted(node.inputs, key=lambda name: _order(rewrite[name].shape, whole))
    copies, names = [], []
    for name in (first, second):
        found = rewrite[name]
        shape = whole if not names else _least(found.shape, whole)
        if found.shape != shape:
            copies.append(_copied(f"{node.name}.operand{len(copies)}", found, shape))
        names.append(copies[-1].name if found.shape != shape else name)
    if copies or tuple(names) != node.inputs:
        rewrite.exchange(node.name, *copies, replace(node, inputs=tuple(names)))


def _least(shape, whole):
    """The fewest values that the epilogue takes: all pixels of a channel are there, or one."""
    return shape[0], *(whole[1:] if shape[1:] != (1, 1) else (1, 1))


def _order(shape, whole):
    return shape != whole, shape[1:] == (1, 1), shape[0] == 1


def _copied(name: str, source: FloatOperator, shape: Shape) -> FloatConv:
    """``source`` with its axes of size 1 repeated up to ``shape``, exactly."""
    # With so much padding a window of the result's size sees the one row, wherever it stands.
    sizes = zip(source.shape[1:], shape[1:], strict=True)
    down, right = (size - own if own == 1 else 0 for own, size in sizes)
    kernel = (down + 1, right + 1)
    groups = 1 if source.shape[0] == 1 else shape[0]
    return FloatConv(
        name=name,
        inputs=(source.name,),
        shape=shape,
        window=Window(kernel=kernel, padding=(down, down, right, right), groups=groups),
        weight=torch.ones(shape[0], 1, *kernel),
        fixed=True,
    )
