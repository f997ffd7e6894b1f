"""Memory in block RAM behind an AXI4 bus, for a board that has no other."""

from amaranth import *
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from hw.axi import AxiSignature
from hw.spec.axi import PAGE_BYTES

# AXI's response for an address that the target has, but cannot serve.
SLVERR = 0b10


class HostPort(wiring.Signature):
    """Access to words while the bus is idle; ``read_data`` comes one cycle after its index.

    Members
    -------
    owns : takes both ports from the bus, which must be idle
    """

    def __init__(self, bus_bits, words):
        super().__init__(
            {
                "owns": Out(1),
                "index": Out(range(words)),
                "write": Out(1),
                "write_data": Out(bus_bits),
                "read_data": In(bus_bits),
            }
        )


class BlockMemory(wiring.Component):
    """Answer bursts of whole words that count up, one at a time in each direction.

    The first beat of a read is valid two cycles after its address was taken; further beats, and
    those of a write, take a cycle each. A burst beyond the memory is answered with SLVERR.

    Parameters
    ----------
    bus_bits : int
    size : int
        Bytes; whole pages.
    content : bytes
        The memory's bytes from address 0 on after configuration; the rest is 0.

    Members
    -------
    bus : In(AxiSignature(bus_bits))
    host : In(HostPort(bus_bits, words))
    """

    def __init__(self, *, bus_bits, size, content=b""):
        if size <= 0 or size % PAGE_BYTES:
            raise ValueError(
                f"BlockMemory size must be whole pages of {PAGE_BYTES} bytes, not {size}"
            )
        if len(content) > size:
            raise ValueError(
                f"BlockMemory size must hold its content, {len(content)} bytes, not {size}"
            )
        self._size = size
        self._word_bytes = bus_bits // 8
        self._words = size // self._word_bytes
        self._content = content
        super().__init__(
            {
                "bus": In(AxiSignature(bus_bits)),
                "host": In(HostPort(bus_bits, self._words)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        width = self._word_bytes
        init = [
            int.from_bytes(self._content[start : start + width], "little")
            for start in range(0, len(self._content), width)
        ]
        m.submodules.words = words = memory.Memory(shape=8 * width, depth=self._words, init=init)
        self._reads(m, words.read_port())
        self._writes(m, words.write_port(granularity=8))
        return m

    def _split(self, address):
        """Index of the word at a byte address, and whether it is beyond the memory."""
        index = address[exact_log2(self._word_bytes) :]
        return index[: self.host.index.shape().width], address >= self._size

    def _reads(self, m, port):
        bus, host = self.bus, self.host
        active, beyond = Signal(), Signal(name="beyond")
        index, left, identity = (
            Signal.like(host.index),
            Signal(8),
            Signal.like(bus.arid, name="identity"),
        )
        advance = Signal()
        m.d.comb += [
            advance.eq(~bus.rvalid | bus.rready),
            bus.arready.eq(~active),
            bus.rdata.eq(port.data),
            host.read_data.eq(port.data),
            port.addr.eq(Mux(host.owns, host.index, index)),
            port.en.eq(host.owns | (advance & active)),
        ]
        with m.If(advance):
            m.d.sync += bus.rvalid.eq(active)
        # A beat that nobody has taken holds the port, so that no word has to be kept beside it.
        with m.If(advance & active):
            m.d.sync += [index.eq(index + 1), left.eq(left - 1), active.eq(left != 0)]
            m.d.sync += [bus.rid.eq(identity), bus.rlast.eq(left == 0)]
            m.d.sync += bus.rresp.eq(Mux(beyond, SLVERR, 0))
        with m.If(bus.arvalid & bus.arready):
            start, outside = self._split(bus.araddr)
            m.d.sync += [index.eq(start), beyond.eq(outside), active.eq(1)]
            m.d.sync += [left.eq(bus.arlen), identity.eq(bus.arid)]

    def _writes(self, m, port):
        bus, host = self.bus, self.host
        active, beyond, index = Signal(), Signal(), Signal.like(host.index, name="index")
        taken = Signal()
        m.d.comb += [
            bus.awready.eq(~active & ~bus.bvalid),
            bus.wready.eq(active),
            taken.eq(bus.wvalid & active),
            port.addr.eq(Mux(host.owns, host.index, index)),
            port.data.eq(Mux(host.owns, host.write_data, bus.wdata)),
        ]
        # Beats beyond the memory are taken and dropped; the response says so at the burst's end.
        strobes = Mux(taken & ~beyond, bus.wstrb, 0)
        m.d.comb += port.en.eq(Mux(host.owns, host.write.replicate(self._word_bytes), strobes))
        with m.If(bus.bready):
            m.d.sync += bus.bvalid.eq(0)
        with m.If(taken):
            m.d.sync += index.eq(index + 1)
            with m.If(bus.wlast):
                m.d.sync += [active.eq(0), bus.bvalid.eq(1), bus.bresp.eq(Mux(beyond, SLVERR, 0))]
        with m.If(bus.awvalid & bus.awready):
            start, outside = self._split(bus.awaddr)
            m.d.sync += [index.eq(start), beyond.eq(outside), active.eq(1)]
            m.d.sync += bus.bid.eq(bus.awid)
