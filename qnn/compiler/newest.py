"""The newest of numbered instructions that touched each word of a memory."""

from bisect import bisect_left, bisect_right

NONE = -1  # no instruction


class Newest:
    """Pieces of a memory, each with the number of the newest instruction that touched it.

    A span that is set hides what lay below it, so that each leaves at most two new pieces, and all
    spans of a program cost about as many steps as it has instructions.
    """

    def __init__(self):
        # Piece n begins at word `_starts[n]` and ends where the next one begins.
        self._starts = [0]
        self._numbers = [NONE]

    @property
    def pieces(self) -> int:
        """How many there are."""
        return len(self._starts)

    def set(self, start: int, stop: int, number: int) -> None:
        """Note that an instruction touched the words ``start`` to before ``stop``."""
        behind = self._numbers[bisect_right(self._starts, stop) - 1]
        first, last = bisect_left(self._starts, start), bisect_left(self._starts, stop)
        ends_here = last < len(self._starts) and self._starts[last] == stop
        self._starts[first:last] = [start] if ends_here else [start, stop]
        self._numbers[first:last] = [number] if ends_here else [number, behind]

    def of(self, start: int, stop: int) -> int:
        """The newest number in the words ``start`` to before ``stop``; -1: none."""
        first, last = bisect_right(self._starts, start) - 1, bisect_left(self._starts, stop)
        return max(self._numbers[first:last])
