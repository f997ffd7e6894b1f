"""Every verb on real files, and that what one writes the next reads."""

import hashlib
import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import boards
from hw.spec.image import Image as Memory
from qnn.ir import serialize
from tests.nearest import NEAREST

VALUES = 3 * 1024 + 2 * 256 + 128 + 512 + 32 + 10  # of all layers, for one image


def test_quantize_reports_both_accuracies(qnn, checkpoint, tmp_path):
    out = tmp_path / "model.safetensors"
    code, text, _ = qnn(
        "quantize", "digits_cnn", "--checkpoint", checkpoint, "-o", out, *NEAREST, "--json"
    )
    result = json.loads(text)
    assert code == 0
    assert out.exists()
    assert result["model"] == str(out)
    assert result["test_images"] == 360
    assert 0 <= result["quantized_accuracy"] <= 100


def test_quantize_takes_a_factory_of_the_current_folder(qnn, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_digits_net.py").write_text(
        "import torch\n"
        "from torch import nn\n"
        "def build():\n"
        # Of other weights rounding may cost so much that advice is given.
        "    torch.manual_seed(1)\n"
        "    first = nn.Conv2d(1, 4, 3), nn.ReLU()\n"
        "    return nn.Sequential(*first, nn.Flatten(), nn.Linear(144, 10))\n"
    )
    arguments = ("--checkpoint", "none", "--mean", "0", "--std", "1", *NEAREST)
    code, _, err = qnn("quantize", "my_digits_net:build", *arguments)
    assert (code, err) == (0, "")
    assert (tmp_path / "model.safetensors").exists()


def test_a_network_that_gives_no_classes_has_no_accuracy(qnn, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two_heads.py").write_text(
        "from torch import nn\n"
        "class Heads(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.one, self.other = nn.Conv2d(3, 2, 3), nn.Conv2d(3, 4, 1)\n"
        "    def forward(self, x):\n"
        "        return self.one(x), self.other(x)\n"
    )
    images = np.random.default_rng(0).integers(0, 256, (8, 5, 4, 3), np.uint8)
    labels = np.zeros(8, np.int64)
    np.savez("colour.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    data = ("--data", "colour.npz")
    pixels = ("--mean", "0.5", "--std", "0.25", "--checkpoint", "none")
    code, text, err = qnn("quantize", "two_heads:Heads", *data, *pixels, *NEAREST)
    assert (code, err) == (0, "")
    start = "model.safetensors: 3-bit weights; on 8 test images without labels for its outputs "
    decibels = r"\d+\.\d dB signal to noise"
    assert re.fullmatch(re.escape(start) + f"it keeps one {decibels}; other {decibels}\n", text)
    assert qnn("compile", "model.safetensors", "-o", "build")[0] == 0
    run = ("simulate", "build", *data, "--device", "functional", "-o", "outputs.npz")
    code, text, err = qnn(*run, "--json")
    assert (code, err) == (0, "")
    assert json.loads(text)["accuracy"] is None
    assert qnn(*run)[1].startswith("functional: 2 images in ")
    with np.load("outputs.npz") as outputs:
        shapes = {name: values.shape for name, values in outputs.items()}
    assert shapes == {"one": (2, 2, 3, 2), "other": (2, 4, 5, 4)}


def test_images_in_folders_are_data(qnn, checkpoint, tmp_path):
    rng = np.random.default_rng(0)
    for part, count in (("train", 9), ("test", 3)):
        for name in ("one", "two"):
            (tmp_path / "data" / part / name).mkdir(parents=True)
            for index in range(count):
                image = Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8))
                image.save(tmp_path / "data" / part / name / f"{index}.png")
    out = tmp_path / "model.safetensors"
    arguments = ("--checkpoint", checkpoint, "--data", tmp_path / "data", "-o", out, "--json")
    code, text, err = qnn("quantize", "digits_cnn", *arguments, *NEAREST)
    assert (code, err) == (0, "")
    assert json.loads(text)["test_images"] == 6


def test_export_writes_the_graph_that_it_prints(qnn, model, tmp_path):
    out = tmp_path / "model.qgraph"
    code, text, _ = qnn("export", model, "-o", out)
    assert code == 0
    assert text.strip() == str(serialize.load(out))


def test_check_names_every_layer(qnn, model):
    code, text, _ = qnn("check", model)
    assert code == 0
    lines = text.splitlines()
    assert lines[-1] == "fits 8x4x2 (lanes x rows x columns), 3-bit weights, 8-bit activations"
    assert {"stem.0", "pool", "cat", "fc"} <= {line.split()[0] for line in lines}


def test_compile_takes_sizes_and_a_graph(qnn, model, tmp_path):
    graph, out = tmp_path / "model.qgraph", tmp_path / "build"
    qnn("export", model, "-o", graph)
    settings = ("--config", "reference", "--set", "columns=2", "--set", "weight_bits=4")
    code, text, _ = qnn("compile", graph, "-o", out, *settings, "--json")
    assert code == 0
    assert json.loads(text)["config"] == (
        "16x16x2 (lanes x rows x columns), 4-bit weights, 8-bit activations"
    )
    assert (out / "rtl" / "qnn_accelerator.v").exists()


def test_functional_and_reference_give_the_same_outputs(qnn, build, tmp_path):
    outputs = []
    for device in ("functional", "reference"):
        out = tmp_path / f"{device}.npz"
        arguments = ("--device", device, "--images", 3, "-o", out, "--json")
        code, text, _ = qnn("simulate", build, *arguments)
        assert code == 0
        assert json.loads(text)["images"] == 3
        outputs.append(np.load(out)["fc"])
    assert outputs[0].shape == (3, 10)
    assert np.array_equal(*outputs)


def test_verify_compares_and_writes_junit(qnn, build, tmp_path):
    report = tmp_path / "verify.xml"
    arguments = ("--device", "functional", "--images", 2, "--junit", report, "--json")
    code, text, _ = qnn("verify", build, *arguments)
    result = json.loads(text)
    assert code == 0
    assert result["passed"]
    assert result["mismatches"] == 0
    assert result["values_compared"] == 2 * (VALUES + 10)  # the logits in memory once more
    suite = ElementTree.parse(report).getroot().find("testsuite")
    assert int(suite.get("tests")) > 10
    assert suite.get("failures") == "0"


def test_verify_of_changed_weights_leaves_with_1_and_names_the_first_layer(qnn, build):
    image = Memory.read(build / "image.bin")
    data = bytes(byte ^ 0xFF for byte in image.payload[image.program_bytes :])
    replace(image, payload=image.payload[: image.program_bytes] + data).write(build / "image.bin")
    manifest = json.loads((build / "manifest.json").read_text())
    content = (build / "image.bin").read_bytes()
    manifest["files"]["image.bin"] = hashlib.sha256(content).hexdigest()
    (build / "manifest.json").write_text(json.dumps(manifest))
    code, text, _ = qnn("verify", build, "--device", "functional", "--images", 1)
    assert code == 1
    assert text.startswith("verify: FAIL ")
    assert "first: layer 'stem.0', image 0, channel 0, row 0, column 0: expected " in text


@pytest.mark.rtl
def test_verify_and_simulate_in_rtl(qnn, build):
    code, text, _ = qnn("verify", build, "--images", 1, "--json")
    result = json.loads(text)
    assert (code, result["mismatches"], result["device"]) == (0, 0, "rtl")
    code, text, _ = qnn("simulate", build, "--images", 1, "--json")
    assert code == 0
    assert json.loads(text)["cycles_per_image"] > 1000


@pytest.mark.rtl
def test_synth_finds_no_multiplier(qnn, build, tmp_path):
    out = tmp_path / "cells.json"
    code, text, _ = qnn("synth", build, "-o", out, "--json")
    cells = json.loads(text)
    assert code == 0
    assert cells == json.loads(out.read_text())
    assert cells["part"] == "array"
    assert cells["dsp"] == 0
    assert cells["lut"] > 0
    board = boards.reference()
    chip = board.device
    found = {use["name"]: use for use in cells["utilization"]}
    assert (found["DSP48E2"]["used"], found["DSP48E2"]["available"]) == (0, chip.dsp)
    luts = found["CLB LUTs"]
    assert luts["share"] == luts["used"] / chip.lut > 0

    code, text, _ = qnn("synth", build)
    title, header, *rows = text.splitlines()
    assert title.strip() == f"array, on {board.title} ({chip.name})"
    assert header.split() == ["cells", "used", "available", "share"]
    table = {row[: row.index("  ")]: row.split()[-3:] for row in rows if "  " in row}
    assert table["CLB LUTs"] == [f"{luts['used']:,}", f"{chip.lut:,}", f"{luts['share']:.1%}"]
    assert table["DSP48E2"] == ["0", f"{chip.dsp:,}", "0.0%"]


def test_the_test_bench_of_a_build_takes_a_users_images(qnn, build):
    code, out, _ = qnn("testbench", build, "--images", 3)
    script = build / "testbench/run.sh"
    assert (code, out) == (0, f"{build / 'testbench'}: 3 images; start {script}\n")
    assert "localparam integer RUNS = 3;\n" in (build / "testbench/parameters.svh").read_text()
    result = json.loads(qnn("testbench", build, "--json")[1])
    assert result["images"] == 2
    assert "testbench/expected.hex" in result["files"]
