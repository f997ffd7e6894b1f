"""Every block of ours in docs/from_other_tools.md runs as it stands, on small or random data."""

import re
import shlex
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn

import qnn
from qnn.cli.app import main
from tests.interchange.qonnx_files import QonnxFile, written

PAGE = (Path(__file__).resolve().parents[1] / "docs/from_other_tools.md").read_text()
RNG = np.random.default_rng(0)


def blocks(language):
    """The code blocks of a language by section; ours are ``python`` and ``sh``."""
    sections = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    found = {
        section.splitlines()[0]: re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)
        for section in sections
    }
    return {name: each for name, each in found.items() if each}


OURS = {"python": blocks("python"), "sh": blocks("sh")}


def test_each_of_our_blocks_is_one_that_is_run_below():
    assert {name: len(each) for name, each in OURS["python"].items()} == {
        "From hls4ml": 1,
        "From Brevitas": 2,
    }
    assert {name: len(each) for name, each in OURS["sh"].items()} == {
        "From FINN": 2,
        "From Vitis AI": 1,
        "Weights by name": 1,
    }
    # No block is of a language that nobody looks at.
    assert set(re.findall(r"^```(\w+)$", PAGE, re.MULTILINE)) == {"python", "sh", "py", "console"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield tmp_path


def project(monkeypatch, name, **contents):
    module = ModuleType(name)
    vars(module).update(contents)
    monkeypatch.setitem(sys.modules, name, module)


def run_commands(section):
    """What each command of a section's shell block leaves with."""
    text, codes = "".join(OURS["sh"][section]), []
    for line in text.replace("\\\n", " ").splitlines():
        with pytest.raises(SystemExit) as left:
            main(shlex.split(line, comments=True)[1:])
        codes.append(left.value.code or 0)
    return codes


class JetTagger(nn.Module):
    """The layers of the tutorial's jet tagger."""

    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(16, 64), nn.Linear(64, 32), nn.Linear(32, 32)
        self.output = nn.Linear(32, 5)

    def forward(self, x):
        x = torch.relu(self.fc2(torch.relu(self.fc1(x))))
        return torch.softmax(self.output(torch.relu(self.fc3(x))), dim=1)


def test_the_jet_tagger_of_hls4ml(monkeypatch, capsys):
    centres = torch.randn(5, 16)
    labels = torch.arange(600) % 5
    x = centres[labels] + 0.3 * torch.randn(600, 16)
    model = JetTagger()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.nll_loss(torch.log(model(x[:500]).clamp(1e-7)), labels[:500]).backward()
        optimizer.step()
    torch.save(model.state_dict(), "pytorch_weights_part1.pt")
    data = {"X_train_val": x[:500], "X_test": x[500:], "y_test": labels[500:]}
    project(monkeypatch, "jet_tagger", JetTagger=JetTagger, **data)
    names = {}
    exec(OURS["python"]["From hls4ml"][0], names)
    out = capsys.readouterr().out
    assert "output.bias = output.bias" in re.sub(" +", " ", out)
    # Clusters that float tells apart; a tagger that is wrong has a fifth.
    assert float(out.splitlines()[-1].split()[1]) > 0.9
    assert names["y_qnn"].sum(1) == pytest.approx(1)
    assert Path("build/rtl").is_dir()


def quantized_layers(shape, convolutions, linear):
    """A QONNX network of 4-bit weights and activations that cut off, as Brevitas exports one."""
    net = QonnxFile(shape)
    y = net.quant("x", 2.0**-7, 8)
    for shape_of, pads in convolutions:
        w = net.quant(RNG.normal(0, 0.4, shape_of), 0.125, 4, narrow=1)
        y = net.add("Conv", y, w, kernel_shape=[3, 3], pads=[pads] * 4)
        y = net.quant(net.add("Relu", y), 0.125, 4, signed=0, rounding="FLOOR")
        y = net.add("MaxPool", y, kernel_shape=[2, 2], strides=[2, 2])
    y = net.add("Flatten", y)
    for n, sizes in enumerate(linear):
        w = net.quant(RNG.normal(0, 0.4, sizes), 0.125, 4, narrow=1)
        y = net.add("Gemm", y, w, transB=1)
        if n < len(linear) - 1:
            y = net.quant(net.add("Relu", y), 0.125, 4, signed=0, rounding="FLOOR")
    return net.wrapper(y, (1, linear[-1][0]))


def test_a_network_of_finn(capsys):
    layers = [(16, 64), (16, 16), (10, 16)]
    written(quantized_layers((1, 64), [], layers), Path()).rename("tfc.onnx")
    np.savez("test.npz", x_train=RNG.random((4, 64)), x_test=RNG.random((4, 64)))
    assert run_commands("From FINN") == [0] * 5
    assert "verify: PASS 0/" in capsys.readouterr().out
    assert Path("build/report/index.html").exists()


def residual_network(num_classes):
    """A small one with the names of ResNet-18's layers."""

    class Block(nn.Module):
        def __init__(self, inputs, outputs):
            super().__init__()
            self.conv1 = nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False)
            self.bn1, self.relu = nn.BatchNorm2d(outputs), nn.ReLU()
            self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(outputs)
            self.downsample = nn.Conv2d(inputs, outputs, 1, 2, bias=False)

        def forward(self, x):
            y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
            return self.relu(y + self.downsample(x))

    parts = Block(3, 4), Block(4, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    return nn.Sequential(*parts, nn.Linear(8, num_classes))


def write_photos(count=12):
    x = RNG.integers(0, 256, (2 * count, 32, 32, 3)).astype(np.float32) / 255
    y = np.arange(2 * count) % 10
    data = {"x_train": x[:count], "y_train": y[:count], "x_test": x[count:], "y_test": y[count:]}
    np.savez("photos.npz", **data)


def test_a_resnet_of_vitis_ai(monkeypatch, capsys):
    torch.save(residual_network(10).state_dict(), "resnet18.pth")
    write_photos()
    project(monkeypatch, "my_project", resnet18=residual_network, __spec__=sys.__spec__)
    assert run_commands("From Vitis AI") == [0] * 5
    assert "no fault" in capsys.readouterr().out
    assert Path("build/vivado/build.tcl").exists()


def test_weights_of_lightning_in_a_network_of_another_package(monkeypatch, capsys):
    state = {f"model.{name}": value for name, value in residual_network(10).state_dict().items()}
    torch.save({"state_dict": state, "epoch": 1}, "last.ckpt")
    write_photos()

    def create_model(name, num_classes):
        assert name == "resnet18"
        return residual_network(num_classes)

    project(monkeypatch, "timm", create_model=create_model, __spec__=sys.__spec__)
    network = residual_network(10).eval()
    project(monkeypatch, "my_project", network=lambda: network, __spec__=sys.__spec__)
    block = OURS["sh"]["Weights by name"][0]
    assert "3,224,224" in block
    assert run_commands("Weights by name") == [0, 0]
    said = capsys.readouterr()
    assert "model.0.conv1.weight" in said.out
    assert "took 'state_dict'; stripped 'model.' from" in said.err


def run_lenet(monkeypatch, images):
    project(monkeypatch, "my_digits", images=images)
    names = {}
    exec(OURS["python"]["From Brevitas"][1], names)
    return names


def test_a_lenet_in_qonnx(monkeypatch, capsys):
    shapes = [((6, 1, 3, 3), 1), ((16, 6, 3, 3), 0)]
    wrapper = quantized_layers((1, 1, 8, 8), shapes, [(32, 16), (10, 32)])
    written(wrapper, Path()).rename("lenet.onnx")
    names = run_lenet(monkeypatch, torch.rand(2, 1, 8, 8))
    assert capsys.readouterr().out.splitlines()[-1].startswith("verify: PASS 0/")
    assert names["logits"].reshape(2, 10).any()


@pytest.mark.filterwarnings("ignore")
def test_a_lenet_of_brevitas_is_taken_as_it_is(monkeypatch, capsys):
    pytest.importorskip("brevitas", reason="needs '.[brevitas]'")
    theirs = {}
    exec(blocks("py")["From Brevitas"][0], theirs)
    images = torch.randint(0, 17, (16, 1, 8, 8)) / 16
    theirs["model"](images)  # in training, its quantizers find their scales
    project(monkeypatch, "my_lenet", images=images, model=theirs["model"])
    names = {}
    exec(OURS["python"]["From Brevitas"][0], names)
    assert capsys.readouterr().out.splitlines()[-1].startswith("verify: PASS 0/")
    with torch.no_grad():
        assert torch.equal(names["quantized"](images), theirs["model"](images))


def test_what_brevitas_export_needs_is_named():
    assert "pip install 'qnn[brevitas,qonnx]' onnxoptimizer`" in PAGE


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_lenet_of_brevitas_gives_the_same_logits(monkeypatch):
    pytest.importorskip("brevitas", reason="needs '.[bench]'")
    pytest.importorskip("onnxoptimizer", reason="brevitas exports with it")
    theirs = {}
    exec("".join(blocks("py")["From Brevitas"]), theirs)
    images = torch.randint(0, 17, (16, 1, 8, 8)) / 16
    names = run_lenet(monkeypatch, images)
    with torch.no_grad():
        wanted = theirs["model"](images)
    wanted = getattr(wanted, "value", wanted).numpy()
    assert wanted.any()
    assert (names["logits"].reshape(wanted.shape) == wanted).all()


def test_what_the_page_says_of_rounding_to_nearest_is_so():
    net = QonnxFile((1, 4))
    x = net.quant("x", 0.5, 4)
    w = net.quant(RNG.normal(0, 1, (2, 4)), 0.25, 4)
    path = written(net.wrapper(net.quant(net.add("Gemm", x, w, transB=1), 1.0, 6), (1, 2)), Path())
    with pytest.raises(qnn.QnnError, match="needs halves that round up"):
        qnn.from_qonnx(path)
    assert qnn.from_qonnx(path, ties="up")
