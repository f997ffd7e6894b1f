"""Streams in Amaranth's simulator: drive one, take one, and run a component with testbenches."""

from amaranth.sim import Simulator

CYCLES = 20_000  # after which a test that has not ended has hung


def simulate(dut, *testbenches):
    """Run all ``testbenches`` to their end, one clock cycle a microsecond."""
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    left = len(testbenches)

    def counted(testbench):
        async def run(ctx):
            nonlocal left
            await testbench(ctx)
            left -= 1

        return run

    for testbench in testbenches:
        simulator.add_testbench(counted(testbench))
    simulator.run_until(CYCLES * 1e-6)
    assert left == 0, f"{left} testbenches have not ended after {CYCLES} cycles"


async def put(ctx, stream, payload):
    """Offer ``payload`` until it is taken."""
    ctx.set(stream.payload, payload)
    ctx.set(stream.valid, 1)
    await ctx.tick().until(stream.ready)
    ctx.set(stream.valid, 0)


async def get(ctx, stream):
    """Take one payload."""
    ctx.set(stream.ready, 1)
    (payload,) = await ctx.tick().sample(stream.payload).until(stream.valid)
    ctx.set(stream.ready, 0)
    return payload


class Sender:
    """Testbench that puts ``payloads``, each after a random wait with chance ``idle``."""

    def __init__(self, stream, payloads, rng, idle=0.0):
        self._stream, self._payloads, self._rng, self._idle = stream, payloads, rng, idle

    async def __call__(self, ctx):
        for payload in self._payloads:
            while self._rng.random() < self._idle:
                await ctx.tick()
            await put(ctx, self._stream, payload)


class Receiver:
    """Testbench that takes ``count`` payloads into ``got``, and waits as ``Sender`` does."""

    def __init__(self, stream, count, rng, idle=0.0):
        self._stream, self._count, self._rng, self._idle = stream, count, rng, idle
        self.got = []

    async def __call__(self, ctx):
        for _ in range(self._count):
            while self._rng.random() < self._idle:
                await ctx.tick()
            self.got.append(await get(ctx, self._stream))
