"""What onnxruntime computes of exported files is what the reference computes, integer for integer.

``to_onnx`` compares by itself, and refuses; tests of equality therefore run the written file again.
"""

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from torch import nn

import qnn
from qnn.errors import CompileError, ModelError, ToolError
from qnn.interchange import packages, to_onnx, writer
from qnn.interchange.integer_model import integer_model
from qnn.interchange.operator_nodes import operator_nodes
from qnn.interchange.run import run_onnx
from qnn.interchange.to_onnx import check_equal
from qnn.interchange.trials import encoded, fed, trial_inputs
from qnn.ir.encode import decode
from qnn.ir.graph import Graph, Output
from qnn.ir.ops import Concat, Input
from qnn.ir.reference import reference
from qnn.quant.qtype import QType
from qnn.tasks.structures import tensors_of
from tests.detectors import detector
from tests.graphs import Limits, graphs
from tests.host.test_drawn_programs import network, programs
from tests.models import models, quantized
from tests.nearest import quantize
from tests.operators import changed, conv, max_pool, multiply

FEW = settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
WIDE = Limits(activation_bits=16, result_bits=48, inputs=2, nodes=4)


def run_file(graph, path, codes):
    """Outputs of the written file, which a checker of ONNX has found legal."""
    qnn.to_onnx(graph, path, codes=codes)
    onnx.checker.check_model(str(path), full_check=True)
    x = trial_inputs(graph, codes=codes)
    return run_onnx(path.read_bytes(), fed(graph, x)), encoded(graph, x)


def hold_equal(graph, folder, codes=False):
    outputs, x = run_file(graph, folder / "model.onnx", codes)
    assert check_equal(graph, outputs, x, "onnxruntime") > 0
    return outputs


def one(taken, codes, *, bits=3, size=(1, 1), **fields):
    """A network of one convolution."""
    x = Input(name="x", shape=(codes.shape[2], *size), type=taken)
    node = conv(
        name="y",
        input="x",
        codes=codes.astype(np.int8),
        weight_bits=bits,
        shape=(codes.shape[1], 1, 1),
        **{"type": QType(48, True, 0), "rounded": False} | fields,
    )
    node = replace(node, shape=node.output_shape((x,)))
    return Graph((x, node), (Output("y", node.shape),))


@pytest.mark.parametrize("codes", [False, True], ids=["pixels", "codes"])
@FEW
@given(graph=graphs(Limits(inputs=2)))
def test_every_graph_gives_its_integers(tmp_path_factory, codes, graph):
    hold_equal(graph, tmp_path_factory.getbasetemp(), codes)


@FEW
@given(graph=graphs(WIDE))
def test_every_graph_of_wide_sums_gives_its_integers(tmp_path_factory, graph):
    hold_equal(graph, tmp_path_factory.getbasetemp())


@pytest.mark.slow
@settings(FEW, max_examples=100)
@given(case=models())
def test_every_model_gives_its_integers_and_its_results(tmp_path_factory, case):
    hold_equal(qnn.export(quantized(case)), tmp_path_factory.getbasetemp())


def test_an_operator_that_is_an_output_may_have_its_name(tmp_path):
    x = Input(name="x", shape=(2, 4, 4), type=QType(8, True, 0))
    fields = {"name": "y", "input": "x", "shape": (2, 2, 2), "type": x.type}
    y = max_pool(**fields, kernel=(2, 2), stride=(2, 2))
    joined = Concat(name="z", inputs=("y", "y"), shape=(4, 2, 2), type=x.type)
    outputs = (Output("y", (8,)), Output("z", (4, 2, 2)))
    assert [*hold_equal(Graph((x, y, joined), outputs), tmp_path)] == ["y", "z"]


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (nn.Sequential(nn.Conv1d(3, 4, 3, padding=1), nn.Sigmoid(), nn.Conv1d(4, 2, 1)), (3, 9)),
        (nn.Sequential(nn.Linear(5, 6), nn.Hardtanh(), nn.Linear(6, 4)), (7, 5)),
        (nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 4), nn.Softmax(-1)), (5,)),
        (nn.Conv3d(2, 3, (1, 3, 3), padding=(0, 1, 1)), (2, 4, 5, 6)),
    ],
    ids=["sequence", "tokens", "vector", "volume"],
)
def test_every_kind_of_axes_is_laid_out_as_the_user_has_it(model, shape, tmp_path):
    x = torch.randn(4, *shape, generator=torch.Generator().manual_seed(0))
    graph = qnn.export(quantize(model.eval(), x))
    hold_equal(graph, tmp_path)
    model = onnx.load(tmp_path / "model.onnx")
    sizes = [each.dim_value for each in model.graph.input[0].type.tensor_type.shape.dim]
    assert sizes == [0, *shape]


@pytest.mark.parametrize("name", ["YOLOv8", "SSD"])
def test_boxes_of_detectors_follow_their_integers(name, tmp_path):
    images = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    graph = qnn.export(quantize(detector(name), images))
    outputs = hold_equal(graph, tmp_path)
    assert len(outputs) > len(graph.outputs)
    assert all(each.dtype.kind == "i" for each in [*outputs.values()][: len(graph.outputs)])


@settings(FEW, max_examples=15)
@given(program=programs())
def test_every_step_of_the_host_is_a_standard_operator(tmp_path_factory, program):
    graph = replace(qnn.export(network()), host=program)
    found = decode(graph, reference(graph, encoded(graph, trial_inputs(graph, codes=False))))
    # ONNX does not say what a maximum of no number is, and onnxruntime leaves it out.
    assume(not any(np.isnan(each).any() for each in tensors_of(found)))
    outputs = hold_equal(graph, tmp_path_factory.getbasetemp())
    assert len(outputs) == len(graph.outputs) + len(program.results)


@pytest.mark.parametrize(
    ("inputs", "op"), [(65793, "Conv"), (65794, "MatMul")], ids=["2**24 - 1", "2**24 + 254"]
)
def test_sums_are_a_convolution_while_float32_holds_them(inputs, op, tmp_path):
    # Of 8-bit activations 65,793 times 255 is 2**24 - 1.
    graph = one(QType(8, False, 0), np.ones((1, 1, inputs, 1, 1)))
    ops = [node.op_type for node in integer_model(graph).graph.node]
    assert [each for each in ops if each in ("Conv", "MatMul")] == [op]
    hold_equal(graph, tmp_path)


def test_a_convolution_that_float32_would_round_is_exact(tmp_path):
    rng = np.random.default_rng(0)
    codes = rng.integers(-7, 8, (4, 3, 6, 3, 2))
    fields = {"bits": 4, "size": (7, 8), "stride": (2, -1), "padding": (2, 0, 1, -1), "groups": 2}
    x = QType(16, True, 0)
    graph = one(x, np.concatenate([codes, codes[:, :1]], 1), **fields)
    graph = Graph((replace(graph.nodes[0], shape=(12, 7, 8)), graph.nodes[1]), graph.outputs)
    hold_equal(graph, tmp_path)
    assert integer_model(graph).graph.node[-1].attribute[0].i == onnx.TensorProto.INT64


@pytest.mark.parametrize(
    ("left", "right", "low", "high"),
    [(0, 1, -8, 7), (9, 12, -128, 127), (30, 31, -8, 7), (46, 47, -8, 7), (20, 62, -1, 1)],
)
def test_shifts_of_every_type_of_number_round_half_up(left, right, low, high, tmp_path):
    shifts = {"left": np.array([left]), "right": np.array([right])}
    fields = {"type": QType(8, True, 0), "rounded": True, "low": low, "high": high}
    graph = one(QType(5, True, 0), np.full((1, 1, 1, 1, 1), 3), size=(4, 4), **shifts, **fields)
    hold_equal(graph, tmp_path)


def test_the_file_says_what_its_integers_stand_for(tmp_path):
    x = torch.rand(4, 3, 6, 6)
    graph = qnn.export(quantize(nn.Conv2d(3, 2, 3).eval(), x))
    qnn.to_onnx(graph, tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    name, type = graph.outputs[0].name, graph[graph.outputs[0].name].type
    assert model.opset_import[0].version == 17
    assert {each.key: each.value for each in model.metadata_props}["qnn.outputs"] == (
        f'{{"{name}": {{"takes": "integers", "exponent": {type.exponent}, "low": {type.low}, '
        f'"high": {type.high}}}}}'
    )


@pytest.mark.parametrize("read", [qnn.from_onnx, qnn.from_qonnx])
def test_a_file_of_integers_is_not_read_back_and_says_what_is(read, tmp_path):
    path = tmp_path / "model.onnx"
    qnn.to_onnx(one(QType(8, False, 2), np.full((1, 1, 1, 1, 1), 3)), path)
    with pytest.raises(ModelError) as refused:
        read(path)
    assert str(refused.value) == (
        f"{path}: has integers for other runtimes to compute, as 'qnn export --format onnx' writes "
        f"them, and is not read back; give the .safetensors or .qgraph that it was made of, or "
        f"export --format qonnx"
    )


def test_a_changed_weight_is_found_and_nothing_is_written(monkeypatch, tmp_path):
    graph = one(QType(8, True, 0), np.full((1, 2, 3, 1, 1), 2))

    def wrong(*arguments, **options):
        model = integer_model(*arguments, **options)
        weights = next(each for each in model.graph.initializer if len(each.dims) == 4)
        changed = onnx.numpy_helper.to_array(weights).copy()
        changed[1, 2] += 1
        weights.CopyFrom(onnx.numpy_helper.from_array(changed, weights.name))
        return model

    monkeypatch.setattr(to_onnx, "integer_model", wrong)
    (tmp_path / "model.onnx").write_text("as it was")
    with pytest.raises(ModelError) as refused:
        qnn.to_onnx(graph, tmp_path / "model.onnx")
    assert str(refused.value) == (
        "output 'y' needs the same values of onnxruntime and of the reference, but 5 of 10 differ, "
        "the first at [0, 1, 0, 0]: onnxruntime gives -896, the reference -768; nothing is "
        "written; please report it"
    )
    assert [each.name for each in tmp_path.iterdir()] == ["model.onnx"]
    assert (tmp_path / "model.onnx").read_text() == "as it was"


def test_an_unrounded_result_that_its_type_may_not_hold_is_refused(tmp_path):
    graph = one(QType(8, True, 0), np.full((1, 1, 1, 1, 1), 3), type=QType(24, True, 0))
    graph = Graph((graph.nodes[0], changed(graph.nodes[1], left=np.array([20]))), graph.outputs)
    with pytest.raises(
        CompileError, match=r"^conv 'y' needs 31 bits for its unrounded result, but"
    ):
        qnn.to_onnx(graph, tmp_path / "model.onnx")


def test_sums_beyond_64_bits_are_refused(tmp_path):
    x = Input(name="x", shape=(1, 1, 1), type=QType(16, True, 0))
    fields = {"type": QType(8, True, 0), "low": 0, "high": 1, "left": np.array([40])}
    y = multiply(name="y", inputs=("x", "x"), shape=(1, 1, 1), **fields)
    with pytest.raises(CompileError) as refused:
        qnn.to_onnx(Graph((x, y), (Output("y", (1,)),)), tmp_path / "model.onnx")
    assert str(refused.value) == (
        "multiply 'y' needs sums of 72 bits, but ONNX has 64; quantize to fewer bits"
    )


def test_an_operator_that_onnx_has_not_is_refused():
    x = Input(name="x", shape=(1, 1, 1), type=QType(8, True, 0))
    with pytest.raises(CompileError) as refused:
        operator_nodes(x, writer.OnnxWriter(), [], ())
    assert str(refused.value) == (
        "input 'x' needs an operator that ONNX files have, but there is none; export a .qgraph"
    )


def test_a_network_that_no_file_holds_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(writer, "MOST_BYTES", 11)
    graph = one(QType(8, True, 0), np.ones((1, 1, 3, 1, 1)))
    with pytest.raises(CompileError) as refused:
        qnn.to_onnx(graph, tmp_path / "model.onnx")
    assert str(refused.value) == (
        "an ONNX file needs at most 11 bytes of constants, but the network has 44; quantize to "
        "fewer terms, or export a .qgraph"
    )


def test_a_model_that_the_runtime_refuses_is_told_in_one_line():
    with pytest.raises(ToolError, match=r"^onnxruntime cannot run the exported model: .*") as error:
        run_onnx(b"no model", {})
    assert "\n" not in str(error.value)


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(packages, "import_module", missing)
    with pytest.raises(ToolError) as refused:
        packages.package("onnx.helper")
    assert str(refused.value) == (
        "ONNX files need the package onnx, which is not installed; run pip install 'qnn[onnx]'"
    )
