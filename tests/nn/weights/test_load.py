"""Checkpoints as people have them: each is loaded, or refused in one line that names the thing."""

import argparse
import re
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from qnn.nn.weights import load_weights
from tests.nn.weights.small import FIT, STATE, TAIL, loaded, network, refusal, renamed, under


class HyperDict(dict):
    """A class of another program, as Lightning's AttributeDict is."""


LIGHTNING = {
    "epoch": 3,
    "pytorch-lightning_version": "2.5.0",
    "state_dict": under("model.") | {"loss.weight": torch.ones(3), "metric.total": torch.ones(1)},
    "hyper_parameters": argparse.Namespace(rate=np.float64(0.1), folder=Path("x")),
    "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(2)}}}],
}
FORMS = {
    "plain": (STATE, []),
    "with a number": (STATE | {"epoch": 3}, ["ignored 'epoch'"]),
    "state_dict": ({"state_dict": STATE}, ["took 'state_dict'"]),
    "model": ({"model": STATE, "args": None}, ["took 'model'; ignored 'args'"]),
    "model_state_dict": (
        {"epoch": 1, "model_state_dict": STATE, "optimizer_state_dict": {"state": {}}},
        ["took 'model_state_dict'; ignored 'epoch', 'optimizer_state_dict'"],
    ),
    "net": ({"net": STATE, "acc": 93.1}, ["took 'net'; ignored 'acc'"]),
    "ema alone": ({"ema": STATE}, ["took 'ema'"]),
    "ema beside": (
        {"ema": STATE, "model": STATE},
        ["took 'model'; ignored 'ema (fits as well)'"],
    ),
    "nested twice": (
        {"checkpoint": {"model": under("module.")}},
        ["took 'checkpoint.model'; stripped 'module.' from 9 names"],
    ),
    "DataParallel": (under("module."), ["stripped 'module.' from 9 names"]),
    "compiled": (under("_orig_mod."), ["stripped '_orig_mod.' from 9 names"]),
    "both": (under("_orig_mod.module."), ["stripped '_orig_mod.module.' from 9 names"]),
    "compiled inside": (
        {name.replace("bn.", "bn._orig_mod."): tensor for name, tensor in STATE.items()},
        ["stripped '_orig_mod.' from 5 names"],
    ),
    "Lightning": (
        LIGHTNING,
        [
            "took 'state_dict'; stripped 'model.' from 9 names; ignored 'epoch', "
            "'pytorch-lightning_version', 'hyper_parameters', 'optimizer_states', 'loss.weight', "
            "'metric.total'"
        ],
    ),
    "a student and its average": (
        under("student.") | under("student_ema."),
        [
            "stripped 'student.' from 9 names; ignored 'student_ema.conv.weight', "
            "'student_ema.conv.bias', 'student_ema.bn.weight', 'student_ema.bn.bias', "
            "'student_ema.bn.running_mean', 'student_ema.bn.running_var' and 3 more"
        ],
    ),
    "AveragedModel": (
        under("module.") | {"n_averaged": torch.tensor(3)},
        ["stripped 'module.' from 9 names; ignored 'n_averaged'"],
    ),
    "thop": (
        STATE | {"total_ops": torch.ones(1), "conv.total_params": torch.ones(1)},
        ["ignored 'total_ops', 'conv.total_params'"],
    ),
    "other name": (under("backbone."), ["stripped 'backbone.' from 9 names"]),
    "by module": (
        {
            "conv": {"weight": STATE["conv.weight"], "bias": STATE["conv.bias"]},
            "bn": {name[3:]: tensor for name, tensor in STATE.items() if name[:3] == "bn."},
            "fc": {"weight": STATE["fc.weight"], "bias": STATE["fc.bias"]},
        },
        [],
    ),
    "another head": (
        renamed(fc="head"),
        ["names differ, so that order and shapes tell 1 of 3 layers: 'fc' is 'head'"],
    ),
    "other names all over, of a compiled network in Lightning": (
        {
            "state_dict": {"loss.weight": torch.ones(3)}
            | under("model._orig_mod.", renamed(conv="stem.0", bn="stem.1", fc="classifier"))
        },
        [
            "took 'state_dict'; names differ, so that order and shapes tell 3 of 3 layers: 'conv' "
            "is 'model._orig_mod.stem.0', 'bn' is 'model._orig_mod.stem.1', 'fc' is "
            "'model._orig_mod.classifier'; ignored 'loss.weight'"
        ],
    ),
    "no counter": ({n: t for n, t in STATE.items() if "num_batches" not in n}, []),
    "strides": ({n: t[None].expand(2, *t.shape)[1] for n, t in STATE.items()}, []),
    "a default dictionary": (
        {"state_dict": STATE, "log": defaultdict(list, a=[1])},
        ["took 'state_dict'; ignored 'log'"],
    ),
    "a dictionary of another class": (
        {"state_dict": STATE, "args": HyperDict(a=1)},
        ["took 'state_dict'; ignored 'args'"],
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_checkpoint_of_any_form_is_loaded_and_says_what_was_stripped(form, tmp_path):
    content, notes = FORMS[form]
    torch.save(content, tmp_path / "x.pt")
    assert loaded(tmp_path / "x.pt") == notes


@pytest.mark.parametrize("form", ["plain", "DataParallel", "AveragedModel"])
def test_a_file_is_read_by_its_bytes_and_not_by_its_name(form, tmp_path):
    content, notes = FORMS[form]
    held = {name: tensor.contiguous() for name, tensor in content.items()}
    save_file(held, tmp_path / "x.pth")
    assert loaded(tmp_path / "x.pth") == notes
    torch.save(content, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert loaded(tmp_path / "old.pt") == notes


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_float_types_are_converted_and_said(dtype, tmp_path):
    state = {name: tensor.to(dtype) for name, tensor in STATE.items()}
    torch.save(state, tmp_path / "x.pt")
    model = network()
    note = load_weights(model, tmp_path / "x.pt", "net").note
    assert all(p.dtype == torch.float32 for p in model.parameters())
    assert torch.equal(model.fc.weight, STATE["fc.weight"].to(dtype).float())
    kind = str(dtype).removeprefix("torch.")
    assert note == f"checkpoint {tmp_path / 'x.pt'}: converted 8 tensors from {kind} to float32"


def test_nothing_of_a_foreign_object_runs(tmp_path):
    class Evil:
        def __reduce__(self):
            return (re.compile, ("a(",))  # raises when it is called

    torch.save({"state_dict": STATE, "x": Evil()}, tmp_path / "x.pt")
    assert loaded(tmp_path / "x.pt") == ["took 'state_dict'; ignored 'x'"]


REST = {name: tensor for name, tensor in STATE.items() if not name.startswith("fc.")}
RENAMED = renamed(fc="head")
MISFITS = {
    "renamed layers and one more": (
        RENAMED | {"aux.scale": torch.ones(1)},
        "it lacks 2 tensors: 'fc.weight' (nearest: 'head.weight'), 'fc.bias' (nearest: "
        "'head.bias'); the model has no 'head.weight', 'head.bias', 'aux.scale'",
    ),
    "a head of other classes under another name": (
        RENAMED | {"head.weight": torch.ones(10, 2), "head.bias": torch.ones(10)},
        "its structure is the model's, but 'head.weight' has shape (10, 2), not (3, 2) as "
        "'fc.weight' has, 'head.bias' has shape (10,), not (3,) as 'fc.bias' has",
    ),
    "a head of other classes": (
        {"fc.weight": torch.ones(10, 2), "fc.bias": torch.ones(10)} | under("", REST),
        "its 'fc.weight' has shape (10, 2), not (3, 2), 'fc.bias' has shape (10,), not (3,)",
    ),
    "two networks of other names": (
        {"model." + n: t for n, t in RENAMED.items()} | {"net." + n: t for n, t in RENAMED.items()},
        "it holds several networks that fit, 'model.', 'net.'; save one of them alone",
    ),
    "an extra head": (
        STATE | {"aux.weight": torch.ones(3, 2)},
        "the model has no 'aux.weight'",
    ),
    "all at once": (
        RENAMED | {"conv.bias": torch.ones(3), "bn.bias": torch.ones(1)},
        "its structure is the model's, but 'conv.bias' has shape (3,), not (2,) as 'conv.bias' "
        "has, 'bn.bias' has shape (1,), not (2,) as 'bn.bias' has",
    ),
    "another network": (
        {f"layer{n}.weight": torch.ones(1) for n in range(20)},
        "it lacks 8 tensors: 'conv.weight' (nearest: 'layer9.weight'), 'conv.bias', 'bn.weight' "
        "(nearest: 'layer9.weight'), 'bn.bias', 'bn.running_mean', 'bn.running_var', 'fc.weight' "
        "(nearest: 'layer9.weight'), 'fc.bias'; the model has no 'layer0.weight', "
        "'layer1.weight', 'layer2.weight', 'layer3.weight', 'layer4.weight', 'layer5.weight', "
        "'layer6.weight', 'layer7.weight' and 12 more",
    ),
    "two networks": (
        under("a.") | under("b."),
        "it holds several networks that fit, 'a.', 'b.'; save one of them alone",
    ),
    "no tensors": ({"epoch": 3}, "it holds no dictionary of tensors by name"),
    "a list": ([torch.ones(1)], "it holds no dictionary of tensors by name"),
    "a tensor": (torch.ones(1), "it holds no dictionary of tensors by name"),
    "arrays": (
        {n: t.numpy() if n == "fc.bias" else t for n, t in STATE.items()},
        "its 'fc.bias' is no tensor",
    ),
}


@pytest.mark.parametrize("kind", MISFITS)
def test_all_that_does_not_match_is_told_at_once(kind, tmp_path):
    content, text = MISFITS[kind]
    torch.save(content, tmp_path / "x.pt")
    assert refusal(tmp_path / "x.pt") == FIT + text + TAIL


VALUE = (
    "checkpoint FILE needs finite float weights, but {}; give the checkpoint that training wrote"
)
CODES = torch.ones(3, 2, dtype=torch.int8)
NAN = torch.tensor([1.0, float("nan"), 0.0])
VALUES = {
    "int8": ({"fc.weight": CODES}, "'fc.weight' is int8, a code without the scale that makes it a "
             "weight"),
    "bool": ({"fc.weight": CODES.bool()}, "'fc.weight' is bool, a code without the scale that "
             "makes it a weight"),
    "float8": ({"fc.weight": CODES.to(torch.float8_e4m3fn)}, "'fc.weight' is float8_e4m3fn, a code "
               "without the scale that makes it a weight"),
    "complex": ({"fc.weight": CODES.to(torch.complex64)}, "'fc.weight' is complex64, whose "
                "imaginary part no layer takes"),
    "NaN": ({"fc.bias": NAN, "conv.bias": NAN[:2]}, "'conv.bias', 'fc.bias' are NaN or infinite as "
            "float32"),
    "infinity": ({"fc.bias": 1 / torch.zeros(3)}, "'fc.bias' is NaN or infinite as float32"),
    "beyond float32": ({"fc.bias": torch.full((3,), 1e300, dtype=torch.float64)}, "'fc.bias' is "
                       "NaN or infinite as float32"),
    "meta": ({"fc.bias": torch.ones(3, device="meta")}, "'fc.bias' is without values, on device "
             "'meta'"),
    "sparse": ({"fc.weight": torch.ones(3, 2).to_sparse()}, "'fc.weight' is float32 in a sparse or "
               "quantized form"),
}  # fmt: skip


@pytest.mark.parametrize("kind", VALUES)
def test_values_that_are_no_weights_are_refused_by_name(kind, tmp_path):
    change, text = VALUES[kind]
    torch.save(STATE | change, tmp_path / "x.pt")
    assert refusal(tmp_path / "x.pt") == VALUE.format(text)


@pytest.mark.filterwarnings("ignore")  # torch warns that such tensors will go
def test_a_quantized_tensor_is_refused(tmp_path):
    codes = torch.quantize_per_tensor(torch.ones(3, 2), 0.5, 0, torch.qint8)
    torch.save(STATE | {"fc.weight": codes}, tmp_path / "x.pt")
    text = "'fc.weight' is qint8 in a sparse or quantized form"
    assert refusal(tmp_path / "x.pt") == VALUE.format(text)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(2, 2), nn.Linear(2, 2)
        self.second.weight = self.first.weight
        self.scale = nn.Parameter(torch.tensor(2.0))


def test_tied_weights_need_one_name_and_may_not_differ(tmp_path):
    state, path = Tied().state_dict(), tmp_path / "x.pt"
    one = {n: t for n, t in state.items() if n != "second.weight"} | {"scale": torch.ones(1)}
    torch.save(one, path)
    model = Tied()
    load_weights(model, path, "net")
    assert torch.equal(model.second.weight, state["first.weight"])
    assert model.scale == 1
    torch.save(state | {"second.weight": torch.zeros(2, 2)}, path)
    assert refusal(path, Tied()) == VALUE.format(
        "'first.weight' and 'second.weight' differ, but are one tensor in the model"
    )


@pytest.mark.filterwarnings("ignore")  # torch.jit is on its way out
def test_a_pickled_module_is_refused_with_advice(tmp_path):
    path = tmp_path / "x.pt"
    advice = "; save its weights alone: torch.save(model.state_dict(), FILE)"
    for content in (network(), {"epoch": 1, "model": network(), "optimizer": {"state": {}}}):
        torch.save(content, path)
        assert refusal(path) == (
            "checkpoint FILE holds a pickled module of class "
            "'torch.nn.modules.container.Sequential', which only its own code could unpickle"
            + advice
        )
    torch.jit.script(nn.ReLU()).save(path)
    assert refusal(path) == (f"checkpoint FILE cannot be read: it is a TorchScript archive{advice}")
