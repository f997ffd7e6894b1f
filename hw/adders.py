"""Adders of two and of three numbers in one carry chain, a LUT for each bit, as a slice has room.

The lowest place of a chain has one input of its own for both the chain's carry and the addend that
goes by its LUT. Where the carry takes it, the addend comes out of the LUT at O5.
"""

from hw.cells import Function, Net, share_a_lut


def add_row(cells, rules, inputs, other, carry, *, carry_out=False):
    """``other`` plus a number whose bits are each a function of at most five nets."""
    chosen, others = [], list(other)
    for n, (rule, bit, each) in enumerate(zip(rules, other, inputs, strict=True)):
        # A carry chain wants the exclusive or of its addends, and one addend as it is.
        select = Function.of(lambda far, *rest, rule=rule: rule(*rest) ^ far, bit, *each)
        if n == 0 and isinstance(carry, Net):  # by O5, as the carry takes the bypass
            others[0], lowest = cells.pair(Function.of(rule, *each), select)
            chosen.append(lowest)
        else:
            chosen.append(cells.single(select))
    return cells.chain(chosen, others, carry, carry_out=carry_out)


def ripple(cells, rows, carry, below, lowest=None):
    """What a chain adds for three bits a place, the first of which another one clears.

    Each LUT adds three bits and the carry of the place before, and gives its own at O5: three terms
    become two, the parities and the carries of the bits below. So a sum of three takes one LUT per
    bit and no second chain. Where the lowest place's O5 is its addend, its own carry is ``lowest``,
    or comes from the first place above whose O5 is free. Also gives the carry of the last place.
    """
    chosen, others, waiting = [], [], None
    for n, row in enumerate(rows):
        above, total = Function.of(majority, *row), Function.of(_parity, *row, below)
        if n == 0 and isinstance(carry, Net):
            # Where the chain takes it, this addend equals the place's other one.
            other, high = cells.pair(Function.of(_parity, *row, 0), total)
            below = cells.wire() if lowest is None else lowest
            waiting = (above, below) if lowest is None else None
        else:
            other = below
            if above.nets:
                below, high = cells.pair(above, total)
            elif waiting and share_a_lut(waiting[0], total):
                _, high = cells.pair(waiting[0], total, at=waiting[1])
                waiting, below = None, 0
            else:  # no sum but of what comes from below
                below, high = above.table & 1, cells.single(total)
        chosen.append(high)
        others.append(other)
    if waiting:
        cells.single(*waiting)
    return chosen, others, below


def majority(first, second, third, clear):
    """What a place of three bits carries on, the first of which ``clear`` makes 0."""
    return (first and not clear) + second + third >= 2


def _parity(first, second, third, clear, below):
    return (first and not clear) ^ second ^ third ^ below
