"""A netlist in, a place for each cell out: packing, global placement, legal places, moves.

Registers behind ports stand wherever their nets want them, and take no room. The result is
deterministic for a seed. The region is a rectangle of the device as large as the design needs at a
given fill, so that a core is as dense as it would be among others.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from qnn.eda.timing.clusters import FLIP_FLOPS, LANES
from qnn.eda.timing.columns import ColumnSites
from qnn.eda.timing.grid import Grid
from qnn.eda.timing.legalize import Legalizer
from qnn.eda.timing.links import Links
from qnn.eda.timing.netlist import CONSTANTS, Netlist
from qnn.eda.timing.pack import Packing
from qnn.eda.timing.placement import CellPlacement
from qnn.eda.timing.quadratic import LARGEST, Arcs, Springs, place
from qnn.eda.timing.refine import PASSES, Refiner
from qnn.eda.timing.slices import Slices
from qnn.eda.timing.standing import Standing
from qnn.eda.timing.weights import ArcWeights, Timing

ROUNDS = 40  # of the global placement; nets are hardly shorter after 24, but late paths are by 5 %
FILL = 0.75  # share of a region's slices: what a device is filled to
LATE = 0.9  # of the longest path: what is on one as long has the first choice of slices
PARTS = 4  # of progress: global placement is the first half, then legal places, then moves


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
    timing: Timing | None = None,
    fill: float = FILL,
    seed: int = 0,
    rounds: int = ROUNDS,
    passes: int = PASSES,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Placed:
    """Place a netlist in the lower right part of the device.

    Parameters
    ----------
    timing : of places; without it nets are as short as possible, whatever is on them
    fill : share of the region's slices that the design takes
    rounds, passes : of the global placement, and of moves afterwards

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
    standing = Standing(netlist, clusters)
    columns = ColumnSites(grid, bounds, clusters)
    weigh = Arcs.none
    if timing is not None:
        weigh = ArcWeights(netlist, standing, timing).update
    places = place(
        _springs(netlist, standing, len(clusters)),
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
    late = np.zeros(len(clusters), bool)
    if timing is not None:
        critical = timing(standing.at(places)).lateness().critical
        late[standing.owners(netlist.pin_cell[critical >= LATE])] = True
    legal.put_all(
        [clusters[n] for n in in_slices],
        places[in_slices],
        late[in_slices],
        _part(progress, 2, 1),
    )
    if timing is not None:
        refiner = Refiner(netlist, clusters, standing.owner, legal, columns.sites, placement)
        refiner.run(timing, passes, np.random.default_rng(seed), _part(progress, 3, 1))
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


def _springs(netlist, standing, count):
    """The nets between clusters."""
    owner = standing.owner
    use = (netlist.pin_net >= CONSTANTS) & (owner[netlist.pin_cell] >= 0)
    size = np.bincount(netlist.pin_net[use], minlength=netlist.nets)
    use &= (size[netlist.pin_net] <= LARGEST) & (size[netlist.pin_net] > 0)
    nets, cells = netlist.pin_net[use], netlist.pin_cell[use]
    order = np.argsort(nets, kind="stable")
    nets, cells = nets[order], cells[order]
    return Springs(count, nets, owner[cells], standing.offset[cells])
