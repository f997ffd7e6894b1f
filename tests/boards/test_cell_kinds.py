"""Counts of tools become the cells that a chip's maker names, with their shares."""

import pytest

import boards
from boards.cell_kinds import cell_uses

ZYNQ, SERIAL = boards.shown()
YOSYS = {
    **{"lut": 100, "lut_packed": 90, "lut_shift_registers": 8, "lut_memories": 4},
    **{"ff": 200, "carry4": 5, "dsp": 0, "bram18": 3},
}


def uses(board, used, available):
    return {
        use.name: (use.used, use.available, use.estimated)
        for use in cell_uses(board.kinds, used, available)
    }


def test_counts_of_yosys_are_in_the_words_of_ultrascale():
    chip = {"lut": 8000, "ff": 16000, "bram18": 24, "dsp": 10}
    assert uses(ZYNQ, YOSYS, chip) == {
        "CLB LUTs": (112, 8000, False),
        "LUTs as logic, packed (Yosys's estimate)": (90, None, True),
        "LUTs as shift registers": (8, None, False),
        "LUTs as memory": (4, None, False),
        "CLB registers": (200, 16000, False),
        # Five halves take three cells, of which each CLB has one beside eight LUTs.
        "CARRY8": (3, 1000, False),
        "Block RAM tiles": (1.5, 12, False),
        "DSP48E2": (0, 10, False),
    }


def test_a_chip_that_is_unknown_has_no_shares_and_other_counts_stay():
    found = list(cell_uses(SERIAL.kinds, {"lut4": 5, "pll": 1}, {}))
    assert [(use.name, use.available, use.share) for use in found] == [
        ("LUT4", None, None),
        ("pll", None, None),
    ]


@pytest.mark.parametrize("board", boards.every(), ids=lambda board: board.name)
def test_every_board_names_its_cells_once(board):
    names = [kind.name for kind in board.kinds]
    assert len(names) == len(set(names))
    keys = [key for kind in board.kinds for key in kind.parts]
    assert {"ff", "dsp"} <= set(keys)
