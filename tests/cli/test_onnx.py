"""``qnn export --format onnx`` and ``qnn verify --against onnxruntime``."""

import json

import onnx
import pytest

from qnn.interchange import expected
from qnn.interchange.run import run_onnx


def test_export_writes_onnx_and_says_what_it_compared(qnn, model, tmp_path):
    path = tmp_path / "digits.onnx"
    code, text, _ = qnn("export", model, "--format", "onnx", "-o", path)
    nodes = len(onnx.load(path).graph.node)
    assert (code, text) == (
        0,
        f"{path}: opset 17, {nodes} nodes, {path.stat().st_size:,} bytes; 50 values of 5 images in "
        f"onnxruntime equal the reference's\n",
    )


def test_the_name_of_the_file_tells_the_format(qnn, model, tmp_path):
    path = tmp_path / "digits.onnx"
    code, text, _ = qnn("export", model, "-o", path, "--codes", "--json")
    assert (code, json.loads(text)["path"]) == (0, str(path))
    given = onnx.load(path).graph.input[0].type.tensor_type.elem_type
    assert given == onnx.TensorProto.INT32


def test_qonnx_is_written_and_compiled_to_the_same_image(qnn, model, build, tmp_path):
    path, again = tmp_path / "digits.onnx", tmp_path / "again"
    code, text, _ = qnn("export", model, "--format", "qonnx", "-o", path)
    assert (code, text.endswith("of 5 images in qonnx equal the reference's\n")) == (0, True)
    assert qnn("compile", path, "-o", again)[0] == 0
    assert (again / "image.bin").read_bytes() == (build / "image.bin").read_bytes()


def test_a_file_of_integers_is_not_read_back(qnn, model, tmp_path):
    path = tmp_path / "digits.onnx"
    qnn("export", model, "--format", "onnx", "-o", path)
    code, out, err = qnn("compile", path, "-o", tmp_path / "again")
    assert (code, out) == (3, "")
    assert err == (
        f"error: {path}: has integers for other runtimes to compute, as 'qnn export --format onnx' "
        f"writes them, and is not read back; give the .safetensors or .qgraph that it was made of, "
        f"or export --format qonnx\n"
    )


def test_a_build_is_verified_against_onnxruntime(qnn, build):
    arguments = ("verify", build, "--device", "functional", "--images", 2, "--json")
    code, text, _ = qnn(*arguments, "--against", "onnxruntime")
    result = json.loads(text)
    assert (code, result["against"], result["passed"]) == (0, "onnxruntime", True)
    beside = json.loads(qnn(*arguments)[1])
    assert beside["against"] == "reference"
    assert result["values_compared"] == beside["values_compared"] > 0
    assert json.loads((build / "report/verify_functional.json").read_text()).get("against") is None


@pytest.mark.rtl
def test_the_verilog_is_verified_against_onnxruntime(qnn, build):
    code, text, _ = qnn("verify", build, "--images", 1, "--against", "onnxruntime", "--json")
    result = json.loads(text)
    assert (code, result["device"], result["mismatches"]) == (0, "rtl", 0)
    kept = json.loads((build / "report/verify_rtl.json").read_text())
    assert kept["against"] == "onnxruntime"


def test_a_value_that_onnxruntime_has_otherwise_is_a_mismatch(qnn, build, monkeypatch):
    def wrong(model, inputs):
        outputs = run_onnx(model, inputs)
        changed = next(name for name in outputs if name.startswith("tensor/") and "fc" in name)
        outputs[changed][1, 0] += 1
        return outputs

    monkeypatch.setattr(expected, "run_onnx", wrong)
    code, text, _ = qnn(
        *("verify", build, "--device", "functional", "--images", 2, "--against", "onnxruntime")
    )
    assert code == 1
    assert "image 1, channel 0, row 0, column 0: expected" in text
