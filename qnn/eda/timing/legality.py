"""Whether a placement is legal, told from the netlist and the places alone.

It shares no code with what places: each rule of the slice (UG574) is asked of the finished result.
"""

from collections import defaultdict

import numpy as np

from qnn.eda.timing.grid import Grid
from qnn.eda.timing.netlist import CONSTANTS, Netlist
from qnn.eda.timing.placement import CellPlacement

LETTERS = "ABCDEFGH"
DATA_PINS = 5  # inputs that the two functions of a LUT have in all
UNPLACED = ("BUFG", "PORT")


def faults(netlist: Netlist, placement: CellPlacement, grid: Grid) -> list[str]:
    """What is not legal, a line each; none if all is."""
    return _Checker(netlist, placement, grid).found


class _Checker:
    def __init__(self, netlist, placement, grid):
        self.netlist, self.placement, self.grid = netlist, placement, grid
        self.found: list[str] = []
        self.nets = [self._nets(cell) for cell in range(netlist.cells)]
        self.slices = defaultdict(lambda: defaultdict(list))
        self.blocks = defaultdict(list)
        for cell in range(netlist.cells):
            self._sort(cell)
        for place, held in self.slices.items():
            self._slice(place, held)
        for place, cells in self.blocks.items():
            self._block(place, cells)
        self._chains()

    def _nets(self, cell):
        first, last = self.netlist.first_pin[cell : cell + 2]
        return {
            self.netlist.ports[self.netlist.pin_port[pin]]: int(self.netlist.pin_net[pin])
            for pin in range(first, last)
        }

    def _say(self, cell, text):
        self.found.append(f"{self.netlist.cell_name(cell)}: {text}")

    def _sort(self, cell):
        kind = self.netlist.kind_of(cell)
        if kind in UNPLACED:
            return
        x, y = self.placement.at[cell]
        if np.isnan(x):
            self._say(cell, "has no place")
        elif kind.startswith(("RAMB", "DSP")):
            self.blocks[float(x), float(y)].append(cell)
        else:
            columns, rows = self.grid.processor
            inside = 0 <= x < self.grid.columns and 0 <= y < self.grid.rows
            if not inside or (x < columns and y < rows):
                self._say(cell, f"is at {x:g}, {y:g}, where there is no slice")
            self.slices[int(x), int(y)][_group(kind)].append(cell)

    def _block(self, place, cells):
        kinds = [self.netlist.kind_of(cell) for cell in cells]
        kind = "dsp" if kinds[0].startswith("DSP") else "block"
        if not any(np.allclose(site, place) for site in self.grid.sites(kind)):
            self._say(cells[0], f"is at {place}, where there is no site of its kind")
        halves = kind == "block" and all(name == "RAMB18E2" for name in kinds)
        if len(cells) > (2 if halves else 1):
            self._say(cells[-1], f"shares the site {place} with {len(cells) - 1} others")

    def _slice(self, place, held):
        self._luts(place, held)
        self._registers(held["ff"])
        for kind, most in (("carry", 1), ("memory", 1)):
            for cell in held[kind][most:]:
                self._say(cell, f"shares its slice {place} with another {kind}")
        wires = _Wires()
        for cell in held["carry"]:
            self._carry(cell, held, wires)
        for cell in held["mux"]:
            self._multiplexer(cell, held, wires)
        for cell in held["ff"]:
            self._data(cell, held, wires)
        for cell in held["lut"]:
            if self.placement.second[cell]:
                self._leaves(cell, self.nets[cell]["O"], held, wires)
        for (name, lane), nets in wires.used.items():
            if len(nets) > 1:
                letter = LETTERS[lane]
                self.found.append(f"{place}: {name} of lane {letter} is needed by {len(nets)} nets")

    def _luts(self, place, held):
        lane, second = self.placement.lane, self.placement.second
        # LUTs by lane and output.
        spots = defaultdict(list)
        for cell in held["lut"]:
            spots[int(lane[cell]), bool(second[cell])].append(cell)
        for spot, cells in spots.items():
            for cell in cells[1:]:
                self._say(cell, f"shares its LUT {place} {spot} with another")
        # O5 and O6 read the same five pins.
        for number in range(len(LETTERS)):
            both = spots.get((number, False), []) + spots.get((number, True), [])
            inputs = {
                net
                for cell in both
                for port, net in self.nets[cell].items()
                if port[0] == "I" and net >= CONSTANTS
            }
            if spots.get((number, True)) and len(inputs) > DATA_PINS:
                self._say(both[-1], f"and the other function have {len(inputs)} inputs")
        stores = [*held["memory"], *held["shift"]]
        if stores and not self.grid.is_memory(place[0]):
            self._say(stores[0], f"is at {place}, whose LUTs are no memory")
        for cell in held["shift"]:
            if any(n == lane[cell] for n, _ in spots):
                self._say(cell, "shares its LUT with a function")
        if held["memory"] and (spots or held["shift"]):
            self._say(held["memory"][0], "shares its LUTs with functions")

    def _registers(self, cells):
        lane, second = self.placement.lane, self.placement.second
        spots, resets, enables = set(), defaultdict(set), defaultdict(set)
        for cell in cells:
            spot = int(lane[cell]), bool(second[cell])
            if spot in spots or not 0 <= spot[0] < len(LETTERS):
                self._say(cell, f"shares its place {spot} with another flip-flop")
            spots.add(spot)
            nets = self.nets[cell]
            reset = next((nets[port] for port in ("R", "S", "CLR", "PRE") if port in nets), -1)
            # Lanes A to D share a reset, and E to H; each half has two enables.
            half = spot[0] // 4
            resets[half].add(reset)
            enables[half, spot[1]].add(nets.get("CE", -1))
        for half, nets in resets.items():
            if len(nets) > 1:
                self._say(cells[0], f"half {half} of its slice has {len(nets)} resets")
        for quarter, nets in enables.items():
            if len(nets) > 1:
                self._say(cells[0], f"quarter {quarter} of its slice has {len(nets)} enables")

    def _in_lane(self, held, number, second):
        for cell in held["lut"]:
            if self.placement.lane[cell] == number and self.placement.second[cell] == second:
                return cell
        return -1

    def _passes(self, cell, held, number, net, pin):
        """A pin that only a LUT's O6 reaches: that LUT is there, or the lane's LUT is free."""
        there = self._in_lane(held, number, False)
        if there >= 0 and self.nets[there]["O"] != net:
            self._say(cell, f"{pin} needs the LUT of lane {LETTERS[number]}, which has another net")

    def _carry(self, cell, held, wires):
        nets = self.nets[cell]
        for n in range(len(LETTERS)):
            select, data = nets[f"S[{n}]"], nets[f"DI[{n}]"]
            if select >= CONSTANTS:
                self._passes(cell, held, n, select, f"S[{n}]")
            second = self._in_lane(held, n, True)
            if data >= CONSTANTS and not (second >= 0 and self.nets[second]["O"] == data):
                wires.use("pin X", n, data)
            for name in ("O", "CO"):
                net = nets.get(f"{name}[{n}]", -1)
                if net >= CONSTANTS:
                    self._leaves(cell, net, held, wires, n)
        if (
            nets["CI"] >= CONSTANTS
            and not self._is_chained(cell)
            and not self.placement.entered[cell]
        ):
            wires.use("pin X", 0, nets["CI"])

    def _is_chained(self, cell):
        driver = self.netlist.driver[self.nets[cell]["CI"]]
        return (
            driver >= 0
            and self.netlist.ports[self.netlist.pin_port[driver]] == "CO[7]"
            and self.netlist.kind_of(self.netlist.pin_cell[driver]) == "CARRY8"
        )

    def _chains(self):
        at = self.placement.at
        for cell in range(self.netlist.cells):
            if self.netlist.kind_of(cell) != "CARRY8" or self.nets[cell]["CI"] < CONSTANTS:
                continue
            if self._is_chained(cell):
                below = self.netlist.pin_cell[self.netlist.driver[self.nets[cell]["CI"]]]
                if tuple(at[cell] - at[below]) != (0, 1):
                    self._say(cell, "is not right above the carry that it goes on from")
            elif self.placement.entered[cell]:
                x, y = (int(value) for value in at[cell])
                if (
                    self.slices[x, y - 1]["carry"]
                    or self._in_lane(self.slices[x, y - 1], 7, False) >= 0
                ):
                    self._say(cell, "begins through a slice below, whose carry is in use")

    def _multiplexer(self, cell, held, wires):
        """MUXF7 chooses between two lanes, MUXF8 between four; the select is below the middle."""
        kind, out = self.netlist.kind_of(cell), int(self.placement.lane[cell])
        half = 1 << (int(kind[-1]) - 7)
        if out % (2 * half) != half:
            self._say(cell, f"cannot leave at lane {LETTERS[out]}")
        nets = self.nets[cell]
        wires.use("pin X", out - 1, nets["S"])
        if half == 1:
            self._passes(cell, held, out, nets["I0"], "I0")
            self._passes(cell, held, out - 1, nets["I1"], "I1")
        self._leaves(cell, nets["O"], held, wires, out)

    def _leaves(self, cell, net, held, wires, number=None):
        """A net that leaves its lane beside the LUT's own output takes the lane's other output."""
        number = int(self.placement.lane[cell]) if number is None else number
        pins = np.flatnonzero(self.readers_of(net))
        here = tuple(self.placement.at[cell])
        for pin in self._pins[net][0][pins] if len(pins) else ():
            reader = int(self.netlist.pin_cell[pin])
            port = self.netlist.ports[self.netlist.pin_port[pin]]
            kind, same = self.netlist.kind_of(reader), tuple(self.placement.at[reader]) == here
            lane = int(self.placement.lane[reader])
            inside = same and (
                (kind.startswith("FD") and port == "D" and lane == number)
                or (kind == "CARRY8" and port == f"DI[{number}]")
                or (kind.startswith("MUXF") and port[0] == "I")
            )
            if not inside and not (kind == "CARRY8" and port == "CI"):
                wires.use("the second output", number, net)
                return

    def readers_of(self, net):
        """Marks of the input pins that a net goes to, among those kept by net."""
        if not hasattr(self, "_pins"):
            order = np.argsort(self.netlist.pin_net, kind="stable")
            bounds = np.searchsorted(self.netlist.pin_net[order], np.arange(self.netlist.nets + 1))
            inputs = ~self.netlist.pin_out
            self._pins = {}
            self._order = order, bounds, inputs
        if net not in self._pins:
            order, bounds, inputs = self._order
            pins = order[bounds[net] : bounds[net + 1]]
            self._pins[net] = (pins, inputs[pins])
        return self._pins[net][1]

    def _data(self, cell, held, wires):
        """A first flip-flop whose input is not from its lane has it past the LUT, by pin X."""
        if self.placement.second[cell]:
            return
        net, lane = self.nets[cell]["D"], int(self.placement.lane[cell])
        driver = int(self.netlist.driver[net]) if net >= CONSTANTS else -1
        source = int(self.netlist.pin_cell[driver]) if driver >= 0 else -1
        if source >= 0 and tuple(self.placement.at[source]) == tuple(self.placement.at[cell]):
            kind = self.netlist.kind_of(source)
            port = self.netlist.ports[self.netlist.pin_port[driver]]
            if kind == "CARRY8" and port[-2] == str(lane):
                return
            if kind.startswith("RAM") and port[2] == LETTERS[lane]:
                return
            if (
                kind != "CARRY8"
                and not kind.startswith("FD")
                and self.placement.lane[source] == lane
            ):
                return
        wires.use("pin X", lane, net)


class _Wires:
    """The nets that need each pin or output of a lane."""

    def __init__(self):
        self.used = defaultdict(set)

    def use(self, name, lane, net):
        self.used[name, lane].add(net)


def _group(kind):
    for name, start in (
        *(("lut", "LUT"), ("lut", "INV"), ("ff", "FD"), ("carry", "CARRY"), ("mux", "MUXF")),
        *(("shift", "SRL"), ("memory", "RAM")),
    ):
        if kind.startswith(start):
            return name
    return "other"
