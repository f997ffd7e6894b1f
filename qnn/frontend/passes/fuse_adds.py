"""Each sum is taken by a convolution that only it reads, the other operand its skip."""

from dataclasses import replace

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.add import Add
from qnn.frontend.ops.conv import identity
from qnn.frontend.rewrite import Rewrite


def fuse_adds(graph: FloatGraph) -> FloatGraph:
    """Fuse each add into a convolution, whose epilogue then adds the other operand.

    Prefer a convolution that computes over one that copies, whose result loses nothing by being
    stored; break ties by the later one. Where there is none, a copy of the later operand adds.
    """
    rewrite = Rewrite(graph)
    for add in rewrite.each(Add):
        free = [name for name in add.inputs if _takes_skip(name, add, rewrite)]
        # The later operand, so that the earlier one is stored when the sum is taken.
        if not free:
            first, second = sorted(add.inputs, key=lambda name: _place(name, add, rewrite))
            copy = identity(add.name, rewrite[second])
            rewrite.exchange(add.name, replace(copy, inputs=(second, first)))
            continue
        taker = rewrite[max(free, key=lambda name: (not rewrite[name].copies, rewrite.place(name)))]
        skip = add.inputs[1 - add.inputs.index(taker.name)]
        # It moves to the sum's place, where both operands have been computed.
        rewrite.exchange(taker.name)
        rewrite.exchange(add.name, replace(taker, inputs=(taker.inputs[0], skip)))
        rewrite.redirect(add.name, taker.name)
    return rewrite.graph()


def _place(name, add, rewrite):
    # What has one value for each channel is added to a whole map, and not the other way round.
    return rewrite[name].shape == add.shape, rewrite.place(name)


def _takes_skip(name, add, rewrite):
    node = rewrite[name]
    return node.takes_skip and node.shape == add.shape and rewrite.uses(name) == 1
