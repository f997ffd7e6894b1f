import pytest
from amaranth import *
from amaranth.lib import wiring

from hw.spec.config import CONFIGS, SvpeConfig
from hw.spec.isa.header import Op
from hw.spec.timing import STORE_ADDRESS_LATENCY, STORE_BEAT_LATENCY, STORE_LATENCY
from hw.store import StoreEngine
from hw.write_channel import WriteChannel
from tests.hw.streams import put, simulate


class StorePath(wiring.Component):
    """A store engine on write channels of its own."""

    def __init__(self, config):
        self.store = StoreEngine(config)
        self.channel = WriteChannel(bus_bits=config.bus_bits)
        super().__init__({})

    def elaborate(self, platform):
        m = Module()
        m.submodules.store, m.submodules.channel = self.store, self.channel
        wiring.connect(m, self.store.requests, self.channel.requests)
        wiring.connect(m, self.store.beats, self.channel.beats)
        m.d.comb += self.store.answered.eq(self.channel.finished)
        return m


def content(address):
    """What the feature word at ``address`` holds."""
    return address * 0x1_0001_0001 + 1


class Recorder:
    """A buffer and a memory that never wait, and the cycles of what happens."""

    def __init__(self, dut, instructions):
        self.dut, self.instructions = dut, instructions
        self.cycles = {name: [] for name in ("taken", "burst", "beat", "answer", "finished")}
        self.bursts, self.beats = [], []

    async def __call__(self, ctx):
        store, bus = self.dut.store, self.dut.channel.bus
        for ready in (store.request.ready, bus.awready, bus.wready):
            ctx.set(ready, 1)
        read = [None] * STORE_LATENCY
        cycle = answers = 0
        while len(self.cycles["finished"]) < self.instructions:
            word = read.pop(0)
            ctx.set(store.data_valid, word is not None)
            ctx.set(store.data, word or 0)
            ctx.set(bus.bvalid, answers > 0)
            answers -= self._note(ctx, "answer", cycle, bus.bvalid)
            self._note(ctx, "finished", cycle, store.finished)
            self._note(ctx, "taken", cycle, store.i.valid, store.i.ready)
            if self._note(ctx, "burst", cycle, bus.awvalid):
                self.bursts.append((ctx.get(bus.awaddr), ctx.get(bus.awlen) + 1))
            if self._note(ctx, "beat", cycle, bus.wvalid):
                self.beats.append((ctx.get(bus.wdata), ctx.get(bus.wlast)))
                answers += self.beats[-1][1]
            asked = ctx.get(store.request.valid)
            read.append(content(ctx.get(store.request.payload)) if asked else None)
            await ctx.tick()
            cycle += 1

    def _note(self, ctx, name, cycle, *signals):
        happened = all(ctx.get(signal) for signal in signals)
        if happened:
            self.cycles[name].append(cycle)
        return happened


@pytest.mark.parametrize(
    "config",
    [CONFIGS["test"], CONFIGS["reference"], SvpeConfig(lanes=32, activation_bits=9, bus_bits=64)],
    ids=["one beat a word", "128-bit bus", "five beats a word"],
)
def test_beats_go_out_one_a_cycle_within_and_between_stores(config):
    beats = config.beats(config.feature_bits)
    words = 70 // beats
    transfers = [
        {
            "op": Op.STORE,
            "address": 3 + 900 * n,
            "words": words,
            "rows": 2,
            "address_step": words + 7,
            "offset": config.bus_bytes * (5 + 1000 * n),
            "offset_step": config.bus_bytes * (words * beats + 9),
        }
        for n in range(2)
    ]
    dut = StorePath(config)
    recorder = Recorder(dut, len(transfers))

    async def send(ctx):
        for transfer in transfers:
            await put(ctx, dut.store.i, transfer)

    simulate(dut, send, recorder)
    memory, expected = [], {}
    sent = iter(recorder.beats)
    for start, count in recorder.bursts:
        run = [next(sent) for _ in range(count)]
        assert [last for _, last in run] == [0] * (count - 1) + [1]
        memory += [(start + n * config.bus_bytes, data) for n, (data, _) in enumerate(run)]
    for transfer in transfers:
        for row in range(2):
            start = transfer["offset"] + row * transfer["offset_step"]
            for n in range(words * beats):
                word = content(transfer["address"] + row * transfer["address_step"] + n // beats)
                beat = word >> n % beats * config.bus_bits & ((1 << config.bus_bits) - 1)
                expected[start + n * config.bus_bytes] = beat
    assert memory == list(expected.items())

    cycles = recorder.cycles
    assert cycles["burst"][0] - cycles["taken"][0] == STORE_ADDRESS_LATENCY
    first = cycles["beat"][0]
    assert first - cycles["taken"][0] == STORE_BEAT_LATENCY
    assert cycles["beat"] == list(range(first, first + len(expected)))
    assert cycles["finished"][-1] == cycles["answer"][-1]
