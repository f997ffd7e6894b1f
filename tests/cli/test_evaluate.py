"""``qnn evaluate``: formats side by side, layers alone, a picture, and what to try after a drop."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.nearest import NEAREST

MODEL = """
import torch
from torch import nn

def regressor():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))
"""


@pytest.fixture
def vectors(tmp_path, monkeypatch):
    """A current folder with a regressor and feature vectors for it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "nets_of_vectors.py").write_text(MODEL)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 6)).astype(np.float32)
    y = (x @ rng.normal(size=(6, 2))).astype(np.float32)
    np.savez("v.npz", x_train=x[:80], y_train=y[:80], x_test=x[80:], y_test=y[80:])
    return ("nets_of_vectors:regressor", "--checkpoint", "none", "--data", "v.npz")


def test_formats_side_by_side_and_each_layer_alone(qnn, vectors):
    code, text, _ = qnn("evaluate", *vectors, "--formats", "3x1,3x3", "--json", "--plot", "p.svg")
    assert code == 0
    said = json.loads(text)
    assert (said["task"], said["test_images"], said["plot"]) == ("regression", 40, "p.svg")
    assert set(said["float"]) == {"mse", "r2"}
    assert [row["name"] for row in said["formats"]] == ["3x1", "3x3"]
    assert said["formats"][1]["snr_db"] > said["formats"][0]["snr_db"] + 10
    assert [row["name"] for row in said["layers"]] == ["0", "2"]
    # A layer alone costs no more than all together, and no less than the activations do.
    for row in said["layers"]:
        assert said["formats"][0]["snr_db"] - 3 < row["snr_db"] < said["activations"]["snr_db"]
    picture = Path("p.svg").read_text()
    assert picture.startswith("<svg ")
    assert picture.count("<rect") == 1 + 2 + 1 + 2


def test_tables_name_the_formats_and_the_layers(qnn, vectors):
    code, text, _ = qnn("evaluate", *vectors, "--formats", "3x1")
    assert code == 0
    assert "40 test images" in text
    assert "layers of 3x1, each rounded alone" in text
    assert text.count("mean squared error") == 1 + 1 + 1 + 2


def test_after_a_large_drop_it_is_told_what_to_try(qnn, vectors):
    import nets_of_vectors

    # Labelled by the float model itself, which then has no error, and any rounding has one.
    with np.load("v.npz") as file, torch.no_grad():
        x = {part: file[f"x_{part}"] for part in ("train", "test")}
        model = nets_of_vectors.regressor()
        y = {f"y_{part}": model(torch.from_numpy(x[part])).numpy() for part in x}
    np.savez("own.npz", x_train=x["train"], x_test=x["test"], **y)
    arguments = (*vectors[:3], "--data", "own.npz")
    tries = (
        "with 2x1; try, in this order: more terms (--terms 2); the default rounding "
        "(--rounding auto); more and other images to calibrate on (--samples)"
    )
    code, text, err = qnn("evaluate", *arguments, "--formats", "2x1", "--json")
    told = json.loads(text)["advice"]
    assert code == 0
    assert told.startswith("the error is ")
    assert told.endswith(tries)
    code, text, err = qnn(
        "quantize", *arguments, "--weight-bits", "2", *NEAREST, "-o", "m.safetensors"
    )
    assert (code, text.count("\n")) == (0, 1)
    assert tries.removeprefix("with 2x1") in err.replace("--bias-correction; ", "")


def test_feature_vectors_go_through_every_command(qnn, vectors):
    code, text, _ = qnn("quantize", *vectors, *NEAREST, "-o", "m.safetensors")
    assert code == 0
    assert "; of 40 test images float has mean squared error " in text
    data = ("--data", "v.npz")
    code, text, _ = qnn("train", "m.safetensors", *data, "--teacher", "none", "--epochs", 2,
                        "--batch", 16, "-o", "t.safetensors", "--json")  # fmt: skip
    assert (code, json.loads(text)["task"]) == (0, "regression")
    assert set(json.loads(text)["test"]) == {"mse", "r2"}
    assert qnn("compile", "t.safetensors", "-o", "build")[0] == 0
    options = (*data, "--images", 40, "--device", "functional", "--json")
    code, text, _ = qnn("simulate", "build", *options)
    assert (code, json.loads(text)["task"]) == (0, "regression")
    assert set(json.loads(text)["measures"]) == {"mse", "r2"}
    assert qnn("verify", "build", *options)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ("--formats", "3"),
            "'--formats': needs BITSxTERMS with commas, 2 to 5 bits and 1 to 7 terms, such as "
            "3x1,3x2, not '3'",
        ),
        (("--plot", "p.png"), "'--plot': needs a name that ends in .svg, not 'p.png'"),
        (
            ("--task", "values"),
            "'--task': must be one of classes, binary, multilabel, pixels, regression, "
            "reconstruction, not 'values'",
        ),
        (("--layout", "chw"), "'--layout': must be one of nhwc, nchw, not 'chw'"),
    ],
)
def test_wrong_options_are_refused_before_any_work(qnn, arguments, text):
    code, out, err = qnn("evaluate", "no_such:model", *arguments)
    assert (code, out) == (2, "")
    assert err.rstrip("\n").endswith(text)
