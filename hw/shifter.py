"""Shifts by up to 63 places, two bits of the amount a cycle."""

from amaranth import *

from hw.delay import delay
from hw.spec.config import SHIFT_BITS

STEP_BITS = 2  # a LUT6 picks one of four
SHIFT_STAGES = SHIFT_BITS // STEP_BITS


def shift_left(m, value, amount, *, name):
    """``value << amount``, cut to the width of ``value``, ``SHIFT_STAGES`` cycles later."""
    return _shift(m, value, amount, lambda v, places: v << places, name)


def shift_right(m, value, amount, *, name):
    """``value >> amount`` of a signed value, ``SHIFT_STAGES`` cycles later."""
    return _shift(m, value, amount, lambda v, places: v >> places, name)


def _shift(m, value, amount, shifted, name):
    for stage in range(SHIFT_STAGES):
        places = amount[SHIFT_BITS - STEP_BITS :]  # the high bits first
        unit = 1 << (SHIFT_BITS - STEP_BITS * (stage + 1))
        result = Signal(value.shape(), name=f"{name}_{stage}", reset_less=True)
        choices = Array(shifted(value, n * unit) for n in range(1 << STEP_BITS))
        m.d.sync += result.eq(choices[places])
        value = result
        rest = Cat(C(0, STEP_BITS), amount[: SHIFT_BITS - STEP_BITS])
        amount = delay(m, rest, 1, name=f"{name}_amount_{stage}")
    return value
