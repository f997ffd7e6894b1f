"""cocotb tests of the counter in ``test_runner``."""

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, ReadOnly


@cocotb.test(timeout_time=1, timeout_unit="us")
async def counts_by_three(dut):
    Clock(dut.clk, 2, unit="ns").start()
    dut.rst.value = 1
    await ClockCycles(dut.clk, 2)
    dut.rst.value = 0
    await ClockCycles(dut.clk, 5)
    await ReadOnly()
    assert dut.count.value.to_unsigned() == 15
