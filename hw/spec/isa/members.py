"""Fields of an instruction as members of a dataclass: each says its bits where it is declared."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from hw.spec.isa.fields import Field

KEY = "bits"


@dataclass(frozen=True)
class Member:
    """How a member lies in a word: ``count`` fields of ``bits`` bits, or one where that is None."""

    bits: int
    signed: bool
    kind: type
    count: int | None

    def fields(self, name: str) -> tuple[Field, ...]:
        """The fields that hold the member ``name``; those of a tuple are numbered."""
        if self.count is None:
            return (Field(name, self.bits, self.signed),)
        return tuple(Field(f"{name}_{n}", self.bits, self.signed) for n in range(self.count))


def number(bits: int, *, signed: bool = False, kind: type = int, default: int = 0) -> Any:
    """A member of ``bits`` bits; ``kind`` is an integer, an enumeration or a bool."""
    member = Member(bits, signed, kind, None)
    return dataclasses.field(default=kind(default), metadata={KEY: member})


def numbers(bits: int, count: int, *, signed: bool = False) -> Any:
    """A member that is a tuple of ``count`` integers of ``bits`` bits each."""
    member = Member(bits, signed, int, count)
    return dataclasses.field(default=(0,) * count, metadata={KEY: member})


def members(cls: type) -> dict[str, Member]:
    """The declared members of an instruction's class, in the order of its word."""
    return {f.name: f.metadata[KEY] for f in dataclasses.fields(cls) if KEY in f.metadata}
