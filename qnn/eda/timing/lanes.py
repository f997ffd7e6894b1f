"""What a lane of a slice can take, asked while clusters are made."""

from collections import defaultdict

import numpy as np

from qnn.eda.timing.clusters import FLIP_FLOPS, PAIR
from qnn.eda.timing.links import Links
from qnn.eda.timing.netlist import CONSTANTS


class Lanes:
    """Fills lanes with the cells of a netlist, each of which is taken once.

    Members
    -------
    taken : (cells,) whether a cluster has it
    mate : each half of what was a LUT of two functions to the other half
    enable, reset : (cells,) the control nets of flip-flops
    conflicts : places where a slice has not all that its cells ask for
    """

    def __init__(self, links: Links):
        self._links = links
        self.taken = np.zeros(links.netlist.cells, bool)
        self.mate = self._mates()
        self.enable, self.reset = links.control
        self.conflicts = 0

    def take(self, cell):
        self.taken[cell] = True
        return int(cell)

    def lut_of(self, net):
        """The LUT that drives a net, if no other cluster has it; else -1."""
        cell = self._links.driver_cell[net] if net >= CONSTANTS else -1
        return (
            int(cell)
            if cell >= 0 and self._links.group[cell] == "lut" and not self.taken[cell]
            else -1
        )

    def fill(self, lane, net):
        """Let a LUT be at O6, or pass the net on."""
        cell = self.lut_of(net)
        if cell >= 0:
            lane.big = self.take(cell)
        else:
            lane.through = True

    def pair(self, lane, others=frozenset()):
        """Put the other half of a LUT of two functions back beside it, where outputs are left.

        ``others``: the pins inside the lane that read the second function.
        """
        mate = self.mate.get(lane.big, -1)
        if mate < 0 or self.taken[mate] or lane.small >= 0 or not self.fits(lane.big, mate):
            return
        # O5 leaves by the lane's second output, unless all its readers are in the lane.
        net = int(self._links.net("O")[mate])
        outside = self.leaves(net, lane, others)
        if outside and lane.other >= 0:
            return
        lane.small = self.take(mate)
        if outside:
            lane.other = net

    def fits(self, one, other):
        inputs = self._links.lut_inputs
        return len(inputs[one] | inputs[other]) <= PAIR

    def leaves(self, net, lane, inside=frozenset()):
        """Whether a net has a reader besides the pins ``inside`` and the lane's registers."""
        cells = self._links.netlist.pin_cell
        return any(
            int(pin) not in inside and int(cells[pin]) not in lane.registers
            for pin in self._links.readers(net)
        )

    def register(self, lane, net, group):
        """Take one flip-flop that reads a net into the lane, if the slice's controls allow it."""
        for cell in self._links.registers.get(int(net), ()):
            if len(lane.registers) >= FLIP_FLOPS:
                return
            if not self.taken[cell] and group.allows(
                int(self.enable[cell]), int(self.reset[cell]), len(lane.registers)
            ):
                lane.registers.append(self.take(cell))
                return

    def read(self, net):
        return net >= CONSTANTS and self._links.netlist.fan_out[net] > 0

    def _mates(self):
        netlist, found = self._links.netlist, defaultdict(list)
        for cell in self._links.of("lut"):
            _, module, first, _ = netlist.instances[netlist.place[cell]]
            found[int(netlist.place[cell]), int(module.pair[cell - first])].append(int(cell))
        pairs = [both for both in found.values() if len(both) == 2]
        return {one: other for both in pairs for one, other in (both, both[::-1])}
