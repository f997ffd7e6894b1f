"""A first-in first-out queue between two streams, in distributed memory."""

from amaranth import *
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.marks import marks
from hw.ports import read_port, write_port

# Of payloads that share a memory's pointers, which have a load each bit or two; memories in LUTs
# have 14 bits each.
PART_BITS = 9 * 14


class Queue(wiring.Component):
    """Hold up to ``depth`` payloads; each may leave one cycle after it came.

    Whether it has a payload and whether it has room are registers, so that neither stream adds
    gates to the other.

    Parameters
    ----------
    shape : payload of both streams
    depth : int
        Places, at least 2 for full rate.
    early : slice
        Bits of the payload that come from registers, as much is decided by them; all others come
        out of a memory.

    Members
    -------
    i : In(stream.Signature(shape))
    o : Out(stream.Signature(shape))
    """

    def __init__(self, *, shape, depth, early=slice(0, 0)):
        if depth < 2:
            raise ValueError(
                f"Queue needs a depth of at least 2 to pass one payload a cycle, not {depth}"
            )
        self._depth, self._early = depth, early
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        m = Module()
        incoming, outgoing = Value.cast(self.i.payload), Value.cast(self.o.payload)
        came, left = Signal(name="came"), Signal(name="left")
        held = marks(m, self._depth, more=came, fewer=left, name="held")

        m.d.comb += [
            self.i.ready.eq(~held[-1]),
            self.o.valid.eq(held[0]),
            came.eq(self.i.valid & self.i.ready),
            left.eq(self.o.valid & self.o.ready),
        ]
        early = range(len(incoming))[self._early]
        if early:
            self._line(m, held, left, incoming[self._early], outgoing[self._early])
        spans = (0, early.start), (early.stop, len(incoming))
        parts = [
            slice(start, min(start + PART_BITS, stop))
            for first, stop in spans
            for start in range(first, stop, PART_BITS)
        ]
        for part, bits in enumerate(parts):
            self._keep(m, part, came, left, incoming[bits], outgoing[bits])

        return m

    def _line(self, m, held, left, incoming, outgoing):
        """Registers in a line, through which payloads move up; those behind the last are open."""
        places = [
            Signal(len(incoming), name=f"place_{n}", reset_less=True) for n in range(self._depth)
        ]
        nexts = [Mux(held[n], place, incoming) for n, place in enumerate(places)]
        for place, stays, moves in zip(places, nexts, [*nexts[1:], incoming], strict=True):
            m.d.sync += place.eq(Mux(left, moves, stays))
        m.d.comb += outgoing.eq(places[0])

    def _keep(self, m, part, came, left, incoming, outgoing):
        """A memory for some bits of the payloads, whose first place is another in each part."""
        depth = self._depth
        storage = memory.Memory(shape=len(incoming), depth=depth, init=[])
        m.submodules[f"part_{part}"] = storage
        # Distributed memory reads at once, so that a payload may leave one cycle after it came.
        write, read = write_port(storage, "write"), read_port(storage, "read", domain="comb")
        # Whatever is there is written while there is room, as whether it comes is known later.
        m.d.comb += [write.en.eq(self.i.ready), write.data.eq(incoming), outgoing.eq(read.data)]
        for name, port, moves in (("came", write, came), ("left", read, left)):
            # Equal pointers would be merged to one, with the loads of all.
            place = Signal(range(depth), name=f"{name}_at_{part}", init=part % depth)
            m.d.comb += port.addr.eq(place)
            with m.If(moves):
                m.d.sync += place.eq(Mux(place == depth - 1, 0, place + 1))
