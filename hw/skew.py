"""Column c's word a cycle before column c - 1's, as the array takes them."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.delay import delay


class Skew(wiring.Component):
    """Delay the last value of ``i`` not at all, and each of the others a cycle more than the next.

    Members
    -------
    i : In(shape).array(count), o : Out(shape).array(count)
    """

    def __init__(self, *, shape, count):
        super().__init__({"i": In(shape).array(count), "o": Out(shape).array(count)})

    def elaborate(self, platform):
        m = Module()

        for n, (value, late) in enumerate(zip(self.i, self.o, strict=True)):
            m.d.comb += late.eq(delay(m, value, len(self.i) - 1 - n, name=f"value_{n}"))

        return m
