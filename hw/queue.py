"""A first-in first-out queue between two streams, in distributed memory."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out


class Queue(wiring.Component):
    """Hold up to ``depth`` payloads; each may leave one cycle after it came.

    Parameters
    ----------
    shape : payload of both streams
    depth : int
        Places, at least 2 for full rate.

    Members
    -------
    i : In(stream.Signature(shape))
    o : Out(stream.Signature(shape))
    """

    def __init__(self, *, shape, depth):
        if depth < 2:
            raise ValueError(
                f"Queue needs a depth of at least 2 to pass one payload a cycle, not {depth}"
            )
        self._depth = depth
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        m = Module()
        incoming, outgoing = Value.cast(self.i.payload), Value.cast(self.o.payload)
        # Distributed memory reads at once, so that a payload may leave one cycle after it came.
        m.submodules.fifo = fifo = SyncFIFO(width=len(incoming), depth=self._depth)

        m.d.comb += [
            fifo.w_data.eq(incoming),
            fifo.w_en.eq(self.i.valid),
            self.i.ready.eq(fifo.w_rdy),
            outgoing.eq(fifo.r_data),
            self.o.valid.eq(fifo.r_rdy),
            fifo.r_en.eq(self.o.ready),
        ]

        return m
