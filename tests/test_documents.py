"""What README and the example workflow tell a user to type exists."""

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from qnn.cli.app import app

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = ("README.md", "examples/verify.yml")


def shown_commands(text):
    """Argument lists of the `qnn` commands in shell blocks and `run:` lines."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL) + re.findall(r"- run: (.*)", text)
    lines = (line for block in blocks for line in block.replace("\\\n", " ").splitlines())
    parts = (part.strip() for line in lines for part in line.split("&&"))
    return [shlex.split(part, comments=True)[1:] for part in parts if part.startswith("qnn ")]


def unknown(arguments):
    """The first verb or option of the command line that does not exist, or None."""
    verb, *rest = arguments
    commands = get_command(app).commands
    if verb not in commands:
        return verb
    options = {name for option in commands[verb].params for name in option.opts}
    return next((word for word in rest if word.startswith("-") and word not in options), None)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_shown_exists(document):
    commands = shown_commands((ROOT / document).read_text())
    assert commands
    assert [(line, unknown(line)) for line in commands if unknown(line)] == []


def test_a_wrong_command_is_seen():
    text = "```sh\npip install . && qnn demo --loud\nqnn paint x\n```\n- run: qnn doctor --json\n"
    assert [unknown(line) for line in shown_commands(text)] == ["--loud", "paint", None]
