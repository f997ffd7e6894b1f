"""A count as marks: ones from the lowest bit on, as many as are counted."""

from amaranth import *


def marks(m, most, *, more, fewer, name, init=0):
    """A register of ``most`` bits, of which the lowest one says that there is any, the highest all.

    ``more`` adds a mark where there is room, ``fewer`` takes one where there is one; both at once
    leave the count as it is. A bit looks at its neighbours alone: one LUT behind whatever comes
    late, where a sum and its comparisons would be several.
    """
    count = Signal(most, name=name, init=(1 << init) - 1)
    grows, shrinks = more & ~fewer, fewer & ~more
    # Not by If: a bit whose enable is a gate waits for its net, too.
    above, below = count.shift_left(1)[:most] | 1, count.shift_right(1)
    m.d.sync += count.eq(
        (count | (above & grows.replicate(most))) & (below | ~shrinks.replicate(most))
    )
    return count
