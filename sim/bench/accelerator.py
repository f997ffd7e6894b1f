"""cocotb test that runs a job on the accelerator: writes registers, sleeps till the end, reads.

The environment variable QNN_JOB names a JSON file with ``runs``, each a list of register writes,
``identity`` and ``after``, the registers to read before the first and after each run, and
``result``, the file for what was read. Nothing here runs while the accelerator works.
"""

import json
import os
import time
from pathlib import Path

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge, Timer

from sim.bench.registers import Registers


async def reset(dut) -> Registers:
    """Registers of an accelerator that has just left reset."""
    dut.rst.value = 1
    dut.running.value = 0
    dut.dump.value = 0
    registers = Registers(dut)
    await ClockCycles(dut.clk, 4)
    dut.rst.value = 0
    return registers


async def read_all(registers: Registers, wanted) -> list[int]:
    """Values of (address, words) pairs."""
    return [await registers.read(address, words) for address, words in wanted]


def read_job() -> dict:
    """The job of this simulation."""
    return json.loads(Path(os.environ["QNN_JOB"]).read_text())


@cocotb.test()
async def run_job(dut):
    await finish(dut, read_job(), await reset(dut))


async def finish(dut, job: dict, registers: Registers) -> None:
    """Do the job, and write its result."""
    result = {"identity": await read_all(registers, job["identity"]), "runs": []}
    expected = job.get("expected_identity")
    for writes in job["runs"] if expected in (None, result["identity"]) else []:
        for address, value in writes[:-1]:
            await registers.write(address, value)
        dut.running.value = 1
        started, first = time.perf_counter(), dut.cycle.value.to_unsigned()
        await registers.write(*writes[-1])
        if dut.wake.value != 1:
            await RisingEdge(dut.wake)
        seconds = time.perf_counter() - started
        run = {
            "timed_out": bool(dut.timed_out.value),
            "simulated_cycles": dut.cycle.value.to_unsigned() - first,
            "seconds": seconds,
        }
        if not run["timed_out"]:
            run["after"] = await read_all(registers, job["after"])
        dut.running.value = 0
        result["runs"].append(run)
        if run["timed_out"]:
            break
    result["violations"] = dut.violations.value.to_unsigned()
    await ClockCycles(dut.clk, 4)  # the trace has its last line
    dut.dump.value = 1
    await Timer(1, "ns")
    Path(job["result"]).write_text(json.dumps(result))
