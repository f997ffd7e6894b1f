"""cocotb test that runs a job on the accelerators: writes registers, sleeps till the end, reads.

The environment variable QNN_JOB names a JSON file with ``rounds``, each with a list of register
writes for every core that runs in it, from core 0 on, ``identity`` and ``after``, the registers to
read before the first and after each run, and ``result``, the file for what was read. The last write
of a run starts it; it goes to all cores of a round at once. Nothing here runs while they work.
``resets``, if there are any, are cycles after which a start of the first round is reset: once by
the reset of the whole design, and then after each of them by the register. ``slow_host`` is whether
a host takes its time on the bus, and reads back what it has written.
"""

import json
import os
import time
from pathlib import Path

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge, Timer

from hw.spec.registers import WIDE, Control, Register, Status
from sim.bench.registers import Registers

FIXED = {Register.MAGIC, Register.FINGERPRINT}  # say what the design is, at all times
ADDRESS_BITS = 40  # of a base
COMMANDS = {Register.STATUS, Register.CONTROL}  # read otherwise than they are written


async def reset(dut, *, slow_host: bool = False) -> Registers:
    """Registers of an accelerator that has just left reset."""
    dut.rst.value = 1
    dut.running.value = 0
    dut.dump.value = dut.load.value = 0
    dut.first.value = dut.count.value = 0
    dut.select.value = 1
    registers = Registers(dut, slow=slow_host)
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
    job = read_job()
    slow_host = job.get("slow_host", False)
    registers = await reset(dut, slow_host=slow_host)
    # The register's come last, as the reset of the design would hide what one of them leaves.
    if job.get("resets"):
        await start(dut, job["rounds"][0], registers)
        await ClockCycles(dut.clk, job["resets"][-1])
        registers = await reset(dut, slow_host=slow_host)
        await check_cleared(registers)
    for wait in job.get("resets", ()):
        await stop(dut, job["rounds"][0], registers, wait, job["limit"])
    if slow_host:
        await check_settings(registers, job["rounds"][0][0])
    await finish(dut, job, registers)


async def check_cleared(registers: Registers) -> None:
    """Fail unless all that a register can hold is gone after a reset of the whole design."""
    for register in sorted(set(Register) - FIXED):
        words = 2 if register in WIDE else 1
        value = await registers.read(register, words)
        assert value == 0, f"{register.name} reads {value:#x} after a reset of the design"


async def check_settings(registers: Registers, writes: list) -> None:
    """Fail unless each register that sets something reads back as it was written.

    Once with each bit inverted, from the last register to the first, and then as in ``writes``.
    """
    settings = [(address, value) for address, value in writes if address not in COMMANDS]
    inverted = [(address, value ^ _bits(address)) for address, value in settings]
    for wanted in (inverted[::-1], settings):
        for address, value in wanted:
            await registers.write(address, value)
        for address, value in wanted:
            got = await registers.read(address)
            assert got == value, f"register {address:#x} reads {got:#x}, not {value:#x} as written"


def _bits(address):
    """Ones in all bits that the 32-bit word at an address has."""
    upper = address - 4 in WIDE
    return (1 << (ADDRESS_BITS - 32 if upper else 32)) - 1


async def start(dut, round_: list, registers: Registers) -> None:
    """Start a round's runs, one core after the other, and wait for none."""
    for core, writes in enumerate(round_):
        dut.select.value = 1 << core
        for write in writes:
            await registers.write(*write)


async def stop(dut, round_: list, registers: Registers, wait: int, limit: int) -> None:
    """Start a round's runs, and reset each by its register after ``wait`` cycles.

    Parameters
    ----------
    limit : reads of the status, each of some cycles, after which a core has not stopped
    """
    await start(dut, round_, registers)
    await ClockCycles(dut.clk, wait)
    for core in range(len(round_)):
        dut.select.value = 1 << core
        await registers.write(Register.CONTROL, Control.RESET)
        # Transfers under way end first; one that never does must not hang the simulation.
        for _ in range(limit):
            if not await registers.read(Register.STATUS) & Status.BUSY:
                break
        ended = Status.BUSY | Status.DONE | Status.FAILED
        left = await registers.read(Register.STATUS) & ended
        assert left == 0, f"status {left:#x} after a reset"
    dut.select.value = 1


async def finish(dut, job: dict, registers: Registers) -> None:
    """Do the job, and write its result."""
    # An accelerator of another configuration is told by its registers, and nothing is run on it.
    result = {"identity": await read_all(registers, job["identity"]), "runs": []}
    expected = job.get("expected_identity")
    for writes in job["rounds"] if expected in (None, result["identity"]) else []:
        runs = await run_round(dut, registers, writes, job["after"])
        result["runs"] += runs
        if runs[0]["timed_out"]:
            break
    result["violations"] = dut.violations.value.to_unsigned()
    await ClockCycles(dut.clk, 4)  # the trace has its last line
    dut.dump.value = 1
    await Timer(1, "ns")
    Path(job["result"]).write_text(json.dumps(result))


async def run_round(dut, registers: Registers, writes: list, after: list) -> list[dict]:
    """One run on each of the first cores, started in one cycle; what was measured of each."""
    for core, own in enumerate(writes):
        dut.select.value = 1 << core
        for address, value in own[:-1]:
            await registers.write(address, value)
    dut.running.value = dut.select.value = (1 << len(writes)) - 1
    started, first = time.perf_counter(), dut.cycle.value.to_unsigned()
    # The last write is START; all selected cores take it in one cycle.
    await registers.write(*writes[0][-1])
    # The bench raises `wake` at the interrupt or the limit: Python sleeps until then.
    if dut.wake.value != 1:
        await RisingEdge(dut.wake)
    measured = {
        "timed_out": bool(dut.timed_out.value),
        "simulated_cycles": dut.cycle.value.to_unsigned() - first,
        "seconds": time.perf_counter() - started,
    }
    runs = []
    for core in range(len(writes)):
        dut.select.value = 1 << core
        registers_after = [] if measured["timed_out"] else await read_all(registers, after)
        runs.append({**measured, "after": registers_after})
    dut.running.value = 0
    dut.select.value = 1
    return runs
