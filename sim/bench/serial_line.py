"""cocotb test that talks to a board's design over its serial pins, as a host would.

The environment variable QNN_JOB names a JSON file with ``pins`` (the design's clock, receiving and
sending pin), ``period_ns``, ``bit_ns``, ``abandoned`` (bytes in hexadecimal that come first, before
a pause of ``pause_ns``), ``inputs`` (bytes, one text an exchange), ``answer_bytes`` of each,
``limit_ns`` for each, and ``result``, the file for the answers.
"""

import json
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, Timer, with_timeout

from sim.bench.accelerator import read_job

START_NS = 1000  # more than any board resets itself


@cocotb.test()
async def exchange(dut):
    job = read_job()
    clock, rx, tx = (getattr(dut, job["pins"][name]) for name in ("clock", "rx", "tx"))
    rx.value = 1
    cocotb.start_soon(Clock(clock, job["period_ns"], "ns").start())
    await Timer(START_NS, "ns")
    # An input that stops half way must not shift the bytes of the next one.
    await send(rx, bytes.fromhex(job["abandoned"]), job["bit_ns"])
    await Timer(START_NS + job["pause_ns"], "ns")
    answers = []
    for text in job["inputs"]:
        answer = cocotb.start_soon(take(tx, job["answer_bytes"], job["bit_ns"]))
        await send(rx, bytes.fromhex(text), job["bit_ns"])
        answers.append((await with_timeout(answer, job["limit_ns"], "ns")).hex())
    Path(job["result"]).write_text(json.dumps(answers))


async def send(rx, data: bytes, bit_ns: int) -> None:
    """Bytes without a pause."""
    for byte in data:
        for bit in (0, *(byte >> n & 1 for n in range(8)), 1):
            rx.value = bit
            await Timer(bit_ns, "ns")


async def take(tx, count: int, bit_ns: int) -> bytes:
    """The next ``count`` bytes."""
    data = []
    for _ in range(count):
        await FallingEdge(tx)
        # The middle of the first data bit, one and a half bits after the start bit's edge.
        await Timer(bit_ns + bit_ns // 2, "ns")
        byte = 0
        for n in range(8):
            byte |= int(tx.value) << n
            await Timer(bit_ns, "ns")
        assert tx.value == 1, "a byte from the board has no stop bit"
        data.append(byte)
    return bytes(data)
