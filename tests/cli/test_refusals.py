"""Bad input at the command line: one line on standard error, and the exit code."""

import errno
from pathlib import Path

import numpy as np
import pytest

from tests.nearest import NEAREST

NETS = """
from torch import nn


class Sorted(nn.Module):
    def forward(self, x):
        return x.sort(1)[0]


def ordered():
    return nn.Sequential(nn.Conv2d(1, 4, 3), Sorted())


def colour():
    return nn.Conv2d(3, 4, 3)


def dead():
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
    nn.init.constant_(net[0].bias, -100.0)
    return net


def nan():
    net = nn.Conv2d(1, 4, 3)
    nn.init.constant_(net.weight, float("nan"))
    return net
"""


@pytest.fixture
def nets(tmp_path, monkeypatch):
    """A current folder with a module of networks."""
    (tmp_path / "bad_nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("factory", "text"),
    [
        (
            "ordered",
            "layer '1' (aten.sort, bad_nets.py:7) is not supported; leave it out, and let the "
            "host choose from the outputs",
        ),
        (
            "nan",
            "model (aten.conv2d) needs a finite weight, not NaN or infinity; train or load it "
            "again",
        ),
    ],
)
def test_a_model_that_cannot_be_quantized(qnn, nets, factory, text):
    arguments = ("--checkpoint", "none", "--mean", "0", "--std", "1", *NEAREST)
    assert qnn("quantize", f"bad_nets:{factory}", *arguments) == (3, "", f"error: {text}\n")


def test_a_layer_that_never_fires_is_told_in_one_line_and_costs_nothing_else(qnn, nets):
    arguments = ("--checkpoint", "none", "--mean", "0", "--std", "1", "--samples", "8", *NEAREST)
    code, out, err = qnn("quantize", "bad_nets:dead", *arguments)
    assert (code, out.count("\n")) == (0, 1)
    assert err == (
        "warning: layer '0' is zero for all calibration data and becomes the constant 0; give data "
        "that reach it, or remove the layer\n"
    )


def test_data_that_does_not_fit_the_model(qnn, nets):
    arguments = ("--checkpoint", "none", "--mean", "0", "--std", "1", *NEAREST)
    code, out, err = qnn("quantize", "bad_nets:colour", *arguments)
    assert (code, out) == (3, "")
    first, _, last = err.partition(": Given groups=1, ")  # between the two it is torch's text
    assert first == (
        "error: data digits (taken where no --data is given) of shape (1, 8, 8) do not fit the "
        "model"
    )
    assert last.endswith("; give --data\n")
    assert err.count("\n") == 1


def test_a_model_that_does_not_exist(qnn):
    assert qnn("quantize", "resnet9000") == (
        3,
        "",
        "error: model needs to be one of resnet8, resnet20, resnet56, resnet18, resnet50, dscnn, "
        "mobilenetv1_vww, mobilenetv1, mobilenetv2, digits_cnn, module:factory, an .onnx or a "
        ".pt2 file, not 'resnet9000'; name a module that Python can import and a callable in it\n",
    )


def test_a_zoo_model_without_weights(qnn):
    code, out, err = qnn("quantize", "resnet20")
    assert (code, out) == (2, "")
    assert err.endswith(
        "Invalid value: 'resnet20' comes without weights; give them with --checkpoint\n"
    )


@pytest.mark.parametrize("verb", ["quantize", "evaluate"])
@pytest.mark.parametrize("given", [(), ("--data", "pixels.npz")])
def test_pixels_without_mean_and_std(qnn, nets, verb, given):
    images = np.zeros((4, 8, 8, 1), np.uint8)
    np.savez("pixels.npz", x_train=images, x_test=images)
    name = "pixels.npz" if given else "digits (taken where no --data is given)"
    assert qnn(verb, "bad_nets:dead", "--checkpoint", "none", *given) == (
        3,
        "",
        f"error: data {name} have 8-bit pixels; give --mean and --std of pixels / 255, as the "
        f"model takes them, or floats with --data\n",
    )


def test_files_that_hold_no_float_model(qnn, nets):
    said = "error: model '{}' is no float model"
    kept = (
        ": what 'qnn quantize' wrote is quantized already, and 'qnn train', 'qnn export' and 'qnn "
        "compile' take it; weights are for --checkpoint, beside module:factory\n"
    )
    graph = " but quantized already; 'qnn check' and 'qnn compile' take it\n"
    missing = ", and there is no such file; name a float model\n"
    for verb in ("quantize", "evaluate"):
        for name, text in (("m.safetensors", kept), ("m.qgraph", graph)):
            assert qnn(verb, name) == (3, "", said.format(name) + missing)
            Path(name).write_bytes(b"")
            assert qnn(verb, name) == (3, "", said.format(name) + text)
            Path(name).unlink()


@pytest.mark.parametrize("verb", ["quantize", "evaluate", "check", "train"])
def test_a_mistyped_file_is_called_one(qnn, nets, verb):
    for name in ("model.onnxx", "folder/model"):
        code, out, err = qnn(verb, name)
        assert (code, out) == (3, "")
        assert err.endswith(
            f", not '{name}'; there is no such file, and no colon in front of a factory\n"
        )
    code, out, err = qnn(verb, "bad_nets.py")
    assert err.endswith(", not 'bad_nets.py'; a file of another kind is no model\n")


@pytest.mark.parametrize("verb", ["quantize", "check"])
def test_a_package_of_networks_that_is_not_there(qnn, nets, verb, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert qnn(verb, "timm:create_model('resnet18')") == (
        3,
        "",
        "error: model 'timm:create_model('resnet18')' cannot be imported: No module named 'timm'; "
        "check the name and PYTHONPATH, or install what is missing: pip install timm\n",
    )


def test_random_weights_are_refused_unless_they_are_asked_for(qnn, nets):
    assert qnn("quantize", "bad_nets:colour", "--mean", "0", "--std", "1") == (
        3,
        "",
        "error: model 'bad_nets:colour' has other weights each time that it is built, as 'weight' "
        "has, so they are random; give trained ones with --checkpoint FILE, or go on with these "
        "by --checkpoint none\n",
    )


def test_a_mean_that_is_no_number(qnn, nets):
    code, out, err = qnn("quantize", "bad_nets:colour", "--mean", "dark", "--std", "1")
    assert (code, out) == (2, "")
    assert err == (
        "error: qnn quantize: Invalid value for '--mean': needs numbers with commas, not 'dark'\n"
    )


def test_a_missing_checkpoint(qnn, tmp_path):
    path = tmp_path / "none.pt"
    assert qnn("quantize", "resnet20", "--checkpoint", path) == (
        3,
        "",
        f"error: {path}: cannot be read ('No such file or directory'); correct the path\n",
    )


def test_missing_data(qnn, build):
    assert qnn("verify", build, "--data", "none.npz") == (
        3,
        "",
        "error: data none.npz: cannot be read ('No such file or directory'); give 'digits', an "
        ".npz file or a folder of images\n",
    )


def test_data_of_no_kind(qnn, build):
    assert qnn("verify", build, "--data", "mnist") == (
        3,
        "",
        "error: data mnist: cannot be read ('No such file or directory'); give 'digits', an .npz "
        "file or a folder of images\n",
    )


def test_data_of_another_shape(qnn, build, tmp_path):
    images, labels = np.zeros((4, 9, 8, 1), np.uint8), np.zeros(4, np.int64)
    path = tmp_path / "wide.npz"
    np.savez(path, x_train=images, y_train=labels, x_test=images, y_test=labels)
    assert qnn("verify", build, "--data", path, "--device", "functional") == (
        3,
        "",
        f"error: data {path}: x_train of shape (4, 9, 8, 1) does not fit the model: with channels "
        "last (--layout nhwc), its input has shape (1, 8, 8), channels first, not (1, 9, 8); with "
        "channels first (--layout nchw), its input has shape (1, 8, 8), channels first, not "
        "(9, 8, 1); give what it takes\n",
    )


@pytest.mark.parametrize("verb", ["export", "check", "compile"])
@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("none.safetensors", "write one with 'qnn quantize' or 'qnn export'"),
        ("none.onnx", "export the model to ONNX, or correct the path"),
    ],
)
def test_a_missing_model(qnn, verb, name, cure):
    text = f"error: {name}: cannot be read ('No such file or directory'); {cure}\n"
    assert qnn(verb, name) == (3, "", text)


def test_a_file_of_another_kind(qnn, tmp_path):
    path = tmp_path / "model.txt"
    path.write_text("hello")
    code, out, err = qnn("compile", path)
    assert (code, out) == (2, "")
    assert err.endswith(
        f"needs a name that ends in .safetensors or .qgraph or .onnx, not '{path}'\n"
    )


def test_a_cut_model(qnn, model, tmp_path):
    path = tmp_path / "cut.safetensors"
    path.write_bytes(model.read_bytes()[:-100])
    assert qnn("compile", path) == (
        3,
        "",
        f"error: {path}: cannot be read as a quantized model: Error while deserializing header: "
        f"incomplete metadata, file not fully covered; copy or quantize it again\n",
    )


def test_a_configuration_that_does_not_exist(qnn, model):
    assert qnn("compile", model, "--config", "huge") == (
        2,
        "",
        "error: qnn compile: Invalid value for '--config': config must be one of test, small, "
        "reference, zcu102, not 'huge'\n",
    )


def test_a_size_that_the_configuration_cannot_have(qnn, model):
    assert qnn("check", model, "--set", "lanes=7") == (
        2,
        "",
        "error: qnn check: Invalid value for '--set': SvpeConfig lanes must be a power of two from "
        "2 to 64, not 7\n",
    )


def test_a_buffer_that_is_too_small(qnn, model):
    assert qnn("check", model, "--set", "feature_words=64") == (
        3,
        "",
        "error: conv 'conv2.0' needs 72 feature words for one row of its output, but the "
        "configuration has 64 (SvpeConfig.feature_words); raise it, or use a narrower image or "
        "fewer channels\n",
    )


def test_a_build_that_is_none(qnn, tmp_path):
    assert qnn("verify", tmp_path) == (
        3,
        "",
        f"error: {tmp_path}: not a build folder; make one with 'qnn compile' or Design.write\n",
    )


def test_a_cut_image(qnn, build):
    path = build / "image.bin"
    path.write_bytes(path.read_bytes()[:-1])
    assert qnn("simulate", build) == (
        3,
        "",
        f"error: {path}: missing or altered since it was built; compile the model again\n",
    )


@pytest.fixture
def full_disk(monkeypatch):
    """Every file that is written from now on meets a full disk."""

    def write(path, *_):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", write)
    monkeypatch.setattr(Path, "write_text", write)


@pytest.mark.parametrize(
    ("verb", "text"),
    [
        (
            "export",
            ": a graph needs a writable folder with room, but got 'No space left on device'; "
            "choose another path",
        ),
        (
            "compile",
            ": a build needs a writable folder with room, but got 'No space left on device'; "
            "choose another",
        ),
    ],
)
def test_a_full_disk(qnn, model, tmp_path, full_disk, verb, text):
    out = tmp_path / "out.qgraph"
    assert qnn(verb, model, "-o", out) == (3, "", f"error: {out}{text}\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", ["export", "compile"])
def test_a_place_that_cannot_be_written(qnn, model, tmp_path, verb):
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    out = blocker / "out.qgraph"
    assert qnn(verb, model, "-o", out) == (
        3,
        "",
        f"error: {out}: nothing can be written in {blocker} ('Not a directory'); choose another "
        f"path\n",
    )


def test_a_junit_report_that_cannot_be_written(qnn, build, tmp_path):
    path = tmp_path / "none" / "verify.xml"
    arguments = ("verify", build, "--device", "functional", "--images", 1, "--junit", path)
    assert qnn(*arguments) == (
        3,
        "",
        f"error: {path}: nothing can be written in {path.parent} ('No such file or directory'); "
        f"choose another path\n",
    )


def test_a_junit_report_without_a_name_is_refused_in_a_line(qnn):
    # As of a CI whose variable is not set.
    assert qnn("verify", "build", "--junit", "") == (
        3,
        "",
        "error: .: a file is to be written, but this is a folder; name a file\n",
    )
