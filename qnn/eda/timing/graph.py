"""The longest delays through a graph of pins, all pins of a level at once."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

ROUNDING = 1e-9  # ns by which sums in another order may differ


@dataclass(frozen=True, eq=False)
class PinGraph:
    """Arcs from pin to pin, without loops.

    Members
    -------
    pins : how many
    start, end : (arcs,)
    """

    pins: int
    start: np.ndarray
    end: np.ndarray

    @cached_property
    def level(self) -> np.ndarray:
        """(pins,) the most arcs on any way to each pin.

        Raises
        ------
        ValueError
            The arcs form a loop.
        """
        # Kahn's algorithm, a level at a time: pins whose arcs in are all done come next.
        waiting = np.bincount(self.end, minlength=self.pins)
        order = np.argsort(self.start, kind="stable")
        first = np.searchsorted(self.start[order], np.arange(self.pins + 1))
        ends = self.end[order]
        level = np.zeros(self.pins, int)
        front, depth, done = np.flatnonzero(waiting == 0), 0, 0
        while len(front):
            level[front] = depth
            done += len(front)
            reached = ends[_spans(first[front], first[front + 1])]
            np.subtract.at(waiting, reached, 1)
            front = np.unique(reached)
            front = front[waiting[front] == 0]
            depth += 1
        if done < self.pins:
            raise ValueError(
                "a netlist needs a register in every loop, but its cells form one without"
            )
        return level

    @cached_property
    def _steps(self):
        """For each level above 0: its arcs by end, where each end's begin, and the ends."""
        # Arcs of one end lie side by side, so that one call takes the greatest of each.
        order = np.lexsort((self.end, self.level[self.end]))
        ends = self.end[order]
        bounds = np.searchsorted(self.level[ends], np.arange(1, self.level.max(initial=0) + 2))
        steps = []
        for low, high in pairwise(bounds):
            pins, begin = np.unique(ends[low:high], return_index=True)
            steps.append((order[low:high], begin, pins))
        return steps

    @cached_property
    def reverse(self) -> "PinGraph":
        """The same arcs from their ends to their starts."""
        return PinGraph(self.pins, self.end, self.start)

    def longest(self, delay: np.ndarray, begin: np.ndarray) -> np.ndarray:
        """(pins,) the longest delay to each pin.

        Parameters
        ----------
        delay : (arcs,)
        begin : (pins,) delay with which a path begins at a pin; -inf where none does
        """
        found = begin.astype(float)
        for arcs, first, pins in self._steps:
            way = found[self.start[arcs]] + delay[arcs]
            found[pins] = np.maximum(found[pins], np.maximum.reduceat(way, first))
        return found

    def along(self, found: np.ndarray, delay: np.ndarray, part: np.ndarray) -> np.ndarray:
        """(pins,) what ``part`` of the arcs sums up to on a longest path to each pin.

        Parameters
        ----------
        found : what ``longest`` gave for ``delay``
        part : (arcs,)
        """
        total = np.zeros(self.pins)
        for arcs, first, pins in self._steps:
            way = found[self.start[arcs]] + delay[arcs]
            count = np.diff(np.append(first, len(arcs)))
            # Of arcs that are equally late, the last one counts.
            best = way >= np.repeat(found[pins], count) - ROUNDING
            place = np.maximum.reduceat(np.where(best, np.arange(len(arcs)), -1), first)
            some = (place >= 0) & np.isfinite(found[pins])
            arc = arcs[place[some]]
            total[pins[some]] = total[self.start[arc]] + part[arc]
        return total

    def flow(
        self, found: np.ndarray, delay: np.ndarray, leaving: np.ndarray, near: float
    ) -> np.ndarray:
        """(pins,) what goes through each pin, if what leaves at pins came to them along arcs.

        As much comes to a pin as goes on from it; each of its arcs brings the more of it, the
        later it is: e times as much for each ``near`` by which it is later.

        Parameters
        ----------
        found : what ``longest`` gave for ``delay``
        leaving : (pins,)
        """
        total = leaving.astype(float)
        for arcs, first, pins in reversed(self._steps):
            count = np.diff(np.append(first, len(arcs)))
            way = found[self.start[arcs]] + delay[arcs]
            # A pin that no path reaches passes nothing on.
            reached = np.isfinite(way)
            late = np.where(reached, way, 0) - np.where(reached, np.repeat(found[pins], count), 0)
            share = np.where(reached, np.exp(late / near), 0)
            whole = np.maximum(np.add.reduceat(share, first), 1e-30)
            brought = share * np.repeat(total[pins] / whole, count)
            total += np.bincount(self.start[arcs], weights=brought, minlength=self.pins)
        return total

    def path(self, found: np.ndarray, delay: np.ndarray, pin: int) -> list[int]:
        """The arcs of a longest path to a pin, in order; ``found`` is what ``longest`` gave."""
        order, first = self._into
        arcs = []
        while True:
            into = order[first[pin] : first[pin + 1]]
            if len(into) == 0:
                break
            way = found[self.start[into]] + delay[into]
            # The last of equals, as in ``along``.
            best = len(way) - 1 - int(np.argmax(way[::-1] >= way.max() - ROUNDING))
            # A path that begins here is as long as those that come in at most.
            if not np.isfinite(way[best]) or way[best] < found[pin] - ROUNDING:
                break
            arcs.append(int(into[best]))
            pin = int(self.start[into[best]])
        return arcs[::-1]

    @cached_property
    def _into(self):
        order = np.argsort(self.end, kind="stable")
        return order, np.searchsorted(self.end[order], np.arange(self.pins + 1))


def _spans(first, last):
    """All numbers of the half-open spans, one span after the other."""
    lengths = last - first
    # Beside the count from 0 on, each span is off by where it begins less how many came before.
    jumps = np.repeat(first - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths)
    return jumps + np.arange(lengths.sum())
