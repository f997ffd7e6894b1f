"""Each core of a ZCU102 has a part of the device: apart from the others, and large enough."""

import re

import numpy as np
import pytest

from boards import every, family, named
from boards.zynqmp.devices import XCZU9EG
from boards.zynqmp.pblocks import constraints, parts
from hw.spec.config import CONFIGS
from hw.spec.resources import USABLE_BRAM18, total
from qnn.eda.timing.grid import Grid
from tests.boards.builds import sources

GRID, CORES = Grid.load(), (2, 3, 4)
LUTS = 8  # of a slice
RANGE = re.compile(r"(SLICE|RAMB36|RAMB18)_X(\d+)Y(\d+):\1_X(\d+)Y(\d+)")


def ranges(text, core, kind):
    """First and last columns and rows of the sites that a core has, the last ones excluded."""
    (line,) = re.findall(rf"^resize_pblock .*core_{core}\] -add \{{(.*)\}}$", text, re.MULTILINE)
    found = [list(map(int, ends)) for name, *ends in RANGE.findall(line) if name == kind]
    return [(left, bottom, right + 1, top + 1) for left, bottom, right, top in found]


def sites(text, core, kind):
    return sum(
        (right - left) * (top - bottom) for left, bottom, right, top in ranges(text, core, kind)
    )


@pytest.mark.parametrize("cores", CORES)
def test_parts_share_all_slices_and_none_of_the_processor(cores):
    taken = np.zeros((GRID.columns, GRID.rows), int)
    text = constraints(XCZU9EG.name, cores)
    for core in range(cores):
        for left, bottom, right, top in ranges(text, core, "SLICE"):
            taken[left:right, bottom:top] += 1
    columns, rows = GRID.processor
    assert not taken[:columns, :rows].any()
    taken[:columns, :rows] = 1
    assert (taken == 1).all()


@pytest.mark.parametrize("cores", CORES)
def test_each_part_has_as_many_slices_and_block_rams_as_a_core_may_take(cores):
    text = constraints(XCZU9EG.name, cores)
    whole = len(GRID.slices)
    for core in range(cores):
        assert abs(sites(text, core, "SLICE") * cores / whole - 1) < 0.05
        halves = sites(text, core, "RAMB18")
        assert halves == 2 * sites(text, core, "RAMB36") > USABLE_BRAM18 * XCZU9EG.bram18 / cores
    for kind, count in (("RAMB18", XCZU9EG.bram18), ("SLICE", XCZU9EG.lut / LUTS)):
        assert sum(sites(text, core, kind) for core in range(cores)) == count


def test_a_reference_core_leaves_a_fifth_of_its_part():
    cells, text = total(CONFIGS["reference"]), constraints(XCZU9EG.name, 4)
    for core in range(4):
        assert cells.lut < 0.8 * LUTS * sites(text, core, "SLICE")
        assert cells.bram18 < sites(text, core, "RAMB18")


@pytest.mark.parametrize("cores", CORES)
def test_block_rams_stand_in_the_slices_of_their_part(cores):
    text = constraints(XCZU9EG.name, cores)
    at, count = GRID.block
    height = GRID.rows // count
    for core, rectangles in enumerate(parts(GRID, cores)):
        both = zip(ranges(text, core, "RAMB36"), rectangles, strict=True)
        for (left, bottom, right, top), slices in both:
            assert all(slices.left <= at[x] <= slices.right for x in range(left, right))
            assert (bottom * height, top * height) == (slices.bottom, slices.top + 1)


def test_each_core_has_a_part_of_its_own_name():
    made = re.findall(r"^create_pblock (.*)$", constraints(XCZU9EG.name, 4), re.MULTILINE)
    assert made == ["core_0", "core_1", "core_2", "core_3"]


@pytest.mark.parametrize(
    "board", [board for board in every() if family(board) == "zynqmp"], ids=str
)
def test_a_project_has_parts_where_the_columns_are_known_and_several_cores(board):
    def has_parts(cores):
        files = board.files(CONFIGS["test"], sources(), cores)
        return b"create_pblock" in files["vivado/qnn.xdc"]

    assert not has_parts(1)
    assert has_parts(2) == (board.name == named("zcu102").name)
