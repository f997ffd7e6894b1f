"""What runs where torch is not installed: whoever verifies a build need not train."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PROGRAM = """
import contextlib, io, json, sys
from importlib.abc import MetaPathFinder

class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'")

sys.meta_path.insert(0, Absent())
from qnn.cli.app import main

for arguments in json.load(sys.stdin):
    err, out = io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(err), contextlib.redirect_stdout(out):
        try:
            main(arguments)
        except SystemExit as left:
            code = left.code
    print(json.dumps([code, out.getvalue(), err.getvalue()]))
"""
ROOT = Path(__file__).parents[2]
DATA = ("--data", "test.npz", "--images", "2")
COMMANDS = (
    ("compile", "model.qgraph", "-o", "again"),
    ("check", "model.qgraph"),
    ("verify", "build", *DATA, "--device", "functional"),
    ("simulate", "build", *DATA, "--device", "functional", "-o", "functional.npz"),
    ("simulate", "build", *DATA, "--device", "reference", "-o", "reference.npz"),
    ("show", "build"),
    ("show", "model.qgraph"),
    ("report", "build"),
    ("testbench", "build", *DATA),
)


@pytest.fixture
def place(qnn, model, build, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert qnn("export", model, "-o", "model.qgraph")[0] == 0
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (4, 8, 8), np.uint8), np.arange(4)
    np.savez("test.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    return tmp_path


def run_without_torch(place, *commands):
    """Run command lines in a process without torch, whose own processes have none either."""
    absent = place / "absent"
    absent.mkdir()
    (absent / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\")\n")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        cwd=place,
        env={**os.environ, "PYTHONPATH": f"{absent}{os.pathsep}{ROOT}"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for arguments, line in zip(commands, done.stdout.splitlines(), strict=True):
        code, _, err = json.loads(line)
        assert (code, err) == (0, ""), arguments


@pytest.mark.rtl
def test_the_verilog_of_a_build_is_verified_and_counted_without_torch(place, build):
    verified = ("verify", "build", *DATA[:2], "--images", "1", "--device", "rtl")
    run_without_torch(place, verified, ("synth", "build"), ("doctor",))


def test_a_build_is_made_verified_and_shown_without_torch(qnn, place):
    run_without_torch(place, *COMMANDS)
    with np.load("functional.npz") as one, np.load("reference.npz") as other:
        assert np.array_equal(one["fc"], other["fc"])
    qnn("simulate", "build", *DATA, "--device", "reference", "-o", "torch.npz")
    with np.load("torch.npz") as one, np.load("reference.npz") as other:
        assert np.array_equal(one["fc"], other["fc"])
