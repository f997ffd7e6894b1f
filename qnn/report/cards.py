"""The few numbers that a reader looks for first, and what gives those that are not there yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from boards.board import Board, ClockCheck
from qnn.backend.costs import Costs
from qnn.report.numbers import Number, number
from qnn.report.records import Record
from qnn.report.speed import Pace

DEVICES = {  # what each is, and the same inside a sentence; a back end may have others
    "reference": ("integer reference", "the reference"),
    "functional": ("functional simulator", "the functional simulator"),
    "rtl": ("RTL in Verilator", "RTL"),
}
VERBS = ("verify", "simulate")  # whose results have cycles
Records = Mapping[str, Record]


@dataclass(frozen=True)
class Card:
    """One of the answers at the top of the page.

    Members
    -------
    verdict : ``good``, ``bad`` or empty
    note : what it is of
    """

    title: str
    number: Number
    note: str
    verdict: str = ""


@dataclass(frozen=True)
class Missing:
    """What was not run yet, and the command that gives it."""

    title: str
    todo: str


def cards(
    records: Records,
    costs: Costs,
    shown: Sequence[Board],
    devices: Sequence[str],
    batch: int,
    at: Pace,
) -> list[Card]:
    """From verification to the clocks of ``shown`` boards, in the order in which one asks.

    Parameters
    ----------
    devices : of the back end, the closest to hardware last, whose results count first
    batch : images of a run
    at : the clock that makes time of cycles
    """
    cycles, how, stale = _cycles(records, costs, devices)
    cores = "1 core" if at.cores == 1 else f"{at.cores} cores"
    rate, time = at.frames_per_second(cycles), at.milliseconds(cycles * batch)
    # A run is what has a beginning and an end: images of a batch overlap in it.
    images = "an image" if batch == 1 else f"a run of {batch} images"
    found = [
        _verified(records, devices),
        _accuracy(records, devices),
        Card("Cycles an image", number("simulated_cycles_per_image", cycles, stale), how),
        Card(
            "Frames per second",
            number("estimated_per_second", rate, stale),
            f"{cores} at {at.clock_mhz:g} MHz, {at.why}",
        ),
        Card(
            f"Time of {images}",
            number("estimated_milliseconds", time, stale),
            f"from start to done at {at.clock_mhz:g} MHz",
        ),
        Card(
            "Array utilisation",
            number("simulated_utilisation", costs.utilisation),
            "cycle model, start to done",
        ),
        *(_clock(records, clock) for clock in _clocks(shown)),
    ]
    return [card for card in found if card is not None]


def missing(records: Records, shown: Sequence[Board], devices: Sequence[str]) -> list[Missing]:
    """Everything that the page would show if it had been run, in the order of the page."""
    # Only this device says what the hardware itself takes.
    hardware = devices[-1]
    ways = sorted((way for board in shown for way in board.cells), key=lambda way: way.stage)
    found = [
        None if _verified(records, devices) else Missing("Values that differ", "qnn verify BUILD"),
        None
        if _accuracy(records, devices)
        else Missing("Accuracy", "qnn simulate BUILD --data DATA --images 360"),
        None
        if any(f"{verb}_{hardware}" in records for verb in VERBS)
        else Missing(f"Cycles in {_said(hardware)[1]}", f"qnn simulate BUILD --device {hardware}"),
        *(
            None if _clock(records, clock) else Missing(clock.title, clock.todo)
            for clock in _clocks(shown)
        ),
        *(
            None
            if way.titles.keys() & records.keys()
            else Missing(f"Cells: {way.missing}", way.todo)
            for way in ways
        ),
    ]
    return [each for each in found if each is not None]


def _clocks(shown):
    # From estimate to measurement, as tools come one after the other.
    return sorted((board.clock for board in shown), key=lambda clock: clock.stage)


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
    return None


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
        return None
    images, key, record = best
    percent = number(key, record.values[key], record.stale)
    return Card(
        "Accuracy", percent, f"of {images:,} test images; {_said(record.values['device'])[0]}"
    )


def _cycles(records, costs, devices):
    """Cycles of an image, where they are from, and whether they are of another image's build."""
    for device, verb in product(reversed(devices), VERBS):
        record = records.get(f"{verb}_{device}")
        cycles = record and record.values.get("simulated_cycles_per_image")
        if cycles:
            return cycles, _said(device)[0], record.stale
    return costs.cycles, "cycle model", False


def _said(device):
    return DEVICES.get(device, (device, device))


def _clock(records: Records, clock: ClockCheck) -> Card | None:
    record = records.get(clock.record)
    if record is None or "estimated_fmax_mhz" not in record.values:
        return None
    note, met = clock.judge(record.values)
    shown = number("estimated_fmax_mhz", record.values["estimated_fmax_mhz"], record.stale)
    # Not every tool names the path: a clock alone is worth telling, too.
    path = record.values.get("critical_path")
    note += f"; critical path: {path}" if isinstance(path, str) else ""
    return Card(clock.title, shown, note, _verdict(met, record))


def _verdict(good, record):
    # A stale result is of another network: that it passed says nothing of this one.
    return "good" if good and not record.stale else "bad"
