"""Detailed placement: what is on the longest paths moves to where its nets are shortest.

A cluster goes to the weighted median of what it is connected to, where nets count by how critical
they are, if it finds a legal place there that is better than its own.
"""

from collections.abc import Callable

import numpy as np

from qnn.eda.timing.clusters import Cluster
from qnn.eda.timing.grid import COLUMN
from qnn.eda.timing.legalize import Legalizer
from qnn.eda.timing.netlist import CONSTANTS, Netlist
from qnn.eda.timing.placement import CellPlacement

PASSES = 48  # further ones gain less than 1 %
NEAR = (0.9, 0.95, 0.98)  # of the longest path: what is on one as long moves, by turns
MOST_SHARE, LEAST_SHARE = 0.7, 0.02  # of those that move in a pass, chosen at random
SHARPNESS = 8  # power of a net's criticality that is its weight
SEARCHED = 240  # slices around the best place, some 11 each way
MOST = 4000  # clusters of a pass, those on the longest paths


class Refiner:
    """Moves clusters of a legal placement.

    Parameters
    ----------
    netlist, clusters : of the placement
    owner : (cells,) the cluster of each cell, or -1
    legal : holds the slices
    """

    def __init__(
        self,
        netlist: Netlist,
        clusters: list[Cluster],
        owner: np.ndarray,
        legal: Legalizer,
        placement: CellPlacement,
    ):
        self._netlist, self._clusters, self._owner = netlist, clusters, owner
        self._legal, self._placement = legal, placement
        order = np.argsort(netlist.pin_net, kind="stable")
        self._by_net = order, np.searchsorted(netlist.pin_net[order], np.arange(netlist.nets + 1))

    def run(
        self,
        criticality: Callable[[CellPlacement], tuple[np.ndarray, float]],
        generator: np.random.Generator,
        progress: Callable[[int, int], None],
    ) -> None:
        """Some passes, each of which is undone if the design is no faster for it.

        Parameters
        ----------
        criticality : (pins,) how critical each is, and a cost that falls with the longest paths
        """
        critical, best = criticality(self._placement)
        share = MOST_SHARE
        for number in range(PASSES):
            kept = self._placement.copy(), self._legal.slices.copy()
            self._pass(critical, NEAR[number % len(NEAR)], share, generator)
            now, cost = criticality(self._placement)
            if cost < best:
                critical, best = now, cost
                share = min(2 * share, MOST_SHARE)
            else:
                # Moves that are good alone may be bad together: fewer at once.
                share = max(share / 2, LEAST_SHARE)
                self._placement.restore(kept[0])
                self._legal.slices.restore(kept[1])
            progress(number + 1, PASSES)

    def _pass(self, critical, near, share, generator):
        netlist = self._netlist
        # The worst first, as they take the best places.
        hot = np.flatnonzero(critical >= near)
        hot = hot[np.argsort(-critical[hot], kind="stable")]
        seen = set()
        for pin, lucky in zip(hot, generator.random(len(hot)) < share, strict=True):
            cell = int(netlist.pin_cell[pin])
            number = int(self._owner[cell])
            if number < 0 or self._clusters[number].site not in ("slice", "port"):
                continue
            loose = bool(self._clusters[number].loose)
            key = (number, cell) if loose else (number, -1)
            if key in seen:
                continue
            seen.add(key)
            if lucky:
                self._move(self._clusters[number], cell if loose else None, critical)
            if len(seen) >= MOST:
                break

    def _move(self, cluster, cell, critical):
        members = [cell] if cell is not None else cluster.members()
        at, weight, own = self._pulls(members, critical)
        if len(at) == 0:
            return
        # Offsets of the cluster's own pins: what pulls at a chain's third slice pulls two lower.
        aim = np.array([_median(at[:, axis] - own[:, axis], weight) for axis in (0, 1)])
        base = self._placement.at[members[0]].copy()
        before = _cost(at - own, base, weight)
        # Less than half a slice is not worth the search.
        if _cost(at - own, aim, weight) > before - 0.5:
            return
        if cluster.site == "port":
            self._placement.put_block(members[0], aim)
        elif cell is not None:
            self._move_loose(cell, aim, at - own, weight, before)
        else:
            self._move_cluster(cluster, members, aim, at - own, weight, before)

    def _move_loose(self, cell, aim, at, weight, before):
        back = self._legal.remove_loose(cell)
        if self._legal.put_loose([cell], aim, SEARCHED):
            if _cost(at, self._placement.at[cell], weight) < before:
                return
            self._legal.remove_loose(cell)
        # Its own place is free, so that it is found at once.
        self._legal.put_loose([cell], back)

    def _move_cluster(self, cluster, members, aim, at, weight, before):
        first = self._placement.at[members[0]].copy()
        lowest = np.array(self._legal.remove(cluster))
        middle = lowest + np.array([0, (len(cluster.rows) - 1) // 2])
        # The aim is of the first member, a place of the cluster's middle.
        if self._legal.put(cluster, aim - first + middle, SEARCHED):
            if _cost(at, self._placement.at[members[0]], weight) < before:
                return
            self._legal.remove(cluster)
        self._legal.put(cluster, middle)

    def _pulls(self, members, critical):
        """Where the other ends of all nets are, their weights, and where own pins are.

        The last are relative to the first member.
        """
        netlist, at = self._netlist, self._placement.at
        inside = set(members)
        places, weights, own = [], [], []
        order, bounds = self._by_net
        for member in members:
            for pin in range(netlist.first_pin[member], netlist.first_pin[member + 1]):
                net = netlist.pin_net[pin]
                if net < CONSTANTS:
                    continue
                others = self._others(pin, net, order, bounds)
                for other in others:
                    there = int(netlist.pin_cell[other])
                    if there in inside or np.isnan(at[there, 0]):
                        continue
                    # A net's arc is as critical as its reader's pin.
                    reader = other if netlist.pin_out[pin] else pin
                    value = max(critical[reader], 0.0)
                    if value > 0:
                        places.append(at[there])
                        weights.append(value**SHARPNESS)
                        own.append(at[member] - at[members[0]])
        return np.array(places), np.array(weights), np.array(own)

    def _others(self, pin, net, order, bounds):
        if not self._netlist.pin_out[pin]:
            driver = self._netlist.driver[net]
            return (driver,) if driver >= 0 else ()
        return order[bounds[net] : min(bounds[net + 1], bounds[net] + 400)]


def _median(values, weight):
    order = np.argsort(values)
    sums = np.cumsum(weight[order])
    return values[order][np.searchsorted(sums, sums[-1] / 2)]


def _cost(at, place, weight):
    return float((np.abs(at - place) @ (COLUMN, 1.0)) @ weight)
