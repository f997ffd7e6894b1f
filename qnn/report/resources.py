"""Cells that the design takes of each chip for which they were counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from boards.board import Board, CellCount
from qnn.report.numbers import Number, number
from qnn.report.records import Record

NAMES = {
    "lut": "LUT",
    "lut4": "LUT4 and carry",
    "lut_packed": "LUT, packed (Yosys's estimate)",
    "lut_shift_registers": "LUT as shift register",
    "lut_memories": "LUT as memory",
    "ff": "flip-flop",
    "carry4": "CARRY4",
    "dsp": "DSP block",
    "bram18": "block RAM, 18 Kbit",
    "block_ram": "block RAM, 18 Kbit",
    "bram36": "block RAM, 36 Kbit",
    "lut_logic": "LUT as logic",
    "lut_memory": "LUT as memory",
    "uram": "UltraRAM",
}
ESTIMATED = ("lut_packed",)


@dataclass(frozen=True)
class CellShare:
    """One kind of cell: used, and, where the chip is known, available and the share, 0 to 1."""

    name: str
    used: Number
    available: Number | None
    share: float | None


@dataclass(frozen=True)
class Chip:
    """Cells of one result; ``todo`` says what to run where there is none."""

    title: str
    cells: tuple[CellShare, ...]
    todo: str = ""

    @property
    def known(self) -> bool:
        """Whether it is known how many cells the chip has."""
        return any(cell.available for cell in self.cells)


def counts(shown: Sequence[Board]) -> list[CellCount]:
    """The ways to count the cells of ``shown`` boards, from synthesis to implementation."""
    return sorted((way for board in shown for way in board.cells), key=lambda way: way.stage)


def chips(
    records: Mapping[str, Record], shown: Sequence[Board], estimate: Mapping | None = None
) -> list[Chip]:
    """What a board's project estimates, each result of a synthesis, and what was not run.

    Parameters
    ----------
    shown : boards whose results the page shows, first that of the build
    estimate : ``report/estimate_board_resources.json``, which some boards' builds have
    """
    ways = counts(shown)
    found = [] if estimate is None else [_estimated(estimate, shown[0].title)]
    for way in ways:
        named = ((name, title) for name, title in way.titles.items() if name in records)
        found += [_chip(title, records[name]) for name, title in named]
    missing = (way for way in ways if not way.titles.keys() & records.keys())
    return [*found, *(Chip(way.missing, (), way.todo) for way in missing)]


def _estimated(estimate, board):
    cores, all_cores = estimate["cores"], estimate["all_cores"]
    used = {key.removeprefix("estimated_"): count for key, count in all_cores.items()}
    title = f"{cores} core{'s' if cores > 1 else ''} on {board} (before any synthesis)"
    return Chip(title, tuple(_cells(used, estimate["device"], "estimated")))


def _chip(title, record):
    available = record.values.get("given_available_cells", {})
    used = record.values.get("measured_cells", {})
    return Chip(title, tuple(_cells(used, available, "measured", record.stale)))


def _cells(used, available, how, stale=False):
    # Known kinds in the table's order, then whatever else a tool counted.
    for key in (*(key for key in NAMES if key in used), *sorted(used.keys() - NAMES.keys())):
        count = used[key]
        most = available.get(key)
        mark = "estimated" if key in ESTIMATED else how
        yield CellShare(
            NAMES.get(key, key),
            number(f"{mark}_{key}", count, stale),
            None if most is None else number(f"given_{key}", most, stale),
            count / most if most else None,
        )
