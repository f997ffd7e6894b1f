"""What Vivado's reports of a build say: timing and utilization, read back from their text.

Source of the format: reports of Vivado 2017.4 to 2022.1 that public projects hold. Newer ones have
a column Prohibited in the tables of utilization.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from qnn.errors import ToolError
from qnn.manifest import digest, earlier_reports, file_inside

TIMING, UTILIZATION = "vivado/reports/timing.rpt", "vivado/reports/utilization.rpt"
SUMMARY = "Design Timing Summary"
MET = "All user specified timing constraints are met."
ROWS = {  # our name: as the report calls it
    "lut": "CLB LUTs",
    "lut_logic": "LUT as Logic",
    "lut_memory": "LUT as Memory",
    "ff": "CLB Registers",
    "bram36": "Block RAM Tile",
    "uram": "URAM",
    "dsp": "DSPs",
}
_HEADER = re.compile(r"^\| (?P<key>Tool Version|Device|Design State) +: (?P<value>.*?) *\|?$", re.M)
_PATH = re.compile(
    r"^Slack(?: \(\w+\))? *: +(?P<slack>-?[\d.]+)ns(?:(?!^Slack).)*?"
    r"^ +Source: +(?P<source>\S+)(?:(?!^Slack).)*?"
    r"^ +Destination: +(?P<destination>\S+)(?:(?!^Slack).)*?"
    r"^ +Path Type: +(?P<type>\w+)(?:(?!^Slack).)*?"
    r"^ +Data Path Delay: +(?P<delay>[\d.]+)ns(?:(?!^Slack).)*?"
    r"^ +Logic Levels: +(?P<levels>\d+)",
    re.M | re.S,
)
_CLOCK = re.compile(r"^(\S+) +\{[\d. ]+\} +([\d.]+) +([\d.]+) *$", re.M)


@dataclass(frozen=True)
class TimingSummary:
    """Slacks in nanoseconds: the worst, and the sum of those that fail; None where not reported.

    Members
    -------
    met : every constraint
    clocks_mhz : frequency of each clock, as constrained
    """

    met: bool
    worst_setup_ns: float | None
    failing_setup_ns: float | None
    worst_hold_ns: float | None
    failing_hold_ns: float | None
    worst_pulse_width_ns: float | None
    failing_endpoints: int
    endpoints: int
    clocks_mhz: dict[str, float]
    critical_path: str | None  # the one with the least slack, in one line


@dataclass(frozen=True)
class SiteUse:
    """How many sites of one kind are used, and how many there are."""

    used: float
    available: int

    @property
    def share(self) -> float:
        return self.used / self.available


@dataclass(frozen=True)
class Reports:
    """What a build reported (measured by Vivado after routing); None for a report that is missing.

    Members
    -------
    uses : by the names of ``ROWS``
    """

    tool: str
    device: str
    state: str
    timing: TimingSummary | None
    uses: dict[str, SiteUse] | None


def read(build: str | Path) -> Reports | None:
    """The reports in a build folder; None if it holds none of its own design.

    Raises
    ------
    ToolError
        A report is not what Vivado writes.
    """
    earlier = earlier_reports(Path(build))
    texts = {name: _text(Path(build), name, earlier) for name in (TIMING, UTILIZATION)}
    if not any(texts.values()):
        return None
    heads = {}
    for text in texts.values():
        heads |= {found["key"]: found["value"] for found in _HEADER.finditer(text or "")}
    return Reports(
        heads.get("Tool Version", ""),
        heads.get("Device", ""),
        heads.get("Design State", ""),
        timing(texts[TIMING], str(Path(build) / TIMING)) if texts[TIMING] else None,
        utilization(texts[UTILIZATION], str(Path(build) / UTILIZATION))
        if texts[UTILIZATION]
        else None,
    )


def timing(text: str, name: str) -> TimingSummary:
    """The numbers in the text that ``report_timing_summary`` wrote.

    Raises
    ------
    ToolError
        It has no summary.
    """
    lines = text.partition(SUMMARY)[2].splitlines()
    # The table's heading is found by its first column; values are two lines below.
    heads = next((n for n, line in enumerate(lines) if line.split()[:1] == ["WNS(ns)"]), None)
    values = lines[heads + 2].split() if heads is not None and len(lines) > heads + 2 else []
    if len(values) != 12:
        raise ToolError(f"{name}: no '{SUMMARY}' of twelve numbers in it; build it again in Vivado")
    # WNS, TNS, WHS, THS and WPWS, and the counts of failing endpoints.
    slack, counts = [_number(values[n]) for n in (0, 1, 4, 5, 8)], (2, 6, 10)
    return TimingSummary(
        MET in text,
        *slack,
        failing_endpoints=sum(int(_number(values[n]) or 0) for n in counts),
        endpoints=int(_number(values[3]) or 0),
        clocks_mhz={clock: float(mhz) for clock, _, mhz in _CLOCK.findall(text)},
        critical_path=critical_path(text),
    )


def critical_path(text: str) -> str | None:
    """The setup path with the least slack of all, in one line; None where no path is reported."""
    # Paths are sorted within each group of clocks, so that the first of a group is its worst.
    paths = [path.groupdict() for path in _PATH.finditer(text) if path["type"] == "Setup"]
    # A summary may be cut to its tables, and then tells no path.
    if not paths:
        return None
    worst = min(paths, key=lambda path: float(path["slack"]))
    return (
        f"{worst['source']} to {worst['destination']}: {worst['delay']} ns, {worst['levels']} "
        f"levels of logic"
    )


def utilization(text: str, name: str) -> dict[str, SiteUse]:
    """The cells used and available, by kind, in the text that ``report_utilization`` wrote.

    Raises
    ------
    ToolError
        A row is missing.
    """
    found, columns = {}, []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if cells[0] == "Site Type":
            columns = cells
        elif "Available" in columns and len(cells) == len(columns):
            row = dict(zip(columns, cells, strict=True))
            used, available = _number(row["Used"]), _number(row["Available"])
            if used is not None and available:
                # A star marks a footnote; the first table is that of the whole device.
                found.setdefault(cells[0].rstrip("*"), SiteUse(used, int(available)))
    if missing := [row for row in ROWS.values() if row not in found and row != "URAM"]:
        raise ToolError(f"{name}: no row '{missing[0]}' in it; build it again in Vivado")
    return {ours: found[row] for ours, row in ROWS.items() if row in found}


def _text(build, name, earlier):
    data = file_inside(build, name)
    # Another design was written over the one that was reported.
    if data is None or digest(data) == earlier.get(name):
        return None
    return data.decode(errors="replace")


def _number(text):
    try:
        return float(text)
    except ValueError:
        return None
