"""cocotb test: starts a job's first run and resets it again and again, then does the whole job."""

import cocotb
from cocotb.triggers import ClockCycles

from hw.spec.registers import Control, Register, Status
from sim.bench.accelerator import finish, read_job, reset

WAITS = range(20, 800, 31)  # cycles from start to reset; the job's run is longer


@cocotb.test()
async def resets_and_then_runs(dut):
    job, registers = read_job(), await reset(dut)
    for wait in WAITS:
        for write in job["rounds"][0][0]:
            await registers.write(*write)
        await ClockCycles(dut.clk, wait)
        await registers.write(Register.CONTROL, Control.RESET)
        while await registers.read(Register.STATUS) & Status.BUSY:
            pass
        assert await registers.read(Register.STATUS) == 0
    await finish(dut, job, registers)
