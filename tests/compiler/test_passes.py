import numpy as np
import pytest
from hypothesis import given, settings

from qnn.compiler import PASSES, run_passes
from qnn.compiler.place_concats import place_concats
from qnn.compiler.remove_unused import remove_unused
from qnn.ir.check import check
from qnn.ir.graph import Graph
from qnn.ir.ops import Concat
from qnn.ir.reference import reference
from tests.compiler import small_graphs
from tests.graphs import graphs, images


def same_tensors(before, after, x):
    want, got = reference(before, x), reference(after, x)
    for name in want.keys() & got.keys():
        np.testing.assert_array_equal(got[name], want[name], err_msg=name)
    return {output.name for output in before.outputs} <= got.keys()


@pytest.mark.parametrize("transform", PASSES, ids=lambda p: p.__name__)
@settings(max_examples=25)
@given(graph=graphs())
def test_a_pass_keeps_every_tensor_that_stays(transform, graph):
    after = transform(graph)
    check(after)
    assert after.outputs == graph.outputs
    assert same_tensors(graph, after, images(graph, 2))


def test_each_tensor_has_one_place_after_the_passes():
    graph = run_passes(small_graphs.spread())
    operands = [name for n in graph.nodes if isinstance(n, Concat) for name in n.inputs]
    assert len(operands) == len(set(operands))
    assert same_tensors(small_graphs.spread(), graph, images(graph, 3))


def test_a_second_place_is_a_copy():
    after = place_concats(small_graphs.spread())
    assert [node.name for node in after.nodes] == [
        "x", "a", "b", "p", "b_copy", "a_copy", "a_copy_2", "q", "d", "e", "all",
    ]  # fmt: skip
    assert after["q"].inputs == ("b_copy", "a_copy", "a_copy_2")


def test_what_reaches_no_output_goes():
    graph = small_graphs.network()
    cut = Graph(graph.nodes, (graph.outputs[0], *graph.outputs[1:]))
    assert remove_unused(cut).nodes == graph.nodes
    only_a = Graph(graph.nodes, (type(graph.outputs[0])("a", graph["a"].shape),))
    assert [node.name for node in remove_unused(only_a).nodes] == ["x", "a"]
