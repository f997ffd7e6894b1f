"""cocotb tests of the shell: whole programs over AXI, with a stand-in for the compute core.

``moves_words`` needs no such core, and runs on the accelerator itself, too.
"""

import logging
import os
import random
from itertools import product

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiResp, AxiSlave

from hw.spec.config import CONFIGS
from hw.spec.isa.buffers import Region
from hw.spec.isa.header import INSTRUCTION_BYTES
from hw.spec.registers import MAGIC, RUN_BITS, RUN_OFFSET, Control, Error, Register, Status
from hw.spec.timing import MAX_BURST_BEATS
from tests.hw.cocotb.programs import Loopback, Program, random_program

CONFIG = CONFIGS[os.environ.get("QNN_BENCH_CONFIG", "test")]
MEMORY_BYTES = 1 << 17
BASE = 0x12_3456_0000  # more than 32 bits
PATIENCE = 200_000  # cycles


class Memory:
    """Bytes from ``BASE`` on, as cocotbext-axi's target; ``bad`` addresses answer with errors."""

    def __init__(self, rng):
        self.data = bytearray(rng.randbytes(MEMORY_BYTES))
        self.bad = frozenset()
        self.touched = []

    def _place(self, address, length):
        self.touched.append(address)
        start = address - BASE
        if not 0 <= start <= MEMORY_BYTES - length or address in self.bad:
            raise LookupError(f"{address:#x}")
        return slice(start, start + length)

    async def read(self, address, length):
        return bytes(self.data[self._place(address, length)])

    async def write(self, address, data):
        self.data[self._place(address, len(data))] = data


class Bench:
    """The shell, its memory, its registers, and a watch on what it sends."""

    def __init__(self, dut):
        self.dut = dut
        self.rng = random.Random(cocotb.RANDOM_SEED)
        self.memory = Memory(self.rng)
        self.counts = dict.fromkeys(("ar", "r", "aw", "w", "b"), 0)

    async def start(self, idle=0.0, backpressure=0.0):
        logging.getLogger(f"cocotb.{self.dut._name}").setLevel(logging.ERROR)
        dut = self.dut
        Clock(dut.clk, 2, unit="ns").start()
        if hasattr(dut, "jitter"):  # of the stand-in
            dut.jitter.value = idle > 0
        dut.rst.value = 1
        self.registers = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), dut.clk, dut.rst)
        self.slave = AxiSlave(AxiBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst, self.memory)
        writes, reads = self.slave.write_if, self.slave.read_if
        for channel in (writes.aw_channel, writes.w_channel, reads.ar_channel):
            self._pause(channel, backpressure)
        for channel in (writes.b_channel, reads.r_channel):
            self._pause(channel, idle)
        registers = (self.registers.write_if, self.registers.read_if)
        for channel in (registers[0].aw_channel, registers[0].w_channel, registers[1].ar_channel):
            self._pause(channel, idle)
        for channel in (registers[0].b_channel, registers[1].r_channel):
            self._pause(channel, backpressure)
        await ClockCycles(dut.clk, 4)
        dut.rst.value = 0
        await ClockCycles(dut.clk, 2)
        for channel in ("ar", "aw", "w"):
            cocotb.start_soon(self._watch(channel))
        for channel in ("r", "b"):
            cocotb.start_soon(self._count(channel))

    def _pause(self, channel, chance):
        if chance:
            rng = random.Random(self.rng.random())
            channel.set_pause_generator(iter(lambda: rng.random() < chance, None))

    async def _count(self, channel):
        valid = getattr(self.dut, f"m_axi_{channel}valid")
        ready = getattr(self.dut, f"m_axi_{channel}ready")
        while True:
            await RisingEdge(self.dut.clk)
            self.counts[channel] += int(valid.value) & int(ready.value)

    async def _watch(self, channel):
        """Nothing that is offered changes or goes before it is taken; bursts are lawful."""
        dut, bytes_per_beat = self.dut, CONFIG.bus_bytes
        names = {"w": ("data", "last", "strb")}.get(channel, ("addr", "len", "size", "burst", "id"))
        valid, ready = (getattr(dut, f"m_axi_{channel}{name}") for name in ("valid", "ready"))
        payload = [getattr(dut, f"m_axi_{channel}{name}") for name in names]
        offered = None
        while True:
            await RisingEdge(dut.clk)
            now = [int(signal.value) for signal in payload] if valid.value else None
            assert offered is None or now == offered, f"{channel} changed: {offered} -> {now}"
            offered = None if ready.value else now
            if now is None or not ready.value:
                continue
            self.counts[channel] += 1
            if channel == "w":
                assert now[2] == (1 << bytes_per_beat) - 1
                continue
            address, beats = now[0], now[1] + 1
            assert beats <= MAX_BURST_BEATS
            assert address // 4096 == (address + beats * bytes_per_beat - 1) // 4096
            assert now[2:4] == [bytes_per_beat.bit_length() - 1, 1]

    async def write(self, register, value, size=4):
        done = await self.registers.write(register, value.to_bytes(size, "little"))
        assert done.resp == AxiResp.OKAY

    async def read(self, register, size=4):
        done = await self.registers.read(register, size)
        assert done.resp == AxiResp.OKAY
        return int.from_bytes(done.data, "little")

    async def load(self, program: Program):
        """Put a program in memory and tell the accelerator where everything is."""
        self.memory.data[: len(program.code)] = program.code
        await self.write(Register.PROGRAM_BYTES, len(program.code))
        for region, register in zip(
            Region,
            (
                Register.IMAGE_BASE,
                Register.INPUT_BASE,
                Register.OUTPUT_BASE,
                Register.SCRATCH_BASE,
            ),
            strict=True,
        ):
            await self.write(register, BASE + program.bases[region], 8)

    async def run(self):
        """One run, of a number of its own; the status at its end."""
        number = await self.command(Control.START | Control.INTERRUPT_ENABLE)
        for _ in range(PATIENCE):
            if self.dut.irq.value:
                break
            await RisingEdge(self.dut.clk)
        else:
            raise TimeoutError("no interrupt")
        status = await self.read(Register.STATUS)
        await self.write(Register.STATUS, Status.INTERRUPT)
        assert await self.read(Register.STATUS) == status & ~int(Status.INTERRUPT)
        assert not self.dut.irq.value
        assert status >> RUN_OFFSET == number
        return Status(status - (number << RUN_OFFSET))

    async def command(self, bits):
        """Write CONTROL; gives the number that goes with it."""
        number = self.rng.getrandbits(RUN_BITS)
        await self.write(Register.CONTROL, bits | number << RUN_OFFSET)
        return number

    async def check_quiet(self):
        """All that was asked for was answered, and nothing new is offered."""
        before = dict(self.counts)
        for _ in range(50):
            await RisingEdge(self.dut.clk)
            for channel in ("ar", "aw", "w"):
                assert not getattr(self.dut, f"m_axi_{channel}valid").value
        assert self.counts == before
        assert self.counts["aw"] == self.counts["b"]

    async def check_run(self, program: Program, core: Loopback):
        """Run, and compare every byte of memory with the model's."""
        await self.load(program)
        expected = bytearray(self.memory.data)
        core.execute(program, expected)
        assert await self.run() == Status.DONE | Status.INTERRUPT
        assert await self.read(Register.ERROR) == Error.NONE
        assert self.memory.data == expected, first_difference(self.memory.data, expected)


def first_difference(got, expected):
    at = next(n for n, pair in enumerate(zip(got, expected, strict=True)) if pair[0] != pair[1])
    return f"memory byte {at:#x}: {got[at]:#04x}, not {expected[at]:#04x}"


STALLS = list(product((0.0, 0.5), (0.0, 0.5)))


@cocotb.test(timeout_time=2, timeout_unit="ms")
@cocotb.parametrize(stall=STALLS)
async def runs_programs(dut, stall):
    bench = Bench(dut)
    await bench.start(*stall)
    for n in range(3):  # without a reset between
        program = random_program(bench.rng, CONFIG, phases=4, memory_bytes=MEMORY_BYTES)
        await bench.check_run(program, Loopback(CONFIG))
        await bench.check_quiet()
        assert await bench.read(Register.TAG) == program.last_tag, n
        cycles = await bench.read(Register.CYCLES, 8)
        busy = [
            await bench.read(register)
            for register in (Register.LOAD_BUSY, Register.COMPUTE_BUSY, Register.STORE_BUSY)
        ]
        stalled = await bench.read(Register.STORE_STALL)
        assert 0 < max(busy) < cycles
        assert 0 < stalled < cycles


@cocotb.test(timeout_time=2, timeout_unit="ms")
@cocotb.parametrize(stall=STALLS)
async def moves_words(dut, stall):
    bench = Bench(dut)
    await bench.start(*stall)
    for _ in range(3):
        program = random_program(
            bench.rng, CONFIG, phases=5, memory_bytes=MEMORY_BYTES, compute=False
        )
        await bench.check_run(program, Loopback(CONFIG))
        await bench.check_quiet()


@cocotb.test(timeout_time=4, timeout_unit="ms")
@cocotb.parametrize(stall=STALLS, kind=["program", "load", "store"])
async def an_error_answer_ends_the_run_with_its_address(dut, stall, kind):
    bench = Bench(dut)
    await bench.start(*stall)
    for _ in range(3):
        program = random_program(bench.rng, CONFIG, phases=5, memory_bytes=MEMORY_BYTES)
        await bench.load(program)
        address, beats = bench.rng.choice(program.runs[kind])
        bad = BASE + address + bench.rng.randrange(beats) * CONFIG.bus_bytes
        bench.memory.bad = {bad}
        clean = bytes(bench.memory.data)
        status = await bench.run()
        assert status == Status.DONE | Status.FAILED | Status.INTERRUPT
        code = Error.WRITE if kind == "store" else Error.READ
        assert await bench.read(Register.ERROR) == code
        burst = await bench.read(Register.ERROR_ADDRESS, 8)
        assert burst <= bad < burst + MAX_BURST_BEATS * CONFIG.bus_bytes
        assert burst // 4096 == bad // 4096
        await bench.check_quiet()
        allowed = program.writable()
        for n, (before, after) in enumerate(zip(clean, bench.memory.data, strict=True)):
            assert before == after or n in allowed

        bench.memory.bad = frozenset()
        await bench.write(Register.CONTROL, Control.RESET)
        assert await bench.read(Register.STATUS) == 0
        assert await bench.read(Register.ERROR) == Error.NONE
        await bench.check_run(program, Loopback(CONFIG))


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(code=[5, 15])
async def an_unknown_operation_ends_the_run(dut, code):
    bench = Bench(dut)
    await bench.start()
    program = random_program(bench.rng, CONFIG, phases=3, memory_bytes=MEMORY_BYTES)
    await bench.load(program)
    index = len(program.code) // INSTRUCTION_BYTES // 2
    place = index * INSTRUCTION_BYTES
    bench.memory.data[place] = bench.memory.data[place] & 0xF0 | code
    assert await bench.run() == Status.DONE | Status.FAILED | Status.INTERRUPT
    assert await bench.read(Register.ERROR) == Error.INSTRUCTION
    assert await bench.read(Register.ERROR_ADDRESS, 8) == BASE + place
    await bench.check_quiet()
    await bench.check_run(program, Loopback(CONFIG))  # START forgets a failed run, too


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(kept=[0, 1, 3])
async def a_program_without_end_ends_with_an_error(dut, kept):
    bench = Bench(dut)
    await bench.start()
    program = random_program(bench.rng, CONFIG, phases=2, memory_bytes=MEMORY_BYTES)
    await bench.load(program)
    length = kept * INSTRUCTION_BYTES
    await bench.write(Register.PROGRAM_BYTES, length + 5)  # less than an instruction more
    assert await bench.run() == Status.DONE | Status.FAILED | Status.INTERRUPT
    assert await bench.read(Register.ERROR) == Error.INSTRUCTION
    assert await bench.read(Register.ERROR_ADDRESS, 8) == BASE + length


@cocotb.test(timeout_time=2, timeout_unit="ms")
@cocotb.parametrize(stall=STALLS)
async def reset_stops_a_run_once_its_transfers_are_over(dut, stall):
    bench = Bench(dut)
    await bench.start(*stall)
    for _ in range(8):
        program = random_program(bench.rng, CONFIG, phases=4, memory_bytes=MEMORY_BYTES)
        await bench.load(program)
        await bench.command(Control.START | Control.INTERRUPT_ENABLE)
        await ClockCycles(dut.clk, bench.rng.randrange(400))
        number = await bench.command(Control.RESET | Control.INTERRUPT_ENABLE)
        while await bench.read(Register.STATUS) & Status.BUSY:
            pass
        assert await bench.read(Register.STATUS) == number << RUN_OFFSET
        await bench.check_quiet()
    await bench.check_run(program, Loopback(CONFIG))


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_start_within_a_run_leaves_its_number(dut):
    bench = Bench(dut)
    await bench.start()
    program = random_program(
        bench.rng, CONFIG, phases=2, memory_bytes=MEMORY_BYTES, transfers=20, wait_cycles=300
    )
    await bench.load(program)
    number = await bench.command(Control.START)
    await bench.command(Control.START)
    assert await bench.read(Register.STATUS) == number << RUN_OFFSET | Status.BUSY
    await bench.command(0)
    assert await bench.read(Register.STATUS) == number << RUN_OFFSET | Status.BUSY
    while await bench.read(Register.STATUS) & Status.BUSY:
        pass
    assert await bench.read(Register.STATUS) == number << RUN_OFFSET | Status.DONE
    other = await bench.command(Control.START)  # clears DONE in the cycle that takes the number
    assert await bench.read(Register.STATUS) == other << RUN_OFFSET | Status.BUSY


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_full_queue_holds_the_program_and_loses_nothing(dut):
    bench = Bench(dut)
    await bench.start()
    program = random_program(
        bench.rng, CONFIG, phases=2, memory_bytes=MEMORY_BYTES, transfers=20, wait_cycles=300
    )
    await bench.check_run(program, Loopback(CONFIG))


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(stall=STALLS)
async def registers_read_back(dut, stall):
    bench = Bench(dut)
    await bench.start(*stall)
    assert await bench.read(Register.MAGIC) == MAGIC
    assert await bench.read(Register.FINGERPRINT, 8) == CONFIG.fingerprint
    model = {}
    for register, size in (
        (Register.PROGRAM_BYTES, 4),
        (Register.IMAGE_BASE, 5),
        (Register.INPUT_BASE, 5),
        (Register.OUTPUT_BASE, 5),
        (Register.SCRATCH_BASE, 5),
    ):
        model[register] = bytearray(bench.rng.randbytes(size))
        await bench.registers.write(register, bytes(model[register]))
    for _ in range(40):  # strobes
        register = bench.rng.choice(list(model))
        byte, value = bench.rng.randrange(len(model[register])), bench.rng.randrange(256)
        model[register][byte] = value
        await bench.registers.write(register + byte, bytes([value]))
    for register, value in model.items():
        size = 4 if len(value) == 4 else 8
        assert (await bench.registers.read(register, size)).data == bytes(value).ljust(size, b"\0")
    for address in (Register.MAGIC, Register.CYCLES, 0x6C, 0x800, 0xFFC):
        before = await bench.read(address)
        await bench.write(address, 0xFFFF_FFFF)
        assert await bench.read(address) == before
    assert await bench.read(Register.CONTROL) == 0
    assert await bench.read(Register.STATUS) == 0
    assert await bench.read(0x800) == 0
