"""The few numbers that a reader looks for first, or how to get them where they are missing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from boards.board import Board, ClockCheck
from qnn.backend.costs import Costs
from qnn.report.numbers import Number, number
from qnn.report.records import Record

DEVICES = {  # what each is, and the same inside a sentence; a back end may have others
    "reference": ("integer reference", "the reference"),
    "functional": ("functional simulator", "the functional simulator"),
    "rtl": ("RTL in Verilator", "RTL"),
}
Records = Mapping[str, Record]


@dataclass(frozen=True)
class Card:
    """One of the answers at the top of the page.

    Members
    -------
    number : None where nothing was run
    verdict : ``good``, ``bad`` or empty
    note : what it is of, or what to run
    """

    title: str
    number: Number | None
    note: str
    verdict: str = ""


def cards(
    records: Records, costs: Costs, shown: Sequence[Board], devices: Sequence[str]
) -> list[Card]:
    """From verification to the clocks of ``shown`` boards, in the order in which one asks.

    Parameters
    ----------
    devices : of the back end, the closest to hardware last, whose results count first
    """
    # From estimate to measurement, as tools come one after the other.
    clocks = sorted((board.clock for board in shown), key=lambda clock: clock.stage)
    return [
        _verified(records, devices),
        _accuracy(records, devices),
        _cycles(records, costs, devices),
        Card(
            "Array utilisation",
            number("simulated_utilisation", costs.utilisation),
            "cycle model, start to done",
        ),
        *(_clock(records, clock) for clock in clocks),
    ]


def _verified(records, devices):
    title = "Values that differ"
    for device in reversed(devices):
        record = records.get(f"verify_{device}")
        if record is not None:
            values = record.values
            differ = number("simulated_mismatches", values["simulated_mismatches"], record.stale)
            compared = number("simulated", values["simulated_values_compared"]).text
            passed = values["passed"] is True
            note = f"of {compared} compared between {_said(device)[1]} and the reference"
            note += "" if passed else f"; {values['failure'] or 'failed'}"
            return Card(title, differ, note, _verdict(passed, record))
    return Card(title, None, "qnn verify BUILD")


def _accuracy(records, devices):
    best = None
    for device in ("reference", *devices):
        record = records.get(f"simulate_{device}")
        if record is None or "given_images" not in record.values:
            continue
        keys = [key for key in record.values if key.endswith("_accuracy_percent")]
        # The most images: all devices give the same integers, so that only their number matters.
        if keys and (best is None or record.values["given_images"] > best[0]):
            best = record.values["given_images"], keys[0], record
    if best is None:
        return Card("Accuracy", None, "qnn simulate BUILD --data DATA --images 360")
    images, key, record = best
    percent = number(key, record.values[key], record.stale)
    return Card(
        "Accuracy", percent, f"of {images:,} test images; {_said(record.values['device'])[0]}"
    )


def _cycles(records, costs, devices):
    for device, verb in product(reversed(devices), ("verify", "simulate")):
        record = records.get(f"{verb}_{device}")
        cycles = record and record.values.get("simulated_cycles_per_image")
        if cycles:
            found = number("simulated_cycles_per_image", cycles, record.stale)
            return Card("Cycles an image", found, _said(device)[0])
    found = number("simulated_cycles_per_image", costs.cycles)
    missing = f"cycle model; {_said(devices[-1])[1]} not run: qnn simulate BUILD"
    return Card("Cycles an image", found, missing)


def _said(device):
    return DEVICES.get(device, (device, device))


def _clock(records: Records, clock: ClockCheck) -> Card:
    record = records.get(clock.record)
    if record is None or "estimated_fmax_mhz" not in record.values:
        return Card(clock.title, None, clock.todo)
    note, met = clock.judge(record.values)
    shown = number("estimated_fmax_mhz", record.values["estimated_fmax_mhz"], record.stale)
    return Card(clock.title, shown, note, _verdict(met, record))


def _verdict(good, record):
    # A stale result is of another network: that it passed says nothing of this one.
    return "good" if good and not record.stale else "bad"
