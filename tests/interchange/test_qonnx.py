"""Networks to QONNX and back: the same integers, and of quantized models the same image."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import onnx
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import nn

import qnn
from qnn.errors import CompileError, ModelError
from qnn.interchange import run_qonnx, to_qonnx
from qnn.interchange.qonnx_model import qonnx_model
from qnn.ir.graph import Graph
from qnn.ir.reference import reference
from qnn.ir.shape import user_shape
from qnn.nn.zoo import ZOO
from qnn.quant.qtype import QType
from tests.graphs import Limits, graphs, images
from tests.interchange.test_to_onnx import one
from tests.nearest import quantize

FEW = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))


def expressible(graph):
    """Whether no sum is wider than qonnx computes exactly, which is refused."""
    refused = ""
    try:
        qonnx_model(graph)
    except CompileError as error:
        refused = str(error)
    # Nothing else of a graph is refused.
    return "but qonnx computes" not in refused


def back(graph, folder):
    """The graph of the file, which nothing has executed."""
    path = folder / "back.onnx"
    path.write_bytes(qonnx_model(graph).SerializeToString())
    return qnn.from_qonnx(path)


def quantized(name, terms):
    """A network of the zoo, or the anomaly detector of MLPerf Tiny, with weights at random."""
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if name == "anomaly":
            sizes = [640, *[128] * 4, 8, *[128] * 4]
            layers = [
                each
                for n, m in pairwise(sizes)
                for each in (nn.Linear(n, m), nn.BatchNorm1d(m), nn.ReLU())
            ]
            model = nn.Sequential(*layers, nn.Linear(128, 640)).eval()
            return quantize(model, torch.randn(16, 640, generator=generator), terms=terms)
        entry = ZOO[name]
        model = entry.build().eval()
    x = torch.randint(0, 256, (4, *entry.shape), dtype=torch.uint8, generator=generator)
    return quantize(model, x, mean=entry.mean, std=entry.std, terms=terms)


@FEW
@given(graph=graphs(Limits(inputs=2)))
def test_every_graph_comes_back_with_its_integers(tmp_path_factory, graph):
    assume(expressible(graph))
    found = back(graph, tmp_path_factory.getbasetemp())
    x = images(graph, 3)
    wanted, got = reference(graph, x), reference(found, x)
    assert found.outputs == graph.outputs
    # What nothing reads is left out.
    assert [node.name for node in found.nodes] == [
        node.name for node in graph.nodes if node.name in got
    ]
    for name, array in got.items():
        np.testing.assert_array_equal(array, wanted[name], name)


@settings(FEW, max_examples=2)
@given(graph=graphs(Limits(inputs=2, nodes=3)))
def test_every_graph_is_executed_by_qonnx_with_its_integers(tmp_path_factory, graph):
    assume(expressible(graph))
    path = tmp_path_factory.getbasetemp() / "model.onnx"
    assert qnn.to_qonnx(graph, path).values_compared > 0
    assert {node.op_type for node in onnx.load(path).graph.node} >= {"IntQuant"}


def test_a_quantized_network_comes_back_as_the_same_graph(tmp_path):
    graph = qnn.export(quantized("digits_cnn", 2))
    path = tmp_path / "digits.onnx"
    exported = qnn.to_qonnx(graph, path)
    assert str(exported).endswith("50 values of 5 images in qonnx equal the reference's")
    # Graphs are equal if their files are, byte for byte; and so are images of equal graphs.
    assert qnn.from_qonnx(path) == graph


@settings(FEW, max_examples=3)
@given(graph=graphs(Limits(inputs=2, nodes=3)), size=st.integers(3, 9))
def test_pieces_of_any_size_have_the_shapes_and_values_of_the_whole(graph, size):
    assume(expressible(graph))
    model, wholly = qonnx_model(graph), 10**6
    given = {node.name: np.ones((1, *user_shape(node.shape, node.axes))) for node in graph.inputs}
    found = []
    for nodes in (size, wholly):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(run_qonnx, "PIECE_NODES", nodes)
            found.append(run_qonnx.QonnxPieces.of(model))
    assert len(found[1].pieces) == 1 or not model.graph.node
    assert len(found[0].pieces) == -(-len(model.graph.node) // size)
    shapes = [
        {each.name: each.type for each in (*cut.model.graph.value_info, *cut.model.graph.output)}
        for cut in found
    ]
    assert shapes[0] == shapes[1]
    for (name, value), (_, wanted) in zip(
        *(sorted(cut.run(given).items()) for cut in found), strict=True
    ):
        np.testing.assert_array_equal(value, wanted, name)


def test_a_layer_that_is_used_many_times_gives_the_same_file_again(tmp_path):
    layer = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    model = nn.Sequential(*[layer] * 12).eval()
    x = torch.rand(8, 4, generator=torch.Generator().manual_seed(0))
    graph = qnn.export(quantize(model, x))
    for name in ("one.onnx", "other.onnx"):
        qnn.to_qonnx(graph, tmp_path / name)
    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "other.onnx").read_bytes()
    assert qnn.from_qonnx(tmp_path / "one.onnx") == graph


@pytest.mark.slow
@pytest.mark.parametrize("terms", [1, 2])
@pytest.mark.parametrize("name", ["resnet20", "resnet8", "dscnn", "mobilenetv1_vww", "anomaly"])
def test_networks_of_the_field_come_back_as_the_same_image(name, terms, tmp_path):
    graph = qnn.export(quantized(name, terms))
    qnn.to_onnx(graph, tmp_path / "standard.onnx")
    qnn.to_qonnx(graph, tmp_path / "model.onnx")
    found = qnn.from_qonnx(tmp_path / "model.onnx")
    assert found == graph
    images = (qnn.compile(each, "test").artifact.to_bytes() for each in (graph, found))
    assert next(images) == next(images)


def test_what_the_host_computes_and_how_axes_lie_come_back(tmp_path):
    model = nn.Sequential(nn.Linear(5, 6), nn.SiLU(), nn.Linear(6, 4), nn.Softmax(-1)).eval()
    x = torch.randn(8, 7, 5, generator=torch.Generator().manual_seed(0))
    graph = qnn.export(quantize(model, x))
    assert graph.host is not None
    assert back(graph, tmp_path) == graph


def test_a_changed_weight_is_found_and_nothing_is_written(monkeypatch, tmp_path):
    graph = one(QType(8, True, 0), np.full((1, 2, 3, 1, 1), 2))

    def wrong(graph):
        model = qonnx_model(graph)
        weights = next(each for each in model.graph.initializer if len(each.dims) == 4)
        changed = onnx.numpy_helper.to_array(weights).copy()
        changed[1, 2] *= 2
        weights.CopyFrom(onnx.numpy_helper.from_array(changed, weights.name))
        return model

    monkeypatch.setattr(to_qonnx, "qonnx_model", wrong)
    with pytest.raises(ModelError) as refused:
        qnn.to_qonnx(graph, tmp_path / "model.onnx")
    assert str(refused.value) == (
        "output 'y' needs the same values of qonnx and of the reference, but 5 of 10 differ, the "
        "first at [0, 1, 0, 0]: qonnx gives -1024, the reference -768; nothing is written; please "
        "report it"
    )
    assert not [*tmp_path.iterdir()]


def test_sums_that_float32_would_round_are_refused(tmp_path):
    graph = one(QType(16, True, 0), np.full((1, 1, 600, 1, 1), 1))
    with pytest.raises(CompileError) as refused:
        qnn.to_qonnx(graph, tmp_path / "model.onnx")
    assert str(refused.value) == (
        "conv 'y' needs sums of products of 26 bits, but qonnx computes 25 exactly; quantize to "
        "fewer bits, or export --format onnx"
    )


def test_exponents_that_float32_has_not_are_refused(tmp_path):
    graph = one(QType(8, True, 70), np.full((1, 1, 1, 1, 1), 1), type=QType(48, True, 70))
    graph = Graph((replace(graph.nodes[0]), graph.nodes[1]), graph.outputs)
    with pytest.raises(CompileError) as refused:
        qnn.to_qonnx(graph, tmp_path / "model.onnx")
    assert str(refused.value) == (
        "conv 'y' needs exponents from -64 to 64 in QONNX, whose reals are float32, but has "
        "others; export --format onnx"
    )
