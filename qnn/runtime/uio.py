"""Accelerators behind Linux UIO, with memory of u-dma-buf.

Each accelerator is a UIO device of ``uio_pdrv_genirq``: its registers are mapped, and its interrupt
is enabled by a write and waited for by a read. Memory is one u-dma-buf, cut into regions.

Source: The Userspace I/O HOWTO (docs.kernel.org/driver-api/uio-howto.html), and the README of
u-dma-buf (github.com/ikwzm/udmabuf), "Manual cache management".
"""

import mmap
import os
import select
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from hw.spec.registers import WINDOW_BYTES
from qnn.errors import DeviceError
from qnn.runtime.lock import DeviceLock
from qnn.runtime.pages import Pages

CLASSES = ("u-dma-buf", "udmabuf")  # in /sys/class; the second is the name that it had before
ENABLE = (1).to_bytes(4, "little")
COUNT_BYTES = 4  # of what a read of a UIO device gives
# Slower clocks are rare: what is too low only makes a time-out late.
SLOWEST_HERTZ = 50e6
SLACK_SECONDS = 1.0  # that Linux may be late


class UioTransport:
    """Accelerators ``uio`` with the memory ``memory``.

    Parameters
    ----------
    uio : Sequence[str]
        Names in /dev, one an accelerator.
    memory : str
        Name of a u-dma-buf in /dev.
    hertz : float, optional
        The accelerators' clock; ``SLOWEST_HERTZ`` says how long a run may take if not given.
    root : Path
        Where ``dev`` and ``sys`` are.

    Raises
    ------
    DeviceError
        A device is missing, closed to this user, not of its kind, or in use.
    """

    def __init__(
        self, uio: Sequence[str], memory: str, hertz: float | None = None, root: Path = Path("/")
    ):
        self.name, self.hertz = f"uio:{','.join(uio)}", hertz
        self._memory = UioMemory(self.name, memory, root)
        clock = hertz or SLOWEST_HERTZ
        self.cores = [UioCore(self.name, root / "dev" / device, clock) for device in uio]
        try:
            # The memory, too: other accelerators that share it would get the same regions.
            self._lock = DeviceLock(self.name, [root / "dev" / file for file in (memory, *uio)])
        except DeviceError:
            self._close_cores()
            raise

    def allocate(self, size: int) -> "UioBuffer":
        """See ``Transport``."""
        return UioBuffer(self._memory, self._memory.pages.take(size), size)

    def free(self) -> None:
        """See ``Transport``."""
        self._memory.pages.clear()

    def close(self) -> None:
        """See ``Transport``."""
        self._close_cores()
        self._lock.release()

    def _close_cores(self):
        for core in self.cores:
            core.close()


class UioCore:
    """The registers and interrupt of one UIO device; see ``Core``."""

    def __init__(self, name: str, path: Path, hertz: float):
        self._name, self._path, self._hertz = name, path, hertz
        with _opened(name, path, "its registers", "load uio_pdrv_genirq for it") as file:
            self._registers = map_registers(file)
        self._interrupt = open_interrupt(path)

    def read(self, address: int) -> int:
        """See ``Core``."""
        return int(self._registers[address // 4])

    def write(self, address: int, value: int) -> None:
        """See ``Core``."""
        self._registers[address // 4] = value

    def wait(self, cycles: int) -> bool:
        """See ``Core``. Linux masks the interrupt when it comes, until the next wait."""
        seconds = cycles / self._hertz + SLACK_SECONDS
        try:
            os.write(self._interrupt, ENABLE)
            came = bool(select.select([self._interrupt], [], [], seconds)[0])
            if came:
                os.read(self._interrupt, COUNT_BYTES)
        except OSError as error:
            raise DeviceError(
                f"{self._name}: {self._path} is needed for its interrupt, but got "
                f"'{error.strerror}'; load uio_pdrv_genirq for it, with an interrupt"
            ) from None
        return came

    def close(self) -> None:
        """Close the interrupt."""
        os.close(self._interrupt)


def map_registers(file: int) -> np.ndarray:
    """The 32-bit registers of an open UIO file."""
    return np.frombuffer(mmap.mmap(file, WINDOW_BYTES), "<u4")  # whole words, as the bus needs


def open_interrupt(path: Path) -> int:
    """Open the UIO file of an interrupt: writing it enables the interrupt, reading it waits."""
    return os.open(path, os.O_RDWR)


class UioMemory:
    """One u-dma-buf: its bytes, what the accelerators call the first, and who owns which."""

    def __init__(self, name: str, device: str, root: Path):
        self._name = name
        classes = [root / "sys" / "class" / kind / device for kind in CLASSES]
        self._attributes = next((path for path in classes if path.is_dir()), classes[0])
        self.address, size = self._number("phys_addr"), self._number("size")
        self._coherent = bool(self._number("dma_coherent"))
        path = root / "dev" / device
        with _opened(name, path, "its memory", "load u-dma-buf with that name") as file:
            self.bytes = np.frombuffer(mmap.mmap(file, size), np.uint8)
        self.pages = Pages(name, size, "give u-dma-buf more")

    def sync(self, owner: str, offset: int, size: int) -> None:
        """Give ``size`` bytes to ``owner``, cpu or device: caches are dropped, or written."""
        # Ports that snoop the caches need no copy of them.
        if self._coherent:
            return
        for attribute, value in (
            *(("sync_offset", offset), ("sync_size", size), ("sync_direction", 0)),  # 0: both ways
            (f"sync_for_{owner}", 1),
        ):
            try:
                (self._attributes / attribute).write_text(str(value))
            # Without it the accelerators would compute from what memory held before.
            except OSError as error:
                raise DeviceError(
                    f"{self._name}: {self._attributes / attribute} is needed to hand memory over, "
                    f"but got '{error.strerror}'; run this as a user who may write it"
                ) from None

    def _number(self, attribute):
        path = self._attributes / attribute
        try:
            return int(path.read_text().strip(), 0)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "not a number"
            raise DeviceError(
                f"{self._name}: {path} is needed to find its memory, but got '{why}'; load "
                f"u-dma-buf with that name"
            ) from None


class UioBuffer:
    """A part of a u-dma-buf; see ``Buffer``."""

    def __init__(self, memory: UioMemory, offset: int, size: int):
        self._memory, self._offset = memory, offset
        self._bytes = memory.bytes[offset : offset + size]
        self.address, self.size = memory.address + offset, size

    def write(self, data: np.ndarray) -> None:
        """See ``Buffer``."""
        self._bytes[: len(data)] = data

    def read(self) -> np.ndarray:
        """See ``Buffer``."""
        return self._bytes.copy()

    def flush(self) -> None:
        """See ``Buffer``."""
        self._memory.sync("device", self._offset, self.size)

    def invalidate(self) -> None:
        """See ``Buffer``."""
        self._memory.sync("cpu", self._offset, self.size)


@contextmanager
def _opened(name, path, what, advice):
    """A file's descriptor inside the block; one line where it cannot be opened or mapped."""
    file = None
    try:
        file = os.open(path, os.O_RDWR)
        yield file
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise DeviceError(
            f"{name}: {path} is needed for {what}, but got '{why}'; {advice}"
        ) from None
    finally:
        if file is not None:
            os.close(file)
