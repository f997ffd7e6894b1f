"""Where cells stand in their cluster, so that places of clusters are places of cells."""

import numpy as np

from qnn.eda.timing.clusters import Cluster
from qnn.eda.timing.netlist import Netlist
from qnn.eda.timing.placement import CellPlacement
from qnn.eda.timing.slices import Slot


class Standing:
    """Cells relative to the middle of their cluster.

    What a cluster joins without wires (a LUT and its register, carries one above the other) is
    joined wherever the cluster is, so that paths are timed as they will be.

    Parameters
    ----------
    netlist, clusters : each cell is in one cluster at most

    Members
    -------
    owner : (cells,) the cluster of each cell, or -1
    offset : (cells, 2) of a cell from its cluster's place
    """

    def __init__(self, netlist: Netlist, clusters: list[Cluster]):
        self.owner = np.full(netlist.cells, -1)
        self._own = CellPlacement.empty(netlist.cells)
        for number, cluster in enumerate(clusters):
            members = cluster.members()
            self.owner[members] = number
            if cluster.site == "slice" and not cluster.loose:
                self._own.put(cluster, (0, 0), 0, [_slots(row) for row in cluster.rows])
                self._own.at[members, 1] -= (len(cluster.rows) - 1) / 2
            else:
                self._own.at[members] = 0
        self.offset = np.nan_to_num(self._own.at)

    def owners(self, cells: np.ndarray) -> np.ndarray:
        """The clusters that some cells are in."""
        found = np.unique(self.owner[cells])
        return found[found >= 0]

    def at(self, places: np.ndarray) -> CellPlacement:
        """The placement of all cells whose clusters are at ``places``, shape (clusters, 2)."""
        found = self._own.copy()
        found.at[:] += places[self.owner]
        return found


def _slots(row):
    return {
        cell: Slot(number, n)
        for number, lane in row.items()
        for n, cell in enumerate(lane.registers)
    }
