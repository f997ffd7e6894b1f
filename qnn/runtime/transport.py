"""How a driver reaches accelerators: registers, interrupts and memory, of a board or simulated."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np


class Core(Protocol):
    """Registers and interrupt of one accelerator."""

    def read(self, address: int) -> int:
        """The 32-bit register at byte ``address``."""

    def write(self, address: int, value: int) -> None:
        """Set the 32-bit register at byte ``address`` to ``value``."""

    def wait(self, cycles: int) -> bool:
        """Whether an interrupt came within so many cycles of the accelerator's clock.

        It may have come earlier: what it means is in the STATUS register.
        """


class Buffer(Protocol):
    """Bytes that host and accelerators share, in one piece from ``address`` on.

    Caches lie between them: what the host wrote is there for the accelerators after ``flush``, and
    what they wrote for the host after ``invalidate``.
    """

    address: int  # as the accelerators count
    size: int

    def write(self, data: np.ndarray) -> None:
        """Copy uint8 ``data`` to the start of the buffer."""

    def read(self) -> np.ndarray:
        """All bytes, as uint8 that later transfers do not change."""

    def flush(self) -> None:
        """Hand what the host wrote to the accelerators."""

    def invalidate(self) -> None:
        """Forget what the host has in its caches."""


class Transport(Protocol):
    """Accelerators of one configuration with one memory.

    Members
    -------
    name : for errors
    cores : the accelerators
    hertz : of their clock; None where nobody knows it
    """

    name: str
    cores: Sequence[Core]
    # None rather than a guess: rates in seconds are then left out.
    hertz: float | None

    def allocate(self, size: int) -> Buffer:
        """Memory for ``size`` bytes, from the start of a page on (``hw.spec.axi``).

        Raises
        ------
        DeviceError
            There is not so much.
        """

    # All at once, as an image's regions live and end together.
    def free(self) -> None:
        """Give back all that was allocated."""

    def close(self) -> None:
        """Let go of the device."""
