import re
import shutil
import subprocess

import pytest

import boards
from hw.spec.config import named_config
from qnn.design import Design, compile
from qnn.report import records
from qnn.report.page import manifest, page, write_page
from tests.compiler import small_graphs
from tests.report.page_reader import Element, fetched, read, unmarked

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
    "timing_2": {
        "device": "xczu9eg",
        "speed_grade": "-2",
        "estimated_low_mhz": 167.5,
        "estimated_high_mhz": 211.0,
        "slack": {"estimated_bounds_ns": [0.0, 1.5, 3.0], "estimated_ends": [1, 7]},
        "paths": [
            {
                "begin": "compute.first<0>",
                "end": "shell.last[3] CE",
                "estimated_ns": 5.25,
                "estimated_cells_ns": 1.5,
                "estimated_nets_ns": 3.25,
                "estimated_levels": 11,
                "estimated_alike": 2,
            }
        ],
    },
    "synth_array": {"measured_cells": {"lut": 1064, "dsp": 0, "lut_packed": 900}},
}


@pytest.fixture(scope="module")
def design():
    return compile(small_graphs.residual(), "test")


@pytest.fixture(scope="module")
def _build(design, tmp_path_factory):
    return design.write(tmp_path_factory.mktemp("build") / "build")


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


def not_run(page):
    """The rows of the one table of what was not run: what, and what gives it."""
    tables = [table for table in read(page).all("table") if "missing" in table.classes]
    rows = [row for table in tables for body in table.all("tbody") for row in body.all("tr")]
    return {next(row.all("th")).text: next(row.all("td")).text for row in rows}


def titles(page):
    return [next(card.all("h3")).text for card in cards_of(page)]


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


def test_what_was_not_run_has_no_card_but_one_table_with_its_commands(build):
    page = written(build)
    always = ["Cycles an image", "Frames per second", "Time of an image", "Array utilisation"]
    assert titles(page) == always
    assert not_run(page) == {
        "Values that differ": "qnn verify BUILD",
        "Accuracy": "qnn simulate BUILD --data DATA --images 360",
        "Cycles in RTL": "qnn simulate BUILD --device rtl",
        "Clock by our analysis": "qnn synth BUILD --timing",
        SERIAL.clock.title: SERIAL.clock.todo,
        ZYNQ.clock.title: ZYNQ.clock.todo,
        **{f"Cells: {way.missing}": way.todo for way in (*ZYNQ.cells, *SERIAL.cells)},
    }
    keep_all(build)
    page = written(build)
    clocks = [SERIAL.clock.title, ZYNQ.clock.title, "Clock by our analysis, grade -2"]
    assert titles(page) == ["Values that differ", "Accuracy", *always, *clocks]
    assert not_run(page) == {}
    assert "Not run yet" not in page


def test_cycles_become_time_at_the_clock_and_the_memory_is_said(build):
    keep_all(build)
    cards = {next(card.all("h3")).text: card.text for card in cards_of(written(build))}
    cycles = RESULTS["verify_rtl"]["simulated_cycles_per_image"]
    mhz = ZYNQ.clock_mhz
    assert f"{mhz * 1e6 / cycles:,.1f}" in cards["Frames per second"]
    assert f"1 core at {mhz:g} MHz, the default clock of {ZYNQ.title}" in cards["Frames per second"]
    assert f"{cycles / mhz / 1e3:.3f} ms" in cards["Time of an image"]
    assert (
        "The model assumes a memory that answers after 32 cycles and moves 8 bytes a cycle each "
        f"way, which is {8 * mhz / 1e3:.1f} GB/s at {mhz:g} MHz"
    ) in " ".join(written(build).split())


def test_the_clock_and_cores_that_a_project_asks_for_count(build):
    cells = {"cores": 2, "given_clock_mhz": 200.0, "all_cores": {}, "device": {}}
    design = Design.read(build)
    found = page(design, {}, manifest(build), boards.shown(), cells, own=True)
    assert f"2 cores at 200 MHz, as its project for {ZYNQ.title} asks" in found


def test_the_critical_path_is_told_where_it_is_known(build):
    path = "a/b_reg[3] to c/d_reg: 3.7 ns, 6 levels of logic"
    records.keep(build, "vivado", {**RESULTS["vivado"], "critical_path": path})
    (card,) = (card for card in cards_of(written(build)) if ZYNQ.clock.title in card.text)
    assert f"critical path: {path}" in card.text


def test_the_page_names_the_network_and_its_newest_result(design, tmp_path):
    build = design.write(tmp_path / "build", network="residual<b>")
    assert "newest result" not in written(build)
    for name, date in (("verify_rtl", "2026-01-02 03:04 UTC"), ("vivado", "2025-01-01 00:00 UTC")):
        records.keep(build, name, {**RESULTS[name], "date": date, "commit": "0123abcd"})
    text = written(build)
    assert "<title>residual&lt;b&gt; - qnn report</title>" in text
    assert "newest result: 2026-01-02 03:04 UTC, commit <code>0123abcd</code>" in text


def test_cells_have_the_names_and_shares_of_their_chip(build):
    keep_all(build)
    rows = [
        [cell.text for cell in row.children if isinstance(cell, Element)]
        for row in read(written(build)).all("tr")
    ]
    named = {row[0]: row[1:4] for row in rows if row}
    lut4 = [" ".join(text.split()) for text in named["LUT4"]]
    assert lut4 == ["16,690 measured", "83,640 given", "20.0 % measured"]
    tiles = [" ".join(text.split()) for text in named["Block RAM tiles"]]
    assert tiles == ["30.50 measured", "912 given", "3.3 % measured"]
    assert {"CLB LUTs", "DP16KD", "MULT18X18D"} <= named.keys()


@pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")
@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 400])
def test_nothing_is_wider_than_the_window_in_a_browser(build, tmp_path, width):
    keep_all(build)
    path = write_page(build)
    frame = tmp_path / "frame.html"
    frame.write_text(
        f'<iframe id="f" src="{path}" style="width:{width}px;height:900px;border:0"></iframe>'
        "<script>onload = () => { document.title = "
        'document.getElementById("f").contentDocument.documentElement.scrollWidth }</script>'
    )
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files")
    done = subprocess.run(
        ["chromium", *options, "--dump-dom", "--window-size=1400,900", f"file://{frame}"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    # A bar to scroll down by may take some of the width.
    assert width - 20 <= int(re.search(r"<title>(\d+)</title>", done.stdout)[1]) <= width


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
    cells = {
        "cores": 2,
        "given_clock_mhz": 250.0,
        "all_cores": counted,
        "device": {"name": "xczu9eg", "lut": 274_080},
    }
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


def test_a_timing_analysis_has_its_slack_and_its_worst_paths(build):
    keep_all(build)
    page = written(build)
    assert "xczu9eg, speed grade -2" in page
    assert "0.00 to 1.50 ns" in page
    assert "compute.first&lt;0&gt;" in page
    assert "5.25 ns" in page
    card = next(card for card in cards_of(page) if "Clock by our analysis" in card.text)
    assert "167.5 MHz" in card.text
    assert "211 MHz at the high end" in card.text
