"""How hard late nets pull: from each driver to the readers by which paths are late.

Ends that are late in round after round weigh ever more, and those that no longer are let go. What
an end weighs hangs on the arcs of its path: an arc before many late ends carries all of them. So a
cell between weighs on both its sides alike, and its ways are straight, not short on the side where
there are more of them (multipliers of a Lagrangian obey the same law: Chen, Chu and Wong, IEEE
TCAD 18, pages 1014 to 1025).
"""

from collections.abc import Callable

import numpy as np

from qnn.eda.timing.analysis import Analysis
from qnn.eda.timing.netlist import Netlist
from qnn.eda.timing.placement import CellPlacement
from qnn.eda.timing.quadratic import Arcs
from qnn.eda.timing.standing import Standing

Timing = Callable[[CellPlacement], Analysis]
LATE = 0.8  # of the longest path: ends of longer ones gain weight
GAIN = 0.5  # of the end of the longest path in a round; a net of two pins weighs 1
KEPT = 0.9  # of its weight from one round to the next
LEAST = 0.01  # weight that is worth a spring


class ArcWeights:
    """The weights of a netlist's arcs from round to round.

    Parameters
    ----------
    netlist, standing : of the clusters that are placed
    timing : the analysis of places
    """

    def __init__(self, netlist: Netlist, standing: Standing, timing: Timing):
        self._standing, self._timing = standing, timing
        drivers = netlist.driver[netlist.pin_net]
        readers = np.flatnonzero(~netlist.pin_out & (drivers >= 0))
        ends = netlist.pin_cell[drivers[readers]], netlist.pin_cell[readers]
        one, other = (standing.owner[cells] for cells in ends)
        apart = (one >= 0) & (other >= 0) & (one != other)
        self._readers = readers[apart]
        shift = standing.offset[ends[0]] - standing.offset[ends[1]]
        self._arcs = Arcs(one[apart], other[apart], shift[apart], np.zeros(apart.sum()))
        self._ends = 0.0

    def update(self, places: np.ndarray) -> Arcs:
        """The arcs that pull, with their weights, once the clusters have come to ``places``."""
        analysis = self._timing(self._standing.at(places))
        need = analysis.need / max(analysis.need.max(initial=0), 1e-9)
        self._ends = KEPT * self._ends + GAIN * np.maximum(need - LATE, 0) / (1 - LATE)
        self._arcs.weight[:] = analysis.share(self._ends)[self._readers]
        return self._arcs.of(self._arcs.weight > LEAST)
