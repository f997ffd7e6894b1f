"""Block memories and DSP blocks on their columns, each at the nearest free site."""

import numpy as np
from scipy.optimize import linear_sum_assignment

from qnn.eda.timing.clusters import Cluster
from qnn.eda.timing.grid import Grid, inside
from qnn.eda.timing.placement import CellPlacement


class ColumnSites:
    """The sites of a region that are not slices.

    Parameters
    ----------
    grid, bounds : the device, and the rectangle of it that the design has
    clusters : all of the design

    Members
    -------
    sites : (sites, 2) places by kind, ``block`` and ``dsp``
    """

    def __init__(self, grid: Grid, bounds: tuple[int, int, int, int], clusters: list[Cluster]):
        self._clusters = clusters
        self.sites = {}
        for kind in ("block", "dsp"):
            sites = grid.sites(kind)
            self.sites[kind] = sites[inside(sites, bounds)]
        self._numbers = {
            kind: np.array([n for n, cluster in enumerate(clusters) if cluster.site == kind], int)
            for kind in ("block", "half", "dsp", "port")
        }

    def snap(self, target: np.ndarray) -> np.ndarray:
        """The places, with those of block memories and DSP blocks on sites."""
        target = target.copy()
        taken = self._assign(target, "block", self.sites["block"])
        # Two halves share a site: all sites that are left, twice.
        left = np.delete(self.sites["block"], taken, axis=0)
        self._assign(target, "half", np.repeat(left, 2, axis=0))
        self._assign(target, "dsp", self.sites["dsp"])
        return target

    def put(self, places: np.ndarray, placement: CellPlacement) -> None:
        """Note the places of all that is in no slice."""
        for numbers in self._numbers.values():
            for n in numbers:
                for cell, _, _ in self._clusters[n].cells:
                    placement.put_block(cell, places[n])

    def _assign(self, target, kind, sites):
        numbers = self._numbers[kind]
        if len(numbers) == 0:
            return np.zeros(0, int)
        cost = np.abs(target[numbers][:, None] - sites[None]).sum(2)
        rows, columns = linear_sum_assignment(cost)
        target[numbers[rows]] = sites[columns]
        return columns
