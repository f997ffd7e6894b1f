import re
import sys

import pytest

from boards import tcl
from boards.tcl import Failure, RefusedError, Script, run
from qnn.errors import ToolError

HAS_TCLSH = tcl.shutil.which("tclsh") is not None


@pytest.fixture(params=["tclsh", "tkinter"])
def interpreter(request, monkeypatch):
    if request.param == "tclsh" and not HAS_TCLSH:
        pytest.skip("tclsh is not installed")
    if request.param == "tkinter":
        pytest.importorskip("tkinter", reason="this Python has no tkinter")
        monkeypatch.setattr(tcl.shutil, "which", lambda name: None)


def answers(files):
    """An answer that sources from ``files``, and the commands that it was asked."""
    asked = []

    def answer(words):
        asked.append(words)
        if words[0] == "source":
            return Script(words[1], files[words[1]])
        if words[0] == "refuse":
            raise RefusedError("no,\nnot that")
        return f"<{words[-1]}>"

    return answer, asked


def test_commands_come_with_their_arguments_and_answers_go_back(interpreter):
    answer, asked = answers({"a": "set x [one {b c} é]\ntwo $x {}\n"})
    assert run("a", answer) is None
    assert asked == [["source", "a"], ["one", "b c", "é"], ["two", "<é>", ""]]


def test_a_failure_has_the_line_of_the_innermost_file(interpreter):
    answer, _ = answers(
        {"a": "\n\nsource b\n", "b": "# b\nfor {set x 1} {$x < 3} {incr x} {\n\n  refuse $x\n}\n"}
    )
    assert run("a", answer) == Failure("b", 4, "no,\nnot that")


def test_what_touches_the_machine_is_asked_for_and_not_done(interpreter, tmp_path):
    target = tmp_path / "written"
    script = f"exec touch {target}\nopen {target} w\nfile delete /\nputs x\nexit 3\nlast"
    answer, asked = answers({"a": script})
    assert run("a", answer) is None
    assert [words[0] for words in asked[1:]] == ["exec", "open", "file", "puts", "exit", "last"]
    assert not target.exists()


def test_the_name_of_a_script_is_known_to_it(interpreter):
    answer, asked = answers({"a": "source b\nsay [info script]", "b": "say [info script]"})
    run("a", answer)
    assert [words for words in asked if words[0] == "say"] == [["say", "b"], ["say", "a"]]


def test_the_version_is_that_of_tcl(interpreter):
    assert re.fullmatch(r"8\.\d+\.\d+|9\.\d+\.\d+", tcl.version())


def test_an_interpreter_that_dies_is_said(monkeypatch):
    monkeypatch.setattr(tcl.shutil, "which", lambda name: "/bin/true")
    with pytest.raises(ToolError) as error:
        run("a", lambda words: "")
    assert str(error.value) == "/bin/true ended before the script did; install Tcl 8.6"


def test_without_any_tcl_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setattr(tcl.shutil, "which", lambda name: None)
    monkeypatch.setitem(sys.modules, "tkinter", None)
    with pytest.raises(ToolError) as error:
        run("a", lambda words: "")
    assert tcl.version() is None
    assert str(error.value) == (
        "checking Tcl needs 'tclsh' or Python's tkinter, but neither is here; apt install tcl"
    )
