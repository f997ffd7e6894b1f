"""Whether the cells of a netlist pack into slices as they are drawn, by the rules of ``slices``.

``python -m qnn.eda.packing`` looks at all that the product draws itself, in many sizes, and at
every cell of whole accelerators, what synthesis draws included.
"""

import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import product
from typing import TYPE_CHECKING

from qnn.eda.slices import (
    HALF,
    LUTS,
    MULTIPLEXERS,
    PAIR_INPUTS,
    PLACES,
    REGISTERS,
    Bit,
    Lut,
    Misfit,
    SlicePlace,
    is_constant,
    share_controls,
)

if TYPE_CHECKING:
    from hw.spec.config import SvpeConfig

WHOLE = ("test", "small", "reference")  # configurations that every cell is looked at of


def misfits(netlist: Mapping) -> list[Misfit]:
    """All misfits of a netlist as Yosys's ``write_json`` gives it, module by module."""
    found = (_Module(name, module).misfits() for name, module in netlist["modules"].items())
    return [misfit for each in found for misfit in each]


class _Module:
    """One module's LUTs, and the slices of its carry chains and multiplexers."""

    def __init__(self, name, module):
        self._name, self._cells = name, module["cells"]
        self._found: list[Misfit] = []
        self._drivers: dict[Bit, tuple[str, str, int]] = {}
        self._sinks = defaultdict(set)
        for cell_name, cell in self._cells.items():
            for port, bits in cell["connections"].items():
                for n, bit in enumerate(bits):
                    if _is_output(cell["type"], port):
                        self._drivers[bit] = (cell_name, port, n)
                    else:
                        self._sinks[bit].add((cell_name, port, n))
        for port_name, port in module.get("ports", {}).items():
            if port["direction"] == "output":
                for n, bit in enumerate(port["bits"]):
                    self._sinks[bit].add(("", port_name, n))
        self._luts = {bit: lut for lut in self._gathered() for bit in lut.outputs}

    def misfits(self):
        for name, cell in self._of("CARRY8"):
            self._judge(name, self._carry(name, cell["connections"]))
        for kind in reversed(MULTIPLEXERS):
            for name, cell in self._of(kind):
                if not self._is_inner(cell):
                    places = [SlicePlace() for _ in range(PLACES)]
                    self._multiplexer(name, places, 0)
                    self._judge(name, places)
        return self._found

    def _of(self, kind):
        return [(name, cell) for name, cell in self._cells.items() if cell["type"] == kind]

    def _miss(self, rule, cell, why):
        self._found.append(Misfit(rule, self._name, cell, why))

    def _gathered(self) -> Iterator[Lut]:
        """The LUTs: cells of one HLUTNM together, all others alone."""
        groups = defaultdict(list)
        for name, cell in self._cells.items():
            if cell["type"] in LUTS:
                group = cell.get("attributes", {}).get("HLUTNM")
                groups[group, "" if group else name].append((name, cell))
        for members in groups.values():
            name, cells = members[0][0], [cell for _, cell in members]
            outputs = [bit for cell in cells for bit in _bits(cell, outputs=True)]
            inputs = {bit for cell in cells for bit in _bits(cell) if not is_constant(bit)}
            if len(cells) > 2 or (len(outputs) > 1 and len(inputs) > PAIR_INPUTS):
                self._miss("pair", name, f"{len(cells)} cells of {len(inputs)} inputs share a LUT")
            for cell in cells:
                if cell["type"] == "LUT6_2" and (ignored := _ignored(cell)):
                    self._miss("pins", name, f"{ignored[0]} does not depend on {ignored[1]}")
            yield Lut(name, outputs, len(inputs))

    def _carry(self, name, ports):
        """The places of a CARRY8, as far up as anything needs its outputs."""
        sums, carries = ports["O"], ports["CO"]
        used = [n for n in range(PLACES) if self._sinks[sums[n]] or self._sinks[carries[n]]]
        places = [SlicePlace() for _ in range(PLACES)]
        above = {sink for sink in self._sinks[carries[-1]] if self._is_carry_in(sink)}
        if len(above) > 1:
            self._miss("carry", name, f"CO[7] goes to {len(above)} CI")
        # A constant CI is a setting of the slice and takes no bypass.
        (carry,), (top,) = ports["CI"], ports.get("CI_TOP", ("0",))
        if not is_constant(carry) and not self._is_cascade(carry):
            places[0].bypass.add(carry)
        if top not in ("0", "x"):
            self._miss("carry", name, "CI_TOP is used")
        for n in range(max(used, default=-1) + 1):
            place, select, data = places[n], ports["S"][n], ports["DI"][n]
            self._take(name, place, select, f"S[{n}]")
            lut = place.lut
            if lut and not is_constant(data) and data == lut.o5:
                place.outputs[data] = {(name, "DI", n)}
            elif not (lut and lut.has_constant_o5 and is_constant(data)):
                place.bypass.add(data)
            for bit, inner in ((sums[n], set()), (carries[n], above if n == PLACES - 1 else set())):
                if self._sinks[bit]:
                    place.outputs[bit] = inner
        return places

    def _multiplexer(self, name, places, first):
        """Multiplexer ``name`` and what it chooses from, whose LUTs begin at place ``first``."""
        cell = self._cells[name]
        kind, behind, choice, output = MULTIPLEXERS[cell["type"]]
        ports = {port: bits[0] for port, bits in cell["connections"].items()}
        places[first + choice].bypass.add(ports["S"])
        for port, offset in zip(("I0", "I1"), behind, strict=True):
            bit, (driver, _, _) = ports[port], self._drivers.get(ports[port], (None, "", 0))
            if kind == "LUT":
                self._take(name, places[first + offset], bit, port)
            elif driver is None or self._cells[driver]["type"] != kind:
                self._miss("muxes", name, f"{port} is no {kind}")
            elif len(self._multiplexers(bit)) > 1:
                self._miss("muxes", name, f"{port} has another {cell['type']}")
            else:
                self._multiplexer(driver, places, first + offset)
        if self._sinks[ports["O"]]:
            places[first + output].outputs[ports["O"]] = set(self._multiplexers(ports["O"]))

    def _take(self, name, place, bit, port):
        """Put the LUT that gives ``bit`` at O6 into a place."""
        lut = self._luts.get(bit)
        if lut is None:
            self._miss("select", name, f"{port} comes from no LUT")
        elif lut.o6 is not None:
            self._miss("select", name, f"{port} comes from the LUT of another place, {lut.name}")
        else:
            lut.o6, place.lut = bit, lut
            if self._sinks[lut.o5]:
                place.outputs[lut.o5] = set()

    def _judge(self, name, places):
        """What a place's outputs, bypass and registers are asked for."""
        for n, place in enumerate(places):
            if len(place.bypass) > 1:
                nets = ", ".join(map(str, sorted(place.bypass, key=str)))
                self._miss("bypass", name, f"place {n} needs nets {nets} by its bypass input")
        for start in range(0, PLACES, HALF):
            choices = [self._choices(name, n, places[n]) for n in range(start, start + HALF)]
            if all(choices) and not any(map(share_controls, product(*choices))):
                self._miss("control", name, f"registers of places {start} to {start + HALF - 1}")

    def _choices(self, name, number, place):
        """Registers that a place may have: those of all its outputs but of the one that leaves."""
        registers, leaving = {}, []
        for bit, inner in place.outputs.items():
            sinks = self._sinks[bit] - inner
            if all(self._is_data(sink) for sink in sinks):
                registers[bit] = [self._cells[cell] for cell, _, _ in sinks]
            else:
                leaving.append(bit)
        if len(leaving) > 1:
            self._miss("leave", name, f"{len(leaving)} outputs of place {number} leave it")
            return []
        left_out = [None] if leaving else [None, *registers]
        choices = [
            [cell for bit, cells in registers.items() if bit != out for cell in cells]
            for out in left_out
        ]
        choices = [choice for choice in choices if len(choice) <= 2]
        if not choices:
            self._miss("registers", name, f"outputs of place {number} end in more registers")
        return choices

    def _is_carry_in(self, sink):
        cell, port, _ = sink
        return port == "CI" and self._cells.get(cell, {}).get("type") == "CARRY8"

    def _is_cascade(self, bit):
        cell, port, n = self._drivers.get(bit, ("", "", 0))
        return (port, n) == ("CO", PLACES - 1) and self._cells[cell]["type"] == "CARRY8"

    def _is_data(self, sink):
        cell, port, _ = sink
        return port == "D" and self._cells.get(cell, {}).get("type") in REGISTERS

    def _is_inner(self, cell):
        return bool(self._multiplexers(cell["connections"]["O"][0]))

    def _multiplexers(self, bit):
        """The sinks of a net that are data of multiplexers."""
        return [
            (cell, port, n)
            for cell, port, n in self._sinks[bit]
            if port in ("I0", "I1") and self._cells.get(cell, {}).get("type") in MULTIPLEXERS
        ]


def _bits(cell, *, outputs=False):
    ports = cell["connections"].items()
    return [
        bit for port, bits in ports for bit in bits if _is_output(cell["type"], port) == outputs
    ]


def _ignored(cell):
    """An output of a LUT6_2 and a net of a pin that it does not depend on; None if all count."""
    table = int(cell["parameters"]["INIT"], 2)
    for output, half in (("O5", table % (1 << 32)), ("O6", table >> 32)):
        for n in range(PAIR_INPUTS):
            (bit,) = cell["connections"][f"I{n}"]
            same = all(
                (half >> row & 1) == (half >> (row | 1 << n) & 1) for row in range(1 << PAIR_INPUTS)
            )
            if same and not is_constant(bit):
                return output, f"I{n}"
    return None


def _is_output(kind, port):
    if kind in LUTS or kind in MULTIPLEXERS:
        return port in ("O", "O5", "O6")
    if kind == "CARRY8":
        return port in ("O", "CO")
    return port == "Q" and kind in REGISTERS


def whole_conflicts(config: "SvpeConfig") -> tuple[list[Misfit], int, int]:
    """Misfits of what is drawn in an accelerator; conflicts of all its cells, and their number.

    A conflict is a place of the packed netlist at which a slice has not all that its cells ask for.
    """
    from hw.spec.verilog_files import TOP
    from hw.verilog import verilog
    from qnn.eda.synthesis import synthesis
    from qnn.eda.timing.links import Links
    from qnn.eda.timing.netlist import read_netlist
    from qnn.eda.timing.pack import Packing

    written = synthesis(verilog(config, mapped=True), TOP, flatten=True)[1]
    netlist = read_netlist(written, TOP)
    return misfits(written), Packing(Links(netlist)).conflicts, netlist.cells


def main() -> None:
    """Print the misfits of every component that has a body of cells, at sizes of all kinds."""
    from hw.spec.config import SvpeConfig, named_config
    from hw.verilog import MAPPED, files
    from qnn.eda.synthesis import synthesis

    sizes = product((1, 2, 8), (4, 8, 16), (2, 3, 4, 5))
    configs = [
        SvpeConfig(lanes=16, rows=1, columns=columns, activation_bits=a, weight_bits=w)
        for columns, a, w in sizes
    ]
    # Most configurations share most components, of which each is looked at once.
    drawn = {
        name + text: (name, text)
        for config in configs
        for name, component in MAPPED.items()
        for text in files(component(config), name, mapped=True).values()
    }
    found, lacking = [], 0
    for name, text in drawn.values():
        found += misfits(synthesis({f"{name}.v": text}, name)[1])
    print(f"{len(drawn)} components, {len(found)} misfits")
    for name in WHOLE:
        drawn_badly, conflicts, cells = whole_conflicts(named_config(name))
        print(f"{name}: {cells} cells, {len(drawn_badly)} misfits, {conflicts} conflicts")
        found += drawn_badly
        lacking += conflicts
    print(*found, sep="\n", end="")
    sys.exit(bool(found or lacking))


if __name__ == "__main__":
    main()
