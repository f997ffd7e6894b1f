"""Runs a design once more and records waves, of the cycles around the first difference."""

from pathlib import Path

from qnn.backend.waves import FORMATS, Waves
from qnn.design import Design
from qnn.ir.encode import Arrays
from sim.verification import Report

CYCLES = 2000  # that are recorded where nobody says how many
AFTER = 10  # one in so many of them comes after the difference: causes come before


def check_waves(design: Design, device: str, file: str | Path, cycles: int) -> None:
    """Raise where waves cannot be recorded, before anything runs.

    Raises
    ------
    ValueError
        The device is not hardware, the file has another ending or no folder, or there are no
        cycles.
    """
    hardware, file = design.backend.devices[-1], Path(file)
    if device != hardware:
        raise ValueError(
            f"waves are of signals, which device '{device}' has none of; take device '{hardware}'"
        )
    if file.suffix.removeprefix(".") not in FORMATS:
        endings = " or ".join(f".{name}" for name in FORMATS)
        raise ValueError(f"waves need a file that ends with {endings}, not '{file}'")
    if not file.parent.is_dir():
        raise ValueError(f"waves need a folder that is there, not '{file.parent}'; make it first")
    if cycles < 1:
        raise ValueError(f"waves need at least 1 cycle, not {cycles}")


def record_waves(
    design: Design,
    x: Arrays,
    device: str,
    file: str | Path,
    cycles: int = CYCLES,
    report: Report | None = None,
    **options,
) -> Waves:
    """Run ``design`` on ``x`` again, up to the end of what is recorded.

    Parameters
    ----------
    x : blocks of integers, as the reference takes them
    report : what was found before, which says what is worth seeing; None: the start
    options : of the device, as in the run that gave ``report``

    Raises
    ------
    ToolError
        What waves are made with is missing, or the simulation recorded nothing.
    """
    check_waves(design, device, file, cycles)
    waves = Waves(Path(file), *window(report, cycles))
    design.backend.run(design.artifact, x, device, built=design.built, waves=waves, **options)
    return waves


def window(report: Report | None, cycles: int) -> tuple[int, int, str]:
    """The first and the last of ``cycles`` cycles that are worth seeing, and why."""
    cycle, why = _centre(report)
    last = max(cycle + cycles // AFTER, cycles)
    return last - cycles, last, why


def _centre(report):
    if report is None or report.passed:
        return 0, "from the start"
    if report.first and report.first.cycle is not None:
        return report.first.cycle, f"around the first difference in cycle {report.first.cycle:,}"
    # Of a value that was never written, or only in memory, no cycle is known.
    written = [layer.cycles.last_write for layer in report.layers if layer.cycles]
    last = max((cycle for cycle in written if cycle is not None), default=None)
    if last is None:
        return 0, "from the start, as no layer wrote anything"
    return last, f"around the last write of a layer in cycle {last:,}"
