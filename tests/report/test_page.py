import re
import shutil

import pytest

import boards
from hw.spec.config import named_config
from qnn.design import Design, compile
from qnn.report import records
from qnn.report.page import manifest, page, write_page
from tests.compiler import small_graphs
from tests.report.page_reader import fetched, read, unmarked

ZYNQ, SERIAL = boards.shown()
RESULTS = {
    "verify_rtl": {
        "device": "rtl",
        "passed": True,
        "failure": None,
        "given_images": 4,
        "simulated_values_compared": 17104,
        "simulated_mismatches": 0,
        "simulated_cycles_per_image": 7937.0,
    },
    "simulate_reference": {
        "device": "reference",
        "given_images": 360,
        "measured_accuracy_percent": 99.44,
    },
    f"synth_{SERIAL.name}": {
        "measured_cells": {"lut4": 16690, "ff": 14993, "block_ram": 42, "dsp": 0},
        "given_available_cells": {"lut4": 83640, "ff": 83640, "block_ram": 208, "dsp": 156},
        "estimated_fmax_mhz": 64.67,
        "given_clock_mhz": 25,
    },
    "vivado": {
        "tool": "Vivado v.2022.1",
        "timing_met": True,
        "measured_cells": {"lut": 61234.0, "bram36": 30.5},
        "given_available_cells": {"lut": 274080, "bram36": 912},
        "given_clock_mhz": 250.0,
        "estimated_fmax_mhz": 262.3,
    },
    "synth_array": {"measured_cells": {"lut": 1064, "dsp": 0, "lut_packed": 900}},
}


@pytest.fixture(scope="module")
def _build(tmp_path_factory):
    folder = tmp_path_factory.mktemp("build") / "build"
    return compile(small_graphs.residual(), "test").write(folder)


@pytest.fixture
def build(_build, tmp_path):
    """A build folder of its own for each test."""
    return shutil.copytree(_build, tmp_path / "build")


def keep_all(build):
    for name, values in RESULTS.items():
        records.keep(build, name, values)


def written(build):
    return write_page(build).read_text()


def cards_of(page):
    return [element for element in read(page).all("div") if "card" in element.classes]


def was_not_run(card):
    return any("missing" in element.classes for element in card.all("p"))


def test_every_number_shows_how_it_was_got(build):
    assert unmarked(written(build)) == []
    keep_all(build)
    page = written(build)
    assert unmarked(page) == []
    for text in ("17,104", "99.44 %", "7,937", "64.7 MHz", "16,690", "83,640"):
        assert text in page


@pytest.mark.parametrize("mark", ["measured", "simulated", "estimated"])
def test_a_number_that_loses_its_mark_is_found(build, mark):
    keep_all(build)
    page = written(build)
    assert unmarked(page.replace(f'data-mark="{mark}"', ""))
    assert unmarked(re.sub(rf'<i class="mark {mark}">{mark}</i>', "", page))


def test_the_page_needs_no_other_file(build):
    keep_all(build)
    page = written(build)
    assert fetched(page) == []
    assert "http" not in page
    assert fetched('<p><img src="x.png"></img></p>') == ["<img>", "src=x.png"]


def test_the_same_folder_gives_the_same_bytes(build, tmp_path):
    keep_all(build)
    first = write_page(build).read_bytes()
    other = shutil.copytree(build, tmp_path / "other")
    assert write_page(build).read_bytes() == first
    assert write_page(other).read_bytes() == first


def test_what_was_not_run_says_so(build):
    page = written(build)
    cards = cards_of(page)
    missing = [next(card.all("h3")).text for card in cards if was_not_run(card)]
    clocks = ["Clock on ECP5-85", f"Clock on {ZYNQ.title}"]
    assert missing == ["Values that differ", "Accuracy", *clocks]
    keep_all(build)
    cards = cards_of(written(build))
    assert [was_not_run(card) for card in cards] == [False] * 6


def test_a_result_of_another_image_is_shown_as_stale(build):
    keep_all(build)
    assert "stale</i>" not in written(build)
    for path in (build / "report").glob("verify_rtl.json"):
        path.write_text(path.read_text().replace(records.image_digest(build), "0" * 64))
    page = written(build)
    assert "stale</i>" in page
    card = cards_of(page)[0]
    assert "bad" in card.classes


def test_a_failed_verification_is_no_good_news(build):
    failed = {"passed": False, "failure": "time-out", "simulated_mismatches": 3}
    records.keep(build, "verify_rtl", RESULTS["verify_rtl"] | failed)
    card = cards_of(written(build))[0]
    assert "bad" in card.classes
    assert "time-out" in card.text


def test_a_new_build_keeps_no_result_of_the_old_one(build):
    keep_all(build)
    written(build)
    compile(small_graphs.residual(), named_config("test")).write(build)
    assert records.read(build) == {}
    assert not (build / "report" / "index.html").exists()


def test_results_and_page_leave_the_build_readable(build):
    keep_all(build)
    written(build)
    assert Design.read(build).artifact.layers


@pytest.mark.parametrize("name", ["concat", "max_pool", "one_conv"])
def test_other_networks_have_pages(build, name):
    design = compile(getattr(small_graphs, name)(), "test")
    assert unmarked(page(design, {}, manifest(build), boards.shown())) == []


def test_a_boards_estimate_is_shown_as_one(build):
    counted = {"estimated_lut": 28_000, "estimated_ff": 40_000}
    cells = {"cores": 2, "all_cores": counted, "device": {"name": "xczu9eg", "lut": 274_080}}
    text = page(Design.read(build), {}, manifest(build), boards.shown(), cells)
    assert f"2 cores on {ZYNQ.title}" in text
    assert "28,000" in text
    assert unmarked(text) == []


@pytest.mark.parametrize("board", boards.every(), ids=lambda board: board.name)
def test_a_page_shows_the_builds_board_beside_the_other_family(build, board):
    others = [one for one in boards.shown() if boards.family(one) != boards.family(board)]
    shown = (board, *others)
    text = page(Design.read(build), {}, manifest(build), shown)
    everyone = {other.clock.title for other in boards.every()}
    assert {title for title in everyone if title in text} == {one.clock.title for one in shown}
    assert all(way.missing in text for one in shown for way in one.cells)
    assert unmarked(text) == []
