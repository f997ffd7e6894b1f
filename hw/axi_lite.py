"""AXI4-Lite transactions as plain register accesses."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.axi import REGISTER_ADDRESS_BITS, REGISTER_BITS, AxiLiteSignature

# A register has four bytes, so that the lowest two address bits choose none.
INDEX_BITS = REGISTER_ADDRESS_BITS - 2


class RegisterAccess(wiring.Signature):
    """One access per cycle. Indices count registers; ``read_data`` answers in the next cycle."""

    def __init__(self):
        super().__init__(
            {
                "write": Out(1),
                "write_index": Out(INDEX_BITS),
                "write_data": Out(REGISTER_BITS),
                "write_strobe": Out(REGISTER_BITS // 8),
                "read_index": Out(INDEX_BITS),
                "read_data": In(REGISTER_BITS),
            }
        )


class AxiLiteTarget(wiring.Component):
    """Take one write and one read at a time; every answer is OKAY.

    A write happens in the cycle after both its address and its data have come, in any order; its
    response follows in the next. A read is answered three cycles after its address.

    Members
    -------
    bus : In(AxiLiteSignature())
    registers : Out(RegisterAccess())
    """

    bus: In(AxiLiteSignature())
    registers: Out(RegisterAccess())

    def elaborate(self, platform):
        m = Module()
        bus, registers = self.bus, self.registers

        has_address = Signal()
        has_data = Signal()
        m.d.comb += [
            bus.awready.eq(~has_address),
            bus.wready.eq(~has_data),
            # The write waits while an earlier response is not taken: there is one response
            # register.
            registers.write.eq(has_address & has_data & (~bus.bvalid | bus.bready)),
        ]
        with m.If(bus.bready):
            m.d.sync += bus.bvalid.eq(0)
        with m.If(bus.awvalid & bus.awready):
            m.d.sync += has_address.eq(1)
            m.d.sync += registers.write_index.eq(bus.awaddr[2:])
        with m.If(bus.wvalid & bus.wready):
            m.d.sync += has_data.eq(1)
            m.d.sync += registers.write_data.eq(bus.wdata)
            m.d.sync += registers.write_strobe.eq(bus.wstrb)
        with m.If(registers.write):
            m.d.sync += [has_address.eq(0), has_data.eq(0), bus.bvalid.eq(1)]

        # The index is a register, so that the choice among all registers has cycles of its own.
        reading, answers = Signal(name="reading"), Signal(name="answers")
        m.d.comb += bus.arready.eq(~reading & ~answers & ~bus.rvalid)
        m.d.sync += answers.eq(reading)
        with m.If(bus.arvalid & bus.arready):
            m.d.sync += reading.eq(1)
            m.d.sync += registers.read_index.eq(bus.araddr[2:])
        with m.If(bus.rready):
            m.d.sync += bus.rvalid.eq(0)
        with m.If(reading):
            m.d.sync += reading.eq(0)
        with m.If(answers):
            m.d.sync += [bus.rvalid.eq(1), bus.rdata.eq(registers.read_data)]

        return m
