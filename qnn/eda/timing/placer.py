"""A netlist in, a place for each cell out: packing, global placement, legal places, moves.

Registers behind ports stand wherever their nets want them, and take no room. The result is
deterministic for a seed. The region is a rectangle of the device as large as the design needs at a
given fill, so that a core is as dense as it would be among others.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from qnn.eda.timing.clusters import FLIP_FLOPS, LANES
from qnn.eda.timing.grid import Grid, inside
from qnn.eda.timing.legalize import Legalizer
from qnn.eda.timing.links import Links
from qnn.eda.timing.netlist import CONSTANTS, Netlist
from qnn.eda.timing.pack import Packing
from qnn.eda.timing.placement import CellPlacement
from qnn.eda.timing.quadratic import LARGEST, Springs, place
from qnn.eda.timing.refine import Refiner
from qnn.eda.timing.slices import Slices

ROUNDS = 24  # of the global placement; lengths fall by less than 1 % in later ones
FILL = 0.75  # share of a region's slices: what a device is filled to
CLOCKED_WEIGHT = 10.0  # how much harder the most critical net pulls than one with time left
SHARPNESS = 4  # power of a net's criticality in its weight
PARTS = 4  # of progress: global placement is the first half, then legal places, then moves
Criticality = Callable[[CellPlacement], tuple[np.ndarray, float]]


@dataclass(frozen=True, eq=False)
class Placed:
    """A placement, with what it stands in.

    Members
    -------
    bounds : first column and row, last ones
    packing : which lanes only pass a net on, and what a slice could not give
    slices : what the clusters need by area
    """

    placement: CellPlacement
    bounds: tuple[int, int, int, int]
    packing: Packing
    slices: float


def place_netlist(
    netlist: Netlist,
    *,
    criticality: Criticality | None = None,
    fill: float = FILL,
    seed: int = 0,
    rounds: int = ROUNDS,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Placed:
    """Place a netlist in the lower right part of the device.

    Parameters
    ----------
    criticality : from places, (pins,) of each pin 0 to 1, and the longest path in ns; without it
        nets are as short as possible, whatever is on them
    fill : share of the region's slices that the design takes

    Raises
    ------
    ToolError
        The device is too small.
    """
    links, grid = Links(netlist), Grid.load()
    packing = Packing(links)
    clusters = packing.clusters
    area = np.array([_area(cluster) for cluster in clusters])
    count = {
        site: sum(cluster.site == site for cluster in clusters) for site in ("block", "half", "dsp")
    }
    blocks = count["block"] + -(-count["half"] // 2)
    # What is scarcer decides: mostly LUTs, of which a slice has half as many as flip-flops.
    slices = float(area.sum(0).max())
    bounds = grid.region(slices / fill, blocks, count["dsp"])
    placement = CellPlacement.empty(netlist.cells)
    springs, owner = _springs(netlist, clusters)
    columns = _Columns(grid, bounds, clusters)

    def weigh(at):
        weight = np.ones(netlist.nets)
        if criticality is not None:
            now = CellPlacement.empty(netlist.cells)
            now.at[:] = np.where((owner >= 0)[:, None], at[owner], np.nan)
            critical = np.zeros(netlist.nets)
            np.maximum.at(critical, netlist.pin_net, criticality(now)[0])
            # A net is as critical as the worst of its pins.
            weight += CLOCKED_WEIGHT * critical**SHARPNESS
        return weight

    places = place(
        springs,
        area,
        bounds,
        weigh=weigh,
        snap=columns.snap,
        rounds=rounds,
        generator=np.random.default_rng(seed),
        progress=_part(progress, 0, 2),
    )
    columns.put(places, placement)
    enable, reset = links.control
    # Block memories stand already: columns have few sites, and all else gives way.
    legal = Legalizer(grid, bounds, Slices(enable, reset), placement)
    in_slices = [n for n, cluster in enumerate(clusters) if cluster.site == "slice"]
    legal.put_all(
        [clusters[n] for n in in_slices],
        places[in_slices],
        _part(progress, 2, 1),
    )
    if criticality is not None:
        refiner = Refiner(netlist, clusters, owner, legal, placement)
        refiner.run(criticality, np.random.default_rng(seed), _part(progress, 3, 1))
    return Placed(placement, bounds, packing, slices)


def _part(progress, first, count):
    """Progress of a part as that of the whole."""
    return lambda done, total: progress(round(100 * (first + count * done / total)), 100 * PARTS)


def _area(cluster):
    """Slices that a cluster takes by its LUTs, and by its flip-flops."""
    if cluster.site != "slice":
        return 0.0, 0.0
    lanes = [lane for row in cluster.rows for lane in row.values()]
    luts = sum(lane.uses_lut for lane in lanes)
    registers = len(cluster.loose) + sum(len(lane.registers) for lane in lanes)
    return luts / LANES, registers / (LANES * FLIP_FLOPS)


def _springs(netlist, clusters):
    """The nets between clusters, and the cluster of each cell."""
    owner, offset = np.full(netlist.cells, -1), np.zeros((netlist.cells, 2))
    for number, cluster in enumerate(clusters):
        middle = (len(cluster.rows) - 1) / 2
        for n, row in enumerate(cluster.rows):
            cells = [cell for lane in row.values() for cell in (lane.big, lane.small)]
            cells += [cell for lane in row.values() for cell in lane.registers]
            for cell in cells:
                if cell >= 0:
                    owner[cell], offset[cell, 1] = number, n - middle
        for cell, n, _ in cluster.cells:
            owner[cell], offset[cell, 1] = number, n - middle
        owner[cluster.loose] = number
    use = (netlist.pin_net >= CONSTANTS) & (owner[netlist.pin_cell] >= 0)
    size = np.bincount(netlist.pin_net[use], minlength=netlist.nets)
    use &= (size[netlist.pin_net] <= LARGEST) & (size[netlist.pin_net] > 0)
    nets, cells = netlist.pin_net[use], netlist.pin_cell[use]
    order = np.argsort(nets, kind="stable")
    nets, cells = nets[order], cells[order]
    return Springs(len(clusters), nets, owner[cells], offset[cells]), owner


class _Columns:
    """Puts block memories and DSP blocks on their columns, each to the nearest free site."""

    def __init__(self, grid, bounds, clusters):
        self._clusters = clusters
        self._sites, self._numbers = {}, {}
        for kind in ("block", "dsp"):
            sites = grid.sites(kind)
            self._sites[kind] = sites[inside(sites, bounds)]
        self._numbers = {
            kind: np.array([n for n, cluster in enumerate(clusters) if cluster.site == kind], int)
            for kind in ("block", "half", "dsp", "port")
        }

    def snap(self, target):
        """The places, with those of block memories and DSP blocks on sites."""
        target = target.copy()
        taken = self._assign(target, "block", self._sites["block"])
        # Two halves share a site: all sites that are left, twice.
        left = np.delete(self._sites["block"], taken, axis=0)
        self._assign(target, "half", np.repeat(left, 2, axis=0))
        self._assign(target, "dsp", self._sites["dsp"])
        return target

    def _assign(self, target, kind, sites):
        numbers = self._numbers[kind]
        if len(numbers) == 0:
            return np.zeros(0, int)
        cost = np.abs(target[numbers][:, None] - sites[None]).sum(2)
        rows, columns = linear_sum_assignment(cost)
        target[numbers[rows]] = sites[columns]
        return columns

    def put(self, places, placement):
        for numbers in self._numbers.values():
            for n in numbers:
                for cell, _, _ in self._clusters[n].cells:
                    placement.put_block(cell, places[n])
