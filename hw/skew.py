"""Column c's word c cycles after column 0's, as the array takes them."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.delay import delay


class Skew(wiring.Component):
    """Delay value n of ``i`` by n cycles.

    Members
    -------
    i : In(shape).array(count), o : Out(shape).array(count)
    """

    def __init__(self, *, shape, count):
        super().__init__({"i": In(shape).array(count), "o": Out(shape).array(count)})

    def elaborate(self, platform):
        m = Module()

        for n, (value, late) in enumerate(zip(self.i, self.o, strict=True)):
            m.d.comb += late.eq(delay(m, value, n, name=f"value_{n}"))

        return m
