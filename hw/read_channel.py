"""The AXI4 read channels, shared by the load engine and the instruction fetch."""

import enum

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from hw.axi import ADDRESS_BITS, BUFFERABLE, INCREMENT, AxiReadSignature, is_error
from hw.bursts import BURST
from hw.queue import Queue
from hw.spec.timing import READS_OUTSTANDING


class Reader(enum.IntEnum):
    """The two readers of the bus; the number of each is its AXI id."""

    LOAD = 0
    FETCH = 1


class ReadChannel(wiring.Component):
    """Send each reader's bursts and give its beats back to it.

    Up to ``READS_OUTSTANDING`` bursts of each reader are under way. A burst is on AR one cycle
    after it was asked for; a beat goes to its reader in the cycle in which it comes. Fetch goes
    first: it asks rarely, and for no more than it has room for, so that its beats never block
    those of the load engine.

    Parameters
    ----------
    bus_bits : int

    Members
    -------
    requests : In(stream.Signature(BURST)).array(2), by ``Reader``
    beats : Out(stream.Signature(bus_bits)).array(2), by ``Reader``
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
                "beats": Out(stream.Signature(bus_bits)).array(len(Reader)),
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
            self.error.eq(bus.rvalid & bus.rready & is_error(bus.rresp)),
        ]

        free = Signal()  # the address register can take a burst
        m.d.comb += free.eq((~bus.arvalid | bus.arready) & ~self.halt)
        with m.If(bus.arready):
            m.d.sync += bus.arvalid.eq(0)
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
                    bus.arid.eq(reader),
                    bus.araddr.eq(request.p.address),
                    bus.arlen.eq(request.p.length),
                ]
            free = free & ~granted

        for reader in Reader:
            with m.If(bus.rid == reader):
                m.d.comb += [
                    self.beats[reader].valid.eq(bus.rvalid & ~self.halt),
                    # Halted, beats are taken and thrown away: the memory must be left with nothing
                    # to answer.
                    bus.rready.eq(self.beats[reader].ready | self.halt),
                    # Answers of one id come in order, so that the oldest address is the failing
                    # burst's.
                    pending[reader].o.ready.eq(bus.rvalid & bus.rready & bus.rlast),
                    self.error_address.eq(pending[reader].o.payload),
                ]
            m.d.comb += self.beats[reader].payload.eq(bus.rdata)

        return m
