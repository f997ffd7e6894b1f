"""The skew of the columns: words come in turns, those of the last columns first."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.delay import delay


class Skew(wiring.Component):
    """Delay value n by ``count // together - 1 - n // together`` cycles.

    Parameters
    ----------
    together : int
        Values in a row that come out of one cycle.

    Members
    -------
    i : In(shape).array(count), o : Out(shape).array(count)
    """

    def __init__(self, *, shape, count, together=1):
        self._together = together
        super().__init__({"i": In(shape).array(count), "o": Out(shape).array(count)})

    def elaborate(self, platform):
        m = Module()

        for n, (value, late) in enumerate(zip(self.i, self.o, strict=True)):
            # A triangle of registers, which synthesis makes into shift registers of LUTs.
            wait = (len(self.i) - 1 - n) // self._together
            m.d.comb += late.eq(delay(m, value, wait, name=f"value_{n}"))

        return m
