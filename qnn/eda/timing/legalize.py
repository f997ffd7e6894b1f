"""Legal places near those of the global placement: large clusters first, each to the nearest."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from qnn.eda.timing.clusters import LANES, Cluster
from qnn.eda.timing.grid import COLUMN, Grid
from qnn.eda.timing.placement import CellPlacement
from qnn.eda.timing.slices import Slices
from qnn.errors import ToolError

STEP = 500  # clusters from one report of progress to the next


class Legalizer:
    """Puts clusters into slices.

    Parameters
    ----------
    grid, bounds : the device, and the rectangle of it that the design has
    slices : empty; filled
    placement : where cells go; filled
    """

    def __init__(
        self,
        grid: Grid,
        bounds: tuple[int, int, int, int],
        slices: Slices,
        placement: CellPlacement,
    ):
        self._grid, self._bounds = grid, bounds
        self.slices, self._placement = slices, placement
        low, bottom, high, top = bounds
        self._spiral = _spiral(high - low + 1, top - bottom + 1)

    def put_all(
        self,
        clusters: Sequence[Cluster],
        places: np.ndarray,
        late: np.ndarray,
        progress: Callable,
    ) -> None:
        """Put all clusters of slices as near to their places as there is room.

        Parameters
        ----------
        late : (clusters,) whether one is on a long path: those take the nearest places

        Raises
        ------
        ToolError
            There is no room for one.
        """
        # Columns from the left to the right, so that each finds its neighbours' room as it is.
        order = sorted(
            range(len(clusters)),
            key=lambda n: (not late[n], *self._rank(clusters[n]), places[n, 0], n),
        )
        for done, n in enumerate(order):
            cluster, place = clusters[n], places[n]
            cells = list(cluster.loose)
            put = self.put_loose(cells, place) if cells else self.put(cluster, place)
            if not put:
                raise ToolError(
                    f"placing: a cluster of {max(len(cluster.rows), 1)} slices needs room, but "
                    f"none is left; give the design more of the device by a smaller --fill"
                )
            if done % STEP == 0:
                progress(done, len(order))

    def put(self, cluster: Cluster, place: Sequence[float], most: int | None = None) -> bool:
        """Put a cluster whose middle is to be at a place into one of the nearest slices."""
        for x, y in self._around(place, len(cluster.rows), most):
            if cluster.memory and not self._grid.is_memory(x):
                continue
            held = [self.slices.at((x, y + n)) for n in range(len(cluster.rows))]
            firsts = range(0, LANES, cluster.step) if len(held) == 1 else (0,)
            for first in firsts:
                slots = [
                    self.slices.fit(each, row, first, cluster.chain)
                    for each, row in zip(held, cluster.rows, strict=True)
                ]
                if None not in slots:
                    for each, row, some in zip(held, cluster.rows, slots, strict=True):
                        self.slices.put(each, row, first, some, cluster.chain)
                    self._placement.put(cluster, (x, y), first, slots)
                    return True
        return False

    def put_loose(self, cells: list[int], place: Sequence[float], most: int | None = None) -> bool:
        """Put flip-flops of their own, so many of ``cells`` in each slice as fit; empties these."""
        for spot in self._around(place, 1, most):
            held = self.slices.at(spot)
            while cells:
                slot = self.slices.loose(held, cells[0])
                if slot is None:
                    break
                self.slices.put_loose(held, cells[0], slot)
                self._placement.put_register(cells.pop(0), spot, slot)
            if not cells:
                return True
        return False

    def remove(self, cluster: Cluster) -> tuple[int, int]:
        """Take a cluster out of its slices again; gives the place of the lowest one."""
        x, y = self._placement.lowest(cluster)
        for n, row in enumerate(cluster.rows):
            self.slices.remove(self.slices.at((x, y + n)), row)
        return x, y

    def remove_loose(self, cell: int) -> tuple[int, int]:
        """Take a flip-flop of its own out again; gives its place."""
        x, y = (int(value) for value in self._placement.at[cell])
        self.slices.remove(self.slices.at((x, y)), None, cell)
        return x, y

    def _rank(self, cluster):
        """What goes first: tall chains, then what few slices have room for, then the wide."""
        if cluster.chain:
            return 0, -len(cluster.rows)
        if cluster.memory:
            return 1, -cluster.step
        cells = [cell for row in cluster.rows for lane in row.values() for cell in lane.registers]
        controlled = any(self.slices.is_controlled(cell) for cell in [*cells, *cluster.loose])
        # Flip-flops that others share controls with go where nothing has set controls yet.
        order = 2 if cluster.step > 1 else 3 if controlled else 5 if cluster.loose else 4
        return order, -cluster.step

    def _around(self, place, height, most) -> Iterator[tuple[int, int]]:
        """Lowest slices of columns of ``height`` inside the region, from the nearest on."""
        low, bottom, high, top = self._bounds
        columns, rows = self._grid.processor
        x = min(max(round(place[0]), low), high)
        # A column stands with its middle at the place.
        y = min(max(round(place[1]) - (height - 1) // 2, bottom), top)
        for dx, dy in self._spiral[:most]:
            at, floor = x + dx, y + dy
            inside = low <= at <= high and bottom <= floor <= top - height + 1
            # The processor is to the left and below.
            if inside and (at >= columns or floor >= rows):
                yield at, floor


def _spiral(width, height):
    """All steps in a rectangle, by their length."""
    x, y = np.meshgrid(np.arange(1 - width, width), np.arange(1 - height, height))
    steps = np.stack([x.ravel(), y.ravel()], axis=1)
    order = np.argsort(np.abs(steps) @ (COLUMN, 1.0), kind="stable")
    return [tuple(step) for step in steps[order].tolist()]
