"""What ``qnn verify`` adds to a report of values: the board's project, and the build's record."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sim.verification import Report


def contradiction(build: Path) -> str | None:
    """The first thing in which the build's board project is not what was simulated, or None."""
    import boards

    if boards.board_of(build) is None:
        return None
    board, texts = boards.project_of(build)
    return next(iter(board.findings(texts)), None)


def record(report: "Report", images: int, data: str, against: str = "reference") -> dict:
    """The verification's entry in the report."""
    kept = {
        "device": report.device,
        "data": data,
        "passed": report.passed,
        "failure": report.failure,
        "first_difference": None if report.first is None else str(report.first),
        "given_images": images,
        "simulated_values_compared": report.values_compared,
        "simulated_mismatches": report.mismatches,
    }
    # Only what is unusual, so that results of earlier versions say the same.
    if against != "reference":
        kept["against"] = against
    # The functional simulator has none.
    if report.run_cycles:
        kept["simulated_cycles_per_image"] = sum(report.run_cycles) / images
    return kept
