"""Barrel shifts, two bits of the amount a cycle: a LUT6 picks one of four.

Each stage keeps only the bits that can still matter. To the left, an amount's low bits come first,
so that the value grows late; to the right its high bits, so that it shrinks early.
"""

from amaranth import *

from hw.delay import delay

# A LUT6 picks one of four places: four bits of data and two of the amount.
STEP_BITS = 2
# Four low bits of the amount in two registered stages, and the rest in the adder's LUTs.
LEFT_STAGES = 2
# An amount has at most six bits, two for each stage.
RIGHT_STAGES = 3
JOINED = 6  # bits that a LUT6 joins


def shift_left(m, circuits, value, amount, width, *, name):
    """``value << amount`` cut to ``width`` bits: its low four amount bits, then the rest.

    The first are applied ``LEFT_STAGES`` cycles later; the result is a choice of the register that
    is then there, without a register of its own. ``amount`` is at most ``width``.
    """
    for stage in range(LEFT_STAGES):
        unit = 1 << (STEP_BITS * stage)
        # What lies above the result's width can no longer come back: shifts go up only.
        own = min(width, len(value) + (unit << STEP_BITS) - unit)
        shifted = Signal(signed(own), name=f"{name}_{stage}", reset_less=True)
        m.d.sync += shifted.eq(circuits.up(value, amount[:STEP_BITS], unit, own))
        value, amount = shifted, delay(m, amount[STEP_BITS:], 1, name=f"{name}_amount_{stage}")
    unit = 1 << (STEP_BITS * LEFT_STAGES)
    choices = [value << n * unit for n in range(1 << len(amount)) if n * unit < width]
    result = Signal(signed(width), name=name)
    m.d.comb += result.eq(Array(choices)[amount])
    return result


def shift_right(m, circuits, value, amount, bits, *, name):
    """The low ``bits`` of ``value >> amount``, the sign, and whether all bits above are the sign.

    All of them ``RIGHT_STAGES`` cycles later, for an amount of five or six bits.
    """
    sign, fits = value[-1], []
    checked = value[:-1]  # of the value itself, the highest bit is the sign
    while len(amount):
        step = min(STEP_BITS, len(amount))
        rest = len(amount) - step
        unit = 1 << rest
        # The steps to come take away at most `unit` - 1 places.
        width = min(len(value), bits + unit - 1)
        shifted = Signal(signed(width), name=f"{name}_{rest}", reset_less=True)
        m.d.sync += shifted.eq(circuits.down(value, amount[rest:], unit, width))
        # A bit that a stage drops must equal the sign, else the result does not fit.
        fits = [
            *_joined(m, fits, f"{name}_fits_{rest}"),
            *_left_out(m, checked[width:], amount[rest:], unit, sign, f"{name}_left_out_{rest}"),
        ]
        sign = delay(m, sign, 1, name=f"{name}_sign_{rest}")
        amount = delay(m, amount[:rest], 1, name=f"{name}_amount_{rest}")
        value = checked = shifted
    return value, sign, Cat(fits).all()


def _left_out(m, above, places, unit, sign, name):
    """Bits that end up above a stage's result must equal the sign: three of them in a LUT."""
    flags = []
    for n in range(0, len(above), 3):
        flag = Signal(name=f"{name}_{n}", reset_less=True)
        equal = [
            (places > bit // unit) | (above[bit] == sign)
            for bit in range(n, min(n + 3, len(above)))
        ]
        m.d.sync += flag.eq(Cat(equal).all())
        flags.append(flag)
    return flags


def _joined(m, flags, name):
    joined = []
    for n in range(0, len(flags), JOINED):
        flag = Signal(name=f"{name}_{n}", reset_less=True)
        m.d.sync += flag.eq(Cat(flags[n : n + JOINED]).all())
        joined.append(flag)
    return joined
