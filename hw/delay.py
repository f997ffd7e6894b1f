"""Registers without a reset: a value as it was some cycles earlier, or until it is taken."""

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


def register(m, port, *, name):
    """A register without a reset that drives ``port``: what a valid bit beside it tells of.

    Data need no reset, which would reach thousands of registers.
    """
    own = Signal.like(port, name=name, reset_less=True)
    m.d.comb += port.eq(own)
    return own
