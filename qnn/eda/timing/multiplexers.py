"""The dedicated multiplexers of slices as clusters: with the LUTs that they choose from."""

from collections import defaultdict

from qnn.eda.timing.clusters import Cluster, Controls, Lane
from qnn.eda.timing.lanes import Lanes
from qnn.eda.timing.links import Links
from qnn.eda.timing.netlist import CONSTANTS


class Multiplexers:
    """Packs all multiplexers of a netlist.

    Parameters
    ----------
    links : of the netlist
    lanes : knows what other clusters have taken
    """

    def __init__(self, links: Links, lanes: Lanes):
        self._links, self._lanes = links, lanes

    def clusters(self) -> list[Cluster]:
        """A cluster for each multiplexer that no wider one chooses from."""
        found = []
        links = self._links
        kinds = [links.netlist.kind_of(cell) for cell in links.of("mux")]
        by_kind = defaultdict(list)
        for cell, kind in zip(links.of("mux"), kinds, strict=True):
            by_kind[kind].append(int(cell))
        # The widest first: they hold the narrower ones.
        for kind in ("MUXF9", "MUXF8", "MUXF7"):
            for cell in by_kind[kind]:
                if not self._lanes.taken[cell]:
                    size = 1 << (int(kind[-1]) - 6)
                    cluster = Cluster([{}], [], step=size)
                    self._multiplexer(cluster, cell, 0, size, Controls())
                    found.append(cluster)
        return found

    def _multiplexer(self, cluster, cell, first, size, group):
        """Place a multiplexer and what it chooses from in ``size`` lanes from ``first`` on."""
        links, row = self._links, cluster.rows[0]
        half = size // 2
        # I1 is below I0, as the slice is wired.
        for port, place in (("I1", first), ("I0", first + half)):
            net = int(links.net(port)[cell])
            inner = int(links.driver_cell[net]) if net >= CONSTANTS else -1
            # MUXF8 chooses between two MUXF7, and MUXF9 between two MUXF8.
            narrower = (
                inner >= 0 and links.netlist.kind_of(inner) == f"MUXF{5 + size.bit_length() - 1}"
            )
            if half > 1 and narrower and not self._lanes.taken[inner]:
                self._multiplexer(cluster, inner, place, half, group)
            elif half > 1:
                # Nothing that fits: the lanes pass the net on.
                self._lanes.conflicts += 1
                for n in range(place, place + half):
                    row.setdefault(n, Lane(through=True))
            else:
                lane = row.setdefault(place, Lane())
                self._lanes.fill(lane, net)
        # Its select comes past the LUT below the middle, and it leaves at the lane above (UG574).
        select, out = first + half - 1, first + half
        row[select].x = int(links.net("S")[cell])
        net = int(links.net("O")[cell])
        lane = row[out]
        group.lane = out
        outer = {
            int(pin)
            for pin in links.readers(net)
            if links.group[links.netlist.pin_cell[pin]] == "mux"
        }
        self._lanes.register(lane, net, group)
        if self._lanes.leaves(net, lane, outer):
            lane.other = net
        cluster.cells.append((self._lanes.take(cell), 0, out))
