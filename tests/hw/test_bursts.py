# amaranth: UnusedElaboratable=no
import random

import pytest
from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.bursts import BurstSplitter
from hw.spec.axi import PAGE_BYTES
from tests.hw.streams import Receiver, Sender, simulate

RUN = st.tuples(st.integers(0, 2**20), st.integers(1, 700), st.booleans())


def split(address, beats, last, bus_bytes, burst_beats):
    """Bursts of a run, beat by beat: a new one begins at each multiple of the greatest size."""
    starts = [
        n
        for n in range(beats)
        if n == 0 or (address + n * bus_bytes) % (burst_beats * bus_bytes) == 0
    ]
    ends = [*starts[1:], beats]
    return [
        {
            "address": address + start * bus_bytes,
            "length": end - start - 1,
            "last": int(last and end == beats),
        }
        for start, end in zip(starts, ends, strict=True)
    ]


@settings(max_examples=12)
@given(
    runs=st.lists(RUN, min_size=1, max_size=4),
    bus_bytes=st.sampled_from([8, 16]),
    burst_beats=st.sampled_from([2, 16, 64]),
    idle=st.sampled_from([0.0, 0.5]),
    stall=st.sampled_from([0.0, 0.5]),
)
def test_splits_as_the_model_does(runs, bus_bytes, burst_beats, idle, stall):
    dut = BurstSplitter(bus_bytes=bus_bytes, burst_beats=burst_beats, beats_bits=24)
    runs = [
        (address * bus_bytes, min(beats, burst_beats * 12), last) for address, beats, last in runs
    ]
    expected = [b for run in runs for b in split(*run, bus_bytes, burst_beats)]
    payloads = [{"address": a, "beats": n, "last": last} for a, n, last in runs]
    sender = Sender(dut.i, payloads, random.Random(1), idle)
    receiver = Receiver(dut.o, len(expected), random.Random(2), stall)
    simulate(dut, sender, receiver)
    got = [{name: burst[name] for name in ("address", "length", "last")} for burst in receiver.got]
    assert got == expected
    for burst in got:
        end = burst["address"] + (burst["length"] + 1) * bus_bytes - 1
        assert burst["address"] // PAGE_BYTES == end // PAGE_BYTES


def test_gives_a_burst_every_other_cycle_within_and_between_runs():
    dut = BurstSplitter(bus_bytes=16, burst_beats=64, beats_bits=12)
    runs = [{"address": 1008, "beats": 200, "last": 0}] * 5
    cycles = []

    async def watch(ctx):
        ctx.set(dut.o.ready, 1)
        cycle = 0
        while len(cycles) < 5 * 5:
            _, _, valid = await ctx.tick().sample(dut.o.valid)
            if valid:
                cycles.append(cycle)
            cycle += 1

    simulate(dut, Sender(dut.i, runs, random.Random(1)), watch)
    assert cycles == list(range(2, 52, 2))


@pytest.mark.slow
def test_a_run_of_half_a_gibibyte_has_all_its_beats():
    dut = BurstSplitter(bus_bytes=8, burst_beats=256, beats_bits=32)
    beats = (1 << 26) + 77
    found = 0

    async def watch(ctx):
        nonlocal found
        ctx.set(dut.o.ready, 1)
        ctx.set(dut.i.payload, {"address": 8 * 5, "beats": beats, "last": 1})
        ctx.set(dut.i.valid, 1)
        await ctx.tick()
        ctx.set(dut.i.valid, 0)
        await ctx.tick()
        while ctx.get(dut.o.valid):
            found += ctx.get(dut.o.p.length) + 1
            await ctx.tick().repeat(2)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(watch)
    simulator.run()
    assert found == beats


@pytest.mark.parametrize("burst_beats", [1, 3, 512])
def test_bursts_that_axi_has_not_are_refused(burst_beats):
    with pytest.raises(
        ValueError,
        match=r"^BurstSplitter burst_beats must be a power of two from 2 to 256 with beats of 16 "
        rf"bytes, not {burst_beats}$",
    ):
        BurstSplitter(bus_bytes=16, burst_beats=burst_beats, beats_bits=12)
