import random

import pytest
from amaranth import *
from amaranth.lib import wiring

from hw.dispatch import Dispatch
from hw.fetch import Fetch
from hw.read_channel import ReadChannel, Reader
from hw.spec.config import CONFIGS
from hw.spec.isa.encoding import LAYOUTS
from hw.spec.isa.header import INSTRUCTION_BITS, INSTRUCTION_BYTES, Engine, Op
from hw.spec.timing import (
    DISPATCH_GAP,
    DISPATCH_LATENCY,
    FETCH_BUFFER_BEATS,
    FETCH_BURST_BEATS,
    FETCH_LATENCY,
    QUEUE_DEPTH,
)
from tests.hw.streams import simulate

BASE = 0x4000 + 3 * 128
RUNS = [op for op in Op if op.engine is not None]


class FetchPath(wiring.Component):
    """Fetch and dispatch on read channels of their own."""

    def __init__(self, config):
        self.fetch, self.dispatch = Fetch(config), Dispatch()
        self.channel = ReadChannel(bus_bits=config.bus_bits)
        super().__init__({})

    def elaborate(self, platform):
        m = Module()
        m.submodules.fetch, m.submodules.dispatch = self.fetch, self.dispatch
        m.submodules.channel = self.channel
        wiring.connect(m, self.fetch.requests, self.channel.requests[Reader.FETCH])
        wiring.connect(m, self.channel.beats[Reader.FETCH], self.fetch.beats)
        wiring.connect(m, self.fetch.o, self.dispatch.i)
        m.d.comb += self.dispatch.exhausted.eq(self.fetch.exhausted)
        return m


class Program:
    """Instructions in memory, read without waiting; how far ahead of use, and when."""

    def __init__(self, dut, config, words):
        self.dut, self.config = dut, config
        self.code = b"".join(word.to_bytes(INSTRUCTION_BYTES, "little") for word in words)
        self.got = {engine: [] for engine in Engine}
        self.first_burst = self.cycle = 0
        self.last_beats, self.offers = [], []
        self.most_ahead = 0

    async def __call__(self, ctx):
        fetch, bus = self.dut.fetch, self.dut.channel.bus
        ctx.set(bus.arready, 1)
        ctx.set(bus.rid, Reader.FETCH)
        ctx.set(fetch.base, BASE)
        ctx.set(fetch.program_bytes, len(self.code))
        await ctx.tick()
        ctx.set(fetch.start, 1)
        beats, asked = [], 0
        while not ctx.get(self.dut.dispatch.ended):
            ctx.set(bus.rvalid, bool(beats))
            if beats:
                place = beats[0][0] - BASE
                step = self.config.bus_bytes
                word = int.from_bytes(self.code[place : place + step], "little")
                ctx.set(bus.rdata, word)
                ctx.set(bus.rlast, beats[0][1])
                assert ctx.get(bus.rready), "a beat of the fetch must never wait"
                if (place + step) % INSTRUCTION_BYTES == 0:
                    self.last_beats.append(self.cycle)
                beats.pop(0)
            if ctx.get(bus.arvalid):
                self.first_burst = self.first_burst or self.cycle
                start, length = ctx.get(bus.araddr), ctx.get(bus.arlen)
                assert length < FETCH_BURST_BEATS
                step = self.config.bus_bytes
                beats += [(start + n * step, n == length) for n in range(length + 1)]
                asked += length + 1
            self.most_ahead = max(self.most_ahead, asked)
            await ctx.tick()
            self.cycle += 1
            ctx.set(fetch.start, 0)

    async def take(self, ctx):
        outputs = {engine: getattr(self.dut.dispatch, engine.word) for engine in Engine}
        for output in outputs.values():
            ctx.set(output.ready, 1)
        while not (ctx.get(self.dut.dispatch.ended) and ctx.get(self.dut.dispatch.empty)):
            for engine, output in outputs.items():
                if ctx.get(output.valid):
                    self.got[engine].append(ctx.get(output.payload.as_value()))
                    self.offers.append(self.cycle)
            await ctx.tick()


@pytest.mark.parametrize("name", ["test", "reference"], ids=["64-bit bus", "128-bit bus"])
def test_instructions_reach_their_engines_in_order_at_the_stated_latencies(name):
    config = CONFIGS[name]
    rng = random.Random(1)
    words = [rng.getrandbits(INSTRUCTION_BITS) & ~15 | rng.choice(RUNS) for _ in range(20)]
    dut = FetchPath(config)
    program = Program(dut, config, [*words, Op.END])
    simulate(dut, program, program.take)
    for engine in Engine:
        expected = [
            word & ((1 << LAYOUTS[word & 15].bits) - 1)
            for word in words
            if Op(word & 15).engine == engine
        ]
        assert program.got[engine] == expected
    assert program.first_burst == FETCH_LATENCY - 2  # the run's control took two cycles before
    expected, beats = [], INSTRUCTION_BITS // config.bus_bits
    for beat in program.last_beats[:-1]:
        after = expected[-1] + DISPATCH_GAP + beats if expected else 0
        expected.append(max(beat + DISPATCH_LATENCY, after))
    assert program.offers == expected


def test_the_fetch_asks_for_no_more_than_it_has_room_for():
    config = CONFIGS["reference"]
    dut = FetchPath(config)
    program = Program(dut, config, [Op.LOAD] * 60 + [Op.END])

    async def stop(ctx):
        await ctx.tick().repeat(400)
        instruction_beats = INSTRUCTION_BITS // config.bus_bits
        taken = QUEUE_DEPTH + 1  # a full queue, and one that waits for it
        assert program.most_ahead <= FETCH_BUFFER_BEATS + taken * instruction_beats
        assert program.most_ahead > FETCH_BUFFER_BEATS
        await program.take(ctx)

    simulate(dut, program, stop)
    assert len(program.got[Engine.LOAD]) == 60
