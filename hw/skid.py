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

        free = Signal(name="free")
        m.d.comb += [
            self.i.ready.eq(~full),
            outgoing.eq(first),
            free.eq(~self.o.valid | self.o.ready),
        ]
        # By gates, not by If: a register whose enable is a gate waits for its net, too.
        m.d.sync += [
            self.o.valid.eq(self.i.valid | full | ~free),
            full.eq((self.i.valid | full) & ~free),
        ]
        with m.If(free):
            m.d.sync += first.eq(Mux(full, second, incoming))
        # Whatever comes is kept, whether it is needed or not, as that is known later.
        with m.If(~full):
            m.d.sync += second.eq(incoming)

        return m
