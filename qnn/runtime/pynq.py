"""Accelerators in an overlay of PYNQ, which has the drivers; imported where it is used.

Source: pynq.readthedocs.io, "Overlay", "MMIO", "Allocate" (``device_address``, ``flush``,
``invalidate``), and ``pynq.ps.Clocks``.
"""

import tempfile
import time
from pathlib import Path

import numpy as np

from hw.spec.registers import Register, Status
from qnn.errors import DeviceError
from qnn.runtime.lock import DeviceLock

IP = "qnn_accelerator"  # in the names or types of the overlay's blocks
# A small network runs for some 100 us: the wait for a look must not be as long.
POLL_SECONDS = 20e-6
SLACK_SECONDS = 1.0  # that Linux may be late


class PynqTransport:
    """All accelerators of the overlay in ``bitfile``.

    Parameters
    ----------
    download : bool
        False keeps what the FPGA holds: after a crash, so that what was under way ends first.

    Raises
    ------
    DeviceError
        PYNQ is not here, another driver has the FPGA, the bitstream cannot be loaded, or it has no
        accelerator.
    """

    def __init__(self, bitfile: Path, download: bool = True):
        self.name = f"pynq:{bitfile}"
        try:
            import pynq
            from pynq.ps import Clocks
        except ImportError as error:
            raise DeviceError(
                f"{self.name}: needs the Python package 'pynq', but got '{error}'; run this on a "
                f"board with PYNQ's image, in its environment"
            ) from None
        self._pynq, self._buffers = pynq, []
        # Before the bitstream is loaded, which would end the runs of another driver.
        self._lock = DeviceLock(self.name, [lock_file()])
        try:
            blocks = self._blocks(bitfile, download)
            self.hertz = Clocks.fclk0_mhz * 1e6
            self.cores = [PynqCore(self._mmio(block), self.hertz) for block in blocks]
        except (OSError, RuntimeError) as error:
            self._lock.release()
            raise DeviceError(
                f"{self.name}: needs to read clocks and registers of the board, but got "
                f"'{error}'; run this as root"
            ) from None
        except DeviceError:
            self._lock.release()
            raise

    def _blocks(self, bitfile, download):
        """Load the bitstream; the accelerators in it."""
        try:
            overlay = self._pynq.Overlay(str(bitfile), download=download)
        except (OSError, RuntimeError, ValueError) as error:
            raise DeviceError(
                f"{self.name}: needs a bitstream with its .hwh beside it, but got '{error}'; copy "
                f"both"
            ) from None
        blocks = overlay.ip_dict
        # Sorted, so that core 0 is the same in every process.
        found = sorted(name for name in blocks if IP in name or IP in blocks[name]["type"])
        if not found:
            raise DeviceError(
                f"{self.name}: needs a block '{IP}' in the overlay, but it has "
                f"{', '.join(sorted(blocks)) or 'none'}; build the bitstream of this design"
            )
        return [blocks[name] for name in found]

    def _mmio(self, block):
        return self._pynq.MMIO(block["phys_addr"], block["addr_range"])

    def allocate(self, size: int) -> "PynqBuffer":
        """See ``Transport``."""
        try:
            memory = self._pynq.allocate(shape=(size,), dtype=np.uint8)
        except (MemoryError, RuntimeError, OSError) as error:
            raise DeviceError(
                f"{self.name}: the image needs a region of {size:,} bytes of contiguous memory, "
                f"but got '{error}'; free some, or give Linux a larger cma"
            ) from None
        self._buffers.append(memory)
        return PynqBuffer(memory)

    def free(self) -> None:
        """See ``Transport``."""
        for memory in self._buffers:
            memory.freebuffer()
        self._buffers.clear()

    def close(self) -> None:
        """See ``Transport``."""
        self.free()
        self._lock.release()


def lock_file() -> Path:
    """The file that is locked by who uses the FPGA, of which a board has one."""
    return Path(tempfile.gettempdir()) / "qnn-fpga.lock"


class PynqCore:
    """The registers of one accelerator through PYNQ's MMIO; see ``Core``."""

    def __init__(self, mmio, hertz: float):
        self._mmio, self._hertz = mmio, hertz

    def read(self, address: int) -> int:
        """See ``Core``."""
        return int(self._mmio.read(int(address)))

    def write(self, address: int, value: int) -> None:
        """See ``Core``."""
        self._mmio.write(int(address), int(value))  # PYNQ takes int, and nothing derived from it

    def wait(self, cycles: int) -> bool:
        """See ``Core``. Looks at STATUS: PYNQ's interrupts need an event loop of the caller's."""
        end = time.monotonic() + cycles / self._hertz + SLACK_SECONDS
        while not self.read(Register.STATUS) & Status.INTERRUPT:
            if time.monotonic() > end:
                return False
            time.sleep(POLL_SECONDS)
        return True


class PynqBuffer:
    """Memory that PYNQ has allocated; see ``Buffer``."""

    def __init__(self, memory):
        self._memory = memory
        self.address, self.size = int(memory.device_address), memory.nbytes

    def write(self, data: np.ndarray) -> None:
        """See ``Buffer``."""
        self._memory[: len(data)] = data

    def read(self) -> np.ndarray:
        """See ``Buffer``."""
        # A copy, and a plain array: PYNQ's own would be freed with the buffer.
        return np.array(self._memory, subok=False)

    def flush(self) -> None:
        """See ``Buffer``."""
        self._memory.flush()

    def invalidate(self) -> None:
        """See ``Buffer``."""
        self._memory.invalidate()
