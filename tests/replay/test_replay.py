import importlib
import random
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import qnn
from tests.compiler import small_graphs
from tests.replay import __main__ as command
from tests.replay import accepted, draw
from tests.replay.against import difference
from tests.replay.artifact import of_bytes, of_image, of_refusal
from tests.replay.exact import pixels, unit
from tests.replay.jobs import build_jobs, network_jobs

NAME = "builds/made/residual/test/image.bin"


@pytest.fixture(scope="module")
def image():
    return qnn.compile(small_graphs.residual(), "test").artifact


def with_byte(image, place):
    payload = bytearray(image.payload)
    payload[place] ^= 1
    return replace(image, payload=bytes(payload))


def told(image, other):
    before, after = (of_image(one.to_bytes()).summary for one in (image, other))
    return accepted.told(NAME, before, after)


def test_a_changed_instruction_is_told_as_one(image):
    line = told(image, with_byte(image, 5))
    assert line.startswith(f"{NAME}: differs in ")
    assert "-instructions=" in line
    assert "data" not in line


def test_changed_data_are_told_as_such(image):
    line = told(image, with_byte(image, image.program_bytes))
    assert "-data-bytes=" in line
    assert "instructions" not in line


def test_changed_metadata_are_told_as_such(image):
    first = replace(image.layers[0], macs=image.layers[0].macs + 1)
    line = told(image, replace(image, layers=(first, *image.layers[1:])))
    assert "metadata=" in line
    assert "instructions" not in line


def test_the_first_instruction_that_differs_is_shown_by_its_fields(image):
    one, other = (of_image(i.to_bytes()).shown for i in (image, with_byte(image, 5)))
    changed = difference(NAME, one, other).splitlines()
    assert changed[:2] == [f"--- there/{NAME}", f"+++ here/{NAME}"]
    assert sum(line.startswith("-") for line in changed) == 2
    assert sum(line.startswith("+") for line in changed) == 2


def test_a_long_difference_is_cut():
    one, other = ("\n".join(f"{word} {n}" for n in range(200)) for word in ("a", "b"))
    assert difference("x", one, other).splitlines()[-1] == "... and 343 lines more"


def test_what_differs_is_missing_or_new_is_found():
    before = {"a": "1", "b": "2", "c": "3"}
    built = {"a": "1", "b": "9", "d": "4"}
    assert accepted.compare(before, built, whole=True) == accepted.Changes(["b"], ["c"], ["d"])
    assert accepted.compare(before, built, whole=False) == accepted.Changes(["b"], [], ["d"])
    assert not accepted.compare(before, before, whole=True)


def test_a_new_text_of_a_refusal_is_told_whole():
    one, other = of_refusal("no\nroom").summary, of_refusal("no place").summary
    assert accepted.told("x", one, other) == "x: refused: no room -> refused: no place"


def test_the_list_is_read_as_it_was_written(tmp_path):
    summaries = {"configs/a": "1", "configs/B": "2 3", "networks/c": "refused: why"}
    accepted.write({"gone/x": "1"}, tmp_path)
    accepted.write(summaries, tmp_path)
    assert accepted.read(tmp_path) == summaries
    assert (tmp_path / "configs.txt").read_text() == "configs/B 2 3\nconfigs/a 1\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["configs.txt", "networks.txt"]


@pytest.mark.parametrize("quick", [False, True])
def test_each_job_has_an_accepted_artifact(quick):
    names = [f"{name}/" for name in accepted.read()]
    for job in [*network_jobs(quick), *build_jobs(quick)]:
        refused = job.startswith(("builds/drawn/model10/", "networks/drawn/model10"))
        begins = (f"{job}/", f"{job}.txt/")
        assert refused or any(name.startswith(begins) for name in names), job


def test_each_accepted_artifact_has_a_job():
    jobs = {*network_jobs(False), *build_jobs(False)}
    for name in accepted.read():
        assert command.job_of(name) in jobs, name


@pytest.mark.parametrize(
    ("options", "status", "printed"),
    [
        ([], 0, "1 artifacts built: 0 differ, 0 are missing, 0 are new\n"),
        (["--accept"], 0, "1 artifacts built: 0 differ, 0 are missing, 0 are new\n"),
    ],
)
def test_what_is_as_accepted_passes(monkeypatch, tmp_path, capsys, options, status, printed):
    run(monkeypatch, tmp_path, ["--accept"], b"same")
    capsys.readouterr()
    assert run(monkeypatch, tmp_path, options, b"same") == status
    assert capsys.readouterr().out == printed


def test_what_differs_fails_until_it_is_accepted(monkeypatch, tmp_path, capsys):
    run(monkeypatch, tmp_path, ["--accept"], b"same")
    capsys.readouterr()
    assert run(monkeypatch, tmp_path, [], b"other") == 1
    assert capsys.readouterr().out == (
        "configs/test/a.v: differs\n1 artifacts built: 1 differ, 0 are missing, 0 are new\n"
    )
    assert run(monkeypatch, tmp_path, ["--accept"], b"other") == 0
    assert run(monkeypatch, tmp_path, [], b"other") == 0


def run(monkeypatch, folder: Path, options, content):
    """Replay with one artifact and a list of its own."""
    monkeypatch.setattr(command, "replay", lambda *_: {"configs/test/a.v": of_bytes(content)})
    monkeypatch.setattr(accepted, "FOLDER", folder)
    monkeypatch.setattr(sys, "argv", ["replay", *options])
    return command.main()


def test_draws_are_the_same_for_ever():
    rng = random.Random(5)
    integers = [draw.integers(1, 6).pick(rng) for _ in range(8)]
    assert integers == [4, 5, 5, 6, 5, 6, 1, 3]
    assert draw.permutations("abcd").pick(rng) == ["d", "b", "c", "a"]
    assert all(len(draw.lists(draw.booleans(), max_size=1).pick(rng)) <= 1 for _ in range(9))


def test_strategies_of_a_module_are_drawn_without_hypothesis():
    usual = importlib.import_module("tests.graphs")  # which found Hypothesis
    hypothesis = sys.modules.get("hypothesis")
    graphs = draw.module("tests.graphs").graphs
    assert sys.modules.get("hypothesis") is hypothesis
    assert sys.modules["tests.graphs"] is usual
    one, other = (graphs().pick(random.Random(3)) for _ in range(2))
    assert [node.name for node in one.nodes] == [node.name for node in other.nodes]


def test_exact_numbers_are_the_same_for_ever():
    assert (unit("a", (2, 2)) * 128).tolist() == [[-123, -56], [-34, -120]]
    assert pixels("a", (3,)).tolist() == [133, 200, 222]
