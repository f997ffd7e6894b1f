"""Rows of a tensor, from one to before another, and how a height is cut into strips of them."""

from typing import NamedTuple


# A tuple, so that range(*rows) and slice(*rows) take it as it is.
class Rows(NamedTuple):
    """Rows ``first`` to before ``stop`` of a tensor."""

    first: int
    stop: int

    @property
    def count(self) -> int:
        """The number of rows."""
        return self.stop - self.first

    def union(self, other: "Rows") -> "Rows":
        """The least range that holds both, with what lies between them; none of an empty one."""
        if not self.count or not other.count:
            return self if self.count else other
        return Rows(min(self.first, other.first), max(self.stop, other.stop))


def cut(height: int, size: int) -> tuple[Rows, ...]:
    """Strips of ``size`` rows from the top down; the last may have fewer."""
    return tuple(Rows(first, min(first + size, height)) for first in range(0, height, size))
