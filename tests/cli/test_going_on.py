"""Ctrl-C: work is saved, the line that goes on is printed, and the bits are as without it."""

import os
import signal
import subprocess
import sys
import time

import pytest

from qnn.cli.app import main
from qnn.nn import artifact

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def start(*arguments):
    command = [sys.executable, "-m", "qnn.cli", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, **pipes, env=ENVIRONMENT)


def written(path):
    return path.stat().st_mtime_ns if path.exists() else None


def wait_for(path, process):
    """Until the work has saved for the first time, so that signals find it at work."""
    before = written(path)
    for _ in range(1200):
        if written(path) != before or process.poll() is not None:
            break
        time.sleep(0.05)
    assert process.poll() is None, process.communicate()


def interrupted(arguments, kept, *numbers):
    process = start(*arguments)
    wait_for(kept, process)
    for number in numbers:
        process.send_signal(number)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def same(*names):
    one, other = (artifact.load(f"{name}.safetensors").state_dict() for name in names)
    return all(one[name].equal(other[name]) for name in one)


ROUNDING = ("--rounding", "adaround", "--terms", 1, "--samples", 64, "--rounding-samples", 64)


@pytest.fixture
def weights(checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights of a net.pt").write_bytes(checkpoint.read_bytes())
    return tmp_path / "weights of a net.pt"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_rounding_says_how_it_goes_on_to_the_same_bits(weights, tmp_path, number):
    fixed = ("quantize", "digits_cnn", "--checkpoint", weights.name, *ROUNDING)
    command = (*fixed, "-o", "out.safetensors")
    kept = tmp_path / "out.safetensors.resume"
    code, out, err = interrupted(command, kept, number)
    assert (code, out) == (130, "")
    text, _, line = err.strip().partition("; go on with: ")
    assert text.startswith("error: interrupted: stopped after ")
    assert text.endswith(", which out.safetensors.resume has")
    assert line == (
        "python -m qnn.cli quantize digits_cnn --checkpoint 'weights of a net.pt' --rounding "
        "adaround --terms 1 --samples 64 --rounding-samples 64 -o out.safetensors"
    )
    assert kept.exists()
    assert not (tmp_path / "out.safetensors").exists()
    subprocess.run(line.replace("python", sys.executable, 1), shell=True, check=True)
    assert not kept.exists()
    with pytest.raises(SystemExit):
        main([str(each) for each in (*fixed, "-o", "whole.safetensors")])
    assert same("out", "whole")


@pytest.mark.slow
def test_an_interrupted_training_goes_on_to_the_same_bits(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fixed = ("train", model, "--epochs", 6, "--batch", 16, "--teacher", "none")
    kept = tmp_path / "out.safetensors.resume"
    code, out, err = interrupted((*fixed, "-o", "out.safetensors"), kept, signal.SIGINT)
    assert (code, out) == (130, "")
    assert err.startswith("error: interrupted: stopped after ")
    assert " of 534 steps, which out.safetensors.resume has; go on with: python -m " in err
    for name in ("out", "whole"):
        with pytest.raises(SystemExit):
            main([str(each) for each in (*fixed, "-o", f"{name}.safetensors")])
    assert not kept.exists()
    assert same("out", "whole")


@pytest.mark.slow
def test_a_second_ctrl_c_and_a_kill_lose_nothing_that_is_saved(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kept = tmp_path / "out.safetensors.resume"
    command = ("train", model, "--epochs", 60, "--batch", 16, "--teacher", "none")
    command = (*command, "-o", "out.safetensors")
    code, _, _ = interrupted(command, kept, signal.SIGINT, signal.SIGINT)
    assert code == 130
    code, _, _ = interrupted(command, kept, signal.SIGKILL)
    assert code == -signal.SIGKILL
    code, _, err = interrupted(command, kept, signal.SIGINT)  # goes on: the file is whole
    assert (code, err.count("go on with")) == (130, 1)


def _interrupt(*_, **__):
    raise KeyboardInterrupt


def test_ctrl_c_before_the_first_step_tells_of_what_an_earlier_run_has_saved(
    qnn, model, weights, tmp_path, monkeypatch
):
    rounding = ("quantize", "digits_cnn", "--checkpoint", weights.name, *ROUNDING)
    monkeypatch.setattr("qnn.cli.train.read_data", _interrupt)
    monkeypatch.setattr("qnn.cli.quantize.read_data_for", _interrupt)
    for command in (("train", model), rounding):
        monkeypatch.setattr(sys, "argv", ["qnn", *map(str, command), "-o", "out.safetensors"])
        kept = tmp_path / "out.safetensors.resume"
        # The first run has saved nothing, so that there is nothing to go on from.
        assert qnn(*command, "-o", "out.safetensors") == (130, "", "error: interrupted\n")
        kept.write_bytes(b"of an earlier run")
        code, out, err = qnn(*command, "-o", "out.safetensors")
        assert (code, out) == (130, "")
        text, _, line = err.partition("; go on with: ")
        assert text == "error: interrupted: out.safetensors.resume has the work so far"
        assert line.startswith(f"qnn {command[0]} ")
        assert line.endswith(" -o out.safetensors\n")
        assert kept.read_bytes() == b"of an earlier run"
        kept.unlink()
