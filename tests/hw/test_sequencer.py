# amaranth: UnusedElaboratable=no
from itertools import product

import pytest
from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.columns import Columns, Request
from hw.layouts import TILES_STRUCT
from hw.origin import ORIGIN_STAGES, Origin
from hw.sequencer import Sequencer
from hw.spec import timing
from hw.spec.config import ADDRESS_BITS, COLUMN_STEPS, SvpeConfig
from hw.spec.isa.encoding import TILES
from hw.spec.isa.header import Op
from hw.step import Step
from tests.hw.compute_model import Clock, requests, steps_of
from tests.hw.record import record
from tests.hw.streams import put

CONFIGS = {
    columns: SvpeConfig(lanes=4, rows=2, columns=columns, feature_words=1024)
    for columns in (1, 4, 16)
}
COUNTS = ("terms", "blocks", "kernel_x", "kernel_y", "tiles_x", "tiles_y", "columns")
ONE_STEP = {
    **{field.name: 0 for field in TILES.fields},
    **dict.fromkeys(COUNTS, 1),
    "op": Op.CONV,
    "fence": 4095,
}


class Front(wiring.Component):
    """Sequencer, origin and columns as the core connects them."""

    def __init__(self, config):
        self._config = config
        super().__init__(
            {
                "i": In(stream.Signature(TILES_STRUCT)),
                "step": Out(Step),
                "begins": Out(1),
                "tag": Out(16),
                "requests": Out(Request(config)).array(config.columns),
            }
        )

    def elaborate(self, platform):
        m = Module()
        latency = timing.write_latency(self._config)
        m.submodules.sequencer = sequencer = Sequencer(write_latency=latency)
        m.submodules.origin = origin = Origin()
        m.submodules.columns = columns = Columns(self._config)

        connect(m, flipped(self.i), sequencer.i)
        m.d.comb += [
            self.step.eq(sequencer.step),
            self.begins.eq(sequencer.begins),
            self.tag.eq(sequencer.instruction.tag),
            origin.valid.eq(sequencer.step.valid),
            origin.skip.eq(sequencer.step.skip),
            origin.offsets.eq(sequencer.offsets),
            origin.instruction.eq(sequencer.instruction),
            columns.place.eq(origin.place),
            columns.steps.eq(origin.steps),
            columns.frame.eq(origin.frame),
        ]
        pairs = zip(self.requests, columns.requests, strict=True)
        m.d.comb += [own.eq(request) for own, request in pairs]
        return m


def observed(config, offers, cycles):
    """Each step with its cycle, and each request of a column with the cycle of its step."""
    dut = Front(config)
    lead = ORIGIN_STAGES + timing.column_stages(config) + 1

    async def offer(ctx):
        for instruction, wait in offers:
            for _ in range(wait):
                await ctx.tick()
            await put(ctx, dut.i, TILES_STRUCT.from_bits(TILES.encode(**instruction)))

    signals = [dut.step, dut.begins, dut.tag, *dut.requests]
    steps, reads = [], []
    rows = record(dut, offer, cycles=cycles + lead, signals=signals)
    for cycle, (step, begins, tag, *columns) in enumerate(rows):
        if step["valid"]:
            ends = ("last", "final")
            names = (*ends, "skip") if step["skip"] else ("first", "term", *ends)
            flags = tuple(name for name in names if step[name])
            weight = None if step["skip"] else step["weight_address"]
            steps.append((cycle, tag, flags, weight, begins))
        for column, request in enumerate(columns):
            if request["read"]:
                address = request["row"] * config.banks + request["bank"]
                reads.append((cycle - lead, column, address))
    return steps, reads


def predicted(config, offers):
    """The same by a loop nest and the rules of ``hw.spec.timing``."""
    clock, offered, steps, reads = Clock(config), 0, [], []
    for instruction, wait in offers:
        at = clock.begin(instruction, offered + wait)
        offered = at + timing.INSTRUCTION_LEAST - timing.ISSUE_LATENCY  # when it was taken
        taps = list(steps_of(instruction))
        term_steps = len(taps) // instruction["terms"]
        nest = [*taps, *([None] * instruction["skip"])]
        tiles = list(product(range(instruction["tiles_y"]), range(instruction["tiles_x"])))
        for tile, (n, step) in product(tiles, enumerate(nest)):
            last = n == len(nest) - 1
            at = clock.end_tile(at, instruction) if last else at
            flags = {
                "first": n == 0,
                "term": step is not None and n % term_steps == 0,
                "last": last,
                "final": last and tile == tiles[-1],
                "skip": step is None,
            }
            weight = instruction["weight_address"] + n * instruction["weight_step"]
            begins = int(n == 0 and tile == tiles[0])
            names = tuple(name for name, flag in flags.items() if flag)
            steps.append((at, instruction["tag"], names, None if step is None else weight, begins))
            columns = enumerate(requests(config, instruction, step, *tile))
            reads += [(at, column, address) for column, (address, inside) in columns if inside]
            at += 1
    return steps, reads, at


def check(config, offers):
    steps, reads, end = predicted(config, offers)
    seen_steps, seen_reads = observed(config, offers, end + 4)
    assert seen_steps == steps
    assert seen_reads == reads


@st.composite
def instructions(draw, columns):
    """Few steps; every address, stride and coordinate that decides what they read."""
    few = st.sampled_from((1, 1, 2, 3))
    any_address = st.integers(0, (1 << ADDRESS_BITS) - 1)
    stride, size = st.integers(-3, 5), st.sampled_from((1, 2, 5, 9, 2047))
    near = st.one_of(st.integers(-6, 6), st.sampled_from((-2048, 2047)))
    fields = {
        **{name: draw(few) for name in ("blocks", "kernel_x", "kernel_y", "tiles_x", "tiles_y")},
        **{
            name: draw(any_address)
            for name in (
                *("input_address", "block_step", "kernel_y_step", "tile_y_step"),
                *("skip_address", "skip_tile_y_step"),
                *(f"column_address_{b}" for b in range(COLUMN_STEPS)),
                *(f"skip_column_{b}" for b in range(COLUMN_STEPS)),
            )
        },
        **{f"{name}_stride": draw(stride) for name in ("kernel_x", "kernel_y", "tile_x", "tile_y")},
        **{f"column_{a}_{b}": draw(stride) for a in "xy" for b in range(COLUMN_STEPS)},
        **{f"input_{axis}": draw(near) for axis in "xy"},
        **{f"input_{name}": draw(size) for name in ("width", "height")},
    }
    return fields | {
        "op": Op.CONV,
        "tag": draw(st.integers(0, 65535)),
        "terms": draw(st.sampled_from((1, 1, 2, 3))),
        "fence": draw(st.one_of(st.integers(0, 80), st.just(4095))),
        "columns": draw(st.integers(1, columns)),
        "weight_address": draw(st.integers(0, 60000)),
        "weight_step": draw(st.integers(0, 1)),
        "skip": draw(st.integers(0, 1)),
        "skip_tile_x_step": draw(st.sampled_from((0, 1, 4, 16))),
        "multiply": draw(st.integers(0, 1)),
        "interval": draw(st.integers(0, 20)),
        "table": draw(st.integers(0, 1)),
        "tile_width": draw(st.integers(1, 16)),
    }


@pytest.mark.parametrize("columns", CONFIGS)
@settings(max_examples=8)
@given(data=st.data())
def test_steps_and_reads_are_those_of_a_loop_nest_in_the_cycles_promised(columns, data):
    waits = st.one_of(st.just(0), st.integers(0, 60))
    offers = st.lists(st.tuples(instructions(columns), waits), min_size=1, max_size=4)
    check(CONFIGS[columns], data.draw(offers))


def test_one_step_instructions_the_longest_interval_and_every_fence_keep_the_rules():
    offers = [(ONE_STEP | {"tag": tag}, 0) for tag in range(6)]
    offers += [(ONE_STEP | {"tiles_x": 2, "interval": 1023}, 0)]
    offers += [(ONE_STEP | {"fence": fence, "table": fence % 3 == 0}, 0) for fence in range(60)]
    check(CONFIGS[1], offers)


@pytest.mark.parametrize("rule", ["ISSUE_LATENCY", "INSTRUCTION_LEAST"])
def test_a_model_with_another_rule_is_refused(rule, monkeypatch):
    offers = [(ONE_STEP, 0)] * 3
    check(CONFIGS[1], offers)
    monkeypatch.setattr(timing, rule, getattr(timing, rule) + 1)
    with pytest.raises(AssertionError):
        check(CONFIGS[1], offers)
