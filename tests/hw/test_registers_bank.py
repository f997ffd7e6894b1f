import random

import pytest

from hw.registers_bank import RegisterBank
from hw.spec.isa.header import Engine
from hw.spec.registers import Register
from tests.hw.streams import simulate

INPUTS = {  # register: what it shows
    Register.ERROR: "error",
    Register.ERROR_ADDRESS: "error_address",
    Register.CYCLES: "cycles",
    Register.TAG: "tag",
}


def shown(dut):
    """Each input of the bank that is a number, by the register that shows it."""
    found = {register: getattr(dut, name) for register, name in INPUTS.items()}
    for engine in Engine:
        found[Register[f"{engine.name}_BUSY"]] = dut.busy_cycles[engine]
        found[Register[f"{engine.name}_STALL"]] = dut.stall_cycles[engine]
    return found


async def read(ctx, dut, register, bits):
    """The value that the registers of a number of ``bits`` bits give."""
    value = 0
    for word in range(-(-bits // 32)):
        ctx.set(dut.access.read_index, register // 4 + word)
        await ctx.tick()
        value |= ctx.get(dut.access.read_data) << 32 * word
    return value


@pytest.mark.parametrize("register", shown(RegisterBank(fingerprint=0)), ids=lambda r: r.name)
def test_a_register_shows_each_bit_of_its_number_and_of_no_other(register):
    dut = RegisterBank(fingerprint=0)
    own = shown(dut)[register]

    async def bench(ctx):
        # Runs of the simulators are too short for the upper bits of counts.
        for others in (0, -1):
            for signal in shown(dut).values():
                ctx.set(signal, others & (1 << len(signal)) - 1)
            for bit in range(len(own)):
                ctx.set(own, 1 << bit)
                assert await read(ctx, dut, register, len(own)) == 1 << bit

    simulate(dut, bench)


def test_settings_keep_what_was_written_byte_by_byte():
    dut = RegisterBank(fingerprint=0)
    rng = random.Random(1)
    known = {Register.PROGRAM_BYTES: 32, Register.SCRATCH_BASE: 32, Register.SCRATCH_BASE + 4: 8}

    async def bench(ctx):
        values = dict.fromkeys(known, 0)
        for _ in range(200):
            register, strobe = rng.choice(list(known)), rng.randrange(16)
            data = rng.getrandbits(32)
            ctx.set(dut.access.write, 1)
            ctx.set(dut.access.write_index, register // 4)
            ctx.set(dut.access.write_data, data)
            ctx.set(dut.access.write_strobe, strobe)
            await ctx.tick()
            ctx.set(dut.access.write, 0)
            mask = sum(0xFF << 8 * byte for byte in range(4) if strobe >> byte & 1)
            kept = values[register] & ~mask | data & mask
            values[register] = kept & (1 << known[register]) - 1
            for each, value in values.items():
                assert await read(ctx, dut, each, 32) == value

    simulate(dut, bench)
