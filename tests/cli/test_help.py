"""Help, version, completion, and that the examples in help are command lines that parse."""

import os
import shlex
import subprocess
import sys
from importlib import metadata

import pytest
import typer

from qnn.cli.app import app
from qnn.cli.examples import EXAMPLES
from tests.cli.test_arguments import commands

WORDS = [words for words, _ in commands()]


def test_every_command_has_examples():
    assert {" ".join(words) for words in WORDS} <= EXAMPLES.keys()


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with every file that the examples name."""
    monkeypatch.chdir(tmp_path)
    for name in (
        "weights.pt",
        "test.npz",
        "model.safetensors",
        "model.qgraph",
        "model.onnx",
        "my_net.py",
        "networks.txt",
        "zoo.jsonl",
        "routed_paths.jsonl.gz",
    ):
        (tmp_path / name).touch()
    (tmp_path / "build").mkdir()
    # What compile may replace.
    (tmp_path / "build" / "manifest.json").touch()


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_the_examples_parse(place, words):
    for example in EXAMPLES[" ".join(words)]:
        arguments = shlex.split(example.removeprefix('eval "$(').removesuffix(')"'))[1:]
        assert tuple(arguments[: len(words)]) == words
        command = typer.main.get_command(app)
        for word in words:
            command = command.commands[word]
        command.make_context(words[-1], arguments[len(words) :])


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_help_has_the_examples_and_may_be_asked_for_in_three_ways(qnn, words):
    code, out, err = qnn(*words, "--help")
    assert (code, err) == (0, "")
    for example in EXAMPLES[" ".join(words)]:
        assert f"  {example}\n" in out
    assert qnn(*words, "-h") == qnn("help", *words) == (0, out, "")


def test_help_of_no_command_is_the_list(qnn):
    assert qnn("help") == qnn("-h") == qnn("--help") == qnn()
    text = "error: qnn: No such command 'paint'. Did you mean 'train'?\n"
    assert qnn("help", "paint") == (2, "", text)


def test_the_version_may_be_asked_for_in_two_ways(qnn):
    assert qnn("version") == qnn("--version") == (0, f"qnn {metadata.version('qnn')}\n", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands(qnn, shell):
    code, script, err = qnn("completion", shell)
    assert (code, err) == (0, "")
    assert "_QNN_COMPLETE=complete_" + shell in script


def test_completion_gives_the_commands_that_a_word_begins():
    asked = {"_QNN_COMPLETE": "complete_bash", "COMP_WORDS": "qnn ver", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "qnn.cli"],
        capture_output=True,
        text=True,
        env={**os.environ, **asked, "PYTHONPATH": os.getcwd()},
        check=True,
    )
    assert done.stdout.split() == ["verify", "version"]


def test_more_images_than_there_are_is_told(qnn, build):
    code, out, err = qnn("simulate", build, "--device", "functional", "--images", 10**30)
    text = f"note: digits has 360 test images, not {10**30:,}; all of them are taken\n"
    assert (code, err) == (0, text)
    assert out.startswith("functional: 360 images in ")
