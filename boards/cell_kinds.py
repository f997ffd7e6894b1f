"""The cells of a chip by the names that its maker gives them, and how many of each are taken."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

# Exact, as a sum of halves that is a whole number must be told as one.
HALF, EIGHTH = Fraction(1, 2), Fraction(1, 8)


@dataclass(frozen=True)
class CellKind:
    """One kind of cell of a chip.

    Members
    -------
    name : as the maker's tools and data sheets write it
    parts : keys of counts, to how many of this kind one of those is
    chip : the same of the counts that a chip has; none where that is not known
    estimated : whether the tool that counts estimates these
    part : the least of one that can be used by itself
    """

    name: str
    parts: Mapping[str, Fraction | int]
    chip: Mapping[str, Fraction | int] = field(default_factory=dict)
    estimated: bool = False
    part: Fraction | int = 1


@dataclass(frozen=True)
class CellUse:
    """Cells of one kind: used, and where it is known available, and the share, 0 to 1."""

    name: str
    used: float
    available: float | None
    estimated: bool

    @property
    def share(self) -> float | None:
        """The share of the chip's; None where it is not known, or none are there."""
        # A chip without cells of a kind, such as UltraRAM, has no share of them to take.
        return self.used / self.available if self.available else None

    @property
    def texts(self) -> tuple[str, str, str]:
        """Used, available and share for people; empty where it is not known."""
        # Columns of a table stay as they are where a number is missing.
        available = "" if self.available is None else f"{self.available:,g}"
        share = "" if self.share is None else f"{self.share:.1%}"
        return f"{self.used:,.10g}", available, share


def cell_uses(
    kinds: Sequence[CellKind], used: Mapping[str, int], available: Mapping[str, int]
) -> Iterator[CellUse]:
    """The uses of all ``kinds`` that were counted, and then of whatever else was.

    Parameters
    ----------
    used, available : counts by their keys, of the design and of the chip
    """
    # In the order of the maker's own tables.
    for kind in kinds:
        # A tool that does not count a kind says nothing of it: no 0 is made of that.
        if kind.parts.keys() & used.keys():
            yield CellUse(
                kind.name,
                _sum(kind.parts, used, kind.part),
                _sum(kind.chip, available),
                kind.estimated,
            )
    # Whatever a newer tool counts is shown by the tool's name rather than lost.
    known = {key for kind in kinds for key in kind.parts}
    for key in sorted(used.keys() - known):
        yield CellUse(key, used[key], available.get(key), False)


def _sum(weights, counts, part=1):
    found = [counts[key] * weight for key, weight in weights.items() if key in counts]
    if not found:
        return None
    # What is partly used is used up.
    total = math.ceil(sum(found) / part) * part
    # Plain numbers go to JSON, which has no fractions.
    return float(total) if total % 1 else int(total)
