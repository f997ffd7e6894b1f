"""What a factory may give at the command line beside a plain module."""

import json
import sys

import numpy as np
import pytest
import torch
from torch import nn

from qnn.cli.sources import read_data_for
from qnn.cli.unasked import runs_unasked
from tests.nearest import NEAREST

NETS = """
import torch
from torch import nn


def net(in_place=False, shift=0):
    torch.manual_seed(0)
    layers = (nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
    return nn.Sequential(nn.ReLU(in_place), *layers).eval()


def writing():
    return net(True)


def half():
    return net().half()


def places():
    # Scores of 3 classes for each of 5 places, of 3 values there.
    torch.manual_seed(0)
    return nn.Conv1d(3, 3, 1).eval()


def same():
    layer = nn.Conv1d(3, 3, 1)
    nn.init.dirac_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer.eval()


def program():
    return torch.export.export(net(), (torch.zeros(3, 1, 8, 8),))


def module():
    return program().module()
"""


@pytest.fixture
def numbers(qnn, tmp_path, monkeypatch):
    """What quantizing the network of a factory gives, of 50 images."""
    (tmp_path / "given_nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)

    def quantized(factory):
        options = ("--mean", "0.5", "--std", "0.5", "--samples", "50", "--checkpoint", "none")
        code, out, err = qnn("quantize", f"given_nets:{factory}", *options, *NEAREST, "--json")
        assert (code, err) == (0, "")
        found = json.loads(out)
        return {name: found[name] for name in ("test_images", "float", "quantized")}

    return quantized


def test_a_model_that_works_in_place_leaves_the_images_to_the_next(numbers):
    assert numbers("writing") == numbers("net")


@pytest.mark.parametrize("command", ["quantize", "evaluate"])
def test_a_model_of_another_type_is_refused_before_its_data(qnn, numbers, command):
    """Half of it would be said to take no images, as they are of another type than its weights."""
    assert qnn(command, "given_nets:half", "--checkpoint", "none", "--data", "digits") == (
        3,
        "",
        "error: model needs float32 parameters, but '1.weight' is torch.float16; give "
        "model.float()\n",
    )


@pytest.mark.parametrize(
    ("options", "doubted"),
    [(("places",), True), (("places", "--task", "pixels"), False), (("same",), False)],
)
def test_outputs_that_are_no_reconstruction_are_told_where_nothing_says_what_they_are(
    qnn, numbers, tmp_path, options, doubted
):
    x = np.random.default_rng(0).normal(3, 1, (40, 3, 5)).astype(np.float32)
    np.savez(tmp_path / "places.npz", x_train=x, x_test=x)
    name, *asked = options
    given = ("--checkpoint", "none", "--data", "places.npz", *asked)
    code, _, err = qnn("quantize", f"given_nets:{name}", *given, *NEAREST)
    assert code == 0, err
    assert ("as large as the input and have no labels, but they are far from it" in err) == doubted


# Of three images at a time, which 50 are no multiple of.
@pytest.mark.parametrize("factory", ["program", "module"])
def test_a_program_of_torch_export_is_a_model(numbers, factory):
    assert numbers(factory) == numbers("net")


def test_the_quantized_model_of_a_factory_finds_its_teacher_in_the_current_folder(
    qnn, numbers, monkeypatch
):
    numbers("net")
    # As in a new process, whose path has the current folder only where a command puts it there.
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if folder])
    monkeypatch.delitem(sys.modules, "given_nets")
    code, out, err = qnn("train", "model.safetensors", "--steps", "1", "--batch", "8")
    assert (code, "error" in err) == (0, False)
    assert out.startswith("trained.safetensors: 1 steps on answers of given_nets:net in ")


def test_a_model_file_never_decides_what_is_called_with_arguments(qnn, numbers):
    assert numbers("net(shift=3)") == numbers("net")
    numbers("net(shift=3)")
    train = ("train", "model.safetensors", "--steps", "1", "--batch", "8")
    code, out, err = qnn(*train)
    assert (code, out) == (3, "")
    assert err == (
        "error: model.safetensors: its float network is 'given_nets:net(shift=3)', which is not "
        'run because a file says so; give --teacher "given_nets:net(shift=3)" if that is meant, or '
        "--teacher none\n"
    )
    code, out, _ = qnn(*train, "--teacher", "given_nets:net(shift=3)", "--checkpoint", "none")
    assert (code, "answers of given_nets:net(shift=3)" in out) == (0, True)


def test_a_model_file_never_decides_what_is_run_outside_of_the_current_folder(
    qnn, numbers, tmp_path, monkeypatch
):
    """A file that came from elsewhere may name anything that is installed."""
    numbers("net")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "model.safetensors").rename(elsewhere / "model.safetensors")
    monkeypatch.chdir(elsewhere)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "given_nets")
    train = ("train", "model.safetensors", "--steps", "1", "--batch", "8")
    code, out, err = qnn(*train)
    assert (code, out, "given_nets" in sys.modules) == (3, "", False)
    assert err.startswith(
        "error: model.safetensors: its float network is 'given_nets:net', which is"
    )
    code, out, _ = qnn(*train, "--teacher", "given_nets:net")
    assert (code, "answers of given_nets:net" in out) == (0, True)


def test_the_advice_to_train_names_a_teacher_that_no_file_may(qnn, numbers, tmp_path, monkeypatch):
    missed = ("--checkpoint", "none", "--rounding", "nearest", "--target", "0.001")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for folder, named in ((tmp_path, False), (elsewhere, True)):
        monkeypatch.chdir(folder)
        monkeypatch.syspath_prepend(tmp_path)
        # As in a new process.
        monkeypatch.delitem(sys.modules, "given_nets", raising=False)
        pixels = ("--mean", "0.5", "--std", "0.5", "--samples", "60", "--activation-bits", "4")
        code, _, err = qnn("quantize", "given_nets:net", *missed, *pixels)
        assert (code, "qnn train model.safetensors" in err) == (0, True)
        assert ("--teacher given_nets:net" in err) == named


def test_a_model_file_may_name_the_zoo_or_this_folder_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_net.py").write_text("")
    (tmp_path / "own_package").mkdir()
    (tmp_path / "own_package/__init__.py").write_text("")
    (tmp_path / "own_folder").mkdir()
    own = ("resnet8", "own_net:net", "own_package:net", "own_package.part:net", "own_folder.part:n")
    assert [name for name in own if not runs_unasked(name)] == []
    # Parts of Python itself have no path, and lie in no folder.
    others = ("os:abort", "builtins:breakpoint", "sys:exit", "json:loads", "torch:rand", "none:net")
    # What has arguments, what a module has of another one, and what is no name at all.
    odd = ("own_net:net(1)", "own_net:os.abort", "own_net:", ":net", ".own_net:net", "own_net:a:b")
    assert [name for name in (*others, *odd) if runs_unasked(name)] == []
    # A module that lies below this folder or above it is not of it, whatever finds it.
    for place in (tmp_path / "own_package", tmp_path.parent):
        (place / "near_net.py").write_text("")
        monkeypatch.syspath_prepend(place)
        assert not runs_unasked("near_net:net")
        (place / "near_net.py").unlink()


@pytest.mark.parametrize("images", [1, 2])
def test_the_layout_of_data_is_found_for_an_exported_program_of_so_many_images(tmp_path, images):
    program = torch.export.export(nn.Conv1d(4, 3, 3).eval(), (torch.zeros(images, 4, 16),))
    x = np.zeros((6, 4, 16), np.float32)
    np.savez(tmp_path / "x.npz", x_train=x, x_test=x)
    data = read_data_for(str(tmp_path / "x.npz"), program.module())
    assert tuple(data.x_train.shape) == x.shape
