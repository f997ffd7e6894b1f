"""What a device computes, held to onnxruntime on the exported graph in place of the reference."""

import numpy as np
from hypothesis import HealthCheck, assume, given, settings

import qnn
from qnn.errors import CompileError
from qnn.interchange.expected import expected_by_onnx
from sim.verify import verify
from tests.graphs import Limits, graphs, images


def compiled(graph):
    try:
        return qnn.compile(graph, "test")
    except CompileError:
        assume(False)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(graph=graphs(Limits(inputs=2)))
def test_every_layer_of_every_graph_is_what_onnxruntime_computes(graph):
    design, x = compiled(graph), images(graph, 2)
    # Layers that lowering has made are in neither graph alone.
    expected = expected_by_onnx((design.backend.lower(graph), graph), x)
    assert verify(design, x, "functional", expected=expected).passed


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(graph=graphs(Limits(products=False, nodes=2)))
def test_a_tensor_that_differs_is_told(graph):
    design, x = compiled(graph), images(graph, 1)
    expected = expected_by_onnx((design.backend.lower(graph), graph), x)
    name = graph.outputs[0].name
    wrong = expected | {name: expected[name] + np.ones_like(expected[name])}
    report = verify(design, x, "functional", expected=wrong)
    assert report.first.layer == name
    assert report.mismatches >= expected[name].size
