"""Starts runs by itself: what a processor would do at the registers, as a circuit."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.axi import REGISTER_ADDRESS_BITS, REGISTER_BITS, AxiLiteSignature


class Starter(wiring.Component):
    """Write registers in order, wait for the interrupt, and read registers.

    Parameters
    ----------
    writes : sequence of (address, value)
    reads : sequence of addresses

    Members
    -------
    start : In(1)
        For one cycle; counts only before the first run and after ``done``.
    interrupt : In(1)
    bus : Out(AxiLiteSignature())
    done : Out(1)
        For one cycle, that all is read.
    values : Out(REGISTER_BITS).array(len(reads))
        The values that were read last, in the order of ``reads``.
    """

    def __init__(self, *, writes, reads):
        self._writes, self._reads = tuple(writes), tuple(reads)
        super().__init__(
            {
                "start": In(1),
                "interrupt": In(1),
                "bus": Out(AxiLiteSignature()),
                "done": Out(1),
                "values": Out(REGISTER_BITS).array(len(self._reads)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        number = Signal(range(max(len(self._writes), len(self._reads))))
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += number.eq(0)
                with m.If(self.start):
                    self._offer_write(m)
                    m.next = "WRITE"
            with m.State("WRITE"):
                self._write(m, number)
            with m.State("RUN"):
                with m.If(self.interrupt):
                    m.d.sync += self.bus.arvalid.eq(1)
                    m.next = "READ"
            with m.State("READ"):
                self._read(m, number)
        return m

    def _offer_write(self, m):
        m.d.sync += [self.bus.awvalid.eq(1), self.bus.wvalid.eq(1)]

    def _write(self, m, number):
        bus, last = self.bus, len(self._writes) - 1
        addresses = Array(C(address, REGISTER_ADDRESS_BITS) for address, _ in self._writes)
        values = Array(C(value, REGISTER_BITS) for _, value in self._writes)
        m.d.comb += [
            bus.awaddr.eq(addresses[number]),
            bus.wdata.eq(values[number]),
            bus.wstrb.eq(~0),
            bus.bready.eq(1),
        ]
        with m.If(bus.awready):
            m.d.sync += bus.awvalid.eq(0)
        with m.If(bus.wready):
            m.d.sync += bus.wvalid.eq(0)
        # The next write is offered only after the response: their order matters, START is last.
        with m.If(bus.bvalid):
            m.d.sync += number.eq(Mux(number == last, 0, number + 1))
            with m.If(number == last):
                m.next = "RUN"
            with m.Else():
                self._offer_write(m)

    def _read(self, m, number):
        bus, last = self.bus, len(self._reads) - 1
        addresses = Array(C(address, REGISTER_ADDRESS_BITS) for address in self._reads)
        m.d.comb += [bus.araddr.eq(addresses[number]), bus.rready.eq(1)]
        with m.If(bus.arready):
            m.d.sync += bus.arvalid.eq(0)
        with m.If(bus.rvalid):
            with m.Switch(number):
                for n, value in enumerate(self.values):
                    with m.Case(n):
                        m.d.sync += value.eq(bus.rdata)
            m.d.sync += number.eq(number + 1)
            with m.If(number == last):
                m.d.comb += self.done.eq(1)
                m.next = "IDLE"
            with m.Else():
                m.d.sync += bus.arvalid.eq(1)
