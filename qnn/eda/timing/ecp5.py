"""Paths of designs that nextpnr routed on an ECP5: the same form as reports of another tool's.

nextpnr writes what every cell and every net takes, and where cells are. From these come the worst
path to each register, for the model of nets to be fitted to and judged on, as for UltraScale+.
"""

import json
import re
from collections import defaultdict
from dataclasses import dataclass
from graphlib import TopologicalSorter

from qnn.eda.place_and_route import run
from qnn.eda.timing.paths import RoutedNet, RoutedPath
from qnn.eda.timing.sites import Site

SYNTHESIS = "read_verilog -sv {files}; synth_ecp5 -top {top} -json netlist.json"
OPTIONS = (
    "--85k --package CABGA756 --speed 6 --router router2 --seed 1 --freq 200 --timing-allow-fail"
)
TIMES = r"\((?:-?\d+:){2}(-?\d+)\)"  # of fast, typical and slow
CELL = re.compile(r'\(CELLTYPE "(\w+)"\)\s+\(INSTANCE (\S*)\)(.*?)(?=\(CELLTYPE|\Z)', re.S)
NET = re.compile(rf"\(INTERCONNECT (\S+) (\S+) {TIMES}")
DELAY = re.compile(rf"\(IOPATH (\S+) (\S+) {TIMES}")
CHECK = re.compile(rf"\(SETUPHOLD \(posedge (\w+)\) \(posedge \w+\) {TIMES}")
PICOSECONDS = 1000.0

Pin = tuple[str, str]  # cell and port


@dataclass(frozen=True)
class RoutedDesign:
    """What nextpnr says of a routed design; times in ns, of the slow corner.

    Members
    -------
    kinds, places : of cells, by name
    delays : of pins to pins of the same cell
    nets : of the pin at which a net ends, the pin where it begins and what it takes
    checks : of pins, the time that they need before the clock's edge
    """

    kinds: dict[str, str]
    places: dict[str, Site]
    delays: dict[tuple[Pin, Pin], float]
    nets: dict[Pin, tuple[Pin, float]]
    checks: dict[Pin, float]


def route(sources: dict[str, str], top: str) -> RoutedDesign:
    """Synthesise, place and route Verilog; for a few hundred LUTs it takes half a minute.

    Raises
    ------
    ToolError
        nextpnr's wheel is not installed, or a tool fails.
    """
    written = {"sdf": "times.sdf", "write": "placed.json"}
    times, placed = run(sources, top, OPTIONS, written, SYNTHESIS)
    return read(times, placed)


def read(times: str, placed: str) -> RoutedDesign:
    """A design from nextpnr's SDF and its JSON with the places of cells."""
    (module,) = json.loads(placed)["modules"].values()
    places = {
        name: _site(cell["attributes"]["NEXTPNR_BEL"])
        for name, cell in module["cells"].items()
        if "NEXTPNR_BEL" in cell["attributes"]
    }
    kinds, delays, checks, nets = {}, {}, {}, {}
    for kind, instance, body in CELL.findall(times):
        name = _plain(instance)
        if not name:
            for begin, end, ns in NET.findall(body):
                nets[_pin(end)] = _pin(begin), int(ns) / PICOSECONDS
            continue
        kinds[name] = kind
        for source, end, ns in DELAY.findall(body):
            delays[(name, source), (name, end)] = int(ns) / PICOSECONDS
        # The last of each: both edges of a clock need the same.
        checks |= {(name, port): int(ns) / PICOSECONDS for port, ns in CHECK.findall(body)}
    return RoutedDesign(kinds, places, delays, nets, checks)


def worst_paths(design: RoutedDesign, name: str, number: int) -> list[RoutedPath]:
    """The worst paths of the ``number`` registers that their data reach the latest, worst first."""
    before = _before(design)
    ends = sorted(
        (pin for pin in design.checks if pin in before and pin[1] != "CLK"),
        key=lambda pin: -before[pin][0],
    )
    return [_path(design, before, pin, name) for pin in ends[:number]]


def _before(design):
    """Of each pin that a clock reaches: when, and the pin before it on the worst way."""
    sources = defaultdict(list)
    for (source, end), ns in design.delays.items():
        sources[end].append((source, ns))
    for end, (begin, ns) in design.nets.items():
        sources[end].append((begin, ns))
    order = TopologicalSorter({end: [pin for pin, _ in found] for end, found in sources.items()})
    found = {}
    for pin in order.static_order():
        ways = [
            (found[source][0] + ns if source in found else ns, source)
            for source, ns in sources.get(pin, ())
            # A path begins at a clock: what pins of the chip bring has no time.
            if source in found or source[1].startswith("CLK")
        ]
        # A clock's own net is no path.
        if ways and not pin[1].startswith("CLK"):
            found[pin] = max(ways)
    return found


def _path(design, before, end, name):
    pins = [end]
    while pins[-1] in before:
        pins.append(before[pins[-1]][1])
    # Clock, output, input, output, ...: cells and nets in turn.
    pins.reverse()
    arcs = tuple(
        (f"Prop_{design.kinds[a[0]]}_{a[1]}_{b[1]}", design.delays[a, b])
        for a, b in zip(pins[0:-1:2], pins[1::2], strict=True)
    )
    check = f"Setup_{design.kinds[end[0]]}_CLK_{end[1]}", -design.checks[end]
    loads = _loads(design)
    nets = tuple(
        RoutedNet(
            loads[begin],
            design.nets[sink][1],
            *(design.places[pin[0]] for pin in (begin, sink)),
            source[0],
            *after,
        )
        for begin, sink, source, after in zip(
            pins[1::2], pins[2::2], arcs, (*arcs[1:], check), strict=True
        )
    )
    cells = sum(ns for _, ns in arcs)
    total = cells + sum(net.ns for net in nets)
    return RoutedPath(name, "LFE5U-85F", "6", total, cells, arcs, check, nets)


def _loads(design):
    counts = defaultdict(int)
    for begin, _ in design.nets.values():
        counts[begin] += 1
    return counts


def _site(bel):
    column, row = re.match(r"X(\d+)/Y(\d+)/", bel).groups()
    return "SLICE", int(column), int(row)


def _pin(text):
    # Slashes are of names too; the last one stands before the port.
    cell, _, port = _plain(text).rpartition("/")
    return cell, port


def _plain(name):
    # A backslash stands before each character that is no letter, also before one of the name's.
    return re.sub(r"\\(.)", r"\1", name)
