"""The program while it is built: instructions with the memory that each reads and writes."""

from dataclasses import dataclass, replace
from typing import NamedTuple

from hw.spec.isa.buffers import Buffer, Region
from hw.spec.isa.header import Op


class Span(NamedTuple):
    """Words, or bytes of a region, from ``start`` to before ``stop``."""

    memory: Buffer | Region
    start: int
    stop: int


NAMES = ("load", "compute", "store")  # of the engines
ENGINES = {Op.LOAD: "load", Op.STORE: "store", Op.CONV: "compute", Op.MAXPOOL: "compute"}


@dataclass(frozen=True, kw_only=True)
class Instruction:
    """One instruction; what it touches is known to be inside its spans."""

    op: Op
    fields: dict[str, int]
    reads: tuple[Span, ...] = ()
    writes: tuple[Span, ...] = ()

    @property
    def engine(self) -> str | None:
        """The engine that executes it; none for END."""
        return ENGINES.get(self.op)

    def with_fields(self, **values: int) -> "Instruction":
        """The same with some fields set."""
        return replace(self, fields={**self.fields, **values})
