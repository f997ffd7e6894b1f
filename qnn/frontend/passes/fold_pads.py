"""Zeros around the image become padding of the convolutions that read them."""

from dataclasses import replace

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.conv import FloatConv, identity
from qnn.frontend.ops.pad import Pad
from qnn.frontend.rewrite import Rewrite
from qnn.ir.window import Window


def fold_pads(graph: FloatGraph) -> FloatGraph:
    """Widen the padding of convolutions; for other readers, a copy pads."""
    rewrite = Rewrite(graph)
    for pad in rewrite.each(Pad):
        for user in rewrite.users(pad.name):
            # A skip operand has no window that could take the border in.
            if isinstance(user, FloatConv) and user.inputs[0] == pad.name:
                rewrite.exchange(user.name, _padded(user, pad))
        # Maximum pooling pads with what never wins, not with zeros, and so cannot take it in.
        if rewrite.uses(pad.name):
            copy = identity(pad.name, rewrite[pad.inputs[0]])
            window = Window(kernel=(1, 1), padding=pad.padding, groups=copy.window.groups)
            rewrite.exchange(pad.name, replace(copy, shape=pad.shape, window=window))
        else:
            rewrite.exchange(pad.name)
    return rewrite.graph()


def _padded(conv, pad):
    own = conv.window.padding
    padding = tuple(a + b for a, b in zip(own, pad.padding, strict=True))
    return replace(
        conv,
        inputs=(pad.inputs[0], *conv.inputs[1:]),
        window=replace(conv.window, padding=padding),
    )
