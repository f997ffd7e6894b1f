"""Resets of parts of the design: a domain of the same clock, whose reset is one register."""

from amaranth import *


def same_clock(m, name, *, reset):
    """Add the domain ``name`` for submodules, which ``reset`` alone holds in their initial state.

    It is for whole designs in Verilog, where both domains have one clock; Amaranth's simulator
    would see two. A ``ResetInserter`` would join the reset with that of the design, which puts a
    LUT between a register and all that it resets. So ``reset`` must be 1 after the design's.
    """
    m.domains += ClockDomain(name, local=True)
    m.d.comb += [ClockSignal(name).eq(ClockSignal()), ResetSignal(name).eq(reset)]
