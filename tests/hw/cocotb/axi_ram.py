"""cocotb test of the whole accelerator with cocotbext-axi on both buses: a second opinion on AXI.

The environment variable QNN_JOB names a JSON file: ``memory`` (file; what it holds after the run
replaces it), ``writes`` that start the run, and the chances that a channel stands still in a
cycle: ``idle`` of those that the memory drives, ``backpressure`` of those that it takes.
"""

import json
import logging
import os
import random
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiRam

from hw.spec.registers import Register, Status


def pauses(rng: random.Random, chance: float):
    """Whether the channel pauses, cycle by cycle."""
    while True:
        yield rng.random() < chance


def memory(dut, content: bytes, idle: float, backpressure: float) -> AxiRam:
    """The accelerator's memory; its size is a power of two, and addresses wrap at it."""
    size = 1 << (len(content) - 1).bit_length()
    ram = AxiRam(AxiBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst, size=size)
    ram.write(0, content)
    rng = random.Random(cocotb.RANDOM_SEED)
    driven = (ram.read_if.r_channel, ram.write_if.b_channel)
    taken = (ram.read_if.ar_channel, ram.write_if.aw_channel, ram.write_if.w_channel)
    for channels, chance in ((driven, idle), (taken, backpressure)):
        for channel in channels if chance else ():
            channel.set_pause_generator(pauses(random.Random(rng.random()), chance))
    return ram


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def runs_on_an_independent_memory(dut):
    job = json.loads(Path(os.environ["QNN_JOB"]).read_text())
    path = Path(job["memory"])
    logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.WARNING)
    content = path.read_bytes()
    ram = memory(dut, content, job["idle"], job["backpressure"])
    registers = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), dut.clk, dut.rst)
    Clock(dut.clk, 2, unit="ns").start()
    dut.rst.value = 1
    await ClockCycles(dut.clk, 4)
    dut.rst.value = 0

    for address, value in job["writes"]:
        await registers.write_dword(address, value)
    await RisingEdge(dut.irq)
    status = Status(await registers.read_dword(Register.STATUS))
    assert Status.DONE in status
    assert Status.FAILED not in status
    path.write_bytes(ram.read(0, len(content)))
