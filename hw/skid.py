"""A stream through registers in both directions."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


class Skid(wiring.Component):
    """Hold up to two payloads; each may leave one cycle after it came.

    Payload, valid and ready are registers, so that neither stream adds gates to the other.

    Members
    -------
    i : In(stream.Signature(shape))
    o : Out(stream.Signature(shape))
    """

    def __init__(self, *, shape):
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        m = Module()
        incoming, outgoing = Value.cast(self.i.payload), Value.cast(self.o.payload)
        first, second = (
            Signal(len(incoming), name=name, reset_less=True) for name in ("first", "second")
        )
        full = Signal(name="full")

        m.d.comb += [self.i.ready.eq(~full), outgoing.eq(first)]
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += [
                self.o.valid.eq(self.i.valid | full),
                first.eq(Mux(full, second, incoming)),
                full.eq(0),
            ]
        with m.Elif(self.i.valid & ~full):
            m.d.sync += [full.eq(1), second.eq(incoming)]

        return m
