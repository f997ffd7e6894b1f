"""``.onnx`` files as models of commands: checked, quantized, or refused in a table or a line."""

import json

import numpy as np
import pytest
from onnx import helper

from hw.spec.config import CONFIGS
from hw.spec.resources import total
from tests.frontend.onnx.files import write
from tests.interchange.qonnx_files import QonnxFile, written

node = helper.make_node


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A current folder with a classifier of digits, and a file with an operator that is refused."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)

    def some(*shape):
        return generator.uniform(-0.5, 0.5, shape).astype(np.float32)

    nodes = [
        node("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 1, 1], strides=[2, 2], name="conv"),
        node("Relu", ["c"], ["r"]),
        node("Flatten", ["r"], ["f"]),
        node("Gemm", ["f", "v"], ["y"], name="fc"),
    ]
    constants = {"w": some(4, 1, 3, 3), "b": some(4), "v": some(64, 10)}
    write(tmp_path / "digits.onnx", nodes, {"x": ["n", 1, 8, 8]}, ["y"], constants)
    write(tmp_path / "det.onnx", [node("Det", ["x"], ["y"], name="d")], {"x": ["n", 2, 2]}, ["y"])
    (tmp_path / "broken.onnx").write_bytes(b"nothing")
    (tmp_path / "weights.pt").write_bytes(b"")
    return tmp_path


def test_a_file_is_checked_and_its_size_is_told(qnn, folder):
    code, out, err = qnn("check", "digits.onnx")
    assert (code, err) == (0, "")
    first, second, third, *table = out.splitlines()
    assert first == "digits.onnx: no fault; 4 operators, input x 1x8x8"
    assert second.startswith("equal to onnxruntime within ")
    assert second.endswith(" of the largest output, on random images")
    # 4 x 4 places of 4 kernels of 9, and 64 x 10.
    assert third == "1,216 multiply-accumulates, 676 weights, largest tensor 64 values"
    # 64 lanes; the resources are those of the table in hw, and the device has 274,080 LUTs.
    row, cells = table[2].split(), total(CONFIGS["test"])
    assert row[:3] == ["test", "8x4x2", "19"]
    assert row[4:6] == [f"{cells.lut:,}", f"({cells.lut / 274_080:.0%})"]


def test_the_check_as_json(qnn, folder):
    code, out, _ = qnn("check", "digits.onnx", "--json")
    found = json.loads(out)
    assert (code, found["fits"], found["inputs"]) == (0, True, {"x": [1, 8, 8]})
    assert 0 <= found["differs_from_onnxruntime"] < 1e-5
    assert found["sizes"]["products"] == 1216
    sizes = found["sizes"]["estimated"]["test"]
    assert sizes["least_cycles"] == 19
    # A clock of some 100 MHz, and what the estimate of the array itself has.
    assert 1e8 < 19 * sizes["most_frames_per_second"] < 1e9
    cells = total(CONFIGS["test"])
    assert (sizes["lut"], sizes["ff"], sizes["bram18"]) == (cells.lut, cells.ff, cells.bram18)
    assert found["cycles_per_image"] is None


def test_halves_of_a_float_network_cannot_be_asked_for(qnn, folder):
    code, out, err = qnn("check", "digits.onnx", "--ties", "up")
    assert (code, out) == (2, "")
    assert "--ties is of an .onnx file of QONNX, which rounds otherwise" in err


def test_a_check_for_an_array_tells_the_cycles_of_its_model(qnn, folder):
    code, out, _ = qnn("check", "digits.onnx", "--config", "test", "--json")
    found = json.loads(out)
    assert code == 0
    # At least the steps; more than a thousand would be waiting for most of the time.
    assert found["sizes"]["estimated"]["test"]["least_cycles"] < found["cycles_per_image"] < 5000
    _, out, _ = qnn("check", "digits.onnx", "--config", "test")
    cycles = f"{found['cycles_per_image']:,.0f}"
    assert f"\n{cycles} cycles per image, with one term per weight, by the cycle model\n" in out


def test_what_a_file_lacks_is_a_table(qnn, folder):
    code, out, err = qnn("check", "det.onnx", "--json")
    assert (code, err) == (3, "")
    (fault,) = json.loads(out)["faults"]
    assert (fault["layer"], fault["operator"]) == ("d", "onnx.Det")


def test_a_file_is_quantized_and_compiled(qnn, folder):
    options = ("--rounding", "nearest", "--terms", "1", "--mean", "0", "--std", "1")
    code, out, err = qnn("quantize", "digits.onnx", *options)
    assert code == 0
    assert out.startswith("model.safetensors: 3-bit weights; of ")
    assert "digits.onnx: equal to onnxruntime within " in err
    assert qnn("compile", "model.safetensors", "-o", "build")[0] == 0
    assert qnn("verify", "build", "--device", "functional", "--images", "1")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("check", "none.onnx"), 3, "none.onnx: cannot be read ('No such file or directory')"),
        (("check", "broken.onnx"), 3, "broken.onnx: not an ONNX model, or cut short; export it "),
        (("check", "digits.onnx", "--input-shape", "1,9,9"), 3, "input 'x' has the sizes (1,8,8) "),
        (
            ("quantize", "digits.onnx", "--checkpoint", "weights.pt"),
            2,
            "--checkpoint is of module:factory; an .onnx file has its weights",
        ),
        (
            ("evaluate", "resnet8", "--checkpoint", "none", "--input-shape", "3,4,4"),
            2,
            "--input-shape is of an .onnx file, whose data have its sizes",
        ),
    ],
)
def test_what_cannot_be_taken_is_a_line(arguments, code, text, qnn, folder):
    found, out, err = qnn(*arguments)
    assert (found, out) == (code, "")
    assert text in err


@pytest.fixture
def qonnx_files(folder):
    """A QONNX file that is taken as it is, one that is not, and one that is refused."""
    net = QonnxFile((1, 1, 8, 8))
    x = net.quant("x", 0.0625, 8)
    w = net.quant(np.random.default_rng(0).normal(0, 1, (4, 1, 3, 3)), 0.25, 4)
    exact = net.quant(net.add("Conv", x, w), 0.25, 6, rounding="FLOOR")
    written(net.wrapper(exact, (1, 4, 6, 6)), folder).rename("exact.onnx")
    v = net.quant(np.random.default_rng(1).normal(0, 1, (10, 4 * 36)), 0.3, 4)
    y = net.add("Gemm", net.add("Flatten", exact), v, transB=1)
    written(net.wrapper(y, (1, 10)), folder).rename("mixed.onnx")
    written(net.wrapper(net.add("Det", net.quant("x", 1, 8)), (1, 1)), folder).rename("det.onnx")


def test_a_qonnx_file_is_checked_for_what_will_happen_to_it(qnn, qonnx_files):
    code, out, _ = qnn("check", "exact.onnx", "--json")
    found = json.loads(out)
    assert (code, found["taken"], found["fits"], found["why"]) == (0, "as it is", True, None)
    assert "values of 2 operators equal qonnx's" in found["compared"]
    assert found["sizes"]["products"] == 36 * 36
    code, out, _ = qnn("check", "mixed.onnx", "--json")
    found = json.loads(out)
    assert (code, found["taken"], found["config"]) == (0, "quantized anew", None)
    assert [tuple(each.values())[1:] for each in found["layers"]] == [
        ("kept", "kept"),
        ("quantized anew", "quantized anew"),
    ]
    assert "scales that are powers of two, but 1 has another: 'IntQuant_t4' (0.3)" in found["why"]
    assert found["sizes"]["weights"] == 36 + 1440
    code, out, _ = qnn("check", "det.onnx")
    assert code == 3
    assert out.startswith("det.onnx: refused: QONNX quantizers need scales ")


def test_a_qonnx_file_is_quantized_anew_when_that_is_asked(qnn, qonnx_files):
    options = ("--rounding", "nearest", "--terms", "2", "--mean", "0", "--std", "1")
    code, _, err = qnn("quantize", "mixed.onnx", *options)
    assert code == 3
    assert "or quantize it anew with --requantize" in err
    code, out, err = qnn("quantize", "mixed.onnx", *options, "--requantize", "--json")
    assert code == 0
    assert "mixed.onnx: equal to qonnx within " in err
    weights = [each["weights"] for each in json.loads(out)["layers"]]
    assert weights == ["kept", "quantized anew"]
