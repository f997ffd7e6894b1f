import pytest

from hw.control import COUNTER_BITS, CYCLE_BITS, EngineCounters, RunControl
from hw.spec.registers import Error
from tests.hw.streams import simulate


async def pulse(ctx, signal, cycles=1):
    ctx.set(signal, 1)
    await ctx.tick().repeat(cycles)
    ctx.set(signal, 0)


@pytest.mark.parametrize(
    ("error", "code"), [("read", Error.READ), ("write", Error.WRITE), ("instruction", 3)]
)
def test_the_first_fault_is_kept_until_the_transfers_are_over(error, code):
    dut = RunControl()

    async def bench(ctx):
        await pulse(ctx, dut.start)
        await ctx.tick().repeat(5)
        ctx.set(getattr(dut, f"{error}_error_address"), 0x12_3456_7890)
        await pulse(ctx, getattr(dut, f"{error}_error"))
        ctx.set(getattr(dut, f"{error}_error_address"), 0)
        for other in ("read", "write"):
            await pulse(ctx, getattr(dut, f"{other}_error"))
        assert ctx.get(dut.halt)
        assert ctx.get(dut.busy)
        assert not ctx.get(dut.done)
        ctx.set(dut.drained, 1)
        await ctx.tick().repeat(2)
        assert ctx.get(dut.done)
        assert ctx.get(dut.failed)
        assert ctx.get(dut.fault.code) == code
        assert ctx.get(dut.fault.address) == 0x12_3456_7890
        await pulse(ctx, dut.reset)
        assert not ctx.get(dut.failed)
        assert not ctx.get(dut.done)
        assert ctx.get(dut.fault.code) == Error.NONE

    simulate(dut, bench)


def test_a_reset_in_the_cycle_in_which_a_run_ends_is_not_lost():
    dut = RunControl()

    async def bench(ctx):
        for reset_at in range(6):
            await pulse(ctx, dut.start)
            ctx.set(dut.drained, 1)
            ctx.set(dut.complete, 1)
            for cycle in range(8):
                ctx.set(dut.reset, cycle == reset_at)
                await ctx.tick()
            ctx.set(dut.complete, 0)
            assert not ctx.get(dut.busy)
            assert not ctx.get(dut.done)
        await pulse(ctx, dut.start)
        await ctx.tick().repeat(50)
        assert ctx.get(dut.busy), "an old reset must not stop a new run"

    simulate(dut, bench)


def test_start_within_a_run_changes_nothing():
    dut = RunControl()

    async def bench(ctx):
        await pulse(ctx, dut.start)
        await ctx.tick().repeat(9)
        ctx.set(dut.start, 1)
        assert not ctx.get(dut.clear)
        await ctx.tick().repeat(3)
        assert ctx.get(dut.cycles) == 12
        assert not ctx.get(dut.begin)

    simulate(dut, bench)


def test_counts_carry_into_each_of_their_bits():
    dut = EngineCounters()

    async def bench(ctx):
        ctx.set(dut.run, 1)
        for counts, events in (
            (dut.busy_cycles, dut.busy),
            (dut.stall_cycles, dut.stalled),
        ):
            for count, event in zip(counts, events, strict=True):
                # No simulation runs for the four billion cycles of a whole count.
                for bit in range(COUNTER_BITS):
                    ctx.set(count, (1 << bit) - 1)
                    await pulse(ctx, event)
                    assert ctx.get(count) == (1 << bit) - 1
                    await ctx.tick()
                    assert ctx.get(count) == 1 << bit
                    await ctx.tick()
                    assert ctx.get(count) == 1 << bit

    simulate(dut, bench)


def test_the_cycles_of_a_run_carry_into_each_of_their_bits():
    dut = RunControl()

    async def bench(ctx):
        await pulse(ctx, dut.start)
        for bit in range(CYCLE_BITS):
            ctx.set(dut.cycles, (1 << bit) - 1)
            await ctx.tick()
            assert ctx.get(dut.cycles) == 1 << bit

    simulate(dut, bench)
