"""The few numbers that a reader looks for first, or how to get them where they are missing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from boards.board import Board, ClockCheck
from qnn.report.layers import Costs
from qnn.report.numbers import Number, number
from qnn.report.records import Record

DEVICES = {
    "reference": "integer reference",
    "functional": "functional simulator",
    "rtl": "RTL in Verilator",
}
Records = Mapping[str, Record]


@dataclass(frozen=True)
class Card:
    """One answer.

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


def cards(records: Records, costs: Costs, shown: Sequence[Board]) -> list[Card]:
    """From verification to the clocks of ``shown`` boards, in the order in which one asks."""
    clocks = sorted((board.clock for board in shown), key=lambda clock: clock.stage)
    return [
        _verified(records),
        _accuracy(records),
        _cycles(records, costs),
        Card(
            "Array utilisation",
            number("simulated_utilisation", costs.utilisation),
            "cycle model, start to done",
        ),
        *(_clock(records, clock) for clock in clocks),
    ]


def _verified(records):
    title = "Values that differ"
    for name, what in (("verify_rtl", "RTL"), ("verify_functional", "the functional simulator")):
        record = records.get(name)
        if record is not None:
            values = record.values
            differ = number("simulated_mismatches", values["simulated_mismatches"], record.stale)
            compared = number("simulated", values["simulated_values_compared"]).text
            passed = values["passed"] is True
            note = f"of {compared} compared between {what} and the reference"
            note += "" if passed else f"; {values['failure'] or 'failed'}"
            return Card(title, differ, note, _verdict(passed, record))
    return Card(title, None, "qnn verify BUILD")


def _accuracy(records):
    best = None
    for name in ("simulate_reference", "simulate_functional", "simulate_rtl"):
        record = records.get(name)
        if record is None or "given_images" not in record.values:
            continue
        keys = [key for key in record.values if key.endswith("_accuracy_percent")]
        if keys and (best is None or record.values["given_images"] > best[0]):
            best = record.values["given_images"], keys[0], record
    if best is None:
        return Card("Accuracy", None, "qnn simulate BUILD --data DATA --images 360")
    images, key, record = best
    percent = number(key, record.values[key], record.stale)
    return Card(
        "Accuracy", percent, f"of {images:,} test images; {DEVICES[record.values['device']]}"
    )


def _cycles(records, costs):
    for name in ("verify_rtl", "simulate_rtl"):
        record = records.get(name)
        cycles = record and record.values.get("simulated_cycles_per_image")
        if cycles:
            found = number("simulated_cycles_per_image", cycles, record.stale)
            return Card("Cycles an image", found, "RTL in Verilator")
    found = number("simulated_cycles_per_image", costs.cycles)
    return Card("Cycles an image", found, "cycle model; RTL not run: qnn simulate BUILD")


def _clock(records: Records, clock: ClockCheck) -> Card:
    record = records.get(clock.record)
    if record is None or "estimated_fmax_mhz" not in record.values:
        return Card(clock.title, None, clock.todo)
    note, met = clock.judge(record.values)
    shown = number("estimated_fmax_mhz", record.values["estimated_fmax_mhz"], record.stale)
    return Card(clock.title, shown, note, _verdict(met, record))


def _verdict(good, record):
    return "good" if good and not record.stale else "bad"
