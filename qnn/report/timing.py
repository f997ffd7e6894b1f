"""A static timing analysis as a result in a build folder, and on the page."""

from collections.abc import Mapping
from dataclasses import dataclass

from qnn.report.cards import Card, Missing
from qnn.report.numbers import Number, number
from qnn.report.records import Record

BEGINS = "timing_"  # the names of such results; the speed grade follows
COMMAND = "qnn synth BUILD --timing"
SHOWN = 20  # paths on the page
TIMES = ("ns", "cells_ns", "nets_ns")


@dataclass(frozen=True)
class PathRow:
    """A path on the page: its times, and from where to where it goes."""

    ns: Number
    cells: Number
    nets: Number
    levels: int
    begin: str
    end: str
    alike: int


@dataclass(frozen=True)
class SlackBar:
    """A step of the histogram of slack: its bounds, ends of paths, and its share of the longest."""

    title: str
    ends: Number
    share: float


@dataclass(frozen=True)
class TimingView:
    """One analysis on the page."""

    title: str
    clock: Number
    bars: tuple[SlackBar, ...]
    rows: tuple[PathRow, ...]


def kept(fields: Mapping) -> dict:
    """What a build folder keeps of an analysis, given as its fields for JSON."""
    return {
        "device": fields["device"],
        "speed_grade": fields["speed_grade"],
        **{
            f"estimated_{name}_mhz": fields[f"clock_mhz{ending}"]
            for name, ending in (("low", "_low"), ("expected", ""), ("high", "_high"))
        },
        "slack": {
            "estimated_bounds_ns": fields["slack"]["bounds_ns"],
            "estimated_ends": fields["slack"]["ends"],
        },
        "paths": [
            {
                "begin": path["begin"],
                "end": path["end"],
                **{
                    f"estimated_{name}": path[name]
                    for name in ("ns", "cells_ns", "nets_ns", "levels", "alike")
                },
            }
            for path in fields["paths"][:SHOWN]
        ],
    }


def clock_cards(records: Mapping[str, Record]) -> list[Card]:
    """A card for each analysis: the clock's lower end, as that is what one may count on."""
    return [
        Card(
            f"Clock by our analysis, grade {record.values['speed_grade']}",
            number("estimated_low_mhz", record.values["estimated_low_mhz"], record.stale),
            f"at the low end; {record.values['estimated_high_mhz']:.0f} MHz at the high end, on "
            f"{record.values['device']}; not a vendor's tool",
        )
        for record in _analyses(records)
    ]


def views(records: Mapping[str, Record]) -> list[TimingView]:
    """Each analysis with its histogram and its worst paths."""
    return [_view(record) for record in _analyses(records)]


def untimed(records: Mapping[str, Record]) -> list[Missing]:
    """The command that gives an analysis, where there is none."""
    return [] if _analyses(records) else [Missing("Clock by our analysis", COMMAND)]


def _analyses(records):
    return [record for name, record in records.items() if name.startswith(BEGINS)]


def _view(record):
    values, stale = record.values, record.stale
    bounds, ends = (values["slack"][f"estimated_{name}"] for name in ("bounds_ns", "ends"))
    most = max([*ends, 1])
    bars = (
        SlackBar(
            f"{low:.2f} to {high:.2f} ns", number("estimated_ends", count, stale), count / most
        )
        for low, high, count in zip(bounds, bounds[1:], ends, strict=False)
    )
    rows = (
        PathRow(
            *(number(f"estimated_{name}", path[f"estimated_{name}"], stale) for name in TIMES),
            *(int(path["estimated_levels"]), path["begin"], path["end"]),
            int(path["estimated_alike"]),
        )
        for path in values["paths"]
    )
    return TimingView(
        f"{values['device']}, speed grade {values['speed_grade']}",
        number("estimated_low_mhz", values["estimated_low_mhz"], stale),
        tuple(bars),
        tuple(rows),
    )
