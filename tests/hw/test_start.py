# amaranth: UnusedElaboratable=no
from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.axi_lite import AxiLiteTarget, RegisterAccess
from hw.start import Starter
from tests.hw.streams import simulate

WRITES = ((0x28, 7), (0x2C, 0xFFFF_FFFF), (0x10, 5))


class Registers(wiring.Component):
    """A starter before registers that read as their index times three."""

    start: In(1)
    interrupt: In(1)
    access: Out(RegisterAccess())

    def elaborate(self, platform):
        m = Module()
        m.submodules.starter = self.starter = starter = Starter(writes=WRITES, reads=(0x48, 0x14))
        m.submodules.target = target = AxiLiteTarget()
        connect(m, starter.bus, target.bus)
        connect(m, target.registers, flipped(self.access))
        m.d.comb += [starter.start.eq(self.start), starter.interrupt.eq(self.interrupt)]
        m.d.comb += self.access.read_data.eq(3 * self.access.read_index)
        return m


def test_each_start_writes_all_waits_for_the_interrupt_and_reads_all():
    dut, written, read = Registers(), [], []

    async def start(ctx):
        for _ in range(2):
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            await ctx.tick().repeat(40)
            assert len(written) % len(WRITES) == 0
            ctx.set(dut.interrupt, 1)
            await ctx.tick().until(dut.starter.done)
            ctx.set(dut.interrupt, 0)
            read.append([ctx.get(value) for value in dut.starter.values])

    async def watch(ctx):
        access = dut.access
        for _ in range(140):
            if ctx.get(access.write):
                assert ctx.get(access.write_strobe) == 0xF
                written.append((4 * ctx.get(access.write_index), ctx.get(access.write_data)))
            await ctx.tick()

    simulate(dut, start, watch)
    assert written == [*WRITES, *WRITES]
    assert read == [[3 * 0x48 // 4, 3 * 0x14 // 4]] * 2


def test_without_an_interrupt_nothing_is_read():
    dut = Registers()

    async def start(ctx):
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        for _ in range(100):
            assert not ctx.get(dut.starter.done)
            await ctx.tick()

    simulate(dut, start)
