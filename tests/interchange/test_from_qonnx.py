"""QONNX files that others write: taken integer for integer, or refused in one line."""

import warnings

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import qnn
from qnn.errors import ModelError, QnnError
from qnn.frontend.onnx.compare import check_equal
from qnn.interchange.qonnx_model import qonnx_model
from qnn.ir.codes import Codes
from qnn.ir.reference import reference
from qnn.quant.qtype import QType
from tests.interchange.qonnx_files import DOMAIN, QonnxFile, check_integers, written
from tests.interchange.test_to_onnx import one

RNG = np.random.default_rng(0)
SCALES = np.float32([0.25, 0.5, 0.125]).reshape(3, 1, 1, 1)


def residual():
    """Convolutions of weights of all three kinds, a residual sum, pooling and a linear layer."""
    net = QonnxFile((1, 2, 6, 6))
    x = net.quant("x", 0.125, 8)
    w = net.quant(RNG.normal(0, 1, (3, 2, 3, 3)), SCALES, 4, narrow=1)
    a = net.add("Conv", x, w, RNG.integers(-4, 4, 3) / 64, pads=[1, 1, 1, 1], kernel_shape=[3, 3])
    a = net.quant(net.add("Relu", a), 0.25, 5, signed=0, rounding="HALF_UP")
    b = net.add("BipolarQuant", RNG.normal(0, 1, (3, 3, 1, 1)), 0.25, domain=DOMAIN)
    b = net.add("Conv", a, b, kernel_shape=[1, 1])
    b = net.quant(b, 0.25, 6, rounding="FLOOR", op="Quant", domain="onnx.brevitas")
    f = RNG.normal(0, 2, (3, 1, 2, 2))
    f = net.add(
        *("FloatQuant", f, 0.25, 2, 0, 1, 4),
        domain=DOMAIN,
        **{"has_inf": 0, "has_nan": 0, "has_subnormal": 0, "saturation": 1},
    )
    c = net.add("Conv", a, f, kernel_shape=[2, 2], pads=[0, 0, 1, 1], group=3)
    c = net.add("Clip", net.add("Add", c, b), np.float32(0.0), np.float32(3.0))
    c = net.quant(c, 0.125, 5, signed=0, rounding="HALF_UP")
    c = net.add("MaxPool", c, kernel_shape=[2, 2], strides=[2, 2])
    d = net.quant(RNG.normal(0, 1, (4, 27)), 0.125, 6)
    y = net.add("Gemm", net.add("Flatten", c), d, RNG.integers(-9, 9, 4) / 64, transB=1)
    return net.wrapper(y, (1, 4))


def two_tensors():
    """A sum of two tensors, and a product, each quantized."""
    net = QonnxFile((1, 3, 4, 4))
    x = net.quant("x", 0.5, 6)
    w = net.quant(RNG.normal(0, 1, (3, 3, 1, 1)), 0.25, 3)
    a = net.quant(net.add("Conv", x, w, kernel_shape=[1, 1]), 0.5, 6, rounding="FLOOR")
    b = net.quant(net.add("Add", x, a), 1.0, 6, rounding="FLOOR")
    y = net.quant(net.add("Mul", a, b), 2.0, 8, rounding="FLOOR")
    return net.wrapper(net.add("Concat", y, y, axis=1), (1, 6, 4, 4))


@pytest.mark.parametrize("make", [residual, two_tensors])
def test_a_network_of_another_tool_gives_the_integers_of_qonnx(make, tmp_path):
    check_integers(make(), tmp_path)


def test_halves_that_go_to_even_numbers_are_refused_unless_asked(tmp_path):
    net = QonnxFile((1, 1, 1, 4))
    w = net.quant(np.ones((1, 1, 1, 1)), 0.5, 2)
    y = net.add("Conv", net.quant("x", 1.0, 4), w, kernel_shape=[1, 1])
    wrapper = net.wrapper(net.quant(y, 1.0, 4), (1, 1, 1, 4))
    path = written(wrapper, tmp_path)
    with pytest.raises(ModelError) as refused:
        qnn.from_qonnx(path)
    assert str(refused.value) == (
        f"{path}: QONNX node 'IntQuant_t3' needs halves that round up, but got rounding_mode "
        f"ROUND; export it with rounding_mode FLOOR and half a step in the bias, or let them round "
        f"up with ties='up' (--ties up)"
    )
    graph = qnn.from_qonnx(path, ties="up")
    found = reference(graph, Codes(np.array([[[[2, 3, 5, -3]]]])), outputs_only=True)
    # 1.5 and 2.5 round up, where qonnx takes both to 2.
    assert found[graph.outputs[0].name].tolist() == [[[[1, 2, 3, -1]]]]


def refusal(net, y, folder):
    path = written(net.wrapper(y, (1, 1, 2, 2)), folder)
    with pytest.raises(ModelError) as refused:
        qnn.from_qonnx(path)
    return str(refused.value).removeprefix(f"{path}: ")


ADVICE = (
    "export it with power-of-two scales, or quantize the file anew with 'qnn quantize FILE "
    "--requantize', which keeps what is on the grid"
)
ANEW = "quantize the file anew with 'qnn quantize FILE --requantize'"


def test_activations_in_floats_are_refused_and_quantized_anew_when_asked(tmp_path):
    net = QonnxFile((1, 3, 4, 4))
    w = net.quant(RNG.normal(0, 1, (3, 3, 1, 1)), 0.25, 4)
    y = net.add("Conv", net.quant("x", 0.25, 6), w)
    # Of three bits of exponent and two of mantissa, which end at 28.
    options = {"rounding_mode": "ROUND", "has_subnormal": 1, "saturation": 1}
    options |= {"has_inf": 0, "has_nan": 0, "domain": DOMAIN}
    y = net.add("FloatQuant", y, 0.125, 3, 2, 3, 28, **options)
    path = written(net.wrapper(y, (1, 3, 4, 4)), tmp_path)
    with pytest.raises(ModelError) as refused:
        qnn.from_qonnx(path)
    assert str(refused.value) == (
        f"{path}: QONNX node 'FloatQuant_t3' needs constant weights, but got values that it rounds "
        f"to floats; {ANEW}"
    )
    assert check_equal(path, qnn.from_onnx(path, requantize=True)).equal


def test_scales_that_are_no_powers_of_two_are_refused(tmp_path):
    net = QonnxFile((1, 1, 2, 2))
    assert refusal(net, net.quant("x", 0.3, 4), tmp_path) == (
        f"QONNX quantizers need scales that are powers of two, but 1 has another: 'IntQuant_t0' "
        f"(0.3); {ADVICE}"
    )


def test_all_scales_that_are_no_powers_of_two_are_named_in_one_line(tmp_path):
    net = QonnxFile((1, 1, 2, 2))
    x = net.quant("x", 0.25, 4)
    for scale in (0.3, 0.5, 3.0, 0.1, 0.2, 0.7):
        x = net.quant(x, scale, 4)
    assert refusal(net, x, tmp_path) == (
        f"QONNX quantizers need scales that are powers of two, but 5 have others: 'IntQuant_t1' "
        f"(0.3), 'IntQuant_t3' (3), 'IntQuant_t4' (0.1), 'IntQuant_t5' (0.2) and 1 more; {ADVICE}"
    )


def test_what_no_quantizer_has_seen_is_refused(tmp_path):
    net = QonnxFile((1, 1, 2, 2))
    w = net.quant(np.ones((1, 1, 1, 1)), 1.0, 2)
    assert refusal(net, net.add("Conv", "x", w, kernel_shape=[1, 1]), tmp_path) == (
        "QONNX node 'Conv_t1' needs an operand behind a quantizer, but got GivenInput; quantize it"
    )


def test_float_weights_are_refused(tmp_path):
    net = QonnxFile((1, 1, 2, 2))
    y = net.add("Conv", net.quant("x", 1.0, 4), np.ones((1, 1, 1, 1)), kernel_shape=[1, 1])
    assert refusal(net, y, tmp_path) == (
        f"QONNX node 'Conv_t1' needs operands that an integer graph can have there, but got Conv "
        f"of Settled, ndarray; {ANEW}"
    )


def test_other_operators_are_refused_by_name(tmp_path):
    net = QonnxFile((1, 1, 2, 2))
    text = refusal(net, net.add("Erf", net.quant("x", 1.0, 4)), tmp_path)
    assert text.startswith("QONNX node 'Erf_t1' needs an operator of Add, BipolarQuant, Cast, ")
    assert text.endswith(f"but got Erf; {ANEW}")


def test_float_networks_and_other_files_are_refused(tmp_path):
    net = QonnxFile((1, 1, 2, 2))
    assert refusal(net, net.add("Relu", "x"), tmp_path) == (
        "from_qonnx needs quantizers of QONNX, but the file has none; a float network is quantized "
        "with qnn.quantize"
    )
    path = tmp_path / "text.onnx"
    path.write_text("no model")
    with pytest.raises(ModelError, match=r"text\.onnx: not a file of ONNX; export it again$"):
        qnn.from_qonnx(path)
    with pytest.raises(ModelError, match=r"none\.onnx: cannot be read \('No such file or direct"):
        qnn.from_qonnx(tmp_path / "none.onnx")
    path.write_bytes(b"")
    with pytest.raises(ModelError, match=r"needs 1 to 100,000 nodes, but the file has 0; export"):
        qnn.from_qonnx(path)


def test_nodes_in_a_circle_are_refused(tmp_path):
    net = QonnxFile((1, 1, 2, 2))
    y = net.quant("x", 1.0, 4)
    model = net.wrapper(y, (1, 1, 2, 2)).model
    model.graph.node[0].input[0] = model.graph.node[0].output[0]
    path = tmp_path / "circle.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError) as refused:
        qnn.from_qonnx(path)
    assert str(refused.value) == (
        f"{path}: QONNX node 'IntQuant_t0' needs 't0' before it, but no node gives it; sort the "
        f"nodes by their use"
    )


def test_names_of_several_lines_are_told_in_one(tmp_path):
    net = QonnxFile((1, 1, 2, 2))
    model = net.wrapper(net.quant("x", 1.0, 4), (1, 1, 2, 2)).model
    model.graph.node[0].input[0] = "a\nb"
    path = tmp_path / "lines.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="needs 'a b' before it, but no node gives it"):
        qnn.from_qonnx(path)


@pytest.mark.parametrize("of_node", [False, True])
def test_constants_in_other_files_are_refused(of_node, tmp_path):
    model = qonnx_model(one(QType(4, True, 0), np.ones((1, 1, 1, 1, 1))))
    outside = onnx.TensorProto(name="w", data_location=onnx.TensorProto.EXTERNAL)
    if of_node:
        model.graph.node.append(onnx.helper.make_node("Constant", [], ["w"], value=outside))
    else:
        model.graph.initializer.append(outside)
    path = tmp_path / "outside.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError) as refused:
        qnn.from_qonnx(path)
    assert str(refused.value) == (
        f"{path}: constants need to be in the file; save it without external data"
    )


SMALL = residual().model.SerializeToString()
OURS = qonnx_model(one(QType(4, True, 0), np.ones((1, 1, 1, 1, 1)))).SerializeToString()


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), valid=st.sampled_from([SMALL, OURS]))
def test_an_altered_file_gives_a_graph_or_one_line(tmp_path_factory, data, valid):
    altered = bytearray(valid)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(altered) - 1))
        altered[place] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del altered[data.draw(st.integers(1, len(altered))) :]
    path = tmp_path_factory.getbasetemp() / "altered.onnx"
    path.write_bytes(altered)
    told = "a graph"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            qnn.from_qonnx(path)
    except QnnError as error:
        told = str(error)
    assert "\n" not in told
