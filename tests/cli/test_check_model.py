"""``qnn check module:factory``: all that a float model lacks, in a table and as JSON."""

import gc
import json

import pytest
import torch

from qnn.cli.check_model import OBJECTS, rare_collections
from qnn.nn.digits import trained_digits_cnn

NETS = """
import torch
from torch import nn


class Told(nn.Sequential):
    example_input_array = torch.zeros(2, 1, 8, 8)


def told():
    return Told(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3, padding=1))


def two():
    return Two()


class Two(nn.Module):
    def forward(self, scene, state):
        return scene.flatten(1).relu(), state.cumprod(1)


def wide():
    return nn.Conv2d(1, 4, 3, padding=1)


def branching():
    return Branching()


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x
"""


@pytest.fixture
def nets(tmp_path, monkeypatch):
    """A current folder with a module of networks."""
    (tmp_path / "nets_to_check.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)


def test_all_that_a_model_lacks_is_one_table(qnn, golden):
    model = "tests.frontend.faulty:Arithmetic"
    code, out, err = qnn("check", model, "--input-shape", "3,8,8")
    assert (code, err) == (3, "")
    golden("check_arithmetic.txt", "".join(f"{line.rstrip()}\n" for line in out.splitlines()))


def test_all_that_a_model_lacks_is_json(qnn):
    model = "tests.frontend.faulty:Arithmetic"
    code, out, err = qnn("check", model, "--input-shape", "3,8,8", "--json")
    assert (code, err) == (3, "")
    found = json.loads(out)
    assert {key: found[key] for key in ("model", "fits", "config")} == {
        "model": model,
        "fits": False,
        "config": None,
    }
    assert [(fault["layer"], fault["operator"]) for fault in found["faults"]] == [
        ("", "aten.native_dropout"),
        ("", "aten.pad"),
        ("", "aten.rand"),
        ("", "aten.add"),
        ("", "aten.to"),
    ]
    last = found["faults"][-1]
    assert last["file"].endswith("tests/frontend/faulty.py")
    assert last["line"] > 0
    assert last["problem"] == "needs float32, not torch.float64"


def test_a_model_without_faults_is_one_line(qnn, nets):
    code, out, err = qnn("check", "nets_to_check:told")
    assert (code, err) == (0, "")
    assert out.splitlines()[:2] == [
        "nets_to_check:told: no fault; 3 operators, input input 1x8x8",
        # 6 x 6 places of 4 kernels of 9, and of 2 of 36.
        "3,888 multiply-accumulates, 108 weights, largest tensor 144 values",
    ]
    code, out, err = qnn("check", "digits_cnn", "--config", "test")
    assert (code, err) == (0, "")
    assert out.startswith("digits_cnn: no fault; ")
    assert "; fits 8x4x2 (lanes x rows x columns)" in out


def test_several_inputs_have_a_shape_each(qnn, nets):
    shapes = ("--input-shape", "1,4,4", "--input-shape", "5")
    code, out, _ = qnn("check", "nets_to_check:two", *shapes, "--json")
    assert code == 3
    (fault,) = json.loads(out)["faults"]
    assert (fault["layer"], fault["operator"]) == ("", "aten.cumprod")


def test_a_limit_of_the_array_is_a_fault(qnn, nets):
    shape = ("--input-shape", "1,4,60000")
    code, out, err = qnn("check", "nets_to_check:wide", *shape, "--config", "test", "--json")
    assert (code, err) == (3, "")
    (fault,) = json.loads(out)["faults"]
    assert fault["problem"].startswith("does not fit: ")
    assert fault["cure"]


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (
            ("nets_to_check:two",),
            3,
            "error: model 'nets_to_check:two' does not say what it takes; give --input-shape "
            "3,224,224, once for each input, or let the model have an example_input_array\n",
        ),
        (
            ("nets_to_check:told", "--input-shape", "3,,8"),
            2,
            "--input-shape needs sizes with commas and without the batch, as 3,224,224, not "
            "'3,,8'\n",
        ),
        (
            ("nets_to_check:told", "--input-shape", "3,8,8"),
            3,
            "; give data of the shape that the model takes\n",
        ),
        (
            ("nets_to_check:branching", "--input-shape", "1,4,4"),
            3,
            "; make its forward independent of the data's values\n",
        ),
    ],
)
def test_a_check_that_cannot_be_made_is_one_line(qnn, nets, arguments, code, text):
    got, out, err = qnn("check", *arguments)
    assert (got, out) == (code, "")
    assert err.endswith(text)
    assert err.count("\n") == 1


def test_the_table_says_which_tensor_of_a_checkpoint_is_which(qnn, tmp_path):
    state = trained_digits_cnn().state_dict()
    renamed = {f"module.{name.replace('fc.', 'head.')}": value for name, value in state.items()}
    torch.save({"model": renamed}, tmp_path / "x.pt")
    command = ("check", "digits_cnn", "--checkpoint", str(tmp_path / "x.pt"))
    code, out, err = qnn(*command)
    rows = [line.split() for line in out.splitlines()]
    assert code == 0
    assert ["fc.weight", "module.head.weight", "10x32"] in rows
    assert ["stem.0.weight", "module.stem.0.weight", "16x1x3x3"] in rows
    assert err == (
        f"note: checkpoint {tmp_path / 'x.pt'}: took 'model'; names differ, so that order and "
        "shapes tell 1 of 13 layers: 'fc' is 'module.head'\n"
    )
    weights = json.loads(qnn(*command, "--json")[1])["weights"]
    assert weights["fc.bias"] == "module.head.bias"
    assert weights.keys() == {name for name in state if "num_batches" not in name}


def test_a_checkpoint_of_equal_names_needs_no_table(qnn, tmp_path):
    torch.save(trained_digits_cnn().state_dict(), tmp_path / "x.pt")
    code, out, err = qnn("check", "digits_cnn", "--checkpoint", str(tmp_path / "x.pt"))
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == f"{tmp_path / 'x.pt'}: all 38 tensors have the model's names"


def test_cycles_are_looked_for_less_often_while_a_model_is_checked():
    before = gc.get_threshold()
    with rare_collections():
        assert gc.get_threshold() == (OBJECTS, *before[1:])
        assert OBJECTS > before[0]
    assert gc.get_threshold() == before
