# amaranth: UnusedElaboratable=no
import random
from itertools import pairwise

import pytest
from amaranth import *
from amaranth.lib import wiring

from hw.bursts import BURST
from hw.load import PORTS, LoadEngine, word_beats
from hw.read_channel import ReadChannel, Reader
from hw.spec.config import CONFIGS
from hw.spec.isa.buffers import Buffer
from hw.spec.isa.encoding import TRANSFER
from hw.spec.isa.header import Op
from hw.spec.timing import (
    BURST_GAP,
    LOAD_ADDRESS_LATENCY,
    LOAD_WORD_LATENCY,
    MAX_BURST_BEATS,
    SIDES_LEAD,
)
from tests.hw.streams import put, simulate


class LoadPath(wiring.Component):
    """A load engine on read channels of its own."""

    def __init__(self, config):
        self.load = LoadEngine(config)
        self.channel = ReadChannel(bus_bits=config.bus_bits)
        super().__init__({})

    def elaborate(self, platform):
        m = Module()
        m.submodules.load, m.submodules.channel = self.load, self.channel
        wiring.connect(m, self.load.requests, self.channel.requests[Reader.LOAD])
        wiring.connect(m, self.channel.beats[Reader.LOAD], self.load.beats)
        m.d.comb += self.channel.returned.eq(self.load.left)
        return m


class Recorder:
    """Answers every burst at once with one beat a cycle, and notes the cycles of what happens.

    ``sides`` says to which sides of the features results are written in a cycle.
    """

    def __init__(self, dut, words, sides=None):
        self.dut, self.words = dut, words
        self.cycles = {name: [] for name in ("taken", "burst", "beat", "word", "finished")}
        self.got, self.sides = [], sides

    async def __call__(self, ctx):
        bus, load = self.dut.channel.bus, self.dut.load
        ctx.set(bus.arready, 1)
        beats, cycle, done = [], 0, 0
        while done < self.words:
            word = {name: getattr(load, name) for name in PORTS}
            if self.sides:
                ctx.set(load.sides, self.sides(cycle + SIDES_LEAD))
            ctx.set(bus.rvalid, bool(beats))
            if beats:
                ctx.set(bus.rdata, beats[0][0])
                ctx.set(bus.rlast, beats[0][1])
            self._note(ctx, "taken", cycle, load.i.valid, load.i.ready)
            self._note(ctx, "finished", cycle, load.finished)
            if self._note(ctx, "beat", cycle, bus.rvalid, bus.rready):
                beats.pop(0)
            if self._note(ctx, "burst", cycle, bus.arvalid):
                start, length = ctx.get(bus.araddr), ctx.get(bus.arlen)
                step = len(bus.rdata) // 8
                beats += [(start + n * step, n == length) for n in range(length + 1)]
            for name, port in word.items():
                if self._note(ctx, "word", cycle, port.valid):
                    self.got.append((name, ctx.get(port.p.address), ctx.get(port.p.data)))
                    done += 1
            await ctx.tick()
            cycle += 1

    def _note(self, ctx, name, cycle, *signals):
        happened = all(ctx.get(signal) for signal in signals)
        if happened:
            self.cycles[name].append(cycle)
        return happened


def run(config, transfers, sides=None):
    dut = LoadPath(config)
    recorder = Recorder(dut, sum(t["words"] * t["rows"] for t in transfers), sides)

    async def send(ctx):
        for transfer in transfers:
            await put(ctx, dut.load.i, {"op": Op.LOAD, **transfer})

    simulate(dut, send, recorder)
    return recorder


def expected(config, transfer):
    """Each word's port, address and data, where every beat of memory holds its own address."""
    name, beats = PORTS[transfer["buffer"]], word_beats(config)[transfer["buffer"]]
    bits = transfer["buffer"].word_bits(config)
    for row in range(transfer["rows"]):
        for n in range(transfer["words"]):
            start = (
                transfer["offset"] + row * transfer["offset_step"] + n * beats * config.bus_bytes
            )
            word = sum(
                start + b * config.bus_bytes << b * config.bus_bits for b in range(beats)
            ) & ((1 << bits) - 1)
            yield name, transfer["address"] + row * transfer["address_step"] + n, word


@pytest.mark.parametrize("name", ["test", "reference"])
@pytest.mark.parametrize("buffer", list(Buffer))
def test_words_come_at_one_beat_a_cycle_within_and_between_loads(name, buffer):
    config = CONFIGS[name]
    beats = word_beats(config)[buffer]
    words = 70 // beats
    transfers = [
        {
            "buffer": buffer,
            "address": 3 + 64 * n,
            "words": words,
            "rows": 2,
            "address_step": words + 7,
            "offset": config.bus_bytes * (5 + 1000 * n),
            "offset_step": config.bus_bytes * (words * beats + 9),
        }
        for n in range(2)
    ]
    recorder = run(config, transfers)
    assert recorder.got == [word for t in transfers for word in expected(config, t)]
    cycles = recorder.cycles
    assert cycles["burst"][0] - cycles["taken"][0] == LOAD_ADDRESS_LATENCY
    assert cycles["beat"] == list(range(cycles["beat"][0], cycles["beat"][0] + len(cycles["beat"])))
    assert cycles["word"] == [
        beat + LOAD_WORD_LATENCY for beat in cycles["beat"][beats - 1 :: beats]
    ]
    assert cycles["finished"] == cycles["word"][2 * words - 1 :: 2 * words]


def test_a_feature_word_comes_once_no_result_is_written_to_its_side():
    config, rng = CONFIGS["test"], random.Random(4)
    taken = [rng.choice((0, rng.getrandbits(config.sides))) for _ in range(2000)]
    features = {"words": 50, "rows": 1, "buffer": Buffer.FEATURES, "address": 5, "offset": 0}
    weights = {"words": 1, "rows": 1, "buffer": Buffer.WEIGHTS, "offset": 4096}
    recorder = run(config, [features, weights], lambda cycle: taken[cycle])
    assert recorder.got == run(config, [features, weights]).got
    assert word_beats(config)[Buffer.FEATURES] == 1
    cycle = recorder.cycles["beat"][0] + LOAD_WORD_LATENCY
    expected = []
    for n in range(features["words"]):
        while taken[cycle] >> (features["address"] + n) % config.sides & 1:
            cycle += 1
        expected.append(cycle)
        cycle += 1
    assert recorder.cycles["word"][:-1] == expected
    assert expected[-1] - expected[0] > features["words"]  # some have waited
    assert recorder.cycles["finished"] == [expected[-1], recorder.cycles["word"][-1]]


def test_a_whole_run_takes_whole_bursts():
    config = CONFIGS["test"]
    transfer = {"words": 2 * MAX_BURST_BEATS, "rows": 1, "buffer": Buffer.FEATURES}
    recorder = run(config, [transfer])
    first, second = recorder.cycles["burst"]
    assert second - first == BURST_GAP


def test_short_rows_and_loads_follow_at_the_stated_gap():
    transfer = {"words": 1, "rows": 3, "buffer": Buffer.FEATURES, "offset_step": 4096}
    cycles = run(CONFIGS["test"], [transfer] * 2).cycles["burst"]
    assert [after - before for before, after in pairwise(cycles)] == [BURST_GAP] * 5


def test_instruction_fields_are_the_specifications():
    rng = random.Random(1)
    values = {f.name: rng.randint(f.low, f.high) for f in TRANSFER.fields}
    word = TRANSFER.encode(**values)
    layout = LoadEngine(CONFIGS["test"]).i.p.shape()
    assert layout.size == TRANSFER.bits
    assert {name: layout.from_bits(word)[name] for name in values} == values
    assert BURST.size == 49
