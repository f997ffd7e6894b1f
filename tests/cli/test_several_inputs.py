"""The commands on a network of several inputs: arrays by name, from quantization to a board."""

import json

import numpy as np
import pytest

from hw.spec.image import Image
from tests.nearest import NEAREST
from tests.runtime.board import FakeBoard
from tests.runtime.served import served

MODEL = """
import torch
from torch import nn

class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc, self.head = nn.Conv2d(3, 6, 3), nn.Linear(5, 6), nn.Linear(12, 4)

    def forward(self, scene, state):
        seen = self.conv(scene).relu().mean((2, 3))
        return self.head(torch.cat([seen, self.fc(state).relu()], 1))

def policy():
    torch.manual_seed(0)
    return Policy()
"""


@pytest.fixture
def built(qnn, tmp_path, monkeypatch):
    """A build of a network of two inputs, beside data for it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policy_of_two.py").write_text(MODEL)
    rng = np.random.default_rng(0)
    parts = {}
    for part, count in (("train", 24), ("test", 6)):
        parts[f"x_{part}_state"] = rng.normal(0, 3, (count, 5)).astype(np.float32)
        parts[f"x_{part}_scene"] = rng.integers(0, 256, (count, 7, 6, 3), np.uint8)
    np.savez("data.npz", **parts, y_test=np.arange(6) % 4)
    np.savez("bare.npz", **parts)
    options = ("--data", "data.npz", "--mean", "0.5", "--std", "0.25", "--json")
    options = ("--checkpoint", "none", *options)
    code, text, err = qnn(
        "quantize", "policy_of_two:policy", "-o", "m.safetensors", *options, *NEAREST
    )
    assert (code, err) == (0, "")
    assert json.loads(text)["test_images"] == 6
    assert 0 <= json.loads(text)["quantized_accuracy"] <= 100
    assert qnn("compile", "m.safetensors", "-o", "build")[0] == 0
    return tmp_path / "build"


def test_verify_simulate_and_run(qnn, built):
    options = ("--images", 3, "--device", "functional", "--json")
    code, text, err = qnn("verify", built, "--data", "data.npz", *options)
    assert (code, err) == (0, "")
    assert (json.loads(text)["images"], json.loads(text)["mismatches"]) == (3, 0)
    code, text, err = qnn("simulate", built, "--data", "data.npz", *options, "-o", "one.npz")
    assert (code, err) == (0, "")
    with served(FakeBoard(Image.read(built / "image.bin"))) as device:
        options = ("--images", 3, "--device", device, "--json", "-o", "two.npz")
        code, again, err = qnn("run", built, "--data", "data.npz", *options)
    assert (code, err) == (0, "")
    assert json.loads(again)["accuracy"] == json.loads(text)["accuracy"]
    assert np.array_equal(np.load("one.npz")["head"], np.load("two.npz")["head"])


def test_data_without_labels(qnn, built):
    options = ("--data", "bare.npz", "--images", 2, "--device", "reference")
    code, text, err = qnn("simulate", built, *options)
    assert (code, err) == (0, "")
    assert text.startswith("reference: 2 images in ")
    assert "% right" not in text
    code, text, _ = qnn(
        "quantize",
        "policy_of_two:policy",
        "-o",
        "n.safetensors",
        *NEAREST,
        *options[:2],
        "--mean",
        "0.5",
        "--std",
        "0.25",
        "--json",
    )
    options = ("--checkpoint", "none", *options)  # fmt: skip
    assert (code, json.loads(text)["float_accuracy"]) == (0, None)


def test_data_of_one_input_are_one_line(qnn, built):
    assert qnn("verify", built, "--device", "functional") == (
        3,
        "",
        "error: data for the inputs 'scene', 'state' need to be an .npz file with an array "
        "x_test_NAME for each, not 'digits'; save one\n",
    )


def test_there_is_nothing_to_mirror_in_an_image_and_a_vector(qnn, built):
    learns = ("--rounding", "discquant", "--terms", "1", "--mean", "0.5", "--std", "0.25")
    quantize = ("quantize", "policy_of_two:policy", "--checkpoint", "none", *learns)
    code, out, err = qnn(*quantize, "--data", "data.npz", "--augment")
    assert (code, out) == (2, "")
    text = (
        "--augment moves and mirrors images of one input, (channels, height, width), and the data"
    )
    assert text in " ".join(err.replace("│", " ").split())


def test_a_missing_input_is_one_line(qnn, built):
    with np.load("data.npz") as file:
        np.savez("less.npz", **{key: file[key] for key in file.files if key != "x_train_state"})
    quantize = ("quantize", "policy_of_two:policy", "--checkpoint", "none", *NEAREST)
    code, out, err = qnn(*quantize, "--data", "less.npz")
    assert (code, out) == (3, "")
    assert err == (
        "error: data less.npz: input 'state' needs the array x_train_state, but the file has "
        "x_train_scene, x_test_state, x_test_scene, y_test; save one for each input\n"
    )
