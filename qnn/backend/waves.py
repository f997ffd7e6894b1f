"""Waves: all signals of a device's hardware, in a file that wave viewers open."""

from dataclasses import dataclass
from pathlib import Path

FORMATS = ("fst", "vcd")  # endings of the file


@dataclass(frozen=True)
class Waves:
    """Which cycles a device records, and where.

    Members
    -------
    file : its ending, one of ``FORMATS``, is the format
    first, last : cycles, as those of a trace; recording ends the run
    why : what is to be seen there
    """

    file: Path
    first: int
    last: int
    why: str

    @property
    def format(self) -> str:
        """One of ``FORMATS``."""
        return self.file.suffix.removeprefix(".")

    def __str__(self) -> str:
        return f"{self.file}: cycles {self.first:,} to {self.last:,}, {self.why}"
