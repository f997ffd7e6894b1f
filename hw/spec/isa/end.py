"""The last instruction of every program: the run is over when every engine is idle."""

from dataclasses import dataclass
from typing import ClassVar

from hw.spec.config import SvpeConfig
from hw.spec.isa.buffers import Span
from hw.spec.isa.header import Header, Op


@dataclass(frozen=True, kw_only=True)
class End(Header):
    """Stops the fetch. It reads and writes nothing."""

    OPS: ClassVar[tuple[Op, ...]] = (Op.END,)

    op: Op = Op.END

    def reads(self, config: SvpeConfig) -> tuple[Span, ...]:
        """What the instruction reads: nothing."""
        return ()

    def writes(self, config: SvpeConfig) -> tuple[Span, ...]:
        """What the instruction writes: nothing."""
        return ()

    def check(self, config: SvpeConfig) -> None:
        """Return at once: every accelerator executes END."""
