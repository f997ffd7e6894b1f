"""The AXI4 write channels, used by the store engine."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from hw.axi import ADDRESS_BITS, BUFFERABLE, INCREMENT, AxiWriteSignature, is_error
from hw.bursts import BURST
from hw.delay import register
from hw.queue import Queue
from hw.spec.timing import WRITES_OUTSTANDING


class WriteChannel(wiring.Component):
    """Send bursts and their beats, one beat per cycle, and wait for the responses.

    Up to ``WRITES_OUTSTANDING`` bursts are under way. Address and beats each pass one register.

    Parameters
    ----------
    bus_bits : int

    Members
    -------
    requests : In(stream.Signature(BURST))
    beats : In(stream.Signature(bus_bits))
        The beats of all bursts, in order.
    halt : In(1)
        Send no new burst; the beats of those sent are still taken.
    idle : Out(1)
        No burst is on AW or under way.
    finished : Out(1)
        For one cycle, that the last burst of a transfer was answered.
    error, error_address : Out
        For one cycle, that a burst was answered with an error, and its address.
    bus : Out(AxiWriteSignature(bus_bits))
    """

    def __init__(self, *, bus_bits):
        self._size = exact_log2(bus_bits // 8)
        super().__init__(
            {
                "requests": In(stream.Signature(BURST)),
                "beats": In(stream.Signature(bus_bits)),
                "halt": In(1),
                "idle": Out(1),
                "finished": Out(1),
                "error": Out(1),
                "error_address": Out(ADDRESS_BITS),
                "bus": Out(AxiWriteSignature(bus_bits)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        answer = data.StructLayout({"last": 1, "address": ADDRESS_BITS})
        m.submodules.pending = pending = Queue(
            shape=answer, depth=WRITES_OUTSTANDING, early=slice(1)
        )
        m.submodules.lengths = lengths = Queue(shape=8, depth=WRITES_OUTSTANDING)
        bus, request = self.bus, self.requests

        m.d.comb += [
            bus.awsize.eq(self._size),
            bus.awburst.eq(INCREMENT),
            bus.awcache.eq(BUFFERABLE),
            bus.wstrb.eq(~0),
            bus.bready.eq(1),
            self.idle.eq(~pending.o.valid),
        ]

        # A burst is answered after its last beat, so there is room in `lengths` if in `pending`.
        sent = Signal()
        m.d.comb += [
            sent.eq(request.valid & pending.i.ready & (~bus.awvalid | bus.awready) & ~self.halt),
            request.ready.eq(sent),
            pending.i.valid.eq(sent),
            pending.i.p.address.eq(request.p.address),
            pending.i.p.last.eq(request.p.last),
            lengths.i.valid.eq(sent),
            lengths.i.payload.eq(request.p.length),
        ]
        with m.If(bus.awready):
            m.d.sync += bus.awvalid.eq(0)
        address, length, word = (
            register(m, getattr(bus, name), name=f"held_{name}")
            for name in ("awaddr", "awlen", "wdata")
        )
        with m.If(sent):
            m.d.sync += bus.awvalid.eq(1)
            m.d.sync += [address.eq(request.p.address), length.eq(request.p.length)]

        # Beats follow their addresses by a queue of lengths, so that neither waits for the other.
        left = Signal.like(lengths.o.payload, name="left", reset_less=True)
        active, last = Signal(name="active"), Signal(name="last", reset_less=True)
        taken = Signal()
        m.d.comb += [
            self.beats.ready.eq(active & (~bus.wvalid | bus.wready)),
            taken.eq(self.beats.valid & self.beats.ready),
            lengths.o.ready.eq(~active | (taken & last)),
        ]
        with m.If(lengths.o.ready):
            m.d.sync += [active.eq(lengths.o.valid), left.eq(lengths.o.payload)]
            m.d.sync += last.eq(lengths.o.payload == 0)
        with m.Elif(taken):
            m.d.sync += [left.eq(left - 1), last.eq(left == 1)]
        with m.If(bus.wready):
            m.d.sync += bus.wvalid.eq(0)
        with m.If(taken):
            m.d.sync += bus.wvalid.eq(1)
            m.d.sync += word.eq(self.beats.payload)
            m.d.sync += bus.wlast.eq(last)

        failed = is_error(bus.bresp)
        m.d.comb += [
            pending.o.ready.eq(bus.bvalid),
            # A transfer counts as done when memory has answered, not when its beats were sent.
            self.finished.eq(bus.bvalid & pending.o.p.last & ~failed),
            self.error.eq(bus.bvalid & failed),
            self.error_address.eq(pending.o.p.address),
        ]

        return m
