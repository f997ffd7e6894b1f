# amaranth: UnusedElaboratable=no
import random

import pytest

from hw.block_memory import BlockMemory
from tests.hw.streams import simulate

SIZE = 8192
CONTENT = random.Random(5).randbytes(4096)


def memory(bus_bits=64):
    return BlockMemory(bus_bits=bus_bits, size=SIZE, content=CONTENT)


async def read(ctx, bus, address, beats, rng, stall):
    """Bytes of a burst; its last response. Checks id, and that only the last beat is called so."""
    ctx.set(bus.araddr, address)
    ctx.set(bus.arlen, beats - 1)
    ctx.set(bus.arid, 1)
    ctx.set(bus.arvalid, 1)
    await ctx.tick().until(bus.arready)
    ctx.set(bus.arvalid, 0)
    data = b""
    for beat in range(beats):
        while rng.random() < stall:
            await ctx.tick()
        ctx.set(bus.rready, 1)
        word, last, identity, response = (
            await ctx.tick().sample(bus.rdata, bus.rlast, bus.rid, bus.rresp).until(bus.rvalid)
        )
        ctx.set(bus.rready, 0)
        assert (last, identity) == (beat == beats - 1, 1)
        data += word.to_bytes(len(bus.rdata) // 8, "little")
    return data, response


async def write(ctx, bus, address, data, strobes, rng, idle):
    """Write a burst; its response."""
    size = len(bus.wdata) // 8
    ctx.set(bus.awaddr, address)
    ctx.set(bus.awlen, len(data) // size - 1)
    ctx.set(bus.awvalid, 1)
    await ctx.tick().until(bus.awready)
    ctx.set(bus.awvalid, 0)
    for start in range(0, len(data), size):
        while rng.random() < idle:
            await ctx.tick()
        ctx.set(bus.wdata, int.from_bytes(data[start : start + size], "little"))
        ctx.set(bus.wstrb, strobes)
        ctx.set(bus.wlast, start + size == len(data))
        ctx.set(bus.wvalid, 1)
        await ctx.tick().until(bus.wready)
        ctx.set(bus.wvalid, 0)
    ctx.set(bus.bready, 1)
    (response,) = await ctx.tick().sample(bus.bresp).until(bus.bvalid)
    ctx.set(bus.bready, 0)
    return response


@pytest.mark.parametrize("bus_bits", [64, 128])
@pytest.mark.parametrize("stall", [0.0, 0.6])
def test_reads_give_the_content_and_what_was_written(bus_bits, stall):
    dut, rng = memory(bus_bits), random.Random(2)
    word = bus_bits // 8

    async def use(ctx):
        assert await read(ctx, dut.bus, 16, 40, rng, stall) == (CONTENT[16 : 16 + 40 * word], 0)
        assert await read(ctx, dut.bus, 4096, 1, rng, stall) == (bytes(word), 0)
        data = rng.randbytes(7 * word)
        everything = (1 << word) - 1
        assert await write(ctx, dut.bus, 4096 + word, data, everything, rng, stall) == 0
        assert await read(ctx, dut.bus, 4096 + word, 7, rng, stall) == (data, 0)
        half = bytes(word)
        assert await write(ctx, dut.bus, 4096 + word, half, 0b1111, rng, stall) == 0
        expected = bytes(4) + data[4:word]
        assert await read(ctx, dut.bus, 4096 + word, 1, rng, stall) == (expected, 0)

    simulate(dut, use)


def test_bursts_beyond_the_memory_answer_an_error_and_change_nothing():
    dut, rng = memory(), random.Random(3)

    async def use(ctx):
        _, response = await read(ctx, dut.bus, SIZE, 2, rng, 0)
        assert response == 2
        _, response = await read(ctx, dut.bus, 1 << 39, 1, rng, 0)
        assert response == 2
        assert await write(ctx, dut.bus, SIZE, bytes(8), 0xFF, rng, 0) == 2
        assert await read(ctx, dut.bus, 0, 1, rng, 0) == (CONTENT[:8], 0)

    simulate(dut, use)


def test_the_host_has_both_ports():
    dut, rng = memory(), random.Random(4)

    async def use(ctx):
        ctx.set(dut.host.owns, 1)
        ctx.set(dut.host.index, 3)
        await ctx.tick()
        assert ctx.get(dut.host.read_data) == int.from_bytes(CONTENT[24:32], "little")
        ctx.set(dut.host.write, 1)
        ctx.set(dut.host.write_data, 77)
        await ctx.tick()
        ctx.set(dut.host.owns, 0)
        ctx.set(dut.host.write, 0)
        assert await read(ctx, dut.bus, 24, 1, rng, 0) == ((77).to_bytes(8, "little"), 0)

    simulate(dut, use)


def test_sizes_that_are_no_pages_or_hold_no_content_are_refused():
    with pytest.raises(
        ValueError,
        match=r"^BlockMemory size must be whole pages of 4096 bytes, not 100$",
    ):
        BlockMemory(bus_bits=64, size=100)
    with pytest.raises(
        ValueError,
        match=r"^BlockMemory size must hold its content, 4097 bytes, not 4096$",
    ):
        BlockMemory(bus_bits=64, size=4096, content=bytes(4097))
