"""Whole pages of one piece of memory, handed out one after the other.

Regions start at pages, so that bursts that end at multiples of their size cross none.
"""

from hw.spec.axi import PAGE_BYTES
from qnn.errors import DeviceError


class Pages:
    """Offsets in ``size`` bytes.

    Parameters
    ----------
    name, advice : str
        Whose memory it is, and what to do where it is too small; for the error.
    size : int
    """

    def __init__(self, name: str, size: int, advice: str):
        self._name, self._size, self._advice = name, size, advice
        self._used = 0

    def take(self, size: int) -> int:
        """Where the next ``size`` bytes lie.

        Raises
        ------
        DeviceError
            There are not so many left.
        """
        start = self._used
        if start + size > self._size:
            raise DeviceError(
                f"{self._name}: the image needs a region of {size:,} bytes, but of {self._size:,} "
                f"bytes of memory only {self._size - start:,} are left; {self._advice}"
            )
        self._used = min(self._size, -(-(start + size) // PAGE_BYTES) * PAGE_BYTES)
        return start

    def clear(self) -> None:
        """Free all pages."""
        self._used = 0
