"""Which layers go strip by strip together, and which never do."""

from dataclasses import replace

import pytest

from hw.spec.config import named_config
from qnn.compiler import run_passes
from qnn.compiler.choose_runs import choose_runs
from qnn.compiler.join_runs import MOST_LAYERS, few_enough, joined_alone
from qnn.compiler.network import network
from qnn.ir.graph import Graph, Output
from qnn.ir.ops import Concat
from tests.compiler import large_graphs
from tests.compiler.small_graphs import U8, conv, graph, image

TEST = replace(named_config("test"), feature_words=256, weight_words=128)
SLOW = 3  # bytes per cycle, at which what is loaded takes longer than what is computed


def runs(graph, rate=SLOW):
    net = network(run_passes(graph), TEST, rate, 1)
    return [[node.name for node in run.nodes] for run in choose_runs(net, 256).runs]


def test_operands_of_a_concatenation_load_what_both_read_once():
    given = large_graphs.branched(16, 40, 8)
    assert runs(given) == [["few", "pool", "both"]]
    # Where computation hides the second load, each alone has the chip for itself.
    assert runs(given, TEST.bus_bytes) == [["few"], ["pool"]]


def test_a_layer_joins_an_interleaving_of_more_operands_than_a_run_has_layers():
    given = large_graphs.upsampled(16, 40, 8)
    phases = [f"phase{n}" for n in range(4)]
    assert len(phases) + 2 > MOST_LAYERS
    assert runs(given) == [["a", *phases, "up"]]


@pytest.mark.parametrize("count", [MOST_LAYERS, MOST_LAYERS + 1])
def test_layers_behind_each_other_count_one_by_one(count):
    nodes = [image(8, type=U8)]
    for number in range(count):
        nodes.append(conv(f"c{number}", nodes[-1], 8))
    assert few_enough(tuple(nodes[1:])) is (count == MOST_LAYERS)


def side_by_side():
    x = image(8, type=U8)
    a, b = conv("a", x, 8), conv("b", x, 8, seed=2)
    both = Concat(name="both", inputs=("a", "b"), shape=(16, *x.shape[1:]), type=U8)
    return x, a, b, both


def names(graph):
    return [node.name for node in joined_alone(network(graph, TEST, TEST.bus_bytes, 1))]


def test_a_concatenation_is_joined_if_its_operands_are_computed_for_it_alone():
    x, a, b, both = side_by_side()
    assert names(graph(x, a, b, both)) == ["both"]
    assert names(graph(x, a, b, both, conv("end", both, 8))) == ["both"]


def test_a_concatenation_is_not_joined_if_an_operand_is_read_elsewhere_or_leaves():
    x, a, b, both = side_by_side()
    shape = both.shape
    read = conv("read", a, 8)
    outputs = (Output("both", shape), Output("read", read.shape))
    assert names(Graph((x, a, b, both, read), outputs)) == []
    assert names(Graph((x, a, b, both), (Output("both", shape), Output("a", a.shape)))) == []


def test_a_concatenation_is_not_joined_if_an_operand_is_an_input_or_it_lies_in_another():
    x, a, b, both = side_by_side()
    given = Concat(name="given", inputs=("x", "a"), shape=both.shape, type=U8)
    assert names(graph(x, a, given)) == []
    c = conv("c", x, 8, seed=3)
    outer = Concat(name="outer", inputs=("both", "c"), shape=(24, *x.shape[1:]), type=U8)
    assert names(graph(x, a, b, both, c, outer)) == []
