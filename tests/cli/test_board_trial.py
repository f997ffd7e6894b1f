"""A thorough verification of an ECP5 build runs the board's own design, as it lies in the build."""

import numpy as np
import pytest

import boards
from qnn.cli.board_trial import NAME, board_trial
from qnn.design import Design
from qnn.ir.codes import Codes
from tests.boards.tiny import tiny_design
from tests.cli.test_altered_hardware import accept

BOARD = boards.reference("ecp5")
TOP = f"{BOARD.name}/{BOARD.facts.top}.v"
X = Codes(np.random.default_rng(1).integers(0, 256, (2, 1, 4, 4)))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    design = tiny_design()
    folder = tmp_path_factory.mktemp("board") / "build"
    return design.write(folder, lambda built: BOARD.files(design.config, built, 1))


def trial(build):
    ((name, report),) = board_trial(build, Design.read(build), X)
    assert name == NAME
    return report


def test_a_build_for_no_board_has_no_design_of_one(tmp_path):
    build = tiny_design().write(tmp_path / "build")
    assert board_trial(build, Design.read(build), X) == ()


@pytest.mark.rtl
def test_the_boards_design_answers_as_the_reference(written):
    report = trial(written)
    assert report.passed, report.findings
    assert report.values_compared == 3


@pytest.mark.slow
@pytest.mark.rtl
def test_a_fault_in_the_boards_own_top_is_found(written):
    text = (written / TOP).read_text()
    assert ".activations(" in text
    (written / TOP).write_text(text.replace(".activations(", ".activations(~ ", 1))
    accept(written, TOP)
    report = trial(written)
    assert not report.passed
    assert report.mismatches > 0
