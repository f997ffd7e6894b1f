"""The tables of cells are made: ``python -m qnn.eda.timing.make_cells FOLDER`` writes them.

FOLDER has the public files: ``prjuray_*.sdf.gz`` of speed grade -1,
``rapidwright_intrasite.txt.gz`` and ``routed_paths.jsonl.gz``. prjuray's times are not split at the
same pins as those of the reports, which the model of nets is fitted to: they are greater by a
constant for each kind of output, which is measured and taken off.
"""

import json
import re
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from qnn.eda.timing.paths import RoutedPath, read_paths
from qnn.eda.timing.pins import PinKind, entry
from qnn.eda.timing.public_tables import CHECK, Arc, Table, prjuray, rapidwright, reports
from qnn.files import write_whole

SOURCES = {
    "prjuray": (
        "f4pga/prjuray-db @ affbc5e5, zynqusp/timings: xczu3eg, speed grade -1, slow corner; CC0; "
        "less what its arcs exceed those of 'reports' by, for each kind of output"
    ),
    "reports": (
        "cucapra/calyx-evaluation @ 676b30bc, pldi_results/**/main_timing_summary_routed.rpt: "
        "xczu3eg, speed grade -1, slow corner, Vivado 2019.1; numbers of a public repository"
    ),
    "rapidwright": (
        "Xilinx/RapidWright @ 325baa00, timing/ultrascaleplus: speed grade not stated, its tests "
        "use xcvu3p -2; Apache-2.0"
    ),
    "ratio": (
        "the same arc of the other speed grade, by the median ratio of the arcs that both have"
    ),
    "like": "another arc of the cell, as none of the tables has it: see 'LIKE' in make_cells",
}
# Arcs that no table has, and one of the same block: of a register's output, and of its input.
LIKE = {
    ("DSP48E2", "CLK", "P"): ("DSP48E2", "CLK", "B2_DATA"),
    ("DSP48E2", "OPMODE", CHECK): ("DSP48E2", "A", CHECK),
}
# Outputs whose difference is another's, as no report has them: the slice's clock is the same.
LIKE_OUTPUT = {"SRL CLK": "FF C", "MUXF9 O": "MUXF7 O"}

Sourced = dict[Arc, tuple[float, str]]  # ns and the name of its source


def offsets(public: Table, reported: Table) -> dict[str, float]:
    """What ``public`` exceeds ``reported`` by, in ns: the median for each kind of output."""
    found: dict[str, list[float]] = {}
    for arc in public.keys() & reported.keys():
        found.setdefault(_output(arc), []).append(public[arc] - reported[arc])
    return {name: float(np.median(values)) for name, values in found.items()}


def ratio(fast: Sourced, slow: Sourced) -> float:
    """The median of ``fast`` over ``slow``, of delays that both have.

    Checks are left out: a time before the clock's edge may be near 0 or below.
    """
    both = [arc for arc in fast.keys() & slow.keys() if arc[2] != CHECK]
    return float(np.median([fast[arc][0] / slow[arc][0] for arc in both]))


def tables(folder: Path, paths: list[RoutedPath]) -> tuple[Sourced, Sourced, float]:
    """The arcs of grades -1 and -2, and the ratio of -2 to -1."""
    reported = reports(paths)
    # SLICEL and SLICEM, 18 and 36 Kb: the slowest of each kind counts.
    public = prjuray(sorted(folder.glob("prjuray_*.sdf.gz")))
    moved = offsets(public, reported)
    slow = {arc: (ns - moved.get(_like_output(arc), 0.0), "prjuray") for arc, ns in public.items()}
    slow = {arc: (ns, "reports") for arc, ns in reported.items()} | slow
    # Last, as what they are like may come from either table.
    slow |= {arc: (slow[other][0], "like") for arc, other in LIKE.items()}
    fast = {
        arc: (ns, "rapidwright")
        for arc, ns in rapidwright(folder / "rapidwright_intrasite.txt.gz").items()
    }
    by = ratio(fast, slow)
    return _filled(slow, fast, 1 / by), _filled(fast, slow, by), by


def _filled(own: Sourced, other: Sourced, by: float) -> Sourced:
    """``own``, and of the other grade what it lacks. A time before the edge below 0 stays."""
    lacking = {
        arc: (ns * by if ns > 0 else ns, "ratio")
        for arc, (ns, _) in other.items()
        if arc not in own
    }
    return own | lacking


def _output(arc):
    cell, source, target = arc
    if target == CHECK:
        return f"{cell} {source} {CHECK}"
    # All outputs of a clock's edge come later by the same.
    return f"{cell} {source}" if source in ("C", "CLK") else f"{cell} {target.split('[')[0]}"


def _like_output(arc):
    name = _output(arc)
    return LIKE_OUTPUT.get(name, name)


def inputs_used(paths: list[RoutedPath], slow: Sourced) -> dict[str, dict[str, float]]:
    """Of each output of LUTs, which inputs of the device the nets of ``paths`` ended at.

    A report names the netlist's input, and what the LUT takes tells the device's: its inputs lie at
    least 13 ps apart, and sites and letters differ by 6 ps at most.
    """
    found: dict[str, Counter] = {"LUT6": Counter(), "LUT5": Counter()}
    inputs = {
        kind: {source: ns for (cell, source, _), (ns, _) in slow.items() if cell == kind}
        for kind in found
    }
    for path in paths:
        for net in path.nets:
            if entry(net.sink).pin is PinKind.LUT:
                kind = "LUT5" if "5LUT" in net.sink else "LUT6"
                times = inputs[kind]
                found[kind][min(times, key=lambda name: abs(times[name] - net.sink_ns))] += 1
    return {
        kind: {pin: round(number / counts.total(), 4) for pin, number in sorted(counts.items())}
        for kind, counts in found.items()
    }


def _fields(grade: str, table: Sourced, by: float, used: dict) -> dict:
    names = sorted({source for _, source in table.values()})
    return {
        "about": "delays of cells of UltraScale+ in ns, slow corner, the slowest site of each kind",
        "speed_grade": grade,
        "ratio_of_2_to_1": round(by, 3),
        "sources": {name: SOURCES[name] for name in names},
        "inputs_used": used,
        "arcs": [[*arc, round(ns, 4), source] for arc, (ns, source) in sorted(table.items())],
    }


def _text(fields: dict) -> str:
    """JSON with a line for each arc."""
    text = json.dumps(fields, indent=1)
    return re.sub(r"\[\n\s+(\"[^\]\n]*\",)\n\s+(.*?)\n\s+\]", _one_line, text, flags=re.S) + "\n"


def _one_line(found):
    return re.sub(r"\n\s+", " ", found[0]).replace("[ ", "[").replace(" ]", "]")


def texts(folder: Path, paths: list[RoutedPath]) -> dict[str, str]:
    """The files of both speed grades, from the public ones in ``folder``."""
    slow, fast, by = tables(folder, paths)
    used = inputs_used(paths, slow)
    return {
        grade: _text(_fields(grade, table, by, used))
        for grade, table in (("-1", slow), ("-2", fast))
    }


def main(arguments: list[str]) -> None:
    """Write both tables beside this module."""
    folder = Path(arguments[0])
    paths = [path for path in read_paths(folder / "routed_paths.jsonl.gz") if path.speed == "-1"]
    for grade, text in texts(folder, paths).items():
        write_whole(Path(__file__).parent / "data" / f"cells_{grade[1:]}.json", text)


if __name__ == "__main__":
    main(sys.argv[1:])
