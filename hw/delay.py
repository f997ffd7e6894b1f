"""A value as it was some cycles ago."""

from amaranth import *


def delay(m, value, cycles, *, name, reset_less=True):
    """``value`` through ``cycles`` registers called ``name_1`` and so on; itself for 0.

    Synthesis makes shift registers of the ones without a reset.
    """
    for n in range(cycles):
        register = Signal(value.shape(), name=f"{name}_{n + 1}", reset_less=reset_less)
        m.d.sync += register.eq(value)
        value = register
    return value
