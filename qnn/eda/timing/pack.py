"""Packing: every cell of a netlist in a cluster, the most demanding ones first."""

from collections import defaultdict

from qnn.eda.timing.chains import Chains
from qnn.eda.timing.clusters import LANES, Cluster, Controls, Lane
from qnn.eda.timing.lanes import Lanes
from qnn.eda.timing.links import Links
from qnn.eda.timing.multiplexers import Multiplexers

BUNDLE = 8  # flip-flops without logic that are placed together: those of half a slice


class Packing:
    """All clusters of a netlist.

    Members
    -------
    clusters : each cell but clock buffers is in one of them
    conflicts : places where a slice has not all that its cells ask for
    """

    def __init__(self, links: Links):
        self.links = links
        self._lanes = Lanes(links)
        self.clusters: list[Cluster] = Chains(links, self._lanes).clusters()
        self.clusters += Multiplexers(links, self._lanes).clusters()
        # What is left needs no more than a lane, or a site of its own.
        self._memories()
        self._luts()
        self._loose()
        self._large()
        self.conflicts = self._lanes.conflicts

    def _memories(self):
        links = self.links
        for cell in links.of("memory"):
            # Its inputs take the pins past the LUTs.
            row = {n: Lane(through=True, x=0) for n in range(LANES)}
            cluster, group = (
                Cluster([row], [(self._lanes.take(cell), 0, 0)], memory=True),
                Controls(),
            )
            span = slice(*links.netlist.first_pin[cell : cell + 2])
            for pin, out in enumerate(links.netlist.pin_out[span], span.start):
                port = links.netlist.ports[links.netlist.pin_port[pin]].split("[")[0]
                if out and port[:2] == "DO" and len(port) == 3:
                    group.lane = "ABCDEFGH".index(port[2])
                    self._lanes.register(row[group.lane], links.netlist.pin_net[pin], group)
            self.clusters.append(cluster)
        for cell in links.of("shift"):
            lane, group = Lane(through=True, x=0), Controls()
            self._lanes.register(lane, int(links.net("Q")[cell]), group)
            self.clusters.append(
                Cluster([{0: lane}], [(self._lanes.take(cell), 0, 0)], step=1, memory=True)
            )

    def _luts(self):
        for cell in self.links.of("lut"):
            # O5's half goes with O6's, which comes by itself.
            if self._lanes.taken[cell]:
                continue
            lane, group = Lane(), Controls()
            mate = self._lanes.mate.get(int(cell), -1)
            lane.big = self._lanes.take(cell)
            self._lanes.register(lane, int(self.links.net("O")[cell]), group)
            if mate >= 0 and not self._lanes.taken[mate] and self._lanes.fits(int(cell), mate):
                net = int(self.links.net("O")[mate])
                self._lanes.register(lane, net, group)
                lane.small = self._lanes.take(mate)
                if self._lanes.leaves(net, lane):
                    lane.other = net
            self.clusters.append(Cluster([{0: lane}], [], step=1))

    def _loose(self):
        """Flip-flops without logic, together with others of the same controls and module."""
        groups = defaultdict(list)
        place = self.links.netlist.place
        for cell in self.links.of("ff"):
            if not self._lanes.taken[cell]:
                key = (
                    int(place[cell]),
                    int(self._lanes.enable[cell]),
                    int(self._lanes.reset[cell]),
                )
                groups[key].append(self._lanes.take(cell))
        for members in groups.values():
            # Neighbours in name are bits of one value, which go the same way.
            members.sort(key=self._register_name)
            for start in range(0, len(members), BUNDLE):
                self.clusters.append(
                    Cluster([{}], [], step=1, loose=members[start : start + BUNDLE])
                )

    def _register_name(self, cell):
        netlist = self.links.netlist
        for pin in range(netlist.first_pin[cell], netlist.first_pin[cell + 1]):
            if netlist.pin_out[pin]:
                name = netlist.pin_name(pin)
                word, _, bit = name.partition("[")
                return word, int(bit[:-1] or 0) if bit else 0, cell
        return "", 0, cell

    def _large(self):
        netlist = self.links.netlist
        for group in ("block", "dsp", "port"):
            for cell in self.links.of(group):
                half = netlist.kind_of(cell) == "RAMB18E2"
                site = "half" if half else group
                self.clusters.append(Cluster([{}], [(self._lanes.take(cell), 0, 0)], site=site))
