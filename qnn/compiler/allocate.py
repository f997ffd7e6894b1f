"""Addresses on chip for buffers that live at different times."""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter

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

    @cached_property
    def steps(self) -> tuple[int, ...]:
        """Every step of the life."""
        return tuple(step for first, last in self.lives for step in range(first, last + 1))

    def meets(self, other: "BufferRequest") -> bool:
        """Whether both live in some step."""
        return any(
            first <= stop and start <= last
            for first, last in self.lives
            for start, stop in other.lives
        )


class Placement:
    """Requests that have an address, by the steps in which they live."""

    def __init__(self):
        # By step: lives are short beside a network, so that few requests meet any one.
        self._at: defaultdict[int, dict[Hashable, Span]] = defaultdict(dict)
        self._words: defaultdict[int, int] = defaultdict(int)

    def put(self, request: BufferRequest, address: int) -> None:
        """Note a request's address."""
        span = (address, address + request.words)
        for step in request.steps:
            self._at[step][request.name] = span
            self._words[step] += request.words

    def remove(self, request: BufferRequest) -> None:
        """Forget a request that was put."""
        for step in request.steps:
            del self._at[step][request.name]
            self._words[step] -= request.words

    def leaves(self, request: BufferRequest, capacity: int) -> bool:
        """Whether in every step of a life so many words are free, wherever they lie."""
        return all(self._words[step] + request.words <= capacity for step in request.steps)

    def busy(self, request: BufferRequest) -> list[Span]:
        """First and past the last word of all that lives with a request, by address."""
        return sorted({span for step in request.steps for span in self._at[step].values()})


# Large buffers first leave small gaps that small ones fill; in order of time, buffers reuse what
# just became free; by area, long lives of large buffers come first. Names make each order total.
ORDERS = (
    lambda r: (-r.words, r.first, r.name),
    lambda r: (r.first, -r.words, r.name),
    lambda r: (-r.words * len(r.steps), r.first, r.name),
)


class Requests:
    """Requests in every order in which they are given addresses."""

    def __init__(self, requests: Iterable[BufferRequest]):
        requests = tuple(requests)
        # With their keys, as one request after the other is replaced and sorting takes longer than
        # all the rest.
        self._orders = [sorted((key(each), each) for each in requests) for key in ORDERS]

    def with_other(self, old: BufferRequest, new: BufferRequest) -> "Requests":
        """The requests with one replaced by another of the same name."""
        result = Requests(())
        result._orders = [list(order) for order in self._orders]
        for key, order in zip(ORDERS, result._orders, strict=True):
            del order[bisect_left(order, key(old), key=itemgetter(0))]
            insort(order, (key(new), new), key=itemgetter(0))
        return result

    def allocate(self, capacity: int) -> dict[Hashable, int] | None:
        """First addresses by name, or None where none of the orders finds any."""
        for order in self._orders:
            addresses = _fit((request for _, request in order), capacity)
            if addresses is not None:
                return addresses
        return None


def best_gap(request: BufferRequest, placed: Placement, capacity: int) -> int | None:
    """The first word of the smallest gap among the requests that live with this one."""
    best, end = None, 0
    # The end of memory as one more neighbour, so that the last gap is a gap like others.
    for start, stop in [*placed.busy(request), (capacity, capacity)]:
        room = start - end
        # Strictly smaller: of equal gaps the lowest wins, which keeps the top free for large ones.
        if room >= request.words and (best is None or room < best[0]):
            best = (room, end)
        # Neighbours in address need not live together, and so may overlap.
        end = max(end, stop)
    return None if best is None else best[1]


def _fit(requests, capacity):
    placed, addresses = Placement(), {}
    for request in requests:
        address = best_gap(request, placed, capacity)
        if address is None:
            return None
        placed.put(request, address)
        addresses[request.name] = address
    return addresses
