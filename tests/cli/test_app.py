import subprocess
import sys

import pytest

from hw.spec.image import ImageError
from qnn.cli import app
from qnn.errors import ModelError

HEAVY = ("torch", "amaranth", "cocotb", "sklearn", "numpy", "rich")
VERBS = (
    "demo",
    "quantize",
    "train",
    "export",
    "check",
    "compile",
    "simulate",
    "verify",
    "show",
    "run",
    "synth",
    "doctor",
)


def loaded_after(code):
    """Which heavy packages a fresh Python has loaded after ``code``."""
    script = f"{code}\nimport sys\nprint(*[name for name in {HEAVY} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return run.stdout.splitlines()[-1].split()


def leave(error, monkeypatch, capsys):
    """Exit code and standard error of a command that raises ``error``."""

    def command(*_, **__):
        raise error

    monkeypatch.setattr(app, "app", command)
    with pytest.raises(SystemExit) as exit_:
        app.main([])
    return exit_.value.code, capsys.readouterr().err


def test_importing_qnn_loads_nothing_heavy():
    assert loaded_after("import qnn") == []


def test_help_loads_nothing_heavy():
    code = "from qnn.cli.app import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass"
    assert loaded_after(code) == []


def test_help_names_every_verb(capsys):
    with pytest.raises(SystemExit) as exit_:
        app.main(["--help"])
    assert exit_.value.code == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert [verb for verb in VERBS if verb not in listed] == []


def test_a_refusal_is_one_line_and_exit_code_1(monkeypatch, capsys):
    error = ModelError("conv 'a': weights hold NaN;\nretrain it")
    assert leave(error, monkeypatch, capsys) == (
        1,
        "error: conv 'a': weights hold NaN; retrain it\n",
    )


def test_a_bad_image_is_one_line_and_exit_code_1(monkeypatch, capsys):
    assert leave(ImageError("x: cut"), monkeypatch, capsys) == (1, "error: x: cut\n")


def test_a_full_disk_is_one_line_and_exit_code_1(monkeypatch, capsys):
    error = OSError(28, "No space left on device", "out/image.bin")
    assert leave(error, monkeypatch, capsys) == (
        1,
        "error: out/image.bin: No space left on device\n",
    )


def test_our_own_mistake_is_not_hidden(monkeypatch):
    def command(*_, **__):
        raise AssertionError("ours")

    monkeypatch.setattr(app, "app", command)
    with pytest.raises(AssertionError, match=r"^ours$"):
        app.main([])


def test_an_unknown_verb_is_wrong_usage(capsys):
    with pytest.raises(SystemExit) as exit_:
        app.main(["paint"])
    assert exit_.value.code == 2
    assert "No such command 'paint'" in capsys.readouterr().err
