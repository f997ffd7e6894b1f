"""Public tables of cell delays, read into one form: prjuray's, RapidWright's, routed reports'.

Delays are of the slow corner, the greatest over sites of a kind and bits of a bus.
"""

import gzip
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from qnn.eda.timing.paths import RoutedPath

Arc = tuple[str, str, str]  # cell, from, to; to CHECK for the time before the clock's edge
Table = dict[Arc, float]  # ns
CHECK = "setup"
REGISTERED = "_REG"  # ends the name of a block RAM's output behind its register

SDF_DELAY = re.compile(r"\(IOPATH (\S+) (\S+) \(\S+\)\(\S+?::(\S+?)\)\)")
SDF_CHECK = re.compile(r"\((?:SETUP|RECOVERY) (\S+) \(posedge \S+\) \(\S+?::(\S+?)\)\)")
# prjuray: cell, instance, and the kind of cell that it is here.
SDF_KINDS = (
    (r"LUT6 \w+/\w6LUT", "LUT6"),
    (r"LUT5 \w+/\w5LUT", "LUT5"),
    (r"FDRE_C_RISING \S+", "FF"),
    (r"CARRY8 \S+", "CARRY8"),
    (r"MUXF7 \S+", "MUXF7"),
    (r"MUXF8 \S+", "MUXF8"),
    (r"MUXF9 \S+", "MUXF9"),
    (r"SRLC32E_CLK_RISING \S+", "SRL"),
    (r"[A-H]6LUT(_CFG[01])?_CLK_RISING \S+", "RAM"),
    (r"RAMB(18E2|FIFO36E2_CFG\d+)_CLK\w+_RISING \S+", "RAMB"),
)
# Without a name of the configuration, times tell which outputs have a register: those of prjuray's
# block RAMs lie below 0.3 ns, or between 0.47 and 0.6 with error correction, or above 0.66.
MOST_REGISTERED_NS, LEAST_PLAIN_NS = 0.4, 0.65

RAPIDWRIGHT_KINDS = (
    (r"A6LUT,.*", "LUT6"),
    (r"A5LUT,.*", "LUT5"),
    (r"AFF,.*", "FF"),
    (r"CARRY8", "CARRY8"),
    (r"F7MUX_.*", "MUXF7"),
    (r"RAMB36E2", "RAMB"),
)


def prjuray(files: Iterable[Path]) -> Table:
    """Arcs of SDF files, compressed by gzip: a delay has the slow corner's least and greatest."""
    table: Table = {}
    for file in files:
        for cell, line in _sdf_lines(file):
            if found := SDF_DELAY.search(line):
                source, target, ns = found.groups()
                _put(table, _sdf_arc(cell, source, target, float(ns)), float(ns))
            elif found := SDF_CHECK.search(line):
                pin = _bus(cell, found[1])
                # Between block RAMs of a column: no netlist of ours has them.
                if not pin.startswith("CAS"):
                    _put(table, (cell, pin, CHECK), float(found[2]))
    return table


def _sdf_lines(file: Path) -> Iterator[tuple[str, str]]:
    name, cell = "", None
    with gzip.open(file, "rt") as lines:
        for line in lines:
            if found := re.search(r'CELLTYPE "(.*)"', line):
                name = found[1]
            elif found := re.search(r"INSTANCE (\S+)\)", line):
                cell = _kind(SDF_KINDS, f"{name} {found[1]}")
            elif cell:
                yield cell, line


def _sdf_arc(cell, source, target, ns) -> Arc | None:
    """The arc in our names; none for one that no netlist has."""
    if cell in ("LUT6", "LUT5"):
        # Input I0 of a cell of all inputs is A1 of the LUT.
        return cell, f"A{int(source[1:]) + 1}", "O"
    if cell != "RAMB":
        return cell, source, target
    if not target.startswith("DOUT") or MOST_REGISTERED_NS < ns < LEAST_PLAIN_NS:
        return None
    register = REGISTERED if ns < MOST_REGISTERED_NS else ""
    return cell, _bus(cell, source), _bus(cell, target) + register


def rapidwright(file: Path) -> Table:
    """Arcs of RapidWright's logic delays, of one clock and one direction of cascades: its first."""
    table: Table = {}
    cell = None
    with gzip.open(file, "rt") as lines:
        for line in lines:
            words = line.split("#")[0].split()
            if words[:1] in (["bel"], ["site"], ["intersite"]):
                cell = _kind(RAPIDWRIGHT_KINDS, words[1]) if words[0] == "bel" else None
            elif cell and len(words) > 2:
                ns = float(words[2]) / 1000
                # Pins that share a time stand in one line.
                for source in words[0].split(","):
                    _put(table, _rapidwright_arc(cell, source, words[1], " ".join(words[3:])), ns)
    return table


def _rapidwright_arc(cell, source, target, condition) -> Arc | None:
    if cell in ("LUT6", "LUT5"):
        return (cell, source, "O") if source != "CLK" else _stored(target)
    if cell == "FF":
        return cell, *(("C", "Q") if target == "Q" else ("D", CHECK))
    if cell == "MUXF7":
        # Its inputs are named by what selects them.
        return cell, {"S0": "S", "0": "I0", "1": "I1"}[source], "O"
    if cell == "CARRY8":
        return _carry(source, target, condition)
    return _block_ram(cell, source, target, condition)


def _stored(target):
    """Of a LUT that stores: what is written a clock's edge ahead, and what is read after it."""
    if target == "O6":
        return "SRL", "CLK", "Q"
    return ("RAM", target, CHECK) if re.fullmatch(r"WA\d|WE", target) else None


def _carry(source, target, condition):
    # Two chains of four bits and inputs by AX are other arcs of the same names.
    if "DUAL" in condition or not re.fullmatch(r"CIN|DI\d|S\d", source):
        return None
    end = re.sub(r"(\d)", r"[\1]", target)
    return "CARRY8", re.sub(r"(\d)", r"[\1]", source).replace("CIN", "CI"), end


def _block_ram(cell, source, target, condition):
    if source.startswith("CLK") and target.startswith("DOUT"):
        register = REGISTERED if "_REG: 1" in condition else ""
        return cell, source, _bus(cell, target) + register
    if source.startswith("CLK") and target.startswith("DIN"):
        return cell, _bus(cell, target), CHECK
    if target.startswith("CLK") and re.match(r"ADDR(ARD|BWR)|EN|WE|REGCE|RST", source):
        return cell, _bus(cell, source), CHECK
    return None


def reports(paths: Iterable[RoutedPath]) -> Table:
    """Arcs of routed paths that say which pins of the device they are of."""
    table: Table = {}
    # LUTs are missing: reports name inputs of the netlist's cell, not those of the device.
    for path in paths:
        for arc, ns in path.arcs:
            _put(table, _report_arc(arc), ns)
        arc, ns = path.check
        _put(table, _report_check(arc), -ns)
    return table


def _report_arc(arc) -> Arc | None:
    if re.fullmatch(r"Prop_\wFF2?_\w+_C_Q", arc):
        return "FF", "C", "Q"
    if found := re.fullmatch(r"Prop_CARRY8_\w+?_([CDS]\S*?)_(C?O\[\d\])", arc):
        return "CARRY8", found[1], found[2]
    if found := re.fullmatch(r"Prop_F([789])MUX_\w+_(I0|I1|S)_O", arc):
        return f"MUXF{found[1]}", found[2], "O"
    if found := re.fullmatch(r"Prop_DSP_\w+?_DSP48E2_(\S+)", arc):
        return "DSP48E2", *_dsp(found[1])
    return None


def _report_check(arc) -> Arc | None:
    if found := re.fullmatch(r"Setup_\wFF2?_\w+_C_(\w+)", arc):
        return "FF", found[1], CHECK
    if re.fullmatch(r"Setup_\w[56]LUT_SLICEM_CLK_I", arc):
        return "RAM", "I", CHECK
    if found := re.fullmatch(r"Setup_DSP_\w+_DSP48E2_CLK_(\S+)", arc):
        return "DSP48E2", re.sub(r"\[\d+\]", "", found[1]), CHECK
    return None


def _dsp(arc):
    """Both ends of an arc between parts of a DSP block, without bits, as U_DATA and ALU_OUT."""
    name = re.sub(r"\[\d+\]", "", arc)
    return re.fullmatch(r"(\w+?)_((?:[A-Z0-9]+_)?(?:DATA|OUT)|[A-Z0-9]+)", name).groups()


def _kind(kinds, name):
    return next((kind for pattern, kind in kinds if re.fullmatch(pattern, name)), None)


def _bus(cell, pin):
    """Of a block RAM, the name of the bus that a bit belongs to; halves of 18 Kb are one."""
    if cell != "RAMB":
        return pin
    return re.sub(r"(?<=[KRTNP])[LU]?\d*$", "", pin.split("[")[0])


def _put(table, arc, ns):
    if arc is not None:
        table[arc] = max(ns, table.get(arc, ns))
