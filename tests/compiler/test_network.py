from dataclasses import replace

import pytest

from hw.spec.isa.buffers import Buffer
from hw.spec.isa.header import Op
from qnn.compiler.network import network
from qnn.ir.graph import Graph
from tests import operators
from tests.compiler import small_graphs
from tests.compiler.test_pipeline import TEST, states


@pytest.mark.parametrize("make", [small_graphs.one_conv, small_graphs.residual])
def test_the_plan_counts_each_byte_of_weights_and_parameters_that_is_loaded(make):
    found = states(make(), batch=1)
    (part,) = found["choose_plan"].parts
    network = part.network
    counted = sum(network.weight_cycles(conv.name) for conv in network.graph.convs)
    loaded = sum(
        each.rows * each.words * each.buffer.word_bytes(TEST)
        for each in found["stream_weights"].program
        if each.op is Op.LOAD and each.buffer is not Buffer.FEATURES
    )
    assert counted * TEST.bus_bytes == loaded


def test_a_layer_is_packed_again_where_its_operand_has_another_type():
    x = small_graphs.image()
    node = small_graphs.conv("c", x, 8)
    graph = small_graphs.graph(x, node)
    first = network(graph, TEST, TEST.bus_bytes, 1)
    again = network(graph, TEST, TEST.bus_bytes, 1, first)
    assert again.packed["c"] is first.packed["c"]
    # An input that is stored with another offset, which the bias makes up for.
    other = Graph((replace(x, type=small_graphs.U8), node), graph.outputs)
    packed = network(other, TEST, TEST.bus_bytes, 1, first)
    assert parameters(packed) == parameters(network(other, TEST, TEST.bus_bytes, 1))
    assert parameters(packed) != parameters(first)


def bound(x, batch=1, **fields):
    graph = small_graphs.graph(x, small_graphs.conv("c", x, 64, **fields))
    return network(graph, TEST, TEST.bus_bytes, batch).load_bound


def test_the_memory_bounds_a_network_of_large_weights_or_of_large_inputs():
    vector, deep = small_graphs.image(64, 1, 1), small_graphs.image(32, 9, 9)
    # Each word of weights is loaded for one step, or a word of the input for a channel's.
    assert bound(vector, kernel=1)
    assert not bound(deep, kernel=1)
    x = small_graphs.image(8, 16, 16)
    pool = {"kernel": (4, 4), "stride": (4, 4), "shape": (8, 4, 4), "type": x.type}
    wide = small_graphs.graph(x, operators.max_pool(name="m", input="x", **pool))
    assert not network(wide, TEST, TEST.bus_bytes, 1).load_bound
    assert network(wide, TEST, 1, 1).load_bound
    assert network(wide, TEST, 1, 8).load_bound
    # Weights are loaded once for all images of a batch.
    assert not bound(vector, kernel=1, batch=8)


def parameters(net):
    return [group.parameters for group in net.packed["c"]]
