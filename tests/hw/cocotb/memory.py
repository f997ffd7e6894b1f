"""cocotb tests of ``memory.sv``: cocotbext-axi's manager against it, and its watch on the rules."""

import logging
import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge
from cocotbext.axi import AxiBus, AxiMaster, AxiResp

from sim.dram import Channel

BASE = 0x40_0000
SIZE = 16384


async def start(dut, connect=True):
    Clock(dut.clk, 2, unit="ns").start()
    for channel in ("ar", "aw", "w"):
        getattr(dut, f"{channel}valid").value = 0
    dut.rready.value = dut.bready.value = 0
    dut.rst.value = 1
    await ClockCycles(dut.clk, 4)
    dut.rst.value = 0
    if not connect:
        return None
    logging.getLogger("cocotb.one_port").setLevel(logging.WARNING)
    return AxiMaster(AxiBus.from_entity(dut), dut.clk, dut.rst)


@cocotb.test(timeout_time=400, timeout_unit="us")
async def reads_what_was_written(dut):
    master = await start(dut)
    rng = random.Random(cocotb.RANDOM_SEED)
    model = bytearray((await master.read(BASE, SIZE)).data)
    assert model == bytes(i * 7 % 251 for i in range(SIZE)), "the file is not what memory holds"
    for _ in range(30):
        address, length = rng.randrange(0, SIZE - 700, 16), rng.randint(1, 700)
        data = rng.randbytes(length)
        done = await master.write(BASE + address, data)
        assert done.resp == AxiResp.OKAY
        model[address : address + length] = data
        address, length = rng.randrange(0, SIZE - 900, 16), rng.randint(1, 900)
        reads = [
            cocotb.start_soon(master.read(BASE + address, length, arid=i % 2)) for i in range(4)
        ]
        for read in reads:
            assert (await read).data == model[address : address + length]
    assert (await master.read(BASE, SIZE)).data == model
    assert dut.violations.value == 0


@cocotb.test(timeout_time=10, timeout_unit="us")
async def answers_errors_where_told(dut):
    master = await start(dut)
    assert (await master.read(BASE + 0x100, 256)).resp == AxiResp.SLVERR
    assert (await master.read(BASE + 0x400, 256)).resp == AxiResp.OKAY
    assert (await master.write(BASE + 0x200, bytes(256))).resp == AxiResp.SLVERR
    assert (await master.write(BASE + 0x400, bytes(256))).resp == AxiResp.OKAY
    assert (await master.read(BASE - 64, 64)).resp == AxiResp.DECERR
    assert (await master.write(BASE + SIZE, bytes(8))).resp == AxiResp.DECERR


@cocotb.test(timeout_time=10, timeout_unit="us")
async def keeps_its_latency_and_one_beat_a_cycle(dut):
    await start(dut, connect=False)
    dut.rready.value = 1
    send_read(dut, BASE, 8)
    while not (dut.arvalid.value and dut.arready.value):
        await RisingEdge(dut.clk)
        await ReadOnly()
    accepted = cocotb.utils.get_sim_time("ns")
    await RisingEdge(dut.clk)
    dut.arvalid.value = 0
    beats = []
    while len(beats) < 8:
        await ReadOnly()
        if dut.rvalid.value:
            beats.append((cocotb.utils.get_sim_time("ns") - accepted) / 2)
        await RisingEdge(dut.clk)
    assert beats == [20 + i for i in range(8)]  # +latency=20


@cocotb.test(timeout_time=10, timeout_unit="us")
async def keeps_to_its_rate(dut):
    """Every beat goes in the cycle in which ``sim.dram.Channel`` has it."""
    await start(dut, connect=False)
    size = len(dut.rdata) // 8
    rate = int(cocotb.plusargs["rate"])
    cycle = {"reads": [], "writes": []}

    async def watch():
        now = 0
        while True:
            await ReadOnly()
            if dut.rvalid.value and dut.rready.value:
                cycle["reads"].append(now)
            if dut.wvalid.value and dut.wready.value:
                cycle["writes"].append(now)
            await RisingEdge(dut.clk)
            now += 1

    cocotb.start_soon(watch())
    dut.rready.value = dut.bready.value = 1
    send_read(dut, BASE, 12)
    await accepted(dut, "ar")
    send_write(dut, BASE, 12)
    await accepted(dut, "aw")
    for beat in range(12):
        dut.wlast.value = beat == 11
        await accepted(dut, "w")
    while len(cycle["reads"]) < 12:
        await RisingEdge(dut.clk)
    for name, cycles in cycle.items():
        assert cycles == Channel(size, rate).send(cycles[0], 12), name
    assert dut.violations.value == 0


async def accepted(dut, channel):
    """Hold a channel's VALID until it is taken."""
    getattr(dut, f"{channel}valid").value = 1
    while True:
        await ReadOnly()
        taken = getattr(dut, f"{channel}ready").value
        await RisingEdge(dut.clk)
        if taken:
            break
    getattr(dut, f"{channel}valid").value = 0


def send_write(dut, address, beats):
    dut.awid.value = 0
    dut.awaddr.value = address
    dut.awlen.value = beats - 1
    dut.awsize.value = (len(dut.wdata) // 8).bit_length() - 1
    dut.awburst.value = 1
    dut.wdata.value = 0
    dut.wstrb.value = (1 << (len(dut.wdata) // 8)) - 1


@cocotb.test(timeout_time=10, timeout_unit="us")
async def counts_what_breaks_the_protocol(dut):
    await start(dut, connect=False)
    dut.rready.value = 1
    size = dut.arsize.value
    for fault in ({"address": BASE + 4096 - 8}, {"address": BASE + 1}, {"size": 1}, {"burst": 0}):
        before = dut.violations.value.to_unsigned()
        send_read(dut, fault.get("address", BASE), 2)
        dut.arsize.value = fault.get("size", size)
        dut.arburst.value = fault.get("burst", 1)
        await RisingEdge(dut.arready) if not dut.arready.value else None
        await RisingEdge(dut.clk)
        dut.arvalid.value = 0
        await ClockCycles(dut.clk, 3)
        assert dut.violations.value.to_unsigned() > before, fault


def send_read(dut, address, beats):
    dut.arid.value = 0
    dut.araddr.value = address
    dut.arlen.value = beats - 1
    dut.arsize.value = (len(dut.rdata) // 8).bit_length() - 1
    dut.arburst.value = 1
    dut.arvalid.value = 1
