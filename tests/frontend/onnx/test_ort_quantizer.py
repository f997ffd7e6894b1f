"""Files of onnxruntime's quantizer in all of its formats, as float networks and as ours."""

import warnings

import numpy as np
import onnx
import pytest
import torch
from onnxruntime import quantization as ort

import qnn
from qnn.errors import ModelError, QnnWarning
from qnn.frontend.onnx.compare import difference
from qnn.frontend.onnx.read import from_onnx
from tests.frontend.onnx.files import helper, run, write
from tests.nearest import quantize

RNG = np.random.default_rng(6)
IMAGES = RNG.uniform(-1, 1, (64, 1, 8, 8)).astype(np.float32)
TYPES = ort.QuantType
node = helper.make_node


def some(*shape):
    return RNG.normal(0, 0.4, shape).astype(np.float32)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """Convolutions, a residual sum, pooling and a linear layer, in floats."""
    nodes = [
        node("Conv", ["x", "w", "b"], ["c"], pads=[1] * 4, name="first"),
        node("Relu", ["c"], ["r"]),
        node("Conv", ["r", "v"], ["d"], pads=[1] * 4, name="second"),
        node("Add", ["d", "r"], ["a"], name="sum"),
        node("Sigmoid", ["a"], ["s"], name="sigmoid"),
        node("Concat", ["s", "r"], ["t"], axis=1, name="both"),
        node("MaxPool", ["t"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        node("GlobalAveragePool", ["p"], ["g"], name="mean"),
        node("Flatten", ["g"], ["f"]),
        node("Gemm", ["f", "u", "e"], ["y"], name="last", transB=1),
    ]
    weights = {"w": some(4, 1, 3, 3), "b": some(4), "v": some(4, 4, 3, 3)}
    weights |= {"u": some(10, 8), "e": some(10)}
    path = tmp_path_factory.mktemp("float") / "float.onnx"
    return write(path, nodes, {"x": ["n", 1, 8, 8]}, ["y"], weights)


class Images(ort.CalibrationDataReader):
    """All images, in batches."""

    def __init__(self):
        self.batches = iter(np.split(IMAGES, 8))

    def get_next(self):
        batch = next(self.batches, None)
        return None if batch is None else {"x": batch}


def static(path, out, activation, *, operators=False, channels=False, symmetric=False):
    form = ort.QuantFormat.QOperator if operators else ort.QuantFormat.QDQ
    ort.quantize_static(
        *(str(path), str(out), Images(), form),
        per_channel=channels,
        activation_type=activation,
        weight_type=TYPES.QInt8,
        extra_options={"ActivationSymmetric": symmetric},
    )
    return out


FORMATS = {
    "uint8": {"activation": TYPES.QUInt8},
    "int8, symmetric, by channel": {
        **{"activation": TYPES.QInt8, "channels": True, "symmetric": True}
    },
    "int16": {"activation": TYPES.QInt16},
    "uint16": {"activation": TYPES.QUInt16, "channels": True},
    "operators on uint8": {"activation": TYPES.QUInt8, "operators": True},
    "operators on int8": {"activation": TYPES.QInt8, "operators": True, "channels": True},
}


def read_alike(path, network):
    """The module of a file, which gives what onnxruntime does, and nearly what ``network`` does."""
    module = from_onnx(path)
    found = difference(path, module)
    # Steps of 8 bits, a few of which may be taken the other way.
    assert found.rounds
    assert found.equal
    # As a float network it has lost no more than its weights.
    with torch.no_grad():
        got = module(torch.from_numpy(IMAGES)).numpy()
    (wanted,) = run(network, IMAGES)
    assert np.abs(got - wanted).max() < 0.05 * np.abs(wanted).max()
    return module


@pytest.mark.parametrize("name", FORMATS)
def test_its_files_are_what_onnxruntime_computes(name, network, tmp_path):
    path = static(network, tmp_path / "q.onnx", **FORMATS[name])
    module = read_alike(path, network)
    names = {each.node.name for each in module.children()}
    assert {"first", "second"} <= {each.removesuffix("_quant") for each in names}


def without_quantizers(path, out):
    """The file with clamps for its quantizers of activations: a float network, for onnxruntime.

    Clamps, as some of them are all that is left of a ReLU.
    """
    model = onnx.load(path)
    constants = {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
    for each in model.graph.node:
        if not each.op_type.endswith("quantizeLinear") and each.op_type != "QuantizeLinear":
            continue
        if each.input[0] in constants:
            continue
        scale, zero = (constants[name] for name in each.input[1:])
        ends = np.iinfo(zero.dtype).min, np.iinfo(zero.dtype).max
        del each.input[1:], each.attribute[:]
        if each.op_type == "QuantizeLinear" and each.input[0] != "x":
            each.op_type = "Clip"
            for end in ends:
                name = f"{each.name}_{end}"
                value = np.float32((end - int(zero)) * scale)
                model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
                each.input.append(name)
        else:
            each.op_type = "Identity"
    for each in model.graph.value_info:
        each.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    onnx.save(model, out)
    return out


@pytest.mark.parametrize("channels", [False, True])
def test_the_float_network_is_the_file_without_its_quantizers(channels, network, tmp_path):
    path = static(network, tmp_path / "q.onnx", TYPES.QInt8, channels=channels)
    # Within the range that was calibrated, which clamps.
    images = IMAGES / 4
    (wanted,) = run(without_quantizers(path, tmp_path / "float.onnx"), images)
    with torch.no_grad():
        got = from_onnx(path)(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(got, wanted, atol=2e-5, rtol=2e-5)


def test_exponents_follow_from_the_scales_of_the_file(network, tmp_path):
    path = static(network, tmp_path / "q.onnx", TYPES.QUInt8)
    wide = 8 * torch.from_numpy(IMAGES)
    with warnings.catch_warnings():
        # Of operands of one concatenation, some have no steps left: no matter here.
        warnings.simplefilter("ignore", QnnWarning)
        graphs = [qnn.export(quantize(from_onnx(each), wide)) for each in (network, path)]
    free, held = (graph["first"].type for graph in graphs)
    scale = next(
        onnx.numpy_helper.to_array(each)
        for each in onnx.load(path).graph.initializer
        if each.name == "r_scale"
    )
    # Images that reach further than the calibration's change nothing of its range.
    assert held.high * held.scale < 2 * 255 * float(scale)
    assert free.high * free.scale > 4 * 255 * float(scale)


def test_weights_that_are_quantized_alone_are_read(network, tmp_path):
    ort.quantize_dynamic(str(network), str(tmp_path / "q.onnx"))
    kinds = {each.op_type for each in onnx.load(tmp_path / "q.onnx").graph.node}
    assert kinds >= {"ConvInteger", "MatMulInteger", "DynamicQuantizeLinear"}
    read_alike(tmp_path / "q.onnx", network)


def test_integers_behind_a_scale_that_is_not_theirs_are_refused(tmp_path):
    constants = {"s": np.float32(0.1), "z": np.uint8(3), "w": np.ones((2, 1, 1, 1), np.uint8)}
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("ConvInteger", ["q", "w", "z"], ["c"], name="integers"),
        node("Cast", ["c"], ["y"], to=onnx.TensorProto.FLOAT),
    ]
    path = write(tmp_path / "m.onnx", nodes, {"x": ["n", 1, 2, 2]}, ["y"], constants)
    with pytest.raises(ModelError) as refused:
        from_onnx(path)
    assert "'integers' (onnx.ConvInteger) is not supported; quantize the model in the QDQ" in str(
        refused.value
    )
