import sys

import pytest
import torch
from torch import nn

from qnn.bench import shared
from qnn.errors import ModelError
from qnn.nn.data import digits
from qnn.nn.preprocess import pixel_values, to_reals
from qnn.nn.training import accuracy
from qnn.nn.zoo import ZOO, load_model, load_trained

CLASSES = {
    "dscnn": 12,
    "mobilenetv1_vww": 2,
    **dict.fromkeys(("resnet18", "resnet50", "mobilenetv1", "mobilenetv2"), 1000),
}
# What published checkpoints have, by the papers' tables and torchvision's documentation.
PARAMETERS = {"resnet18": 11_689_512, "resnet50": 25_557_032, "mobilenetv2": 3_504_872}


@pytest.mark.parametrize("name", ZOO)
def test_every_network_gives_a_logit_for_each_class(name):
    pixels = torch.zeros(2, *ZOO[name].shape, dtype=torch.uint8)
    model = load_model(name)
    assert not model.training
    with torch.no_grad():
        logits = model(to_reals(pixels, ZOO[name].mean, ZOO[name].std))
    assert logits.shape == (2, CLASSES.get(name, 10))


@pytest.mark.parametrize("name", PARAMETERS)
def test_networks_for_imagenet_have_all_their_parameters(name):
    model = ZOO[name].build()
    assert sum(parameter.numel() for parameter in model.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize(
    ("name", "test_set", "least"),
    [
        ("resnet20", shared.cifar10_test, 0.89),
        ("resnet8", shared.cifar10_test, 0.85),
        ("dscnn", shared.tiny_kws, 0.89),
        ("mobilenetv1_vww", shared.tiny_vww, 0.82),
    ],
)
def test_a_trained_checkpoint_classifies(name, test_set, least, shared_data):
    pixels, labels = test_set(shared_data)
    chosen = slice(None, None, len(labels) // 300)  # some sets are in the order of their labels
    reals = to_reals(pixels[chosen], ZOO[name].mean, ZOO[name].std)
    model = load_model(name, shared.checkpoint(shared_data, name))
    assert accuracy(model, reals, labels[chosen]) > least


def test_the_imagenet_checkpoint_fits(shared_data):
    load_model("mobilenetv1", shared.checkpoint(shared_data, "mobilenetv1"))


def test_a_byte_of_an_mfcc_map_is_what_the_int8_network_takes():
    entry = ZOO["dscnn"]
    values = pixel_values(entry.mean, entry.std)[0]
    wanted = (torch.arange(-128, 128, dtype=torch.float64) - 83) * 0.5847029
    torch.testing.assert_close(values, wanted)


def test_a_factory_of_the_user(tmp_path, monkeypatch):
    (tmp_path / "qnn_zoo_test.py").write_text(
        "import torch\ndef tiny(): return torch.nn.ReLU()\nmade = tiny()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert isinstance(load_model("qnn_zoo_test:tiny"), nn.ReLU)
    assert isinstance(load_model("qnn_zoo_test:made"), nn.ReLU)
    assert refusal("qnn_zoo_test:made(3)") == (
        "model 'qnn_zoo_test:made(3)' is a network already; leave its arguments out"
    )
    sys.modules.pop("qnn_zoo_test")


@pytest.mark.parametrize(
    ("call", "wanted"),
    [
        ("Linear(3, 4)", "Linear(in_features=3, out_features=4, bias=True)"),
        ("Linear(3, 4, bias=False)", "Linear(in_features=3, out_features=4, bias=False)"),
        ("ZeroPad2d((1, -2, 3, 4))", "ZeroPad2d((1, -2, 3, 4))"),
        ("ReLU()", "ReLU()"),
    ],
)
def test_a_factory_takes_the_arguments_behind_its_name(call, wanted):
    assert repr(load_model(f"torch.nn:{call}")) == wanted


@pytest.mark.parametrize(
    "call",
    [
        "Linear(3, open('x'))",
        "Linear(3, 2 * 2)",
        "Linear(3, 4",
        "Linear(**{'in_features': 3})",
        "Linear(*[3, 4])",
        "Linear(3, 4).eval()",
        "Linear(3, 4); x",
        "Linear(" + "[" * 500 + ")",
        "Linear(\0)",
    ],
)
def test_arguments_that_would_be_computed_are_refused(call):
    assert refusal(f"torch.nn:{call}") == (
        f"model 'torch.nn:{call}' needs plain values as arguments, as in "
        f"module:factory(10, wide=True)"
    )


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


def test_a_package_that_a_users_module_lacks_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)  # as if it were not installed
    (tmp_path / "needs_timm.py").write_text("import timm.layers\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert refusal("needs_timm:f").endswith(
        "; check the name and PYTHONPATH, or install what is missing: pip install timm"
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "resnet",
            "model needs to be one of resnet8, resnet20, resnet56, resnet18, resnet50, dscnn, "
            "mobilenetv1_vww, mobilenetv1, mobilenetv2, digits_cnn or module:factory, not "
            "'resnet'; name a module that Python can import and a callable in it",
        ),
        (
            "no_such_module:x",
            "model 'no_such_module:x' cannot be imported: No module named 'no_such_module'; check "
            "the name and PYTHONPATH",
        ),
        (
            "nets/my_net.py:build(3)",
            "model 'nets/my_net.py:build(3)' needs the name of a module, not its file; write "
            "'nets.my_net:build(3)'",
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
            "'path' (pos 1); its arguments stand behind its name, as in "
            "module:factory(10, wide=True)",
        ),
    ],
)
def test_a_model_that_cannot_be_had_is_refused(name, text):
    assert refusal(name) == text


@pytest.mark.parametrize("text", ["sys.exit(2)", "def f():\n    sys.exit(2)"])
def test_a_module_that_ends_the_program_is_refused(text, tmp_path, monkeypatch):
    (tmp_path / "script.py").write_text(f"import sys\n{text}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "script", raising=False)
    assert refusal("script:f") == (
        "model 'script:f' ends the program when it is imported or built (SystemExit: 2); guard "
        "what its module runs with if __name__ == '__main__'"
    )


def test_a_checkpoint_of_this_model_is_loaded(tmp_path):
    torch.manual_seed(0)
    model = load_model("digits_cnn")
    torch.save(model.state_dict(), tmp_path / "x.pt")
    x = to_reals(digits().x_test[:4], (0.0,), (1.0,))
    assert torch.equal(load_model("digits_cnn", tmp_path / "x.pt")(x), model(x))


FACTORIES = """
import torch
from torch import nn

def normed():
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))

def seeded():
    torch.manual_seed(3)
    return normed()

def plain():
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(1, 16, 3), nn.Linear(16, 16))

def trained():
    model = seeded()
    model[1].running_mean += 1
    return model

def meta():
    with torch.device("meta"):
        return normed()

def lazy():
    return nn.LazyConv2d(2, 3)
"""


@pytest.fixture
def factories(tmp_path, monkeypatch):
    (tmp_path / "qnn_zoo_nets.py").write_text(FACTORIES)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("qnn_zoo_nets", None)


@pytest.mark.parametrize(
    ("factory", "said"), [("seeded", True), ("plain", True), ("trained", False)]
)
def test_weights_that_look_untrained_are_told(factories, factory, said):
    notes = []
    load_trained(f"qnn_zoo_nets:{factory}", None, notes.append)
    text = (
        f"model 'qnn_zoo_nets:{factory}' looks untrained: its weights are as PyTorch's layers "
        f"begin; give trained ones with --checkpoint FILE"
    )
    assert notes == [text] * said


def test_random_weights_need_to_be_asked_for(factories):
    with pytest.raises(ModelError) as caught:
        load_trained("qnn_zoo_nets:normed", None, print)
    assert str(caught.value) == (
        "model 'qnn_zoo_nets:normed' has other weights each time that it is built, as '0.weight' "
        "has, so they are random; give trained ones with --checkpoint FILE, or go on with these by "
        "--checkpoint none"
    )
    load_trained("qnn_zoo_nets:normed", "none", pytest.fail)


@pytest.mark.filterwarnings("ignore:Lazy modules")
@pytest.mark.parametrize(("factory", "name"), [("meta", "0.weight"), ("lazy", "weight")])
def test_weights_without_values_are_refused(factories, factory, name):
    assert refusal(f"qnn_zoo_nets:{factory}") == (
        f"model 'qnn_zoo_nets:{factory}' needs values for its weights, but '{name}' has none yet; "
        f"build it on the CPU, and call a lazy module once"
    )
