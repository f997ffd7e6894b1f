"""Where each cell is: its column and row, its lane in a slice, and which of two places there."""

from dataclasses import dataclass

import numpy as np

from qnn.eda.timing.clusters import Cluster
from qnn.eda.timing.slices import Slot


@dataclass(frozen=True, eq=False)
class CellPlacement:
    """Places by cell.

    Members
    -------
    at : (cells, 2) column and row of slices; a block memory's are those of its middle
    lane : (cells,) 0 to 7; -1 of what takes a whole slice or is in none
    second : (cells,) whether it is at O5 of its LUT, or the second flip-flop
    entered : (cells,) whether it is a carry whose chain begins in the slice below
    """

    at: np.ndarray
    lane: np.ndarray
    second: np.ndarray
    entered: np.ndarray

    @staticmethod
    def empty(cells: int) -> "CellPlacement":
        """Nothing is anywhere yet."""
        return CellPlacement(
            np.full((cells, 2), np.nan),
            np.full(cells, -1),
            *(np.zeros(cells, dtype=bool) for _ in range(2)),
        )

    def copy(self) -> "CellPlacement":
        """The same places in arrays of their own."""
        return CellPlacement(*(value.copy() for value in vars(self).values()))

    def restore(self, other: "CellPlacement") -> None:
        """Take the places of another one."""
        for name, value in vars(other).items():
            getattr(self, name)[:] = value

    def put(
        self, cluster: Cluster, place: tuple[int, int], first: int, slots: list[dict[int, Slot]]
    ) -> None:
        """Note the places of a cluster whose lowest slice and lane are given."""
        x, y = place
        for n, (row, some) in enumerate(zip(cluster.rows, slots, strict=True)):
            for number, lane in row.items():
                for cell, second in ((lane.big, False), (lane.small, True)):
                    if cell >= 0:
                        self._note(cell, (x, y + n), number + first, second)
            for cell, slot in some.items():
                self.put_register(cell, (x, y + n), slot)
        if cluster.below:
            self.entered[cluster.cells[0][0]] = True
        for cell, n, number in cluster.cells:
            self._note(cell, (x, y + n), number + first, False)

    def lowest(self, cluster: Cluster) -> tuple[int, int]:
        """The place of the lowest slice of a cluster, as ``put`` took it."""
        for n, row in enumerate(cluster.rows):
            for lane in row.values():
                for cell in (lane.big, lane.small, *lane.registers):
                    if cell >= 0:
                        x, y = self.at[cell]
                        return int(x), int(y) - n
        cell, n, _ = cluster.cells[0]
        return int(self.at[cell, 0]), int(self.at[cell, 1]) - n

    def put_register(self, cell: int, place: tuple[int, int], slot: Slot) -> None:
        """Note the place of a flip-flop."""
        self._note(cell, place, slot.lane, slot.number == 1)

    def put_block(self, cell: int, place: np.ndarray) -> None:
        """Note the place of a block memory or a DSP block."""
        self.at[cell] = place

    def _note(self, cell, place, lane, second):
        self.at[cell], self.lane[cell], self.second[cell] = place, lane, second
