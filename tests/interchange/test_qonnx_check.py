"""What is read of a QONNX file is held to qonnx's executor, operator by operator, on import."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

import qnn
from qnn.errors import ModelError, QnnWarning
from qnn.frontend.onnx.compare import check_equal
from qnn.interchange import from_qonnx as reading
from qnn.interchange import qonnx_lines, qonnx_quantized, qonnx_sums
from qnn.interchange.from_qonnx import read_qonnx
from tests.interchange.qonnx_files import QonnxFile, check_integers, written
from tests.interchange.test_from_qonnx import residual

RNG = np.random.default_rng(4)


def layer(bias=(0, 0, 0), rounding="FLOOR", bits=5, narrow=0, input_narrow=0, images=1):
    """A convolution with its quantizer."""
    net = QonnxFile((images, 2, 4, 4))
    x = net.quant("x", 0.125, 8, narrow=input_narrow)
    # Drawn anew each time, so that no test has other weights because of those before it.
    weights = np.random.default_rng(4).normal(0, 1, (3, 2, 3, 3))
    w = net.quant(weights, 0.25, 4)
    y = net.add("Conv", x, w, np.float32(bias), kernel_shape=[3, 3], pads=[1] * 4)
    return net.wrapper(net.quant(y, 0.5, bits, rounding=rounding, narrow=narrow), (images, 3, 4, 4))


def test_the_comparison_says_what_was_compared(tmp_path):
    found = read_qonnx(written(residual(), tmp_path)).compared
    assert (found.operators, found.images, found.halves, found.inexact) == (6, 8, 0, 0)
    assert str(found) == (
        f"{found.values:,} values of 6 operators equal qonnx's, on 8 random images of each; of 3 "
        f"clamps {found.reached} met both ends"
    )


def test_an_output_that_stands_twice_is_run_once(tmp_path):
    net = layer()
    net.graph.output.add().CopyFrom(net.graph.output[0])
    path = tmp_path / "m.onnx"
    path.write_bytes(net.model.SerializeToString())
    assert read_qonnx(path).compared.operators == 2


@pytest.mark.parametrize("images", [3, "N"])
def test_files_of_any_number_of_images_are_compared(tmp_path, images):
    path = written(layer(images=images), tmp_path)
    assert read_qonnx(path).compared.operators == 2
    found = check_equal(path, qnn.from_onnx(path, requantize=True))
    assert (found.equal, found.runtime) == (True, "qonnx")


@pytest.mark.parametrize("constant", [False, True], ids=["initialiser", "node"])
def test_a_shape_that_holds_the_files_number_of_images_is_of_one(tmp_path, constant):
    net = QonnxFile((4, 2, 4, 4))
    w = net.quant(RNG.normal(0, 1, (3, 2, 3, 3)), 0.25, 4)
    y = net.quant(net.add("Conv", net.quant("x", 0.25, 6), w), 0.5, 5, rounding="FLOOR")
    shape = numpy_helper.from_array(np.array([4, -1]), "shape")
    if constant:
        net.add("Constant", out="shape", value=shape)
    else:
        net.constants["shape"] = numpy_helper.to_array(shape)
    # Read by another node too, of which the number is meant.
    net.add("Identity", "shape", out="same")
    v = net.quant(RNG.normal(0, 1, (5, 12)), 0.25, 4)
    wrapper = net.wrapper(net.add("Gemm", net.add("Reshape", y, "shape"), v, transB=1), (4, 5))
    path = written(wrapper, tmp_path)
    assert read_qonnx(path).compared.operators == 3
    assert check_equal(path, qnn.from_onnx(path, requantize=True)).equal


def told(wrapper, folder):
    path = written(wrapper, folder)
    with pytest.raises(ModelError) as refused:
        qnn.from_qonnx(path)
    text = str(refused.value)
    assert text.startswith(f"{path}: tensor '")
    assert text.endswith("; report the file, or quantize it anew with --requantize")
    return text.removeprefix(f"{path}: tensor ")


def test_halves_read_wrongly_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(qonnx_lines, "_has_halves", lambda *_: False)
    text = told(layer(rounding="ROUND"), tmp_path)
    assert text.startswith("'t3' needs the same values of qonnx and of the reference, but ")


def test_weights_read_wrongly_are_found_at_the_first_layer_that_has_them(tmp_path, monkeypatch):
    read = qonnx_quantized.bipolar_quantized

    def inverted(*given):
        weights = read(*given)
        return replace(weights, codes=-weights.codes)

    monkeypatch.setattr(qonnx_quantized, "bipolar_quantized", inverted)
    # The layer of bipolar weights, and not what reads it.
    text = told(residual(), tmp_path)
    assert text.startswith("'t7' needs the same values of qonnx and of the reference")


def test_clamps_read_wrongly_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(qonnx_quantized, "bounded", lambda line, _low, _high: line)
    assert told(layer(narrow=1), tmp_path).startswith("'t3' needs")


def test_biases_read_wrongly_are_found(tmp_path, monkeypatch):
    biased = qonnx_sums._biased
    monkeypatch.setattr(qonnx_sums, "_biased", lambda line, values: biased(line, -values))
    assert told(layer(bias=(1, 2, 3)), tmp_path).startswith("'t3' needs")


def test_types_of_inputs_read_wrongly_are_found(tmp_path, monkeypatch):
    usual = qonnx_quantized._input

    def coarser(reader, node, x, type, rounding):
        return usual(reader, node, x, replace(type, exponent=type.exponent - 1), rounding)

    monkeypatch.setattr(qonnx_quantized, "_input", coarser)
    assert told(layer(), tmp_path).startswith("'t0' needs")


def test_an_input_without_its_least_integer_is_read_exactly(tmp_path):
    check_integers(layer(input_narrow=1), tmp_path)


def test_halves_that_cannot_be_met_need_no_leave(tmp_path):
    # Sums come in steps of 1/32, and no bias between two of them leads to a half of 1/2.
    check_integers(layer(bias=np.float32([1, 3, -5]) / 128, rounding="ROUND"), tmp_path)


def test_biases_behind_quantizers_are_read(tmp_path):
    net = QonnxFile((1, 16))
    x = net.quant("x", 0.125, 8)
    w, b = net.quant(RNG.normal(0, 1, (5, 16)), 0.25, 4), net.quant(RNG.normal(0, 4, 5), 0.25, 5)
    y = net.add("Gemm", x, w, b, transB=1)
    check_integers(net.wrapper(net.quant(y, 0.5, 6, rounding="FLOOR"), (1, 5)), tmp_path)


def test_only_halves_may_differ_with_leave(tmp_path, monkeypatch):
    path = written(layer(rounding="ROUND"), tmp_path)
    found = read_qonnx(path, ties="up").compared
    assert 0 < found.halves < found.values / 8
    assert f"; {found.halves:,} halves were rounded up that qonnx rounds otherwise" in str(found)
    # Whatever else differs is a fault.
    monkeypatch.setattr(qonnx_lines, "TO_EVEN", ("ROUND", "CEIL"))
    path = written(layer(rounding="CEIL"), tmp_path)
    with pytest.raises(ModelError, match="needs the same values of qonnx and of the reference"):
        read_qonnx(path, ties="up")


def test_without_qonnx_a_warning_says_that_nothing_was_compared(tmp_path, monkeypatch):
    path = written(layer(), tmp_path)
    monkeypatch.setattr(reading, "is_installed", lambda _name: False)
    with pytest.warns(QnnWarning) as warned:
        qnn.from_qonnx(path)
    assert str(warned[0].message) == (
        f"{path}: read without a run of qonnx beside it, which is not installed; pip install "
        f"'qnn[qonnx]' to have its integers compared"
    )


def test_progress_counts_operators(tmp_path):
    steps = []
    read_qonnx(written(layer(), tmp_path), progress=lambda *each: steps.append(each))
    assert steps == [(0, 2), (1, 2), (2, 2)]


def test_domains_that_a_file_names_are_not_loaded(tmp_path, monkeypatch):
    wrapper = layer()
    (tmp_path / "loaded_by_a_domain.py").write_text("raise SystemExit")
    monkeypatch.syspath_prepend(tmp_path)
    wrapper.model.opset_import.add(domain="loaded_by_a_domain", version=1)
    wrapper.graph.node[1].domain = "loaded_by_a_domain"
    assert read_qonnx(written(wrapper, tmp_path)).compared.operators == 2


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_quantizers_of_any_attributes_give_the_integers_of_qonnx_or_one_line(
    tmp_path_factory, data
):
    draw = data.draw
    rounding = draw(st.sampled_from(["ROUND", "FLOOR", "CEIL", "HALF_UP", "UP", "DOWN", "round"]))
    signed, narrow = draw(st.integers(0, 1)), draw(st.integers(0, 1))
    zero = draw(st.sampled_from([0, 0, 3, -2, 0.5]))
    net = QonnxFile((1, 2, 3, 3))
    x = net.quant("x", 0.125, draw(st.integers(1, 8)), narrow=draw(st.integers(0, 1)))
    scale = draw(st.sampled_from([0.5, 0.25, 0.3, [[[[0.5]]], [[[2]]]]]))
    w = net.quant(RNG.normal(0, 2, (2, 2, 2, 2)), scale, draw(st.integers(1, 6)), narrow=narrow)
    y = net.add("Conv", x, w, np.float32(draw(st.sampled_from([[0, 0], [0.1, -3]]))))
    y = net.add("Relu", y) if draw(st.booleans()) else y
    options = {"signed": signed, "narrow": narrow, "rounding": rounding, "zero": zero}
    y = net.quant(y, draw(st.sampled_from([0.25, 1, 8])), draw(st.integers(1, 9)), **options)
    path = written(net.wrapper(y, (1, 2, 2, 2)), tmp_path_factory.getbasetemp())
    # Refused by its reader, and not only because it was compared.
    assert "as qonnx computes it" not in read_or_told(path)


def read_or_told(path):
    try:
        return str(read_qonnx(path).graph)
    except ModelError as error:
        return str(error)
