"""The AXI4 read channels, shared by the load engine and the instruction fetch."""

import enum

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from hw.axi import ADDRESS_BITS, BUFFERABLE, INCREMENT, AxiReadSignature, is_error
from hw.bursts import BURST
from hw.delay import delay, register
from hw.marks import marks
from hw.queue import Queue
from hw.spec.timing import LOAD_BUFFER_BEATS, READS_OUTSTANDING


class Reader(enum.IntEnum):
    """The two readers of the bus; the number of each is its AXI id."""

    LOAD = 0
    FETCH = 1


class ReadChannel(wiring.Component):
    """Send each reader's bursts and give its beats back to it.

    Up to ``READS_OUTSTANDING`` bursts of each reader are under way. A burst is on AR one cycle
    after it was asked for; a beat goes to its reader in the cycle after it came. Fetch goes first:
    it asks rarely, and for no more than it has room for, so that its beats never block those of the
    load engine. That has room for ``LOAD_BUFFER_BEATS``, which are counted here: whether a beat is
    taken is a register.

    Parameters
    ----------
    bus_bits : int

    Members
    -------
    requests : In(stream.Signature(BURST)).array(2), by ``Reader``
    beats : Out(stream.Signature(bus_bits, always_ready=True)).array(2), by ``Reader``
    returned : In(1)
        In the cycle after a beat has left the buffer of the load engine.
    halt : In(1)
        Send no new burst and throw away what comes.
    idle : Out(1)
        No burst is on AR or under way.
    error, error_address : Out
        For one cycle, that a beat came with an error, and the address of its burst.
    bus : Out(AxiReadSignature(bus_bits))
    """

    def __init__(self, *, bus_bits):
        self._size = exact_log2(bus_bits // 8)
        super().__init__(
            {
                "requests": In(stream.Signature(BURST)).array(len(Reader)),
                "beats": Out(stream.Signature(bus_bits, always_ready=True)).array(len(Reader)),
                "returned": In(1),
                "halt": In(1),
                "idle": Out(1),
                "error": Out(1),
                "error_address": Out(ADDRESS_BITS),
                "bus": Out(AxiReadSignature(bus_bits)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        bus = self.bus
        pending = [Queue(shape=ADDRESS_BITS, depth=READS_OUTSTANDING) for _ in Reader]
        for reader in Reader:
            m.submodules[f"pending_{reader.name.lower()}"] = pending[reader]

        m.d.comb += [
            bus.arsize.eq(self._size),
            bus.arburst.eq(INCREMENT),
            bus.arcache.eq(BUFFERABLE),
            # A run may end only when no answer can come any more.
            self.idle.eq(~Cat(queue.o.valid for queue in pending).any()),
        ]

        free = Signal()  # the address register can take a burst
        m.d.comb += free.eq((~bus.arvalid | bus.arready) & ~self.halt)
        with m.If(bus.arready):
            m.d.sync += bus.arvalid.eq(0)
        identity, address, length = (
            register(m, getattr(bus, name), name=f"held_{name}")
            for name in ("arid", "araddr", "arlen")
        )
        # The order is the priority: who comes first has the address register first.
        for reader in (Reader.FETCH, Reader.LOAD):
            request, queue = self.requests[reader], pending[reader]
            granted = Signal(name=f"granted_{reader.name.lower()}")
            m.d.comb += [
                granted.eq(request.valid & queue.i.ready & free),
                request.ready.eq(granted),
                queue.i.valid.eq(granted),
                queue.i.payload.eq(request.p.address),
            ]
            with m.If(granted):
                m.d.sync += [
                    bus.arvalid.eq(1),
                    identity.eq(reader),
                    address.eq(request.p.address),
                    length.eq(request.p.length),
                ]
            free = free & ~granted

        self._give(m, pending)
        self._count(m)

        return m

    def _give(self, m, pending):
        """Each beat to its reader, from a register of its own."""
        bus = self.bus
        came = delay(m, bus.rvalid & bus.rready, 1, name="came", reset_less=False)
        last, failed, identity, word = (
            delay(m, value, 1, name=name)
            for name, value in (
                ("last", bus.rlast),
                ("failed", is_error(bus.rresp)),
                ("identity", bus.rid),
                ("word", bus.rdata),
            )
        )
        m.d.comb += self.error.eq(came & failed)
        for reader in Reader:
            own = identity == reader
            m.d.comb += [
                self.beats[reader].valid.eq(came & own & ~self.halt),
                self.beats[reader].payload.eq(word),
                pending[reader].o.ready.eq(came & own & last),
            ]
            # Answers of one id come in order, so that the oldest address is the failing burst's.
            with m.If(own):
                m.d.comb += self.error_address.eq(pending[reader].o.payload)

    def _count(self, m):
        """Take beats while the load engine has room for one, whoever it is for."""
        bus, halt = self.bus, self.halt
        taken = Signal(name="taken")
        room = marks(
            m,
            LOAD_BUFFER_BEATS,
            more=self.returned,
            fewer=taken,
            name="room",
            init=LOAD_BUFFER_BEATS,
        )
        is_open = room[0]
        m.d.comb += [
            taken.eq(bus.rvalid & is_open & ~halt & (bus.rid == Reader.LOAD)),
            # Halted, beats are taken and thrown away: the memory must be left with nothing to
            # answer.
            bus.rready.eq(is_open | halt),
        ]
