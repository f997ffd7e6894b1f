import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from qnn.cli.train import _named
from tests.nearest import NEAREST

ROOT = Path(__file__).resolve().parents[2]
FIELDS = ("images", "before", "after", "lost_before", "lost_after", "unit")  # of "held_out"
SHORT = ("--steps", "12", "--batch", "32", "--device", "cpu")


def equal(one, other):
    one, other = load_file(one), load_file(other)
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Few of the digits, so that a run is short."""
    from qnn.nn.data import ARRAYS, digits

    found, path = digits(), tmp_path_factory.mktemp("data") / "few.npz"
    arrays = {name: getattr(found, name)[:96].numpy() for name in ARRAYS}
    arrays |= {name: arrays[name][:, 0] for name in ("x_train", "x_test")}
    np.savez(path, **arrays)
    return path


def start(*arguments, processes=None):
    """A process of its own, or several."""
    several = ("-m", "torch.distributed.run", "--nproc-per-node", str(processes))
    return subprocess.Popen(
        [sys.executable, *(several if processes else ()), "-m", "qnn.cli", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_quantized_model_is_trained_and_keeps_its_source(qnn, model, data, tmp_path):
    from qnn.nn import artifact

    out, lines, run = (tmp_path / name for name in ("out.safetensors", "m.jsonl", "run"))
    arguments = ("train", model, "--data", data, *SHORT, "--seed", "3", "--crop", "1", "--flip")
    files = ("-o", out, "--metrics", lines, "--checkpoint", run)
    code, said, err = qnn(*arguments, *files, "--json", "--set", "ema=0.9", "--method", "lsq")
    assert (code, err) == (0, "")
    result = json.loads(said)
    last = json.loads(lines.read_text().splitlines()[-1])
    assert result == {
        "model": str(out),
        "teacher": "digits_cnn",
        "steps": 12,
        "seconds": last["seconds"],
        "loss": last["loss"],
        "task": "classes",
        "test_accuracy": last["test_accuracy"],
        "test": {"accuracy": last["test_accuracy"]},
        "held_out": None,
        "target": None,
    }
    assert artifact.source(out) == artifact.source(model)
    assert not equal(out, model)


def test_a_run_that_ends_worse_writes_the_model_as_it_was(qnn, model, tmp_path):
    from qnn.nn.data import ARRAYS, digits

    found, out, data = digits(), tmp_path / "out.safetensors", tmp_path / "more.npz"
    np.savez(data, **{name: getattr(found, name)[:400].numpy() for name in ARRAYS})
    bad = ("--steps", 3, "--rate", 1, "--set", "diverged=1e9", "--set", "schedule=constant")
    code, said, err = qnn("train", model, "--data", data, *bad, "--device", "cpu", "-o", out)
    assert code == 0
    assert " s, kept as it was, test " in said
    assert err.startswith(
        "warning: train ended worse than it began: the loss on 40 images held out"
    )
    assert equal(out, model)
    code, said, _ = qnn(
        "train", model, "--data", data, *bad, "--device", "cpu", "-o", out, "--json"
    )
    judged = json.loads(said)["held_out"]
    assert judged.keys() == {*FIELDS, "kept"}
    assert not judged["kept"]
    assert judged["after"] > judged["before"]


def test_a_run_that_diverged_writes_nothing_and_leaves_no_checkpoint_of_its_own(
    qnn, model, data, tmp_path, monkeypatch
):
    from qnn.nn.training.watch import LossWindow

    look, out, run = LossWindow.look, tmp_path / "out.safetensors", tmp_path / "run"

    def diverging(window, step):
        # In the second epoch: the first one's end wrote a checkpoint.
        if step > 12:
            window.losses[-1] = torch.tensor(float("nan"))
        return look(window, step)

    monkeypatch.setattr(LossWindow, "look", diverging)
    given = ("train", model, "--data", data, "--batch", 8, "--device", "cpu", "-o", out)
    code, said, err = qnn(*given, "--epochs", 2)
    assert (code, said) == (3, "")
    assert err.startswith("error: train diverged at step ")
    assert "; the model stays as it was; lower rate (0.0003), raise warm_up or set clip" in err
    assert list(tmp_path.iterdir()) == []
    # One that was named is the user's.
    assert qnn(*given, "--epochs", 2, "--checkpoint", run)[0] == 3
    assert list(tmp_path.iterdir()) == [run]
    assert qnn(*given, "--steps", 2)[0] == 0


def test_what_is_lost_against_the_teacher_is_told_and_held_to_the_target(qnn, model, tmp_path):
    from qnn.nn.data import ARRAYS, digits

    found, out, data = digits(), tmp_path / "out.safetensors", tmp_path / "more.npz"
    np.savez(data, **{name: getattr(found, name)[:400].numpy() for name in ARRAYS})
    given = ("train", model, "--data", data, "--steps", 3, "--device", "cpu", "-o", out)
    code, _, err = qnn(*given, "--target", 99)
    assert code == 0
    notes = [line for line in err.splitlines() if line.startswith("note: ")]
    assert notes[0].startswith("note: on 40 images held out 0.")
    assert notes[1:] == ["note: the target of 99 is reached"]


@pytest.mark.parametrize("kept", [True, False])
def test_a_target_that_is_missed_is_told_with_what_the_kept_model_loses(kept):
    from qnn.cli.trained import _lost
    from qnn.nn.training.held_out import Judged
    from qnn.tasks.lost import Lost

    judged = Judged(512, 1.0, 0.5 if kept else 2.0, Lost(0.9, 0.2), Lost(0.7, None), "%")
    told = "0.70 % are lost against the teacher, 0.90 +- 0.20 before training"
    assert [*_lost(judged, 0.5)] == [
        f"on 512 images held out {told if kept else '0.90 +- 0.20 % are lost against the teacher'}",
        "the target of 0.5 is missed; more steps (--steps) and images may bring some of it, more "
        "terms or activation bits ('qnn quantize') bring it surely",
    ]
    assert len([*_lost(judged, None)]) == 1
    assert [*_lost(None, None)] == []


def test_a_target_that_nothing_can_judge_is_told(qnn, model, data, tmp_path):
    given = ("train", model, *SHORT, "-o", tmp_path / "out.safetensors", "--target", 1)
    start = "note: whether the target of 1 is reached is not known, as "
    err = qnn(*given, "--data", data)[2]
    assert err == f"{start}too few images are held out\n"
    err = qnn(*given, "--teacher", "none")[2]
    assert err.splitlines()[-1] == f"{start}no teacher tells what is lost"


def test_a_run_that_is_done_writes_the_same_model_again(qnn, model, data, tmp_path):
    outs = [tmp_path / name for name in ("a.safetensors", "b.safetensors")]
    for out in outs:
        given = ("--data", data, *SHORT, "--checkpoint", tmp_path / "run", "-o", out)
        code, said, _ = qnn("train", model, *given)
        assert code == 0
        assert said.startswith(f"{out}: 12 steps on answers of digits_cnn in ")
    assert equal(*outs)


def test_a_float_model_trains_from_its_name_and_can_be_quantized(qnn, data, tmp_path):
    weights, model = tmp_path / "float.safetensors", tmp_path / "model.safetensors"
    code, said, _ = qnn("train", "digits_cnn", "--data", data, *SHORT, "-o", weights)
    assert code == 0
    assert said.startswith(f"{weights}: 12 steps on labels in ")
    assert qnn("quantize", "digits_cnn", "--checkpoint", weights, "-o", model, *NEAREST)[0] == 0
    again = tmp_path / "again.safetensors"
    taught = ("--teacher", "digits_cnn", "--teacher-checkpoint", weights, "--weights", weights)
    assert qnn("train", "digits_cnn", "--data", data, *SHORT, *taught, "-o", again)[0] == 0


def test_labels_alone_train_without_a_teacher(qnn, model, data, tmp_path):
    results = []
    for teacher in ((), ("--teacher", "none")):
        out = tmp_path / "out.safetensors"
        _, said, _ = qnn("train", model, "--data", data, *SHORT, *teacher, "-o", out, "--json")
        results.append((json.loads(said)["teacher"], json.loads(said)["loss"]))
    (first, taught), (second, alone) = results
    assert (first, second) == ("digits_cnn", None)
    assert taught != alone


def test_a_checkpoint_of_another_recipe_is_one_line_and_nothing_is_overwritten(
    qnn, model, data, tmp_path
):
    out, run = tmp_path / "out.safetensors", tmp_path / "run"
    given = ("train", model, "--data", data, *SHORT, "-o", out, "--checkpoint", run)
    qnn(*given)
    before = out.read_bytes(), run.read_bytes()
    code, said, err = qnn(*given, "--rate", "0.5")
    assert (code, said) == (3, "")
    assert err == (
        f"error: checkpoint {run} is of another recipe: its rate is 0.0003, not 0.5; name another "
        f"file, or remove it\n"
    )
    assert (out.read_bytes(), run.read_bytes()) == before


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--set", "rate"), "--set needs NAME=VALUE, not 'rate'"),
        (("--option", "=1"), "--option needs NAME=VALUE, not '=1'"),
        (("--set", "speed=1"), "channels_last, held_out, diverged, seed, not 'speed'"),
        (("--set", "ema=2"), "Recipe needs ema from 0 to 1, not 2"),
        (("--method", "s3", "--option", "levels=1"), "which are none, not 'levels'"),
        (
            ("--method", "reconstructed", "--option", "levels=low"),
            "--method reconstructed: levels must be one of scaled, authors, not 'low'",
        ),
        (("--method", "inq", "--option", "portions=1"), "'int' object is not iterable"),
        (("--set", "channels_last=no"), "channels_last to be true or false, not 'no'"),
    ],
)
def test_options_that_make_no_sense_are_wrong_usage(qnn, model, arguments, text):
    code, said, err = qnn("train", model, *arguments)
    assert (code, said) == (2, "")
    assert text in " ".join(err.split())


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (
            "missing/out.safetensors",
            "nothing can be written in {folder}/missing ('No such file or directory'); choose "
            "another path",
        ),
        (".", "a file is to be written, but this is a folder; name a file"),
    ],
)
def test_a_path_that_cannot_be_written_is_refused_before_training(
    qnn, model, tmp_path, place, text
):
    out = tmp_path / place
    code, said, err = qnn("train", model, "-o", str(out), "--checkpoint", str(tmp_path / "run"))
    assert (code, said) == (3, "")
    assert err == f"error: {out}: {text.format(folder=tmp_path)}\n"
    assert not (tmp_path / "run").exists()


def test_values_are_read_as_json_has_them():
    texts = ["ema=0.9", "learn_exponents=true", "clip=null", "schedule=constant", "points=[0,0.5]"]
    assert _named("--set", texts) == {
        "ema": 0.9,
        "learn_exponents": True,
        "clip": None,
        "schedule": "constant",
        "points": [0, 0.5],
    }


@pytest.mark.processes
def test_a_killed_process_is_resumed_in_the_same_bits(model, data, tmp_path):
    whole, out = (tmp_path / f"{name}.safetensors" for name in ("whole", "out"))
    run = tmp_path / "run"
    given = ("train", model, "--data", data, "--epochs", "30", "--batch", "32", "--device", "cpu")
    process = start(*given, "-o", out, "--checkpoint", run)
    while not run.exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.communicate()
    assert run.exists()
    assert not out.exists()
    for place, more in ((out, ("--checkpoint", run)), (whole, ())):
        process = start(*given, "-o", place, *more)
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
    assert equal(whole, out)


@pytest.mark.processes
@pytest.mark.parametrize("on_grid", [False, True], ids=["float", "on the grid"])
def test_two_processes_come_to_what_one_does(qnn, model, checkpoint, data, tmp_path, on_grid):
    one, two = (tmp_path / f"{name}.safetensors" for name in ("one", "two"))
    lines = tmp_path / "metrics.jsonl"
    what = (model,) if on_grid else ("digits_cnn", "--weights", checkpoint)
    given = ("train", *what, "--data", data, "--steps", "4", "--batch", "32", "--device", "cpu")
    given += ("--crop", "1", "--set", "optimizer=sgd", "--set", "clip=1")
    given += ("--set", "ghost_batch=16", "--set", "freeze_statistics_at=0.7")
    assert qnn(*given, "-o", one, "--metrics", lines)[0] == 0
    alone = json.loads(lines.read_text().splitlines()[-1])
    process = start(*given, "-o", two, "--metrics", lines, "--json", processes=2)
    said, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    together = json.loads(lines.read_text().splitlines()[-1])
    assert json.loads(said[said.index("{") :])["loss"] == together["loss"]
    assert together["test_accuracy"] == alone["test_accuracy"]
    assert together["loss"] == pytest.approx(alone["loss"], rel=1e-4)
    one, two = load_file(one), load_file(two)
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-4, atol=1e-6, msg=name)


TEACHERS = """
import torch
from qnn.nn.zoo import DigitsCnn

def drawn():
    return DigitsCnn()

def seeded():
    torch.manual_seed(0)
    return DigitsCnn()
"""


@pytest.fixture
def teachers(tmp_path, monkeypatch):
    (tmp_path / "taught_nets.py").write_text(TEACHERS)
    monkeypatch.chdir(tmp_path)


def test_a_teacher_without_trained_weights_is_told_by_the_option_that_gives_them(
    qnn, model, data, teachers
):
    command = ("train", model, "--data", data, *SHORT, "--teacher")
    assert qnn(*command, "taught_nets:drawn") == (
        3,
        "",
        "error: model 'taught_nets:drawn' has other weights each time that it is built, as "
        "'stem.0.weight' has, so they are random; give trained ones with --teacher-checkpoint "
        "FILE, or go on with these by --teacher-checkpoint none\n",
    )
    untrained = (
        "note: model 'taught_nets:seeded' looks untrained: its weights are as PyTorch's layers "
        "begin; give trained ones with --teacher-checkpoint FILE\n"
    )
    code, _, err = qnn(*command, "taught_nets:seeded")
    assert (code, err) == (0, untrained)
    code, _, err = qnn(*command, "taught_nets:seeded", "--teacher-checkpoint", "none")
    assert (code, err) == (0, "")


TWO_HEADED = """
import torch
from torch import nn

class TwoHeaded(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.side, self.light = nn.Linear(4, 8), nn.Linear(8, 3), nn.Linear(8, 1)

    def forward(self, x):
        x = self.body(x).relu()
        return {"side": self.side(x), "light": self.light(x)}

def network():
    torch.manual_seed(0)
    return TwoHeaded()
"""


def test_a_network_of_two_heads_trains_and_one_label_for_both_is_one_line(
    qnn, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two_headed_net.py").write_text(TWO_HEADED)
    rng = np.random.default_rng(0)
    x = {f"x_{part}": rng.normal(size=(48, 4)).astype(np.float32) for part in ("train", "test")}
    sides = {f"y_{part[2:]}": each[:, :3].argmax(1) for part, each in x.items()}
    lights = {f"y_{part[2:]}_1": each.sum(1) for part, each in x.items()}
    np.savez("both.npz", **x, **{f"{name}_0": y for name, y in sides.items()}, **lights)
    np.savez("one.npz", **x, **sides)
    command = ("train", "two_headed_net:network", *SHORT, "--batch", "48")
    assert qnn(*command, "--data", "one.npz", "-o", "none.safetensors") == (
        3,
        "",
        "error: train needs labels for each output of the model, which are 'side' (3,), 'light' "
        "(1,), not one tensor for all; give one entry for each, None where there are no labels "
        "(y_train_0, y_train_1 in a file)\n",
    )
    assert not (tmp_path / "none.safetensors").exists()
    code, text, err = qnn(*command, "--data", "both.npz", "-o", "w.safetensors", "--json")
    assert (code, err) == (0, "")
    said = json.loads(text)
    assert said["task"] == {"side": "classes", "light": "regression"}
    assert {name: set(numbers) for name, numbers in said["test"].items()} == {
        "side": {"accuracy"},
        "light": {"mse", "r2"},
    }
    made = ("--checkpoint", "w.safetensors", "--data", "both.npz", "-o", "m.safetensors")
    assert qnn("quantize", "two_headed_net:network", *made, *NEAREST)[0] == 0
    grid = ("train", "m.safetensors", *SHORT, "--batch", "48", "--data", "both.npz")
    code, text, err = qnn(*grid, "-o", "t.safetensors")
    assert (code, err) == (0, "")
    assert ", test side " in text
    assert "; light mean squared error " in text
