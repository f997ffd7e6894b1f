import pytest

from hw.spec.isa.buffers import Buffer
from hw.spec.isa.header import Op
from tests.compiler import small_graphs
from tests.compiler.test_pipeline import TEST, states


@pytest.mark.parametrize("make", [small_graphs.one_conv, small_graphs.residual])
def test_the_plan_counts_each_byte_of_weights_and_parameters_that_is_loaded(make):
    found = states(make(), batch=1)
    network = found["choose_plan"].network
    counted = sum(network.weight_cycles(conv.name) for conv in network.graph.convs)
    loaded = sum(
        each.rows * each.words * each.buffer.word_bytes(TEST)
        for each in found["stream_weights"].program
        if each.op is Op.LOAD and each.buffer is not Buffer.FEATURES
    )
    assert counted * TEST.bus_bytes == loaded
