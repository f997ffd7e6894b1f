"""Cycle by cycle in Amaranth's simulator: what signals are while testbenches drive a component."""

from amaranth.sim import Simulator


def record(dut, *drivers, cycles, signals):
    """Rows of the values of ``signals`` in cycle 0, 1, ... while ``drivers`` run.

    What a driver sets before its first tick belongs to cycle 0.
    """
    rows = []

    async def watch(ctx):
        async for _, _, *values in ctx.tick().sample(*signals):
            rows.append(tuple(values))
            if len(rows) == cycles:
                break

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    for driver in drivers:
        simulator.add_testbench(driver, background=True)
    simulator.add_testbench(watch)
    simulator.run()
    return rows
