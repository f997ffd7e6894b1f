"""Addresses on chip for tensors that live at different times."""

from collections.abc import Hashable
from dataclasses import dataclass


@dataclass(frozen=True)
class Request:
    """``words`` from step ``first`` to step ``last``, both included."""

    name: Hashable
    words: int
    first: int
    last: int


def allocate(requests: list[Request], capacity: int) -> dict[Hashable, int] | None:
    """First addresses, or None where these orders find none: largest first, then oldest first."""
    orders = (
        lambda r: (-r.words, r.first, r.name),
        lambda r: (r.first, -r.words, r.name),
        lambda r: (-r.words * (r.last - r.first + 1), r.first, r.name),
    )
    for order in orders:
        addresses = _fit(sorted(requests, key=order), capacity)
        if addresses is not None:
            return addresses
    return None


def _fit(requests, capacity):
    placed: list[tuple[Request, int]] = []
    for request in requests:
        address = _best_gap(request, placed, capacity)
        if address is None:
            return None
        placed.append((request, address))
    return {request.name: address for request, address in placed}


def _best_gap(request, placed, capacity):
    """The smallest gap that holds the request among those that live with it."""
    busy = sorted(
        (address, address + other.words)
        for other, address in placed
        if other.first <= request.last and request.first <= other.last
    )
    best, end = None, 0
    for start, stop in [*busy, (capacity, capacity)]:
        room = start - end
        if room >= request.words and (best is None or room < best[0]):
            best = (room, end)
        end = max(end, stop)
    return None if best is None else best[1]
