"""``qnn explore`` from a float model to a build folder, and what it refuses in one line."""

import json
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys

import pytest

import boards
from qnn.design import Design
from qnn.explore.store import store_at
from tests.explore.factory import MODEL, write_data
from tests.report.page_reader import fetched, read, unmarked

ONE = ("--workers", "1")
SMALL = (
    *("--vary", "lanes=8", "--vary", "rows=4,8", "--vary", "columns=2,4", "--vary", "cores=1,2"),
    *("--vary", "terms=1,2", "--vary", "epilogue_words=1", "--vary", "neighbours=0"),
    *("--vary", "feature_words=2048", "--vary", "weight_words=512", "--vary", "parameter_words=64"),
)
MARKS = ("measured", "simulated", "estimated")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explored")
    write_data(folder / "data.npz")
    return folder


def command(place, *more):
    data = ("--data", place / "data.npz", "--store", place / "s.sqlite")
    return ("explore", MODEL, *data, *SMALL, *more)


@pytest.fixture
def explored(qnn, place):
    """A front of few designs, searched for once: a second time, all is known."""
    few = ("--method", "random", "--evaluations", "3", "--designs", "2", *ONE)
    code, out, err = qnn(*command(place, *few, "--json"))
    assert code == 0, err
    return json.loads(out), err


def test_a_front_is_told_with_intervals_and_commands(explored, place):
    found, _ = explored
    assert found["network"] == MODEL
    assert found["objectives"] == ["accuracy", "fps", "lut"]
    assert 1 <= len(found["front"]) <= 3
    assert len(found["evaluated"]) == 3
    for design in found["front"]:
        assert design["fidelity"] == "full"
        for figure in design["figures"].values():
            assert figure["low"] <= figure["value"] <= figure["high"]
            assert figure["mark"] in MARKS
        assert shlex.split(design["command"])[:3] == ["qnn", "quantize", MODEL]
    assert set(found["picks"]) == {"knee", "fastest", "smallest"}
    page = (place / "s.html").read_text()
    assert unmarked(page.replace("<script", "<style").replace("</script", "</style")) == []
    # Scripts are part of the page; nothing is fetched.
    assert set(fetched(page)) <= {"<script>"}
    (data, code) = (each for each in read(page).all("script"))
    assert json.loads(data.text)["front"] == found["front"]
    assert "http" not in code.text.replace("http://www.w3.org/2000/svg", "")
    names = [design["name"] for design in found["front"]]
    assert all(f'id="design-{name}"' in page for name in names)


def test_a_second_search_computes_nothing_and_finds_the_same(qnn, place, explored):
    found, _ = explored
    few = ("--method", "random", "--evaluations", "3", "--designs", "2", *ONE)
    code, out, err = qnn(*command(place, *few))
    assert code == 0, err
    assert f"3 designs are known from {place / 's.sqlite'}" in err
    for design in found["front"]:
        assert design["name"] in out
    assert f"{place / 's.html'}: the front, with the command of each design" in out


def test_a_picked_design_is_built_without_its_network(qnn, place, explored, tmp_path):
    found, _ = explored
    code, out, err = qnn(
        *("explore", "--store", place / "s.sqlite", "--pick", "smallest"),
        *("-o", tmp_path / "build", "--json"),
    )
    assert code == 0, err
    told = json.loads(out)
    design = next(d for d in found["front"] if d["name"] == found["picks"]["smallest"])
    assert told["figures"] == design["figures"]
    built = Design.read(tmp_path / "build")
    assert built.config.rows == design["array"]["rows"]
    assert built.backend.costs(built.artifact).cycles == pytest.approx(
        design["figures"]["cycles"]["value"] * design["cores"], rel=0.02
    )
    assert (tmp_path / "build" / "vivado").exists() == (told["board"] == boards.reference().name)


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        (
            "UPDATE evaluations SET point = json_set(point, '$.cores', 9)",
            f"error: {boards.reference().name}: cores must be 1 to 4, one for each memory port of "
            "the processing system, not 9",
        ),
        (
            "UPDATE facts SET value = json_set(value, '$.objectives', json('[]')) "
            "WHERE name = 'search'",
            "error: {store}: cut short or altered; remove it, or name another with --store",
        ),
    ],
)
def test_a_store_that_was_altered_is_refused_in_one_line(
    qnn, place, explored, tmp_path, statement, text
):
    store = tmp_path / "s.sqlite"
    shutil.copy(place / "s.sqlite", store)
    with sqlite3.connect(store) as connection:
        connection.execute(statement)
    connection.close()
    out = tmp_path / "build"
    code, _, err = qnn("explore", "--store", store, "--pick", "knee", "-o", out)
    assert code == 3
    assert err.splitlines() == [text.format(store=store)]
    assert not out.exists()


def test_the_command_of_a_design_builds_it_again(qnn, explored, tmp_path, monkeypatch):
    design = explored[0]["front"][0]
    monkeypatch.chdir(tmp_path)
    quantize, compile_ = design["command"].split(" && ")
    code, out, err = qnn(*shlex.split(quantize)[1:], "--json")
    assert code == 0, err
    figures = design["figures"]
    assert json.loads(out)["quantized_accuracy"] == figures["test_accuracy"]["value"]
    assert json.loads(out)["expected_loss"] == figures["lost"]["value"]
    code, out, err = qnn(*shlex.split(compile_)[1:])
    assert code == 0, err
    built = Design.read(tmp_path / "build")
    cycles = built.backend.costs(built.artifact).cycles
    assert figures["cycles"]["low"] * design["cores"] <= cycles * 1.02
    if design["cores"] == 1:
        assert cycles == figures["cycles"]["value"]


def test_a_budget_that_ends_a_search_is_told_in_its_last_line(qnn, place, explored):
    few = ("--method", "random", "--evaluations", "9", "--budget", "0.001s", *ONE)
    code, out, err = qnn(*command(place, *few))
    assert code == 0, err
    lines = err.splitlines()
    assert len(set(lines)) == len(lines)
    assert lines[-1].startswith("note: --budget has ended the search: 3 designs compared, ")
    assert lines[-1].endswith(f"; the same command goes on from {place / 's.sqlite'}")
    for design in explored[0]["front"]:
        assert design["name"] in out


@pytest.mark.parametrize(
    ("more", "code", "text"),
    [
        (("--constraints", "accuracy>99", "--budget", "1m"), 3, "accuracy>99 is impossible: the "),
        (("--constraints", "lut<100", "--budget", "1m"), 3, "constraint lut<100 is impossible: "),
        (("--vary", "lanes=4", "--vary", "rows=8", "--budget", "1m"), 3, "the space is empty: no "),
        (("--budget", "1m", "--ray", "127.0.0.1:1", "--method", "random"), 3, "127.0.0.1:1"),
    ],
)
def test_what_cannot_be_searched_is_refused_in_one_line(qnn, place, more, code, text):
    given, out, err = qnn(*command(place, *ONE, *more))
    assert given == code
    assert out == ""
    last = err.splitlines()[-1]
    assert last.startswith("error: ")
    assert text in last


def test_a_store_of_other_data_is_refused(qnn, place, explored, tmp_path):
    write_data(tmp_path / "data.npz", seed=5)
    data = ("--data", tmp_path / "data.npz", "--store", place / "s.sqlite")
    code, _, err = qnn("explore", MODEL, *data, *SMALL, "--evaluations", "3", *ONE)
    assert code == 3
    assert err.splitlines()[-1].startswith(
        f"error: {place / 's.sqlite'}: has designs of another network (other weights or other data)"
    )


@pytest.mark.processes
def test_workers_find_what_one_process_finds(qnn, place, tmp_path):
    given = command(place, "--method", "random", "--evaluations", "6", "--designs", "2")
    given = [str(each) for each in (*given, "--batch", "3", "--json")]
    found = {}
    # Each with a store of its own, so that none reads what the other has found.
    for workers in ("1", "3"):
        given[given.index("--store") + 1] = str(tmp_path / f"{workers}.sqlite")
        program = [sys.executable, "-m", "qnn.cli", *given, "--workers", workers]
        done = subprocess.run(program, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found[workers] = json.loads(done.stdout)
    one, three = found["1"], found["3"]
    assert one["front"] == three["front"]
    assert sorted(each["name"] for each in one["evaluated"]) == sorted(
        each["name"] for each in three["evaluated"]
    )
    assert one["computed"] == three["computed"] > 6


@pytest.mark.processes
def test_ctrl_c_keeps_what_was_found_and_says_how_to_go_on(place, tmp_path):
    given = [
        str(each) for each in command(place, "--method", "random", "--evaluations", "40", *ONE)
    ]
    given[given.index(str(place / "s.sqlite"))] = str(tmp_path / "c.sqlite")
    program = [sys.executable, "-m", "qnn.cli", *given]
    with subprocess.Popen(program, stderr=subprocess.PIPE, text=True) as process:
        # The first batch has ended: others follow for long.
        lines = [next(line for line in process.stderr if "on the front" in line)]
        process.send_signal(signal.SIGINT)
        lines += process.stderr.readlines()
    assert process.returncode == 130
    path = tmp_path / "c.sqlite"
    assert f"stopped; {path} has " in lines[-1]
    assert "; go on with: python -m qnn.cli explore " in lines[-1]
    with store_at(path) as store:
        assert 2 <= len(store.evaluations()) < 40
