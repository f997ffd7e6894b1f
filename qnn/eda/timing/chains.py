"""Carry chains as clusters: a slice for each CARRY8, one above the other, with their LUTs."""

from qnn.eda.timing.clusters import PAIR, Cluster, Controls, Lane
from qnn.eda.timing.kinds import CHAIN
from qnn.eda.timing.lanes import Lanes
from qnn.eda.timing.links import Links
from qnn.eda.timing.netlist import CONSTANTS


class Chains:
    """Packs all carry chains of a netlist.

    Parameters
    ----------
    links : of the netlist
    lanes : knows what other clusters have taken
    """

    def __init__(self, links: Links, lanes: Lanes):
        self._links, self._lanes = links, lanes

    def clusters(self) -> list[Cluster]:
        """A cluster for each chain."""
        found = []
        links = self._links
        carries = links.of("carry")
        enters, leaves = links.net("CI"), links.net("CO[7]")
        end_of = {int(leaves[cell]): int(cell) for cell in carries if leaves[cell] >= CONSTANTS}
        below = {int(cell): end_of.get(int(enters[cell]), -1) for cell in carries}
        above = {lower: upper for upper, lower in below.items() if lower >= 0}
        nets = {name: links.carry_nets(name) for name in ("S", "DI", "O", "CO")}
        for cell in carries:
            if above.get(below[int(cell)]) == cell:
                continue
            cluster, cell = Cluster([], [], chain=True), int(cell)
            start = int(enters[cell])
            while cell >= 0:
                upper = above.get(cell, -1)
                cluster.cells.append((self._lanes.take(cell), len(cluster.rows), 0))
                cluster.rows.append(self._carry_row(cell, nets, upper))
                cell = upper
            if start >= CONSTANTS:
                self._enter(cluster, start)
            found.append(cluster)
        return found

    def _carry_row(self, cell, nets, upper):
        select, data, sums, carries = (nets[name][cell] for name in ("S", "DI", "O", "CO"))
        # Bits above the last one in use leave their lanes to others.
        used = [
            n
            for n in range(CHAIN)
            if select[n] >= CONSTANTS or data[n] >= CONSTANTS or self._lanes.read(sums[n])
        ]
        row, group = {}, Controls()
        for n in range(max(used, default=-1) + 1):
            lane = row[n] = Lane()
            self._lanes.fill(lane, select[n])
            self._give_data(lane, int(data[n]))
            group.lane = n
            chain = n == CHAIN - 1 and upper >= 0
            for net in (int(sums[n]), int(carries[n])):
                if not self._lanes.read(net):
                    continue
                self._lanes.register(lane, net, group)
                inside = self._carried_on(net, upper) if chain else frozenset()
                if self._lanes.leaves(net, lane, inside):
                    # Two bits that leave a lane at once have one way out: counted, not hidden.
                    self._lanes.conflicts += lane.other not in (-1, net)
                    lane.other = net
            if lane.big >= 0:
                self._lanes.register(lane, int(self._links.net("O")[lane.big]), group)
            self._lanes.pair(lane)
        return row

    def _give_data(self, lane, net):
        """DI comes from O5, or past the LUT by pin X."""
        cell = self._lanes.lut_of(net)
        if cell >= 0 and lane.big >= 0 and self._lanes.fits(lane.big, cell):
            inside = {int(pin) for pin in self._links.readers(net)}
            if len(inside) == 1:
                lane.small = self._lanes.take(cell)
                return
        # A LUT of six inputs has no O5 left that could hold a constant.
        wide = lane.big >= 0 and len(self._links.lut_inputs[lane.big]) > PAIR
        if net >= CONSTANTS or wide:
            lane.x = net

    def _carried_on(self, net, upper):
        """The pin by which the carry enters the next slice of its chain."""
        cells, port = self._links.netlist.pin_cell, self._links.netlist.pin_port
        enter = self._links.netlist.ports.index("CI")
        return {
            int(pin)
            for pin in self._links.readers(net)
            if cells[pin] == upper and port[pin] == enter
        }

    def _enter(self, cluster, net):
        """A signal begins a chain by pin X of the lowest lane, or through a slice below."""
        lane = cluster.rows[0].setdefault(0, Lane())
        if lane.x in (-1, net):
            lane.x = net
            return
        # The highest bit of that slice passes its DI on as its carry.
        cluster.rows.insert(0, {CHAIN - 1: Lane(through=True, x=net)})
        cluster.below = True
        cluster.cells = [(cell, row + 1, lane) for cell, row, lane in cluster.cells]
