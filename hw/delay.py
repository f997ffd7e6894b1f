"""Delays: a value as it was some cycles earlier."""

from amaranth import *


def delay(m, value, cycles, *, name, reset_less=True):
    """``value`` through ``cycles`` registers called ``name_1`` and so on; itself for 0.

    Registers without a reset can become shift registers in LUTs, which is why that is the default.
    """
    for n in range(cycles):
        register = Signal(value.shape(), name=f"{name}_{n + 1}", reset_less=reset_less)
        m.d.sync += register.eq(value)
        value = register
    return value
