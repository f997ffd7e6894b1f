"""A first-in first-out queue between two streams, in distributed memory."""

from amaranth import *
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.ports import read_port, write_port

PART_BITS = (
    256  # of payloads that share the pointers of a memory, which have a load each bit or two
)


class Queue(wiring.Component):
    """Hold up to ``depth`` payloads; each may leave one cycle after it came.

    Whether it has a payload and whether it has room are registers, so that neither stream adds
    gates to the other.

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
        depth = self._depth
        incoming, outgoing = Value.cast(self.i.payload), Value.cast(self.o.payload)
        full, level = Signal(name="full"), Signal(range(depth + 1), name="level")
        came, left = Signal(name="came"), Signal(name="left")

        m.d.comb += [
            self.i.ready.eq(~full),
            came.eq(self.i.valid & ~full),
            left.eq(self.o.valid & self.o.ready),
        ]
        for part, start in enumerate(range(0, len(incoming), PART_BITS)):
            bits = slice(start, start + PART_BITS)
            self._keep(m, part, came, left, incoming[bits], outgoing[bits])
        with m.If(came & ~left):
            m.d.sync += [level.eq(level + 1), full.eq(level == depth - 1), self.o.valid.eq(1)]
        with m.If(left & ~came):
            m.d.sync += [level.eq(level - 1), full.eq(0), self.o.valid.eq(level != 1)]

        return m

    def _keep(self, m, part, came, left, incoming, outgoing):
        """A memory for some bits of the payloads, whose first place is another in each part."""
        depth = self._depth
        storage = memory.Memory(shape=len(incoming), depth=depth, init=[])
        m.submodules[f"part_{part}"] = storage
        # Distributed memory reads at once, so that a payload may leave one cycle after it came.
        write, read = write_port(storage, "write"), read_port(storage, "read", domain="comb")
        m.d.comb += [write.en.eq(came), write.data.eq(incoming), outgoing.eq(read.data)]
        for name, port, moves in (("came", write, came), ("left", read, left)):
            # Equal pointers would be merged to one, with the loads of all.
            place = Signal(range(depth), name=f"{name}_at_{part}", init=part % depth)
            m.d.comb += port.addr.eq(place)
            with m.If(moves):
                m.d.sync += place.eq(Mux(place == depth - 1, 0, place + 1))
