"""The type of an activation tensor: integers of some bits with one power-of-two scale."""

from dataclasses import dataclass

from qnn.fields import Exponent


@dataclass(frozen=True)
class QType:
    """Integers ``q`` of ``bits`` bits that stand for ``q * 2**-exponent``.

    Members
    -------
    zero_point : the stored integer of 0, where a signed type has more room on one side of it than
        on the other; an unsigned type stores 0 as the least integer that there is
    """

    bits: int
    signed: bool
    exponent: Exponent
    zero_point: int = 0

    def __post_init__(self):
        # One bit has no sign and a scale; 48 are the most that the epilogue's sums can have.
        if not 2 <= self.bits <= 48:
            raise ValueError(f"QType bits must be from 2 to 48, not {self.bits}")
        half = 1 << (self.bits - 1)
        # With 0 at an end there would be no other sign; unsigned types have it at one already.
        if not (-half < self.zero_point < half if self.signed else self.zero_point == 0):
            raise ValueError(
                f"QType zero_point must be from {1 - half} to {half - 1}, and 0 of an unsigned "
                f"type, not {self.zero_point}"
            )

    @property
    def low(self) -> int:
        """The least integer of the type."""
        return self.offset - (1 << (self.bits - 1))

    @property
    def high(self) -> int:
        """The greatest integer of the type."""
        return self.low + (1 << self.bits) - 1

    @property
    def reach(self) -> int:
        """What no integer of the type exceeds in magnitude: its bits fill ``log2`` of it."""
        return max(-self.low, self.high + 1)

    @property
    def offset(self) -> int:
        """What storage subtracts, so that the array's operands are signed."""
        return -self.zero_point if self.signed else 1 << (self.bits - 1)

    @property
    def scale(self) -> float:
        """The real value of one step."""
        return 2.0**-self.exponent

    def __str__(self) -> str:
        zero = f"z{self.zero_point:+d}" if self.zero_point else ""
        return f"{'s' if self.signed else 'u'}{self.bits}{zero}e{-self.exponent:+d}"
