"""The type of an activation tensor: integers of some bits with one power-of-two scale."""

from dataclasses import dataclass

from qnn.fields import Exponent


@dataclass(frozen=True)
class QType:
    """Integers ``q`` of ``bits`` bits that stand for ``q * 2**-exponent``."""

    bits: int
    signed: bool
    exponent: Exponent

    def __post_init__(self):
        # One bit has no sign and a scale; 48 are the most that the epilogue's sums can have.
        if not 2 <= self.bits <= 48:
            raise ValueError(f"QType bits must be from 2 to 48, not {self.bits}")

    @property
    def low(self) -> int:
        """The least integer of the type."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """The greatest integer of the type."""
        return (1 << (self.bits - self.signed)) - 1

    @property
    def offset(self) -> int:
        """What storage subtracts, so that the array's operands are signed."""
        return 0 if self.signed else 1 << (self.bits - 1)

    @property
    def scale(self) -> float:
        """The real value of one step."""
        return 2.0**-self.exponent

    def __str__(self) -> str:
        return f"{'s' if self.signed else 'u'}{self.bits}e{-self.exponent:+d}"
