"""What Vivado reported of a board's project, as a result that a build folder keeps."""

from collections.abc import Mapping
from pathlib import Path

from boards.vivado.reports import Reports, read

RECORD = "vivado"


def results(build: Path) -> dict[str, dict]:
    """The result by its name; empty where Vivado has not run.

    Raises
    ------
    ToolError
        A report is not what Vivado writes.
    """
    found = read(build)
    return {} if found is None else {RECORD: _values(found)}


def judge(values: Mapping[str, object]) -> tuple[str, bool]:
    """What the result's clock is of, and whether every constraint is met."""
    # Hold and pulse widths count too, which a clock's frequency does not tell.
    met = values.get("timing_met") is True
    return f"Vivado's timing analysis; constraints {'met' if met else 'not met'}", met


def _values(found: Reports) -> dict:
    kept: dict = {"tool": found.tool, "device": found.device, "state": found.state}
    if found.uses is not None:
        kept["measured_cells"] = {name: use.used for name, use in found.uses.items()}
        # By Vivado's own count of the chip, which is the one that it checks against.
        kept["given_available_cells"] = {name: use.available for name, use in found.uses.items()}
    if found.timing is not None:
        kept["timing_met"] = found.timing.met
        if found.timing.critical_path is not None:
            kept["critical_path"] = found.timing.critical_path
        kept |= _clock(found.timing.clocks_mhz, found.timing.worst_setup_ns)
    return kept


def _clock(clocks_mhz: dict[str, float], slack_ns: float | None) -> dict[str, float]:
    """The clock asked for, and what the worst slack would allow; nothing of several clocks."""
    # With several clocks the worst slack belongs to one that the summary does not name.
    if len(clocks_mhz) != 1 or slack_ns is None:
        return {}
    (mhz,) = clocks_mhz.values()
    # The period less its slack is the shortest that the worst path would meet.
    return {"given_clock_mhz": mhz, "estimated_fmax_mhz": 1000 / (1000 / mhz - slack_ns)}
