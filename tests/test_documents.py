"""What README, the pages in docs and the example workflow tell a user to type exists."""

import json
import re
import shlex
import sys
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn
from typer.main import get_command

import qnn
from hw.spec.config import SvpeConfig, named_config
from qnn.cli.app import app, main
from qnn.nn.digits import trained_digits_cnn

ROOT = Path(__file__).resolve().parents[1]
PAGES = (each.relative_to(ROOT).as_posix() for each in sorted(ROOT.glob("docs/*.md")))
DOCUMENTS = ("README.md", *PAGES, "examples/verify.yml")


def shown_commands(text):
    """Argument lists of the `qnn` commands in shell blocks and `run:` lines."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL) + re.findall(r"- run: (.*)", text)
    lines = (line for block in blocks for line in block.replace("\\\n", " ").splitlines())
    parts = (part.strip() for line in lines for part in line.split("&&"))
    return [shlex.split(part, comments=True)[1:] for part in parts if part.startswith("qnn ")]


def unknown(arguments):
    """The first verb or option of the command line that does not exist, or None."""
    command, rest = get_command(app), list(arguments)
    while hasattr(command, "commands"):  # a group, whose next word is a verb of it
        verb = rest.pop(0) if rest else ""
        if verb not in command.commands:
            return verb
        command = command.commands[verb]
    options = {name for option in command.params for name in option.opts}
    return next((word for word in rest if word.startswith("-") and word not in options), None)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_shown_exists(document):
    commands = shown_commands((ROOT / document).read_text())
    assert commands
    assert [(line, unknown(line)) for line in commands if unknown(line)] == []


def sizes_shown(text):
    """The sizes of arrays that each line gives by ``--set NAME=NUMBER``."""
    known = {field.name for field in fields(SvpeConfig)}
    lines = (re.findall(r"--set (\w+)=(\d+)", line) for line in text.splitlines())
    found = ({name: int(n) for name, n in line if name in known} for line in lines)
    return [sizes for sizes in found if sizes]


@pytest.mark.parametrize("document", ["README.md", "docs/results.md"])
def test_arrays_have_the_sizes_that_are_shown_together(document):
    shown = sizes_shown((ROOT / document).read_text())
    assert shown
    for sizes in shown:
        named_config("reference", **sizes)


def test_a_size_that_needs_another_is_seen():
    (sizes,) = sizes_shown("or three with `--set neighbours=2`; so does\n--set epochs=3")
    with pytest.raises(ValueError, match="neighbours=2 needs"):
        named_config("reference", **sizes)


def test_a_wrong_command_is_seen():
    text = (
        "```sh\npip install . && qnn demo --loud\nqnn paint x\nqnn bench accuracy --quick\n"
        "qnn bench accuracy --loud\nqnn bench paint\n```\n- run: qnn doctor --json\n"
    )
    wrong = [unknown(line) for line in shown_commands(text)]
    assert wrong == ["--loud", "paint", None, "--loud", "paint", None]


def named_paths(text):
    """The paths in the last column of each table, which says where a thing lives."""
    cells = (line.split("|")[-2] for line in text.splitlines() if line.startswith("| **"))
    return [path for cell in cells for path in re.findall(r"`([\w./]+)`", cell) if "/" in path]


@pytest.mark.parametrize(("document", "least"), [("GLOSSARY.md", 40), ("ARCHITECTURE.md", 20)])
def test_every_file_that_a_table_names_exists(document, least):
    paths = named_paths((ROOT / document).read_text())
    assert len(paths) > least
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_a_planted_path_is_seen():
    text = "| term | where |\n| **tile** | `hw/tile.py` (`columns`), `hw/tiles.py` |\n"
    assert named_paths(text) == ["hw/tile.py", "hw/tiles.py"]


def own_project():
    """What the tutorial imports: a small network with random weights and images."""
    project = ModuleType("my_project")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        layers = nn.Conv2d(2, 4, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3)
        project.model = nn.Sequential(*layers).eval()
        project.calibration_images = torch.rand(16, 2, 7, 7)
        project.test_images = torch.rand(2, 2, 7, 7)
        project.train_images, project.train_labels = torch.rand(64, 2, 7, 7), torch.arange(64) % 3
    return project


def python_blocks():
    """The code of README, one string a block."""
    return re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def test_what_the_tutorial_says_of_learning_runs_as_it_stands(monkeypatch):
    _, learning = python_blocks()
    project = own_project()
    monkeypatch.setitem(sys.modules, "my_project", project)
    names = {"qnn": qnn, "model": project.model}
    exec(learning, names)
    graph = qnn.export(names["quantized"])
    assert {node.weight_bits for node in graph.nodes if hasattr(node, "codes")} == {3}


def readme_commands(*verbs):
    commands = shown_commands((ROOT / "README.md").read_text())
    return [arguments for arguments in commands if arguments[0] in verbs]


def test_no_command_of_the_readme_replaces_what_another_has_written():
    written = [
        arguments[arguments.index("-o") + 1]
        for arguments in readme_commands("demo", "quantize", "train", "export", "compile")
        if "-o" in arguments
    ]
    assert len(written) >= 5
    assert len(set(written)) == len(written)


@pytest.mark.slow
def test_training_as_the_readme_has_it_keeps_what_rounding_reached(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    torch.save(trained_digits_cnn().state_dict(), "demo/digits_cnn.pt")
    told = {}
    for arguments in readme_commands("quantize", "train"):
        with pytest.raises(SystemExit) as left:
            main([*arguments, "--json"])
        assert not left.value.code
        told[arguments[-1]] = json.loads(capsys.readouterr().out)
    rounded, trained = told["two_bits.safetensors"], told["trained.safetensors"]
    # Two bits of one term that were rounded in order leave training little to gain.
    assert trained["test_accuracy"] >= rounded["quantized_accuracy"] > rounded["float_accuracy"] - 3
    assert trained["test_accuracy"] > rounded["float_accuracy"] - 3


@pytest.mark.rtl
def test_the_tutorial_runs_as_it_stands(monkeypatch, tmp_path, capsys):
    tutorial, _ = python_blocks()
    monkeypatch.setitem(sys.modules, "my_project", own_project())
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(tutorial, names)
    assert len(tutorial.splitlines()) <= 10
    assert capsys.readouterr().out.splitlines()[-1].startswith("verify: PASS 0/")
    with torch.no_grad():
        wanted = names["quantized"](names["test_images"]).numpy()
    result = names["result"]
    assert (result.outputs[0] * 2.0 ** -result.exponents[0] == wanted).all()
