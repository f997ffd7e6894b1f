"""Accelerators that are software, behind registers and a memory with caches, for the driver.

A board computes what the functional simulator does, on the bytes that the device would see. Host
and device see each other's bytes only after ``flush`` and ``invalidate``, and every page that the
device was not given holds ``GARBAGE``. What the host wrote and did not flush comes out of the cache
at the worst time: after a run.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from hw.spec.image import Image
from hw.spec.registers import MAGIC, RUN_OFFSET, Control, Register, Status
from qnn.runtime.pages import Pages
from sim.functional import FunctionalDevice

BASE, GARBAGE, CYCLES = 0x7_0000_0000, 0xA5, 1234
_BASES = (Register.IMAGE_BASE, Register.INPUT_BASE, Register.OUTPUT_BASE, Register.SCRATCH_BASE)
_HIGH_WORD_MASK = 0xFF  # addresses have 40 bits
# What a host may write as it likes, with the bits that hardware keeps.
_KEPT = {Register.PROGRAM_BYTES: 0xFFFF_FFFF}
_KEPT |= {int(base): 0xFFFF_FFFF for base in _BASES}
_KEPT |= {base + 4: _HIGH_WORD_MASK for base in _BASES}
_CLEARED = (Register.ERROR, Register.ERROR_ADDRESS, Register.ERROR_ADDRESS + 4, Register.CYCLES)


class Garbage(Exception):
    """A run read what is no image, or lies outside memory: on a board anything may follow."""


def compute(
    images: Iterable[Image], registers: dict[int, int], memory: np.ndarray, base: int
) -> None:
    """One run: the one of ``images`` that ``registers`` name, from ``memory`` to ``memory``."""
    places = [registers.get(r, 0) + (registers.get(r + 4, 0) << 32) - base for r in _BASES]
    code, data, output, _ = places
    if not all(0 <= place < len(memory) for place in places):
        raise Garbage("a region does not lie in memory")
    found = [
        image
        for image in images
        if memory[code:][: len(image.payload)].tobytes() == image.payload
        and registers.get(Register.PROGRAM_BYTES) == image.program_bytes
    ]
    if not found:
        raise Garbage("the image is not in memory")
    image = found[0]
    result = FunctionalDevice().run(image, memory[data:][None, : image.input_bytes])
    memory[output:][: image.output_bytes] = result.outputs[0]


@dataclass
class FakeCore:
    """Registers of one accelerator. It ends a run when the host waits for it.

    ``hung``: runs never end; ``stuck``: RESET does not help. ``stale`` interrupts come first.
    ``failure`` is the ERROR of its next run. ``log`` keeps what happened.
    """

    board: "FakeBoard"
    hung: bool = False
    stuck: bool = False
    stale: int = 0
    silent: bool = False  # its interrupt is not wired
    failure: int = 0
    log: list[str] = field(default_factory=list)
    registers: dict[int, int] = field(default_factory=dict)

    @property
    def status(self) -> Status:
        """The bits of STATUS, without the run's number."""
        return Status(self.registers.get(Register.STATUS, 0) & ((1 << RUN_OFFSET) - 1))

    def read(self, address):
        return self.board.identity.get(address, self.registers.get(address, 0))

    def write(self, address, value):
        """As the register map says; a write to what is read-only is ignored."""
        if address in _KEPT:
            self.registers[address] = value & _KEPT[address]
        elif address == Register.STATUS:
            self.registers[address] = self.registers.get(address, 0) & ~int(
                value & Status.INTERRUPT
            )
        elif address == Register.CONTROL:
            self._command(value)

    def _command(self, value):
        number = value >> RUN_OFFSET << RUN_OFFSET
        if value & Control.RESET:
            self.log.append("reset")
            self._begin(number | (Status.BUSY if self.stuck and Status.BUSY in self.status else 0))
        elif value & Control.START and Status.BUSY not in self.status:
            self.log.append("start")
            self._begin(number | Status.BUSY)

    def _begin(self, status):
        self.registers |= dict.fromkeys(_CLEARED, 0)
        self.registers[Register.STATUS] = int(status)

    def wait(self, cycles):
        self.board.waits.append(cycles)
        if self.stale:
            self.stale -= 1
            return True
        if self.hung:
            return False
        if Status.BUSY in self.status:
            self.finish()
        return not self.silent and Status.INTERRUPT in self.status

    def finish(self):
        self.log.append("done")
        status = Status.DONE | Status.INTERRUPT
        if self.failure:
            status |= Status.FAILED
            self.registers[Register.ERROR], self.failure = self.failure, 0
            self.registers[Register.ERROR_ADDRESS] = 0x1000
        else:
            compute(self.board.images, self.registers, self.board.device_memory, BASE)
            for buffer in self.board.buffers:
                buffer.evict()
        number = self.registers[Register.STATUS] >> RUN_OFFSET << RUN_OFFSET
        self.registers[Register.STATUS] = int(number | status)
        self.registers[Register.CYCLES] = CYCLES


class FakeBuffer:
    """A region with a cache: ``host`` is what the processor sees."""

    def __init__(self, board, offset, size):
        self._device = board.device_memory[offset:][:size]
        self.address, self.size = BASE + offset, size
        self.host = np.zeros(size, np.uint8)  # the kernel clears pages through the cache
        self._dirty = True

    def write(self, data):
        self.host[: len(data)] = data
        self._dirty = True

    def read(self):
        return self.host.copy()

    def flush(self):
        self._device[:] = self.host
        self._dirty = False

    def invalidate(self):
        self.host[:] = self._device
        self._dirty = False

    def evict(self):
        if self._dirty:
            self.flush()


class FakeBoard:
    """A ``Transport`` to accelerators of the configuration of ``images``, which it can compute."""

    name, hertz = "board", 100e6

    def __init__(self, *images: Image, cores: int = 1, memory_bytes: int = 1 << 20):
        self.images, self.waits = images, []
        fingerprint = images[0].config.fingerprint
        self.identity = {Register.MAGIC: MAGIC, Register.FINGERPRINT: fingerprint & 0xFFFFFFFF}
        self.identity[Register.FINGERPRINT + 4] = fingerprint >> 32
        self.device_memory = np.full(memory_bytes, GARBAGE, np.uint8)
        self.cores = [FakeCore(self) for _ in range(cores)]
        self._pages = Pages(self.name, memory_bytes, "give it more")
        self.closed, self.buffers = False, []

    def allocate(self, size):
        self.buffers.append(FakeBuffer(self, self._pages.take(size), size))
        return self.buffers[-1]

    def free(self):
        self._pages.clear()
        self.buffers.clear()

    def close(self):
        self.closed = True
