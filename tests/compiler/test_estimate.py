"""Cycles that the array needs at least."""

from hw.spec.config import named_config
from hw.spec.isa.tiles import Tiles
from qnn.compiler import compile_graph
from qnn.compiler.estimate import layer_cycles, performance
from tests.compiler import small_graphs
from tests.sim.copy_image import copy_image

TEST = named_config("test")


def test_an_image_without_layers_takes_no_cycles():
    assert performance(copy_image(TEST)) == {
        "critical_path_cycles": 0,
        "max_cycles": 0,
        "max_cycles_node_name": "",
        "cycles_per_image": 0,
        "macs_per_image": 0,
        "array_utilisation": 0.0,
    }


def test_of_a_batch_each_layer_counts_once_and_the_slowest_is_named():
    graph = small_graphs.network()
    one, batch = compile_graph(graph, TEST), compile_graph(graph, TEST, batch=3)
    cycles = layer_cycles(one)
    for tag, layer in enumerate(one.layers):
        own = [each for each in one.program if isinstance(each, Tiles) and each.tag == tag]
        assert cycles[layer.name] == sum(each.cycles for each in own)
    assert layer_cycles(batch) == cycles
    found = performance(batch)
    assert performance(one) == found
    assert found["cycles_per_image"] == sum(cycles.values()) == found["critical_path_cycles"]
    assert found["max_cycles"] == max(cycles.values()) == cycles[found["max_cycles_node_name"]]
    assert found["macs_per_image"] == sum(conv.macs for conv in graph.convs)
    offered = TEST.lanes * TEST.rows * TEST.columns * found["cycles_per_image"]
    assert found["array_utilisation"] == found["macs_per_image"] / offered
