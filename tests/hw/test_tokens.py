import random

import pytest
from amaranth import *
from amaranth.lib import wiring

from hw.queue import Queue
from hw.spec.isa.header import Engine
from hw.spec.timing import TOKEN_LATENCY
from hw.tokens import INSTRUCTION_OF, TokenGates
from tests.hw.streams import put, simulate


class Gated(wiring.Component):
    """Token gates, each with a queue before it."""

    def __init__(self):
        self.gates = TokenGates()
        self.queues = {e: Queue(shape=INSTRUCTION_OF[e], depth=64) for e in Engine}
        super().__init__({})

    def elaborate(self, platform):
        m = Module()
        m.submodules.gates = self.gates
        for engine, queue in self.queues.items():
            m.submodules[engine.word] = queue
            wiring.connect(m, queue.o, getattr(self.gates, f"{engine.word}_i"))
        return m


async def work(ctx, dut, engine, count, rng, log):
    """An engine that takes ``count`` instructions, and works on each for some cycles."""
    o, finished = getattr(dut.gates, f"{engine.word}_o"), dut.gates.finished[engine]
    for index in range(count):
        while not ctx.get(o.valid):
            await ctx.tick()
        instruction = ctx.get(o.payload)
        ctx.set(o.ready, 1)
        await ctx.tick()
        ctx.set(o.ready, 0)
        log.append(("start", engine, index))
        await ctx.tick().repeat(rng.randint(1, 12))
        log.append(("end", engine, index))
        for taker in Engine:
            gives = instruction[f"signal_{taker.word}"]
            ctx.set(dut.gates.signals[engine][taker], gives)
        ctx.set(finished, 1)
        await ctx.tick()
        ctx.set(finished, 0)


def random_order(rng, count):
    """Instructions in program order, and per instruction those that must have ended before it."""
    program, owed = [], {(a, b): [] for a in Engine for b in Engine}
    for _ in range(count):
        engine = rng.choice(list(Engine))
        waits = {g: rng.random() < 0.7 and bool(owed[g, engine]) for g in Engine}
        after = [owed[giver, engine].pop(0) for giver, wait in waits.items() if wait]
        gives = {taker: taker != engine and rng.random() < 0.4 for taker in Engine}
        index = sum(name == engine for name, _, _ in program)
        for taker in Engine:
            if gives[taker]:
                owed[engine, taker].append((engine, index))
        fields = {f"wait_{g.word}": int(w) for g, w in waits.items()}
        fields |= {f"signal_{t.word}": int(g) for t, g in gives.items()}
        program.append((engine, fields, after))
    return program


@pytest.mark.parametrize("seed", range(2))
def test_nothing_starts_before_what_it_waits_for_has_ended(seed):
    rng = random.Random(seed)
    dut, program, log = Gated(), random_order(rng, 60), []
    counts = {e: sum(name == e for name, _, _ in program) for e in Engine}

    async def dispatch(ctx):
        for engine, fields, _ in program:
            await put(ctx, dut.queues[engine].i, fields)

    def worker(engine):
        return lambda ctx: work(ctx, dut, engine, counts[engine], rng, log)

    simulate(dut, dispatch, *map(worker, Engine))
    at = {event: n for n, event in enumerate(log)}
    seen = dict.fromkeys(Engine, 0)
    for engine, _, after in program:
        start = at["start", engine, seen[engine]]
        assert all(at["end", *name] < start for name in after)
        seen[engine] += 1


def test_a_token_frees_the_gate_after_its_latency_and_is_gone_then():
    dut = Gated()
    gates = dut.gates
    passed = []

    async def store(ctx):
        for _ in range(2):
            await put(ctx, dut.queues[Engine.STORE].i, {"wait_compute": 1, "wait_store": 1})

    async def compute(ctx):
        ctx.set(gates.signals[Engine.COMPUTE][Engine.STORE], 1)
        for cycle in range(30):
            ctx.set(gates.finished[Engine.COMPUTE], cycle == 10)
            ctx.set(gates.store_o.ready, ctx.get(gates.store_o.valid))
            if ctx.get(gates.store_o.valid):
                passed.append(cycle)
            stalled = cycle > 1 and cycle != 10 + TOKEN_LATENCY
            assert cycle <= 1 or ctx.get(gates.stalled[Engine.STORE]) == stalled
            await ctx.tick()

    simulate(dut, store, compute)
    assert passed == [10 + TOKEN_LATENCY]
