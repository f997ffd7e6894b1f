"""Copies between memory and a buffer: runs of words at even distances on both sides."""

from dataclasses import dataclass
from typing import ClassVar

from hw.spec.config import ADDRESS_BITS, SvpeConfig
from hw.spec.isa.buffers import Buffer, Region, Span
from hw.spec.isa.checks import require_inside, require_positive
from hw.spec.isa.header import Header, Op
from hw.spec.isa.members import number


@dataclass(frozen=True, kw_only=True)
class Transfer(Header):
    """LOAD or STORE: ``rows`` runs of ``words`` buffer words. A word takes whole beats in memory.

    Members
    -------
    region, buffer : the two sides; a store's buffer is that of the features
    address : buffer word of the first run
    words : of each run, at least 1
    rows : runs, at least 1
    address_step : buffer words from run to run
    offset : bytes from the region's base to the first run; whole beats
    offset_step : bytes from run to run; whole beats
    """

    OPS: ClassVar[tuple[Op, ...]] = (Op.LOAD, Op.STORE)

    region: Region = number(2, kind=Region)
    buffer: Buffer = number(3, kind=Buffer)
    address: int = number(ADDRESS_BITS)
    words: int = number(ADDRESS_BITS)
    rows: int = number(16, default=1)
    address_step: int = number(ADDRESS_BITS)
    offset: int = number(32)
    offset_step: int = number(32)

    def on_chip(self) -> Span:
        """From the first word of the buffer to past the last; between runs may lie others."""
        last = self.address + (self.rows - 1) * self.address_step
        return Span(self.buffer, self.address, last + self.words)

    def in_memory(self, config: SvpeConfig) -> Span:
        """From the first byte in the region to past the last; between runs may lie others."""
        last = self.offset + (self.rows - 1) * self.offset_step
        stop = last + self.words * self.buffer.word_bytes(config)
        return Span(self.region, self.offset, stop)

    def reads(self, config: SvpeConfig) -> tuple[Span, ...]:
        """What the instruction reads: bytes of a region, or words of the feature buffer."""
        return (self.in_memory(config) if self.op is Op.LOAD else self.on_chip(),)

    def writes(self, config: SvpeConfig) -> tuple[Span, ...]:
        """What the instruction writes: words of a buffer, or bytes of a region."""
        return (self.on_chip() if self.op is Op.LOAD else self.in_memory(config),)

    def run_beats(self, config: SvpeConfig) -> int:
        """Beats of one run."""
        return self.words * self.buffer.word_beats(config)

    def check(self, config: SvpeConfig) -> None:
        """Return if an accelerator of ``config`` executes the instruction as it says.

        Raises
        ------
        ValueError
            A field is wrong for it; the text names the field.
        """
        require_positive(self, ("words", "rows"))
        if self.op is Op.STORE and self.buffer is not Buffer.FEATURES:
            raise ValueError(f"Transfer buffer of a STORE must be FEATURES, not {self.buffer.name}")
        for name in ("offset", "offset_step"):
            value = getattr(self, name)
            if value % config.bus_bytes:
                raise ValueError(
                    f"Transfer {name} must be a multiple of {config.bus_bytes} bytes, which a beat "
                    f"has, not {value}"
                )
        require_inside(self, "address", self.on_chip(), config)
