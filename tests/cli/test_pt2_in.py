"""Files of torch.export as models of commands: checked, quantized, or refused in a line."""

import json
import sys

import pytest
import torch

from qnn.nn.zoo import DigitsCnn
from tests.frontend.pt2.networks import alter, save
from tests.nearest import NEAREST


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Digits' network as a program of any number of images and of four, and what is no program."""
    folder = tmp_path_factory.mktemp("pt2")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = DigitsCnn()
    images, batch = torch.zeros(4, 1, 8, 8), {0: torch.export.Dim("batch")}
    save(folder / "digits.pt2", model, images, dynamic_shapes=(batch,))
    save(folder / "four.pt2", model, images)
    alter(save(folder / "calls.pt2", model, images), _with_another_call)
    torch.save(model.state_dict(), folder / "weights.pt")
    (folder / "broken.pt2").write_bytes(b"nothing")
    return folder


def _with_another_call(program):
    program["graph_module"]["graph"]["nodes"][0]["target"] = "torch.ops.mine.conv.default"


@pytest.fixture
def folder(files, monkeypatch):
    """The files in the current folder."""
    monkeypatch.chdir(files)
    # Where commands look for modules of the current folder.
    monkeypatch.setattr(sys, "path", list(sys.path))
    return files


def test_a_program_is_checked_and_its_size_is_told(qnn, folder):
    code, out, err = qnn("check", "digits.pt2")
    assert (code, err) == (0, "")
    assert out.startswith("digits.pt2: no fault; ")
    assert qnn("check", "digits_cnn")[1].splitlines()[1:] == out.splitlines()[1:]
    code, out, _ = qnn("check", "four.pt2", "--json", "--config", "test")
    found = json.loads(out)
    assert (code, found["fits"], found["inputs"]) == (0, True, {"x": [1, 8, 8]})
    assert found["differs_from_onnxruntime"] is None


@pytest.mark.parametrize("name", ["digits.pt2", "four.pt2"])
def test_a_program_is_quantized_to_the_integers_of_its_module(name, qnn, folder):
    options = (*NEAREST, "--mean", "0", "--std", "1")
    code, out, err = qnn("quantize", name, *options, "-o", f"{name}.safetensors")
    assert code == 0, err
    assert out.startswith(f"{name}.safetensors: 3-bit weights; of ")
    assert qnn("quantize", "digits_cnn", "--checkpoint", "weights.pt", *NEAREST)[0] == 0
    for source, image in ((f"{name}.safetensors", "of_file"), ("model.safetensors", "of_module")):
        assert qnn("compile", source, "-o", image)[0] == 0
    assert (folder / "of_file/image.bin").read_bytes() == (
        folder / "of_module/image.bin"
    ).read_bytes()


def test_calls_that_are_not_read_are_a_table(qnn, folder):
    code, out, err = qnn("check", "calls.pt2", "--json")
    assert (code, err) == (3, "")
    (fault,) = json.loads(out)["faults"]
    assert (fault["layer"], fault["operator"]) == ("stem.0", "mine.conv")


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("check", "none.pt2"), 3, "none.pt2: cannot be read ('No such file or directory'); save"),
        (("check", "broken.pt2"), 3, "broken.pt2: no archive of PyTorch, or cut short; export it"),
        (("check", "weights.pt"), 3, "not a checkpoint of weights; give its model as module:fac"),
        (
            ("quantize", "digits.pt2", "--checkpoint", "weights.pt"),
            2,
            "--checkpoint is of module:factory; a .pt2 file has its weights",
        ),
        (
            ("check", "digits.pt2", "--input-shape", "=16000"),
            2,
            "--input-shape =NUMBER is of an .onnx file that takes a number; give sizes",
        ),
        (
            ("quantize", "digits.pt2", "--requantize"),
            2,
            "--requantize is of an .onnx file of QONNX or a network of Brevitas, not of a float",
        ),
        (("train", "digits.pt2"), 2, "needs module:factory or a name of the zoo, not a .pt2 file"),
    ],
)
def test_what_cannot_be_taken_is_a_line(arguments, code, text, qnn, folder):
    found, out, err = qnn(*arguments)
    assert (found, out) == (code, "")
    assert text in err
