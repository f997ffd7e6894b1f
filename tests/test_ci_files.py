"""What others build on: the action for a hosted CI, and the versions of a repeatable install."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PINS = dict(
    line.split("==")
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if not line.startswith("#")
)


def requirements():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for text in (*project["dependencies"], *extras["dev"], *extras["train"]):
        if not text.startswith("qnn"):
            yield Requirement(text)


def test_every_requirement_has_a_version_that_it_allows():
    for requirement in requirements():
        pin = PINS[requirement.name.lower()]
        assert requirement.specifier.contains(pin), f"{requirement} is pinned to {pin}"


def test_ci_installs_those_versions():
    for name, least in ((".ci/run", 2), ("examples/verify.yml", 1), ("action.yml", 1)):
        text = (ROOT / name).read_text()
        installs = re.findall(r"^[^#\n]*pip install (.*)", text, re.MULTILINE)
        assert len(installs) >= least
        assert [line for line in installs if "constraints.txt" not in line] == []


@pytest.fixture
def action():
    yaml = pytest.importorskip("yaml", reason="PyYAML reads action.yml")
    return yaml.safe_load((ROOT / "action.yml").read_text())


def test_the_action_has_what_its_schema_asks_for(action):
    # The fields of metadata for a composite action, as GitHub documents them.
    assert action.keys() == {"name", "description", "inputs", "outputs", "runs"}
    assert action["runs"].keys() == {"using", "steps"}
    assert action["runs"]["using"] == "composite"
    for one in action["inputs"].values():
        assert one.keys() <= {"description", "default", "required"}
        assert one.get("required") or isinstance(one["default"], str)
    for step in action["runs"]["steps"]:
        assert ("uses" in step) != ("run" in step)
        # Without it a composite action's step is refused.
        assert "uses" in step or step["shell"] == "bash"


def test_the_action_uses_each_input_and_no_other(action):
    text = (ROOT / "action.yml").read_text()
    used = set(re.findall(r"inputs\.([\w-]+)", text))
    assert used == action["inputs"].keys()
    for step in action["runs"]["steps"]:
        # In a command, an input's text would be run; in the environment it is a value.
        assert "inputs." not in step.get("run", "")


def test_the_actions_commands_parse(action, tmp_path, monkeypatch):
    import os
    import shlex

    import typer

    from qnn.cli.app import app

    monkeypatch.chdir(tmp_path)
    for name in ("model.qgraph", "test.npz"):
        (tmp_path / name).touch()
    values = {name: one.get("default", "model.qgraph") for name, one in action["inputs"].items()}
    monkeypatch.setenv("RUNNER_TEMP", str(tmp_path))
    tried = 0
    for step in action["runs"]["steps"]:
        if not step.get("run", "").startswith("qnn "):
            continue
        for name, text in step["env"].items():
            monkeypatch.setenv(name, values[re.fullmatch(r"\$\{\{ inputs\.(\S+) \}\}", text)[1]])
        words = shlex.split(os.path.expandvars(step["run"]))
        command = typer.main.get_command(app).commands[words[1]]
        command.make_context(words[1], words[2:])
        tried += 1
    assert tried == 2


def test_the_workflow_passes_its_linter():
    actionlint = shutil.which("actionlint")
    if actionlint is None:
        pytest.skip("actionlint is not installed")
    done = subprocess.run(
        [actionlint, ROOT / "examples" / "verify.yml"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
