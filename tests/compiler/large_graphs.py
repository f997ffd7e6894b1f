"""Graphs larger than the chips of the tests, one for each kind of layer that a strip cuts."""

import numpy as np

from qnn.ir.ops import Concat, Interleave
from tests.compiler.small_graphs import U8, conv, graph, image, last
from tests.operators import max_pool


def shift(outputs, bits):
    """Right shifts that keep the results of wide layers in range."""
    return np.zeros(outputs, np.int64) + bits


def residual_block(channels=64, height=12, width=56):
    """Two 3x3 layers and a skip operand: every strip has a halo, and rows beside it."""
    x = image(channels, height, width, type=U8)
    a = conv("a", x, channels, right=shift(channels, 9))
    b = conv("b", a, channels, skip=x, seed=2, right=shift(channels, 9))
    return graph(x, a, b)


def strided(channels=64, outputs=128, height=16, width=56):
    """A 3x3 layer of stride 2 and a 1x1 one that adds to it, as where maps become smaller."""
    x = image(channels, height, width, type=U8)
    half = (outputs, height // 2, width // 2)
    right = shift(outputs, 9)
    a = conv("a", x, outputs, shape=half, stride=(2, 2), padding=(1, 1, 1, 1), right=right)
    fields = {"shape": half, "stride": (2, 2), "kernel": 1, "skip": a, "seed": 2}
    b = conv("b", x, outputs, **fields, right=shift(outputs, 8))
    return graph(x, a, b)


def pooled(channels=64, height=33, width=112):
    """A first layer, 7x7 of stride 2, and the 3x3 pooling of stride 2 behind it."""
    x = image(3, height, width)
    half = (channels, (height + 1) // 2, width // 2)
    a = conv("a", x, channels, kernel=7, shape=half, stride=(2, 2), padding=(3, 3, 3, 2))
    quarter = (channels, (half[1] + 1) // 2, half[2] // 2)
    fields = {"kernel": (3, 3), "stride": (2, 2), "padding": (1, 1, 1, 0)}
    pool = max_pool(name="pool", input="a", shape=quarter, type=U8, **fields)
    return graph(x, a, pool)


def thin(channels=16, height=60, width=112):
    """A 1x1 layer of little work, so that its results are better not moved, and a 3x3 pooling."""
    x = image(channels, height, width, type=U8)
    a = conv("a", x, channels, kernel=1)
    half = (channels, height // 2, width // 2)
    fields = {"kernel": (3, 3), "stride": (2, 2), "padding": (1, 0, 1, 0)}
    return graph(x, a, max_pool(name="pool", input="a", shape=half, type=U8, **fields))


def deep(channels=512, outputs=64, size=7):
    """A 3x3 layer whose weights are used for few pixels, and a linear layer."""
    x = image(channels, size, size, type=U8)
    a = conv("a", x, outputs, right=shift(outputs, 10))
    return graph(x, a, last(a, 40))


def branched(channels=64, height=120, width=28):
    """A pooling, and a 3x3 layer of few channels over the same tensor, in a concatenation."""
    x = image(channels, height, width, type=U8)
    half = (channels, height // 2, width // 2)
    fields = {"stride": (2, 2), "padding": (1, 1, 1, 1), "right": shift(4, 9)}
    few = conv("few", x, 4, shape=(4, *half[1:]), **fields)
    fields = {"kernel": (2, 2), "stride": (2, 2), "padding": (0, 0, 0, 0)}
    pool = max_pool(name="pool", input="x", shape=half, type=U8, **fields)
    shape = (4 + channels, *half[1:])
    return graph(x, few, pool, Concat(name="both", inputs=("few", "pool"), shape=shape, type=U8))


def turned(channels=64, height=16, width=56):
    """A 3x3 layer whose results come from the right to the left, and a skip operand behind one."""
    x = image(channels, height, width, type=U8)
    half = (channels, height // 2, (width + 1) // 2)
    fields = {"stride": (2, -2), "padding": (1, 1, 1, 1), "right": shift(channels, 9)}
    a = conv("a", x, channels, shape=half, **fields)
    fields = {"stride": (2, 2), "kernel": 1, "skip": a, "seed": 2, "right": shift(channels, 8)}
    return graph(x, a, conv("b", x, channels, shape=half, **fields))


def upsampled(channels=64, height=120, width=28):
    """A layer, and an interleaving of more operands that read it than a run has layers."""
    x = image(16, height, width, type=U8)
    a = conv("a", x, channels, kernel=1)
    right, least = shift(channels, 8), channels // 4
    phases = [conv(f"phase{n}", a, least, kernel=1, seed=n, right=right[:least]) for n in range(4)]
    offsets = ((0, 0), (0, 1), (1, 0), (1, 1))
    up = Interleave(
        name="up",
        inputs=tuple(phase.name for phase in phases),
        shape=(least, 2 * height, 2 * width),
        type=U8,
        step=(2, 2),
        offsets=offsets,
    )
    return graph(x, a, *phases, up)


def inverted(narrow=16, wide=96, height=28, width=28, blocks=2):
    """Blocks that are wide inside, as MobileNetV2's: what is between them is cheap to move."""
    nodes = [image(narrow, height, width, type=U8)]
    for number in range(blocks):
        before, inside, point = nodes[-1], (wide, height, width), {"kernel": 1}
        nodes.append(conv(f"wider{number}", before, wide, right=shift(wide, 8), **point))
        nodes.append(conv(f"inside{number}", nodes[-1], wide, shape=inside, right=shift(wide, 9)))
        skip = before if number else None
        right = shift(narrow, 8)
        nodes.append(conv(f"narrow{number}", nodes[-1], narrow, skip=skip, right=right, **point))
    return graph(*nodes)


ALL = (residual_block, strided, pooled, thin, deep, branched, upsampled, turned, inverted)
