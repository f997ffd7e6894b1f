"""Cells that the design takes of each chip for which they were counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from boards.board import Board, CellCount
from boards.cell_kinds import cell_uses
from qnn.report.numbers import Number, number
from qnn.report.records import Record


@dataclass(frozen=True)
class CellShare:
    """One kind of cell: used, and, where the chip is known, available and the share, 0 to 1."""

    name: str
    used: Number
    available: Number | None
    share: float | None


@dataclass(frozen=True)
class Chip:
    """Cells of one result."""

    title: str
    cells: tuple[CellShare, ...]

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
    """What a board's project estimates, and each result of a synthesis.

    Parameters
    ----------
    shown : boards whose results the page shows, first that of the build
    estimate : ``report/estimate_board_resources.json``, which some boards' builds have
    """
    found = [] if estimate is None else [_estimated(estimate, shown[0])]
    for way, board in _of_boards(shown):
        named = ((name, title) for name, title in way.titles.items() if name in records)
        found += [_chip(title, records[name], board) for name, title in named]
    return found


def _of_boards(shown):
    pairs = ((way, board) for board in shown for way in board.cells)
    return sorted(pairs, key=lambda pair: pair[0].stage)


def _estimated(estimate, board):
    cores, all_cores = estimate["cores"], estimate["all_cores"]
    used = {key.removeprefix("estimated_"): count for key, count in all_cores.items()}
    title = f"{cores} core{'s' if cores > 1 else ''} on {board.title} (before any synthesis)"
    return Chip(title, tuple(_cells(board, used, estimate["device"], "estimated")))


def _chip(title, record, board):
    available = record.values.get("given_available_cells", {})
    used = record.values.get("measured_cells", {})
    return Chip(title, tuple(_cells(board, used, available, "measured", record.stale)))


def _cells(board, used, available, how, stale=False):
    for use in cell_uses(board.kinds, used, available):
        mark = "estimated" if use.estimated else how
        most = use.available
        yield CellShare(
            use.name,
            number(f"{mark}_cells", use.used, stale),
            None if most is None else number("given_cells", most, stale),
            use.share,
        )
