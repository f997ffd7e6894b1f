"""Accelerators that are software, behind registers and a memory with caches, for the driver.

A board computes what the functional simulator does, on the bytes that the device would see. Host
and device see each other's bytes only after ``flush`` and ``invalidate``, and every page that the
device was not given holds ``GARBAGE``. What the host wrote and did not flush comes out of the cache
at the worst time: after a run.
"""

from dataclasses import dataclass, field

import numpy as np

from hw.spec.image import Image
from hw.spec.registers import MAGIC, Control, Register, Status
from qnn.runtime.pages import Pages
from sim.functional import FunctionalDevice

BASE, GARBAGE, CYCLES = 0x7_0000_0000, 0xA5, 1234
_BASES = (Register.IMAGE_BASE, Register.INPUT_BASE, Register.OUTPUT_BASE, Register.SCRATCH_BASE)


def compute(image: Image, registers: dict[int, int], memory: np.ndarray, base: int) -> None:
    """One run: the image that ``registers`` name, from ``memory`` to ``memory``."""
    places = [registers[r] + (registers[r + 4] << 32) - base for r in _BASES]
    code, data, output, _ = places
    payload = memory[code:][: len(image.payload)].tobytes()
    assert payload == image.payload, "the image is not in memory"
    assert registers[Register.PROGRAM_BYTES] == image.program_bytes
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

    def read(self, address):
        image = self.board.image
        fixed = {Register.MAGIC: MAGIC, Register.FINGERPRINT: image.config.fingerprint & 0xFFFFFFFF}
        fixed[Register.FINGERPRINT + 4] = image.config.fingerprint >> 32
        fixed |= self.board.identity
        return fixed.get(address, self.registers.get(address, 0))

    def write(self, address, value):
        if address == Register.STATUS:  # as the register map says: 1s clear INTERRUPT, no more
            value = self.registers.get(address, 0) & ~(value & Status.INTERRUPT)
        self.registers[address] = value
        if address == Register.CONTROL and value & Control.RESET:
            self.log.append("reset")
            if not self.stuck:
                self.registers[Register.STATUS] = 0
        elif address == Register.CONTROL:
            assert not self.registers.get(Register.STATUS, 0) & Status.BUSY
            self.log.append("start")
            self.registers[Register.STATUS] = int(Status.BUSY)

    def wait(self, cycles):
        self.board.waits.append(cycles)
        if self.stale:
            self.stale -= 1
            return True
        if self.hung:
            return False
        self.finish()
        return not self.silent

    def finish(self):
        self.log.append("done")
        status = Status.DONE | Status.INTERRUPT
        if self.failure:
            status |= Status.FAILED
            self.registers[Register.ERROR], self.failure = self.failure, 0
            self.registers[Register.ERROR_ADDRESS] = 0x1000
        else:
            compute(self.board.image, self.registers, self.board.device_memory, BASE)
            for buffer in self.board.buffers:
                buffer.evict()
        self.registers[Register.STATUS] = int(status)
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
    """A ``Transport``."""

    name, hertz = "board", 100e6

    def __init__(self, image: Image, cores: int = 1, memory_bytes: int = 1 << 20):
        self.image, self.identity, self.waits = image, {}, []
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
