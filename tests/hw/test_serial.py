# amaranth: UnusedElaboratable=no
import random

import pytest
from amaranth import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.serial import Receiver, Transmitter
from tests.hw.streams import put, simulate

BYTES = random.Random(1).randbytes(12) + b"\x00\xff"


class Line(wiring.Component):
    """A transmitter whose line a receiver takes, each with its own divisor."""

    def __init__(self, sends, takes):
        self.transmitter, self.receiver = Transmitter(divisor=sends), Receiver(divisor=takes)
        super().__init__(
            {
                "i": In(stream.Signature(8)),
                "o": Out(stream.Signature(8, always_ready=True)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.transmitter, m.submodules.receiver = self.transmitter, self.receiver
        connect(m, flipped(self.i), self.transmitter.i)
        connect(m, self.receiver.o, flipped(self.o))
        m.d.comb += self.receiver.rx.eq(self.transmitter.tx)
        return m


async def play(ctx, pin, levels, cycles):
    """Each of ``levels`` on ``pin`` for ``cycles``."""
    for level in levels:
        ctx.set(pin, level)
        await ctx.tick().repeat(cycles)


@pytest.mark.parametrize(("sends", "takes"), [(4, 4), (5, 5), (100, 100), (98, 100), (102, 100)])
def test_bytes_arrive_as_they_were_sent(sends, takes):
    dut, got = Line(sends, takes), []

    async def send(ctx):
        for byte in BYTES:
            await put(ctx, dut.i, byte)

    async def take(ctx):
        for _ in BYTES:
            (byte,) = await ctx.tick().sample(dut.o.payload).until(dut.o.valid)
            got.append(byte)

    simulate(dut, send, take)
    assert bytes(got) == BYTES


def test_a_frame_is_a_start_bit_the_byte_lowest_bit_first_and_a_stop_bit():
    dut, levels = Transmitter(divisor=5), []

    async def send(ctx):
        await put(ctx, dut.i, 0b1010_0111)

    async def watch(ctx):
        await ctx.tick().until(~dut.tx)
        for _ in range(10):
            levels.append(ctx.get(dut.tx))
            await ctx.tick().repeat(5)

    simulate(dut, send, watch)
    assert levels == [0, 1, 1, 1, 0, 0, 1, 0, 1, 1]


def test_a_spike_and_a_byte_without_stop_bit_are_dropped():
    dut, got = Receiver(divisor=8), []
    frame = [0, 1, 0, 0, 0, 0, 0, 0, 1]  # 0x81, without its stop bit

    async def send(ctx):
        await play(ctx, dut.rx, [1, 0, 1, 1], 2)
        await play(ctx, dut.rx, [*frame, 0, 1, 1, *frame, 1, 1], 8)

    async def take(ctx):
        for _ in range(8 * 26):
            if ctx.get(dut.o.valid):
                got.append(ctx.get(dut.o.payload))
            await ctx.tick()

    simulate(dut, send, take)
    assert got == [0x81]


def test_a_bit_shorter_than_the_receiver_sees_is_refused():
    with pytest.raises(
        ValueError, match=r"^Receiver divisor must be at least 4 cycles of a bit, not 3$"
    ):
        Receiver(divisor=3)
