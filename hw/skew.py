"""The skew of the columns: column c's word comes one cycle before that of column c - 1."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.delay import delay


class Skew(wiring.Component):
    """Delay value n by ``count - 1 - n`` cycles.

    Members
    -------
    i : In(shape).array(count), o : Out(shape).array(count)
    """

    def __init__(self, *, shape, count):
        super().__init__({"i": In(shape).array(count), "o": Out(shape).array(count)})

    def elaborate(self, platform):
        m = Module()

        for n, (value, late) in enumerate(zip(self.i, self.o, strict=True)):
            # A triangle of registers, which synthesis makes into shift registers of LUTs.
            m.d.comb += late.eq(delay(m, value, len(self.i) - 1 - n, name=f"value_{n}"))

        return m
