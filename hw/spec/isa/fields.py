"""Bit layouts that software encodes and hardware decodes, each declared once."""

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate


@dataclass(frozen=True)
class Field:
    """``bits`` bits called ``name``; two's complement if ``signed``."""

    name: str
    bits: int
    signed: bool = False

    @property
    def low(self) -> int:
        """The least value that the field can hold."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """The greatest value that the field can hold."""
        return (1 << (self.bits - self.signed)) - 1


@dataclass(frozen=True)
class Layout:
    """Fields packed from bit 0 upwards, without gaps."""

    name: str
    fields: tuple[Field, ...]

    @property
    def bits(self) -> int:
        """The width of all fields together, in bits."""
        return sum(field.bits for field in self.fields)

    def encode(self, **values: int) -> int:
        """The word that holds ``values``; a field that is not given is 0.

        Raises
        ------
        KeyError
            No field has that name.
        ValueError
            A value does not fit its field.
        """
        unknown = values.keys() - self._names
        if unknown:
            raise KeyError(f"{self.name} has no field {', '.join(sorted(unknown))}")
        word = 0
        for name, low, high, mask, offset in self._places:
            value = int(values.get(name, 0))
            if not low <= value <= high:
                raise ValueError(f"{self.name}.{name} must be from {low} to {high}, not {value}")
            word |= (value & mask) << offset
        return word

    @cached_property
    def _names(self):
        return frozenset(field.name for field in self.fields)

    @cached_property
    def _places(self):
        # Once, as a program is thousands of words: name, least and greatest value, mask, first bit.
        offsets = accumulate((field.bits for field in self.fields), initial=0)
        return tuple(
            (field.name, field.low, field.high, (1 << field.bits) - 1, offset)
            for field, offset in zip(self.fields, offsets, strict=False)
        )

    def decode(self, word: int) -> dict[str, int]:
        """Every field's value in ``word``."""
        values = {}
        for field in self.fields:
            value = word & ((1 << field.bits) - 1)
            if field.signed and value >> (field.bits - 1):
                value -= 1 << field.bits
            values[field.name] = value
            word >>= field.bits
        return values
