"""What a verification expects: the reference of the network, and of what is computed of it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from qnn.backend.registry import DEFAULT, named
from qnn.ir.graph import Graph
from qnn.ir.ops import Conv
from qnn.ir.reference import reference
from sim.expected import expected_tensors
from tests.compiler import small_graphs
from tests.graphs import Limits, graphs, images


def hold(graph, lowered):
    x = images(graph, 2)
    got = expected_tensors(graph, lowered, x)
    right = reference(lowered, x) | reference(graph, x)
    assert got.keys() == right.keys()
    for name, tensor in right.items():
        np.testing.assert_array_equal(got[name], tensor, name)


@settings(max_examples=20)
@given(graphs(Limits(size=4, channels=4)))
def test_it_is_both_references_of_any_network(graph):
    hold(graph, named(DEFAULT).lower(graph))


@pytest.mark.parametrize("make", small_graphs.ALL, ids=lambda make: make.__name__)
def test_a_node_that_lowering_changes_is_expected_as_the_network_has_it(make):
    graph = make()
    wrong = (
        replace(node, codes=node.codes * 0) if isinstance(node, Conv) else node
        for node in graph.nodes
    )
    hold(graph, Graph(tuple(wrong), graph.outputs))
