"""Detailed placement: what is on the longest paths moves to where its nets are shortest.

A cluster goes to the weighted median of what it is connected to, where an arc counts by how much
ends are late by it, if there is a legal place that is better than its own. Block memories and DSP
blocks change places with what is at the better site. No move may make a path late that was not,
and a pass after which the worst path is longer is undone.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from qnn.eda.timing.clusters import Cluster
from qnn.eda.timing.grid import COLUMN
from qnn.eda.timing.legalize import Legalizer
from qnn.eda.timing.netlist import Netlist
from qnn.eda.timing.placement import CellPlacement
from qnn.eda.timing.pulls import Pulls
from qnn.eda.timing.weights import Timing

KIND = {"block": "block", "half": "block", "dsp": "dsp"}  # of sites, by what a cluster needs
PASSES = 96  # further ones gain less than 1 %
NEAR = (0.85, 0.9, 0.95)  # of the longest path: what is on one as long moves, by turns
MOST_SHARE, LEAST_SHARE = 0.7, 0.05  # of those that move in a pass, chosen at random
SEARCHED = 240  # slices around the best place, some 11 each way
SITES = 24  # block memories or DSP blocks around it
MOST = 4000  # clusters of a pass, those on the longest paths
LEAST_GAIN = 0.5  # rows of the arc that pulls most; less is not worth the search
PARTS = (1.0, 0.5, 0.25)  # of the way to the best place
SAFE = 0.94  # of the longest path: what a move may make others as late as


class Refiner:
    """Moves clusters of a legal placement.

    Parameters
    ----------
    netlist, clusters : of the placement
    owner : (cells,) the cluster of each cell, or -1
    legal : holds the slices
    sites : (sites, 2) places of ``block`` and of ``dsp``
    """

    def __init__(
        self,
        netlist: Netlist,
        clusters: list[Cluster],
        owner: np.ndarray,
        legal: Legalizer,
        sites: Mapping[str, np.ndarray],
        placement: CellPlacement,
    ):
        self._netlist, self._clusters, self._owner = netlist, clusters, owner
        self._legal, self._placement, self._sites = legal, placement, sites
        self._blocks = [n for n, cluster in enumerate(clusters) if cluster.site in KIND]

    def run(
        self,
        timing: Timing,
        passes: int,
        generator: np.random.Generator,
        progress: Callable[[int, int], None],
    ) -> None:
        """Some passes, each of which is undone if the design is no faster for it."""
        analysis = timing(self._placement)
        best, pulls = analysis.lateness(), Pulls(analysis)
        share = MOST_SHARE
        for number in range(passes):
            progress(number + 1, passes)
            kept = self._placement.copy(), self._legal.slices.copy()
            if not self._pass(pulls, NEAR[number % len(NEAR)], share, generator):
                continue
            analysis = timing(self._placement)
            now = analysis.lateness()
            if now.improves(best):
                best, pulls = now, Pulls(analysis)
                share = min(2 * share, MOST_SHARE)
            else:
                # Moves that are good alone may be bad together: fewer at once.
                share = max(share / 2, LEAST_SHARE)
                self._placement.restore(kept[0])
                self._legal.slices.restore(kept[1])

    def _pass(self, pulls, near, share, generator):
        """Move some of what is late; gives how many clusters moved."""
        netlist, critical = self._netlist, pulls.critical
        held, moved = self._held(), 0
        # The worst first, as they take the best places.
        hot = np.flatnonzero(critical >= near)
        hot = hot[np.argsort(-critical[hot], kind="stable")]
        seen = set()
        for pin, lucky in zip(hot, generator.random(len(hot)) < share, strict=True):
            cell = int(netlist.pin_cell[pin])
            number = int(self._owner[cell])
            if number < 0:
                continue
            cluster = self._clusters[number]
            key = (number, cell) if cluster.loose else (number, -1)
            if key in seen:
                continue
            seen.add(key)
            if lucky:
                before = self._placement.at[cell].copy()
                self._move(cluster, cell, pulls, held)
                moved += bool((self._placement.at[cell] != before).any())
            if len(seen) >= MOST:
                break
        return moved

    def _held(self):
        """What block memories and DSP blocks are at each site in use."""
        held = defaultdict(list)
        for n in self._blocks:
            cell = self._clusters[n].cells[0][0]
            held[tuple(self._placement.at[cell].tolist())].append(cell)
        return held

    def _move(self, cluster, cell, pulls, held):
        if cluster.site in KIND:
            self._exchange(cell, self._sites[KIND[cluster.site]], pulls, held)
            return
        members = [cell] if cluster.loose else cluster.members()
        pull = pulls.of(members)
        if pull is None:
            return
        here = self._placement.at[members[0]].copy()
        way = pull.middle - here
        # All the way, or less of it where others would be late.
        for part in PARTS:
            aim = here + part * way
            if pull.cost(aim) > pull.cost(here) - LEAST_GAIN * pull.weight.max():
                return
            if self._is_good(pull, here, aim, pulls.worst_ns):
                break
        else:
            return
        good = partial(self._is_good, pull, here, worst=pulls.worst_ns)
        if cluster.site == "port":
            self._placement.put_block(members[0], aim)
        elif cluster.loose:
            self._move_loose(cell, aim, good)
        else:
            self._move_cluster(cluster, members, aim, good)

    def _is_good(self, pull, here, there, worst):
        """Whether a move makes ways shorter, and no path late that was not."""
        if pull.cost(there) >= pull.cost(here):
            return False
        return pull.longest(here, there) <= max(float(pull.ns.max()), SAFE * worst)

    def _move_loose(self, cell, aim, good):
        back = self._legal.remove_loose(cell)
        if self._legal.put_loose([cell], aim, SEARCHED):
            if good(self._placement.at[cell]):
                return
            self._legal.remove_loose(cell)
        # Its own place is free, so that it is found at once.
        self._legal.put_loose([cell], back)

    def _move_cluster(self, cluster, members, aim, good):
        first = self._placement.at[members[0]].copy()
        lowest = np.array(self._legal.remove(cluster))
        middle = lowest + np.array([0, (len(cluster.rows) - 1) // 2])
        # The aim is of the first member, a place of the cluster's middle.
        if self._legal.put(cluster, aim - first + middle, SEARCHED):
            if good(self._placement.at[members[0]]):
                return
            self._legal.remove(cluster)
        self._legal.put(cluster, middle)

    def _exchange(self, cell, sites, pulls, held):
        """Let all of a cell's site and all of a better one change places."""
        here = tuple(self._placement.at[cell].tolist())
        own = pulls.of(held[here])
        if own is None:
            return
        away = np.abs(sites - own.middle) @ (COLUMN, 1.0)
        best, there = 0.0, None
        for place in sites[np.argsort(away, kind="stable")[:SITES]]:
            change = own.cost(place) - own.cost(here)
            others = pulls.of(held.get(tuple(place.tolist()), []))
            good = self._is_good(own, here, place, pulls.worst_ns)
            if others is not None:
                change += others.cost(here) - others.cost(place)
                good = good and others.longest(place, here) <= SAFE * pulls.worst_ns
            if good and change < best:
                best, there = change, tuple(place.tolist())
        if there is None:
            return
        held[here], held[there] = held.get(there, []), held[here]
        for place in (here, there):
            for moved in held[place]:
                self._placement.put_block(moved, np.array(place))
