"""One loop of a nest: counts steps and says which is the last."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.spec.config import COORDINATE_BITS


class Loop(wiring.Component):
    """Count from 1 to ``limit`` and begin again.

    Members
    -------
    start : In(1)
        Takes ``limit`` and begins at 1; the count is there in the next cycle.
    limit : In(COORDINATE_BITS), at least 1
        It holds from the cycle before ``start``.
    advance : In(1)
        The count goes on by one at the end of this cycle.
    last : Out(1)
        The count is ``limit``.
    """

    start: In(1)
    limit: In(COORDINATE_BITS)
    advance: In(1)
    last: Out(1)

    def elaborate(self, platform):
        m = Module()

        count, before_last = (
            Signal.like(self.limit, name=name, reset_less=True) for name in ("count", "before_last")
        )
        # A loop of one step is at its last one from the start, which no count before it can
        # announce. It is known a cycle early, as the limit comes out of a queue's memory.
        one, single, ends = (
            Signal(name="one"),
            Signal(name="single", reset_less=True),
            Signal(name="ends"),
        )
        m.d.sync += one.eq(self.limit == 1)
        m.d.comb += ends.eq(Mux(self.last, single, count == before_last))

        # `last` is a register, so that a nest of loops is one gate deep. By gates, not by If: a
        # register whose enable is a gate waits for its net, too.
        goes_on = (self.advance & ends) | (~self.advance & self.last)
        m.d.sync += self.last.eq((self.start & one) | (~self.start & goes_on))
        with m.If(self.start):
            m.d.sync += [count.eq(1), before_last.eq(self.limit - 1), single.eq(one)]
        with m.Elif(self.advance):
            m.d.sync += count.eq(Mux(self.last, 1, count + 1))

        return m
