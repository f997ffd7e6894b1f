"""What pulls at some cells: the other ends of their nets, by how much ends are late by each arc."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qnn.eda.timing.analysis import Analysis
from qnn.eda.timing.grid import COLUMN
from qnn.eda.timing.netlist import CONSTANTS
from qnn.eda.timing.nets import Nets

READERS = 400  # of a net that are looked at
NEAR_NS = 0.1  # by which an end is earlier that weighs an e-th of the worst
LEAST, SHARPNESS = 0.01, 8  # of what no late end hangs on, and the power of how late it is


@dataclass(frozen=True, eq=False)
class Pull:
    """The arcs of nets from and to some cells that keep their places to one another.

    Members
    -------
    at : (arcs, 2) where the first of the cells would stand if the net alone had its way
    weight : (arcs,)
    ns : (arcs,) the longest path along each
    loads : (arcs,) of its net
    leaves : (arcs,) whether it goes out from the cells
    clocked : (arcs,) whether paths end or begin where it meets the cells
    """

    nets: Nets
    at: np.ndarray
    weight: np.ndarray
    ns: np.ndarray
    loads: np.ndarray
    leaves: np.ndarray
    clocked: np.ndarray

    @cached_property
    def middle(self) -> np.ndarray:
        """(2,) where the weighted lengths are least."""
        return np.array([_median(self.at[:, axis], self.weight) for axis in (0, 1)])

    def cost(self, place: Sequence[float]) -> float:
        """The weighted lengths of all arcs, if the first cell stands at a place."""
        return float(self._rows(place) @ self.weight)

    def longest(self, old: Sequence[float], new: Sequence[float]) -> float:
        """ns of the longest path through the cells once they have moved, by what it is now."""
        moved = self.ns + self._way(new) - self._way(old)
        into, out = ~self.clocked & ~self.leaves, ~self.clocked & self.leaves
        if not (into.any() and out.any()):
            return float(moved.max())
        # A path goes in and out again: both change it, and of each the latest counts.
        changes = [moved[side].max() - self.ns[side].max() for side in (into, out)]
        through = self.ns[into | out].max() + sum(changes)
        return float(max(through, moved[self.clocked].max(initial=0)))

    def _rows(self, place):
        return np.abs(self.at - place) @ (COLUMN, 1.0)

    def _way(self, place):
        return self.nets.way(self._rows(place), np.log2(np.maximum(self.loads, 1)))


class Pulls:
    """Finds what pulls, in an analysed placement.

    Members
    -------
    critical : (pins,) how late each pin is, from 0 to 1
    worst_ns : the longest path, by itself
    """

    def __init__(self, analysis: Analysis):
        self._netlist, self._at = analysis.netlist, analysis.placement.at
        self._nets, self._clocked = analysis.nets, analysis.clocked
        late = analysis.lateness()
        self._through, self.critical = late.through, late.critical
        self.worst_ns = float(late.through.max(initial=0))
        weight = analysis.share(np.exp((analysis.need - late.worst_ns) / NEAR_NS))
        # What no late end hangs on pulls a little, so that it does not go anywhere.
        self._weight = weight + LEAST * late.critical**SHARPNESS

    def of(self, members: Sequence[int]) -> Pull | None:
        """What pulls at cells that keep their places to one another; None if nothing does."""
        netlist, at = self._netlist, self._at
        inside = set(members)
        readers, places, nets, own = [], [], [], []
        for member in members:
            for pin in range(netlist.first_pin[member], netlist.first_pin[member + 1]):
                out = netlist.pin_out[pin]
                for other in self._others(pin):
                    there = int(netlist.pin_cell[other])
                    # An arc is its reader's.
                    reader = other if out else pin
                    if self._weight[reader] > 0 and there not in inside:
                        # What pulls at a chain's third slice pulls the first to two below.
                        places.append(at[there] - at[member] + at[members[0]])
                        readers.append(reader)
                        nets.append(netlist.pin_net[pin])
                        own.append(pin)
        if not readers:
            return None
        ends = netlist.pin_out[own], self._clocked[own]
        values = self._weight[readers], self._through[readers], netlist.fan_out[nets], *ends
        return Pull(self._nets, np.array(places), *values)

    def _others(self, pin):
        net = self._netlist.pin_net[pin]
        if net < CONSTANTS:
            return ()
        if not self._netlist.pin_out[pin]:
            driver = self._netlist.driver[net]
            return (driver,) if driver >= 0 else ()
        order, bounds = self._netlist.by_net
        return order[bounds[net] : min(bounds[net + 1], bounds[net] + READERS)]


def _median(values, weight):
    order = np.argsort(values)
    sums = np.cumsum(weight[order])
    return values[order][np.searchsorted(sums, sums[-1] / 2)]
