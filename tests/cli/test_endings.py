"""Every way in which a command ends: the exit code, the one line, and the JSON."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest
import typer

from hw.spec.image import ImageError
from qnn.cli import app
from qnn.cli.app import main
from qnn.cli.going_on import going_on
from qnn.errors import CompileError, DeviceError, ModelError, QnnError, ToolError
from qnn.interrupt import Interrupted
from tests.nearest import NEAREST

ERRORS = [
    (ModelError("conv 'a': weights hold NaN;\nretrain it"), 3, "model"),
    (CompileError("too large"), 3, "compile"),
    (DeviceError("no answer"), 3, "device"),
    (ToolError("needs g++"), 3, "tool"),
    (QnnError("no"), 3, "refusal"),
    (ImageError("x: cut"), 3, "image"),
    (OSError(28, "No space left on device", "out/image.bin"), 3, "file"),
    (OSError(5, "Input/output error"), 3, "file"),
    (typer.BadParameter("--mean needs numbers"), 2, "usage"),
    (KeyboardInterrupt(), 130, "interrupted"),
    (KeyboardInterrupt("a.part is saved; go on with 'qnn train'"), 130, "interrupted"),
]
LINES = [
    "conv 'a': weights hold NaN; retrain it",
    "too large",
    "no answer",
    "needs g++",
    "no",
    "x: cut",
    "out/image.bin: No space left on device",
    "a file or the output: Input/output error",
    "qnn doctor: Invalid value: --mean needs numbers",
    "interrupted",
    "interrupted: a.part is saved; go on with 'qnn train'",
]
ENDINGS = [(*ending, line) for ending, line in zip(ERRORS, LINES, strict=True)]


@pytest.fixture
def failing(monkeypatch):
    """Let ``qnn doctor`` end with an error."""

    def set_error(error):
        def examine(_tool):
            raise error

        monkeypatch.setattr("qnn.cli.doctor.examine", examine)

    return set_error


@pytest.mark.parametrize(("error", "code", "kind", "line"), ENDINGS)
def test_an_error_is_one_line_and_an_exit_code(qnn, failing, error, code, kind, line):
    failing(error)
    assert qnn("doctor") == (code, "", f"error: {line}\n")


@pytest.mark.parametrize(("error", "code", "kind", "line"), ENDINGS)
def test_an_error_is_json_where_that_is_asked_for(qnn, failing, error, code, kind, line):
    failing(error)
    left, out, err = qnn("doctor", "--json")
    assert (left, err) == (code, f"error: {line}\n")
    assert json.loads(out) == {"error": {"kind": kind, "message": line}, "exit_code": code}


def test_interrupted_work_is_one_json_object_that_says_how_it_goes_on(qnn, monkeypatch):
    def examine(_tool):
        with going_on(None, named=False):
            raise Interrupted("stopped after 3 of 9 steps, which a.resume has")

    monkeypatch.setattr("qnn.cli.doctor.examine", examine)
    monkeypatch.setattr("sys.argv", ["qnn", "doctor", "--json"])
    code, out, err = qnn("doctor", "--json")
    message = (
        "interrupted: stopped after 3 of 9 steps, which a.resume has; go on with: qnn doctor --json"
    )
    assert (code, err) == (130, f"error: {message}\n")
    error = {"kind": "interrupted", "message": message}
    assert json.loads(out) == {"error": error, "exit_code": 130}


@pytest.mark.parametrize(
    "settings",
    [{"NO_COLOR": "1"}, {"FORCE_COLOR": None, "NO_COLOR": None, "TERM": "dumb"}, {"HOME": None}],
    ids=["no colour", "dumb terminal", "no home"],
)
def test_a_machine_of_few_settings_changes_no_result(settings):
    environment = {**os.environ, "PYTHONPATH": os.getcwd(), **settings}
    environment = {name: value for name, value in environment.items() if value is not None}
    done = run(["doctor", "--json"], env=environment, stdin=subprocess.DEVNULL)
    assert (done.returncode in (0, 3), done.stderr) == (True, "")
    assert json.loads(done.stdout)["tools"]
    assert "\x1b" not in done.stdout


def test_a_closed_input_changes_no_result():
    command = ["sh", "-c", 'exec "$0" -m qnn.cli version 0<&-', sys.executable]
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("qnn ")


def test_wrong_usage_is_json_where_that_is_asked_for(qnn):
    code, out, _ = qnn("verify", "--json")
    message = "qnn verify: Missing argument 'BUILD...'."
    assert (code, json.loads(out)) == (
        2,
        {"error": {"kind": "usage", "message": message}, "exit_code": 2},
    )


def test_an_unexpected_error_is_one_line_and_a_file_has_the_rest(
    qnn, failing, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    failing(ZeroDivisionError("a sum\nof none"))
    code, out, err = qnn("doctor", "--json")
    (report,) = (tmp_path / "qnn" / "faults").iterdir()
    message = (
        f"qnn itself failed: ZeroDivisionError: a sum of none; the trace is in {report}; please "
        f"report it"
    )
    assert (code, err) == (3, f"error: {message}\n")
    assert json.loads(out) == {
        "error": {"kind": "internal", "message": message, "report": str(report)},
        "exit_code": 3,
    }
    text = report.read_text()
    assert text.startswith("command: ['qnn', 'doctor', '--json']\n")
    assert "Traceback (most recent call last):" in text
    assert "in examine\n" in text


def test_the_file_is_in_a_temporary_folder_where_the_cache_cannot_be_written(
    qnn, failing, tmp_path, monkeypatch
):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    failing(ZeroDivisionError("x" * 1000))
    code, _, err = qnn("doctor")
    # Not in the cache that stands in, which goes with this process.
    (report,) = tmp_path.glob("fault-*.txt")
    assert (code, f"; the trace is in {report}; please report it\n" in err) == (3, True)
    assert len(err) < 500


def test_an_error_whose_file_cannot_be_written_says_so(qnn, failing, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none" / "file"))
    monkeypatch.setattr("pathlib.Path.mkdir", _refuse)
    failing(ZeroDivisionError("x"))
    assert qnn("doctor") == (
        3,
        "",
        "error: qnn itself failed: ZeroDivisionError: x; the trace could not be written to any "
        "folder; please report it\n",
    )


def _refuse(*_, **__):
    raise PermissionError(13, "Permission denied")


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        (
            ["verify", "none"],
            "compile",
            "none: not a build folder; make one with 'qnn compile' or Design.write",
        ),
        (["verify", "none", "--images", "few"], "usage", None),
        (["verify", "--loud"], "usage", None),
    ],
)
def test_a_junit_report_is_written_of_an_error_too(qnn, tmp_path, arguments, kind, text):
    path = tmp_path / "verify.xml"
    code, _, err = qnn(*arguments, "--junit", path)
    assert code > 1
    suite = ElementTree.parse(path).getroot().find("testsuite")
    assert (suite.get("tests"), suite.get("errors"), suite.get("failures")) == ("1", "1", "0")
    error = suite.find("testcase").find("error")
    assert error.get("type") == kind
    assert f"error: {error.get('message')}\n" == err
    assert text in (None, error.get("message"))


def test_of_several_junit_reports_the_last_is_written_of_an_error_too(qnn, tmp_path):
    first, last = tmp_path / "first.xml", tmp_path / "last.xml"
    assert qnn("verify", "none", "--junit", first, f"--junit={last}")[0] == 3
    assert (first.exists(), last.exists()) == (False, True)
    assert qnn("verify", "none", f"--junit={last}", "--junit", first)[0] == 3
    assert first.exists()


def test_a_junit_report_is_written_of_a_fault_of_our_own(qnn, build, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("sim.verify.verify", lambda *_, **__: 1 / 0)
    path = tmp_path / "verify.xml"
    assert qnn("verify", build, "--device", "functional", "--junit", path)[0] == 3
    (error,) = ElementTree.parse(path).getroot().iter("error")
    assert error.get("type") == "internal"


CHATTY = """
import os, sys, warnings
from torch import nn

print("a factory that prints")
os.system("echo a program that prints")
os.write(1, b"a library in C that prints\\n")
sys.__stdout__.write("a print past every trick\\n")

def build():
    warnings.warn("a warning")
    print("again", flush=True)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
"""


@pytest.mark.processes
def test_a_factory_that_prints_does_not_break_json(tmp_path):
    (tmp_path / "chatty.py").write_text(CHATTY)
    arguments = [
        "quantize",
        "chatty:build",
        "--checkpoint",
        "none",
        "--mean",
        "0",
        "--std",
        "1",
        *NEAREST,
        "--json",
    ]
    # Unbuffered, nothing would wait to be written late.
    buffered = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    done = run(arguments, cwd=tmp_path, env=buffered | {"PYTHONPATH": os.getcwd()})
    assert (done.returncode, json.loads(done.stdout)["model"]) == (0, "model.safetensors")
    for line in CHATTY.splitlines():
        said = [part for part in line.split('"') if " that prints" in part or "past" in part]
        assert all(text.removeprefix("echo ").removesuffix("\\n") in done.stderr for text in said)


def run(arguments, **options):
    """A command line in a process of its own, whose outputs are real descriptors."""
    command = [sys.executable, "-m", "qnn.cli", *arguments]
    here = os.getcwd()
    environment = {**os.environ, "PYTHONPATH": here}
    options = {"capture_output": True, "text": True, "env": environment} | options
    return subprocess.run(command, check=False, **options)


@pytest.mark.parametrize("arguments", [["--help"], ["bench", "accuracy", "--list", "--json"]])
def test_a_full_disk_behind_the_output_is_a_refusal(arguments):
    with open("/dev/full", "w") as full:
        done = run(arguments, stdout=full, capture_output=False, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (
        3,
        "error: a file or the output: No space left on device\n",
    )


@pytest.mark.parametrize("arguments", [["--help"], ["doctor"]])  # text, and a table
def test_a_reader_that_leaves_is_no_error(arguments):
    reader, writer = os.pipe()
    os.close(reader)
    done = run(arguments, stdout=writer, capture_output=False, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("stream", [1, 2])
@pytest.mark.parametrize("arguments", [["paint", "--json"], ["--version"]])
def test_a_closed_output_changes_no_exit_code(arguments, stream):
    command = f'exec "$0" -m qnn.cli {" ".join(arguments)} {stream}>&-'
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    command = ["sh", "-c", command, sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == (2 if "paint" in arguments else 0)
    assert "Traceback" not in done.stderr + done.stdout
    assert "Exception" not in done.stderr + done.stdout


def test_the_output_is_back_in_its_place_behind_a_command(capfd):
    # With descriptors under it, as in a program that calls main.
    with pytest.raises(SystemExit):
        main(["doctor", "--json"])
    print("still here")
    out = capfd.readouterr().out
    assert out.endswith("}\nstill here\n")
    assert json.loads(out.removesuffix("still here\n"))["tools"]


def test_an_exit_code_is_an_int(monkeypatch):
    monkeypatch.setattr(app, "_run", lambda *_: app.ExitCode.MISMATCH)
    with pytest.raises(SystemExit) as left:
        main(["doctor"])
    assert type(left.value.code) is int
