import sys

import pytest
import torch
from torch import nn

from qnn.errors import ModelError
from qnn.nn.data import digits
from qnn.nn.preprocess import to_reals
from qnn.nn.training import accuracy
from qnn.nn.zoo import ZOO, load_model
from tests.shared_data import cifar_test


@pytest.mark.parametrize("name", ZOO)
def test_every_network_gives_its_logits(name):
    pixels = torch.zeros(2, *ZOO[name].shape, dtype=torch.uint8)
    model = load_model(name)
    assert not model.training
    logits = 1000 if name == "resnet18" else 10
    with torch.no_grad():
        assert model(to_reals(pixels, ZOO[name].mean, ZOO[name].std)).shape == (2, logits)


@pytest.mark.parametrize(
    ("name", "file", "least"),
    [("resnet20", "resnet20_cifar10.pt", 0.89), ("resnet8", "tiny_ic_resnet8.pt", 0.85)],
)
def test_a_trained_checkpoint_classifies(name, file, least, shared_data):
    pixels, labels = cifar_test(shared_data)
    reals = to_reals(pixels[:300], ZOO[name].mean, ZOO[name].std)
    assert accuracy(load_model(name, shared_data / file), reals, labels[:300]) > least


def test_a_factory_of_the_user(tmp_path, monkeypatch):
    (tmp_path / "qnn_zoo_test.py").write_text("import torch\ndef tiny(): return torch.nn.ReLU()\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert isinstance(load_model("qnn_zoo_test:tiny"), nn.ReLU)
    sys.modules.pop("qnn_zoo_test")


def refusal(*arguments):
    with pytest.raises(ModelError) as caught:
        load_model(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_module_that_does_not_parse_is_refused(tmp_path, monkeypatch):
    (tmp_path / "cut_short.py").write_text("def f(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert refusal("cut_short:f") == (
        "model 'cut_short:f' cannot be imported: invalid syntax (cut_short.py, line 1); check the "
        "name and PYTHONPATH"
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "resnet",
            "model needs to be one of resnet8, resnet20, resnet56, resnet18, digits_cnn or "
            "module:factory, not 'resnet'; name a module that Python can import and a callable in "
            "it",
        ),
        (
            "no_such_module:x",
            "model 'no_such_module:x' cannot be imported: No module named 'no_such_module'; check "
            "the name and PYTHONPATH",
        ),
        (
            "os:nope",
            "model 'os:nope' cannot be imported: module 'os' has no attribute 'nope'; check the "
            "name and PYTHONPATH",
        ),
        (
            "os:getcwd",
            "model 'os:getcwd' needs to give an nn.Module, not str; return the network",
        ),
        (
            "os:fspath",
            "model 'os:fspath' cannot be built: TypeError: fspath() missing required argument "
            "'path' (pos 1); it is called without arguments",
        ),
    ],
)
def test_a_model_that_cannot_be_had_is_refused(name, text):
    assert refusal(name) == text


def test_a_checkpoint_that_does_not_fit_is_refused(tmp_path):
    state = load_model("digits_cnn").state_dict()
    file = tmp_path / "x.pt"
    tail = "; give the checkpoint of this model"
    fit = f"checkpoint {file} does not fit model 'digits_cnn': "
    for change, text in (
        ({}, "it lacks 'stem.0.weight'"),
        (state | {"more": torch.zeros(1)}, "the model has no 'more'"),
        (state | {"fc.bias": torch.zeros(3)}, "its 'fc.bias' has shape (3,), not (10,)"),
        ({"state_dict": state}, "it is no flat dictionary of tensors"),
    ):
        torch.save(change, file)
        assert refusal("digits_cnn", file) == fit + text + tail


def test_a_checkpoint_that_cannot_be_read_is_refused(tmp_path):
    missing, cut = tmp_path / "none.pt", tmp_path / "cut.pt"
    torch.save(load_model("digits_cnn").state_dict(), cut)
    cut.write_bytes(cut.read_bytes()[:1000])
    tail = "; give a dictionary of tensors that torch.save or safetensors wrote"
    assert refusal("digits_cnn", missing) == (
        f"checkpoint {missing} cannot be read: No such file or directory{tail}"
    )
    assert refusal("digits_cnn", cut) == (
        f"checkpoint {cut} cannot be read: it holds something else, or is cut short{tail}"
    )


def test_a_checkpoint_of_this_model_is_loaded(tmp_path):
    torch.manual_seed(0)
    model = load_model("digits_cnn")
    torch.save(model.state_dict(), tmp_path / "x.pt")
    x = to_reals(digits().x_test[:4], (0.0,), (1.0,))
    assert torch.equal(load_model("digits_cnn", tmp_path / "x.pt")(x), model(x))
