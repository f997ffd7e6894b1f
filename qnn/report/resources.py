"""Cells that the design takes of each chip for which they were counted."""

from collections.abc import Mapping
from dataclasses import dataclass

from qnn.report.numbers import Number, number
from qnn.report.records import Record

TITLES = {
    "synth_array": "The array alone, of a ZCU102 (Yosys, before packing)",
    "synth_accelerator": "The accelerator, of a ZCU102 (Yosys, before packing)",
    "synth_ulx3s": "The whole design on ECP5-85 (nextpnr, routed)",
    "vivado": "The board's design on ZCU102 (Vivado)",
}
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
class Cell:
    """One kind of cell: used, and, where the chip is known, available and the share, 0 to 1."""

    name: str
    used: Number
    available: Number | None
    share: float | None


@dataclass(frozen=True)
class Chip:
    """Cells of one result; ``todo`` says what to run where there is none."""

    title: str
    cells: tuple[Cell, ...]
    todo: str = ""

    @property
    def known(self) -> bool:
        """Whether the chip's own cells are."""
        return any(cell.available for cell in self.cells)


def chips(records: Mapping[str, Record], board: Mapping | None = None) -> list[Chip]:
    """What a board's project estimates, each result of a synthesis, and what was not run.

    Parameters
    ----------
    board : ``report/estimate_board_resources.json``, which a build for a ZCU102 has
    """
    found = [] if board is None else [_estimated(board)]
    found += [_chip(TITLES[name], records[name]) for name in TITLES if name in records]
    if not any(name in records for name in ("synth_array", "synth_accelerator")):
        found.append(Chip("ZCU102 (Yosys)", (), "qnn synth BUILD"))
    if "synth_ulx3s" not in records:
        todo = "qnn compile MODEL --board ulx3s, then qnn synth BUILD --board ulx3s"
        found.append(Chip("ECP5-85 (nextpnr, routed)", (), todo))
    if "vivado" not in records:
        todo = "Vivado, on the project of qnn compile MODEL --board zcu102"
        found.append(Chip("ZCU102 (Vivado, implemented)", (), todo))
    return found


def _estimated(board):
    cores, all_cores = board["cores"], board["all_cores"]
    used = {key.removeprefix("estimated_"): count for key, count in all_cores.items()}
    title = f"{cores} core{'s' if cores > 1 else ''} on ZCU102 (before any synthesis)"
    return Chip(title, tuple(_cells(used, board["device"], "estimated")))


def _chip(title, record):
    available = record.values.get("given_available_cells", {})
    used = record.values.get("measured_cells", {})
    return Chip(title, tuple(_cells(used, available, "measured", record.stale)))


def _cells(used, available, how, stale=False):
    for key in (*(key for key in NAMES if key in used), *sorted(used.keys() - NAMES.keys())):
        count = used[key]
        most = available.get(key)
        mark = "estimated" if key in ESTIMATED else how
        yield Cell(
            NAMES.get(key, key),
            number(f"{mark}_{key}", count, stale),
            None if most is None else number(f"given_{key}", most, stale),
            None if most is None else count / most,
        )
