"""Global placement: lengths of nets as springs, against an even spread over a region.

Each round solves for the places with the least squares of lengths, in which springs are weighted so
that a square is about a length (bound to bound), and then spreads the clusters evenly. The spread
places pull ever more, until both agree (SimPL, DOI 10.1145/2461256).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, diags_array
from scipy.sparse.linalg import cg

from qnn.eda.timing.grid import COLUMN

UNITS = (COLUMN, 1.0)  # what a step along each axis weighs
NEAREST = 1.0  # slices; nets that are shorter pull no harder
LARGEST = 400  # readers; nets of more are spread over everything, and would only pull together
UNTIMED = 3  # the part of all rounds before clusters have parted, 1 in so many
FIRST_PULL, GROWTH = 0.05, 1.27  # of spread places; a net of two pins pulls with 2 over its length
TOLERANCE = 1e-3  # of the solver: places are rounded to slices later


@dataclass(frozen=True, eq=False)
class Arcs:
    """Springs from one cluster to another, beside those of nets.

    Members
    -------
    one, other : (arcs,) clusters
    shift : (arcs, 2) by how much more the end on ``one`` is off its cluster's place
    weight : (arcs,); a net of two pins weighs 1
    """

    one: np.ndarray
    other: np.ndarray
    shift: np.ndarray
    weight: np.ndarray

    @staticmethod
    def none(places: np.ndarray) -> "Arcs":
        """No arc, wherever clusters are."""
        return Arcs(np.zeros(0, int), np.zeros(0, int), np.zeros((0, 2)), np.zeros(0))

    def of(self, which: np.ndarray) -> "Arcs":
        """Those that a mask chooses."""
        return Arcs(*(column[which] for column in vars(self).values()))


@dataclass(frozen=True, eq=False)
class Springs:
    """The pins of nets on clusters.

    Members
    -------
    clusters : how many
    net, cluster : (pins,) sorted by net
    offset : (pins, 2) of a pin from its cluster's place
    """

    clusters: int
    net: np.ndarray
    cluster: np.ndarray
    offset: np.ndarray

    def solve(self, at, arcs, target, pull, axis):
        """(clusters,) places along one axis.

        Parameters
        ----------
        at : (clusters, 2) where the clusters were
        arcs : more springs, ``Arcs``
        target, pull : (clusters,) a place for each cluster, and how much it pulls
        """
        now = at[self.cluster, axis] + self.offset[:, axis]
        # The outermost pins of each net are its first and last in this order.
        order = np.lexsort((now, self.net))
        net = self.net[order]
        first = np.flatnonzero(np.r_[True, net[1:] != net[:-1]])
        last = np.r_[first[1:], len(net)] - 1
        count = last - first + 1
        of = np.repeat(np.arange(len(first)), count)
        low, high = order[first][of], order[last][of]
        share = UNITS[axis] * 2 / np.maximum(count - 1, 1)[of]
        # Every pin to both ends, and the ends to one another once.
        own, begins, ends = np.arange(len(net)), first[of], last[of]
        inner = (own != begins) & (own != ends)
        one = np.concatenate([order[own != begins], order[inner]])
        other = np.concatenate([low[own != begins], high[inner]])
        force = np.concatenate([share[own != begins], share[inner]])
        shift = self.offset[one, axis] - self.offset[other, axis]
        a = np.concatenate([self.cluster[one], arcs.one])
        b = np.concatenate([self.cluster[other], arcs.other])
        shift = np.concatenate([shift, arcs.shift[:, axis]])
        force = np.concatenate([force, UNITS[axis] * 2 * arcs.weight])
        # Divided by its length, the square of a length weighs as the length.
        start = at[:, axis]
        force = force / np.maximum(np.abs(start[a] - start[b] + shift), NEAREST)
        kept = a != b
        springs = a[kept], b[kept], force[kept], shift[kept]
        return self._equilibrium(*springs, start, target, pull)

    def _equilibrium(self, a, b, force, shift, start, target, pull):
        count = self.clusters
        diagonal, right = pull.copy(), pull * target
        for cluster, sign in ((a, -1.0), (b, 1.0)):
            diagonal += np.bincount(cluster, weights=force, minlength=count)
            right += np.bincount(cluster, weights=sign * force * shift, minlength=count)
        rows, columns = np.concatenate([a, b]), np.concatenate([b, a])
        values = -np.concatenate([force, force])
        # A cluster without a net and without a pull stays.
        diagonal = np.maximum(diagonal, 1e-9)
        matrix = coo_array((values, (rows, columns)), shape=(count, count)).tocsr()
        matrix = matrix + diags_array(diagonal).tocsr()
        # Jacobi's: rows differ in scale by how many nets a cluster has.
        smooth = diags_array(1 / diagonal).tocsr()
        found, _ = cg(matrix, right, x0=start, rtol=TOLERANCE, maxiter=200, M=smooth)
        return found


def spread(
    at: np.ndarray, area: np.ndarray, bounds: tuple[float, float, float, float]
) -> np.ndarray:
    """(clusters, 2) places that fill a rectangle evenly and keep the order of those given.

    The rectangle and the clusters are halved, by the area of what is scarcer on each side, until
    few clusters are left in each.

    Parameters
    ----------
    area : (clusters, 2) slices by LUTs and by flip-flops
    """
    low, bottom, high, top = bounds
    box = np.tile([low - 0.5, bottom - 0.5, high + 0.5, top + 0.5], (len(at), 1))
    part = np.zeros(len(at), int)
    # All boxes of a level at once: ``part`` is the box of each cluster.
    while True:
        size = box[:, 2:] - box[:, :2]
        count = np.bincount(part)
        # Boxes of two slices are as fine as legal places can be.
        if count.max(initial=0) <= 4 or size.max(initial=0) < 2:
            break
        axis = (size[:, 1] > COLUMN * size[:, 0]).astype(int)
        along = at[np.arange(len(at)), axis]
        order = np.lexsort((along, part))
        begins = np.r_[0, np.cumsum(count)[:-1]]
        below, above = np.empty_like(area), np.empty_like(area)
        for kind in (0, 1):
            own = area[order, kind]
            sums = np.cumsum(own)
            # The middle of a cluster decides on which side it is.
            below[order, kind] = sums - own / 2 - np.r_[0, sums][begins][part[order]]
            whole = np.bincount(part, weights=area[:, kind], minlength=len(count))
            above[:, kind] = whole[part] - below[:, kind]
        upper = below.max(1) > above.max(1)
        half = (box[np.arange(len(at)), axis] + box[np.arange(len(at)), axis + 2]) / 2
        rows = np.arange(len(at))
        box[rows, axis + 2 * ~upper] = half
        _, part = np.unique(part * 2 + upper, return_inverse=True)
    return (box[:, :2] + box[:, 2:]) / 2


def place(
    springs: Springs,
    area: np.ndarray,
    bounds: tuple[int, int, int, int],
    *,
    weigh: Callable[[np.ndarray], Arcs],
    snap: Callable[[np.ndarray], np.ndarray],
    rounds: int,
    generator: np.random.Generator,
    progress: Callable[[int, int], None],
) -> np.ndarray:
    """(clusters, 2) places whose nets are short and that fill the region evenly.

    Parameters
    ----------
    weigh : the arcs that pull beside the nets, from places
    snap : the spread places, with those that must stand on columns of their own put there
    """
    low, bottom, high, top = bounds
    # From the middle, all ways are open.
    middle = np.array([(low + high) / 2, (bottom + top) / 2])
    # Not all at one place, from which no order could come.
    at = middle + generator.normal(0, 1, (springs.clusters, 2))
    target, pull = at, np.full(springs.clusters, 1e-4)
    for number in range(rounds):
        # Before clusters part, paths tell nothing.
        arcs = weigh(at) if number >= rounds // UNTIMED else Arcs.none(at)
        for axis in (0, 1):
            at[:, axis] = springs.solve(at, arcs, target[:, axis], pull, axis)
        target = snap(spread(at, area, bounds))
        # What is far from its place is pulled no harder than what is near.
        distance = np.maximum(np.abs(at - target).max(1), 1)
        pull = FIRST_PULL * GROWTH**number / distance
        progress(number + 1, rounds)
    return target
