"""QONNX files that are quantized anew: what is on grids of powers of two stays."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import qnn
from qnn.errors import ModelError
from qnn.frontend.faults import FaultyModel
from qnn.frontend.onnx.compare import difference
from qnn.frontend.onnx.read import from_onnx
from qnn.ir.encode import encode_input
from qnn.ir.ops import Conv
from qnn.ir.reference import reference
from qnn.ptq.keep_grid import kept_layers
from tests.frontend.onnx.files import helper, write
from tests.interchange.qonnx_files import DOMAIN, QonnxFile, written
from tests.nearest import quantize

RNG = np.random.default_rng(5)
IMAGES = torch.rand(32, 2, 6, 6, generator=torch.Generator().manual_seed(0)) * 4 - 2


def mixed(first=0.25, second=0.3, third=0.5):
    """Three layers, each of weights of one scale and with a quantizer of its own."""
    net = QonnxFile((1, 2, 6, 6))
    x = net.quant("x", 0.125, 6)
    shapes = ((3, 2, 3, 3), (4, 3, 1, 1), (4, 4, 2, 2))
    for scale, shape, bits in zip((first, second, third), shapes, (5, 8, 6), strict=True):
        w = net.quant(RNG.normal(0, 3 * scale, shape), scale, 4, narrow=1)
        b = net.quant(RNG.normal(0, 1, shape[0]), scale / 8, 8)
        x = net.add("Relu", net.add("Conv", x, w, b))
        x = net.quant(x, scale, bits, signed=0)
    return net.wrapper(x, (1, 4, 3, 3))


def weights_of(graph):
    return {
        n.name: n.integers * 2.0 ** -exponents(n, graph) for n in graph.nodes if type(n) is Conv
    }


def exponents(node, graph):
    """Of the weights of each row, out of what its sums and its operand have."""
    unit = node.type.exponent + node.epilogue.right - node.epilogue.left
    return (unit - graph[node.inputs[0]].type.exponent).reshape(-1, 1, 1, 1)


def test_a_qonnx_file_is_no_float_network_unless_asked(tmp_path):
    with pytest.raises(FaultyModel, match="or quantize it anew with --requantize or requantize="):
        from_onnx(written(mixed(), tmp_path))


@pytest.mark.parametrize("options", [{"rounding": "nearest", "terms": 1}, {"seconds": 1}])
def test_layers_on_the_grid_stay_integer_for_integer(options, tmp_path):
    path = written(mixed(), tmp_path)
    model = from_onnx(path, requantize=True)
    quantized = qnn.quantize(model, IMAGES, **options)
    layers = kept_layers(model, quantized)
    assert [(each.weights, each.result) for each in layers] == [
        (True, True),
        (False, False),
        (True, True),
    ]
    graph = qnn.export(quantized)
    kept, found = [graph[each.name] for each in layers if each.weights], weights_of(graph)
    for node in kept:
        file = getattr(model, node.name).weight.detach().numpy()
        np.testing.assert_array_equal(found[node.name], file)
    assert [str(each.type) for each in (*graph.inputs, *kept)] == ["s6e-3", "u5e-2", "u6e-1"]


def test_a_file_that_is_all_on_the_grid_comes_out_as_from_qonnx_reads_it(tmp_path):
    path = written(mixed(second=0.25), tmp_path)
    model = from_onnx(path, requantize=True)
    graph = qnn.export(quantize(model, IMAGES))
    wanted = qnn.from_qonnx(path, ties="up")
    x = encode_input(wanted, IMAGES.numpy())
    got, right = (
        reference(each, x, outputs_only=True)[each.outputs[0].name] for each in (graph, wanted)
    )
    np.testing.assert_array_equal(got, right)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_is_read_is_what_qonnx_computes(tmp_path_factory, data):
    draw = data.draw
    net = QonnxFile((1, 2, 6, 6))
    x = net.quant("x", draw(st.sampled_from([0.125, 0.07])), 6, narrow=draw(st.integers(0, 1)))
    kinds = draw(st.sampled_from(["BipolarQuant", "FloatQuant", "Quant"]))
    w = RNG.normal(0, 1, (3, 2, 3, 3))
    if kinds == "BipolarQuant":
        w = net.add(kinds, w, 0.3, domain="onnx.brevitas")
    elif kinds == "FloatQuant":
        special = {"has_inf": 0, "has_nan": 0, "has_subnormal": 1, "saturation": 1}
        mantissa = draw(st.integers(0, 3))
        w = net.add(kinds, w, 0.3, 3, mantissa, 3, 12, domain=DOMAIN, signed=1, **special)
    else:
        w = net.quant(w, np.float32([0.1, 0.2, 0.3]).reshape(3, 1, 1, 1), 3, op=kinds)
    # Nothing lies just between two integers.
    y = net.add("Conv", x, w, np.float32([0.0371, 0.0173, -0.0517]))
    rounding = draw(
        st.sampled_from(["ROUND", "FLOOR", "CEIL", "UP", "DOWN", "HALF_UP", "HALF_DOWN"])
    )
    options = {"signed": draw(st.integers(0, 1)), "narrow": draw(st.integers(0, 1))}
    y = net.quant(y, 0.2713, draw(st.integers(1, 8)), rounding=rounding, zero=2, **options)
    path = written(net.wrapper(y, (1, 3, 4, 4)), tmp_path_factory.getbasetemp())
    found = difference(path, from_onnx(path, requantize=True))
    assert found.runtime == "qonnx"
    assert found.largest < 1e-5


def test_a_file_without_quantizers_of_qonnx_is_told(tmp_path):
    path = write(
        tmp_path / "m.onnx", [helper.make_node("Relu", ["x"], ["y"])], {"x": [1, 4]}, ["y"]
    )
    with pytest.raises(ModelError) as error:
        from_onnx(path, requantize=True)
    assert str(error.value) == (
        f"{path}: requantize (--requantize) needs quantizers of QONNX, but the file has none; "
        f"leave it out"
    )


def test_a_range_that_is_cut_off_is_what_it_is_on_average(tmp_path):
    net = QonnxFile((1, 4))
    w = net.quant(np.eye(4), 1, 2)
    y = net.quant(net.add("MatMul", net.quant("x", 0.25, 8), w), 1, 4, rounding="FLOOR")
    model = from_onnx(written(net.wrapper(y, (1, 4)), tmp_path), requantize=True)
    x = torch.tensor([[1.0, 2.5, -30.0, 30.0]])
    assert model(x).tolist() == [[0.5, 2.0, -8.0, 7.0]]
