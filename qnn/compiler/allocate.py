"""Addresses on chip for buffers that live at different times."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

Span = tuple[int, int]  # first and last step, both included


@dataclass(frozen=True)
class BufferRequest:
    """``words`` during ``lives``: a span of steps, or two where a life reaches the next image."""

    name: Hashable
    words: int
    lives: tuple[Span, ...]

    @property
    def first(self) -> int:
        """The step in which the life begins."""
        return self.lives[0][0]

    @property
    def steps(self) -> int:
        """How many steps the life has."""
        return sum(last - first + 1 for first, last in self.lives)

    def meets(self, other: "BufferRequest") -> bool:
        """Whether both live in some step."""
        return any(
            first <= stop and start <= last
            for first, last in self.lives
            for start, stop in other.lives
        )


def allocate(requests: list[BufferRequest], capacity: int) -> dict[Hashable, int] | None:
    """First addresses, or None where these orders find none: largest first, then oldest first."""
    orders = (
        # Large buffers first leave small gaps that small ones fill; in order of time, buffers reuse
        # what just became free; by area, long lives of large buffers come first. Names make each
        # order total.
        lambda r: (-r.words, r.first, r.name),
        lambda r: (r.first, -r.words, r.name),
        lambda r: (-r.words * r.steps, r.first, r.name),
    )
    for order in orders:
        addresses = _fit(sorted(requests, key=order), capacity)
        if addresses is not None:
            return addresses
    return None


def best_gap(
    request: BufferRequest, placed: Iterable[tuple[BufferRequest, int]], capacity: int
) -> int | None:
    """The first word of the smallest gap among the requests that live with this one."""
    busy = sorted(
        (address, address + other.words) for other, address in placed if request.meets(other)
    )
    best, end = None, 0
    # The end of memory as one more neighbour, so that the last gap is a gap like others.
    for start, stop in [*busy, (capacity, capacity)]:
        room = start - end
        # Strictly smaller: of equal gaps the lowest wins, which keeps the top free for large ones.
        if room >= request.words and (best is None or room < best[0]):
            best = (room, end)
        # Neighbours in address need not live together, and so may overlap.
        end = max(end, stop)
    return None if best is None else best[1]


def _fit(requests, capacity):
    placed: list[tuple[BufferRequest, int]] = []
    for request in requests:
        address = best_gap(request, placed, capacity)
        if address is None:
            return None
        placed.append((request, address))
    return {request.name: address for request, address in placed}
