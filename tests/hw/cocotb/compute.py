"""Drive the compute core through a script, cycle by cycle, and record what it does."""

import json
import os
from collections import deque
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly

from hw.spec.timing import SIDES_LEAD

WAITING = ("i", "store_request")  # streams that may not be ready
TRACES = ("issue", "finished", "store_valid")


class Bench:
    """Inputs change at the falling edge; all of a cycle is looked at just after it."""

    def __init__(self, dut, script):
        self.dut = dut
        self.script = script
        self.cycle = 0
        self.log = {name: [] for name in (*TRACES, "write_valid")}
        self.words = {  # stream: words still to give
            "load_features": list(script["features"]),
            "load_weights": list(script["weights"]),
            "load_parameters": list(script["parameters"]),
            "load_tables": list(script["tables"]),
        }
        self.waits = {}  # stream: cycles in which its payload was not taken
        self.sides = deque([0] * SIDES_LEAD, SIDES_LEAD)  # taken in this cycle, and so on

    async def start(self):
        dut = self.dut
        Clock(dut.clk, 2, unit="ns").start()
        for name in ("i", *self.words, "store_request"):
            getattr(dut, f"{name}_valid").value = 0
        dut.rst.value = 1
        for _ in range(3):
            await FallingEdge(dut.clk)
        dut.rst.value = 0

    async def until(self, done, streams, limit=200_000):
        """Feed ``streams`` (name to list of payloads, taken from the front) until ``done()``."""
        while not done():
            assert self.cycle < limit, f"not done after {limit} cycles"
            await FallingEdge(self.dut.clk)
            self.cycle += 1
            for name, payloads in streams.items():
                getattr(self.dut, f"{name}_valid").value = self._may_offer(name, payloads)
                if payloads:
                    getattr(self.dut, f"{name}_payload").value = payloads[0]
            await ReadOnly()
            self._look(streams)
        await FallingEdge(self.dut.clk)
        self.cycle += 1
        for name in streams:
            getattr(self.dut, f"{name}_valid").value = 0
        await ReadOnly()
        self._look({})

    async def run(self, program, traffic):
        """Offer each instruction as soon as the one before it is taken, until all are done.

        So is each payload of ``traffic``, streams of loads and stores, at the same time.
        """
        finished = len(self.log["finished"]) + len(program)
        self.waits = dict.fromkeys(traffic, 0)
        await self.until(
            lambda: len(self.log["finished"]) >= finished and not any(traffic.values()),
            {"i": program, **traffic},
        )

    def _may_offer(self, name, payloads):
        """Whether the first payload may come; no feature word may where results are written."""
        if not payloads or name != "load_features":
            return bool(payloads)
        # The lowest bits are those of its address.
        side = payloads[0] % len(self.dut.sides)
        return not self.sides[0] >> side & 1

    def _look(self, streams):
        for name, payloads in streams.items():
            taken = self._may_offer(name, payloads)
            if name in WAITING:
                taken = taken and int(getattr(self.dut, f"{name}_ready").value)
            if taken:
                payloads.pop(0)
            elif payloads and name in self.waits:
                self.waits[name] += 1
        for name in TRACES:
            if int(getattr(self.dut, name).value):
                self.log[name].append(self._record(name))
        valid, words = int(self.dut.write_valid.value), len(self.dut.write_valid)
        written = [self._written(n, words) for n in range(words) if valid >> n & 1]
        self.log["write_valid"] += written
        sides = {address % len(self.dut.sides) for _, _, address, *_ in written}
        assert self.sides[0] == sum(1 << side for side in sides), self.cycle
        self.sides.append(int(self.dut.sides.value))

    def _record(self, name):
        fields = {
            "issue": ("issue_tag",),
            "finished": ("finished_signals", "busy"),
            "store_valid": ("store_data",),
        }[name]
        return [self.cycle, *(int(getattr(self.dut, field).value) for field in fields)]

    def _written(self, number, words):
        """What is written of one of several words side by side."""

        def own(name, count=1):
            port = getattr(self.dut, f"write_{name}")
            bits = len(port) // count
            return int(port.value) >> (number % count * bits) & (1 << bits) - 1

        kinds = (own("tag"), own("address", words), own("part"), own("all"), own("pass"))
        return [self.cycle, *kinds, own("data", words)]


@cocotb.test()
async def runs_the_script(dut):
    folder = Path(os.environ["QNN_SCRIPT"])
    script = json.loads((folder / "script.json").read_text())
    bench = Bench(dut, script)
    await bench.start()

    await bench.until(lambda: not any(bench.words.values()), bench.words)
    starts = []
    for program in script["programs"]:
        starts.append(bench.cycle + 1)
        await bench.run(list(program), script["traffic"])
    reads = list(range(script["stored"]))
    count = len(reads) + script["traffic_stores"]
    await bench.until(lambda: len(bench.log["store_valid"]) >= count, {"store_request": reads})
    (folder / "log.json").write_text(
        json.dumps({**bench.log, "starts": starts, "waits": bench.waits})
    )
