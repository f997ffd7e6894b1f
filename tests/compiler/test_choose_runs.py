"""Which tensors go to memory first, and in how many slices weights may stay on chip."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from hw.spec.config import named_config
from qnn.compiler import run_passes
from qnn.compiler.choose_runs import Schedule, _Search, _start, choose_runs
from qnn.compiler.network import network
from qnn.compiler.plan_cost import PlanCost
from qnn.compiler.runs import MOST_STRIPS, _row_step, _slice_counts, row_steps, stationary
from qnn.compiler.segments import passes
from qnn.compiler.tiles import Tile
from qnn.ir.graph import Graph, Output
from tests.compiler import small_graphs
from tests.compiler.small_graphs import U8, conv, image

TEST = named_config("test")


def mapped(graph, config=TEST):
    return network(run_passes(graph), config, config.bus_bytes, 1)


def test_by_size_the_largest_tensor_goes_to_memory_first():
    x = image(8, type=U8)
    small = conv("small", x, 8)
    large = conv("large", small, 24)
    net = mapped(small_graphs.graph(x, small, large, conv("end", large, 8)))
    search = _Search(net, 0, frozenset())
    assert net.root_words("large") > net.root_words("small")
    assert sorted(("x", "small", "large"), key=lambda root: search.size(None, root))[0] == "large"


@pytest.mark.parametrize(("activation_bits", "words"), [(8, 4), (16, 2)])
def test_an_unrounded_result_of_several_words_lies_in_memory_from_the_beginning(
    activation_bits, words
):
    config = named_config("test", activation_bits=activation_bits, accumulator_bits=32)
    x = image(8, type=U8)
    net = mapped(small_graphs.graph(x, small_graphs.last(x, 4)), config)
    assert passes(net.graph["last"], config) == words
    assert _start(net)[1] == {"x", "last"}


def test_a_change_costs_what_the_runs_then_have_more():
    assert PlanCost(1, 20, 3.5).change(PlanCost(5, 7, 11.0)) == (-4, 13, -7.5)


@pytest.mark.parametrize(
    ("cheap", "large", "taken"),
    [(1000, 990, 1000), (1000, 989, 989), (1000, 1001, 1000), (None, 7, 7), (7, None, 7)],
)
def test_the_plan_that_sends_the_largest_is_taken_where_it_costs_clearly_less(
    monkeypatch, cheap, large, taken
):
    x = image(8, type=U8)
    net = mapped(small_graphs.graph(x, conv("a", x, 8)))

    def plan(search, _start, order):
        cycles = cheap if order == search.cost else large
        return cycles and Schedule((), frozenset(), cycles)

    monkeypatch.setattr(_Search, "plan", plan)
    # So few words that something has to go to memory.
    assert choose_runs(net, 1).cycles == taken


@pytest.mark.parametrize(("few", "stays"), [((18, 2), True), ((17, 2), False), ((18, 1), False)])
def test_weights_stay_where_both_buffers_hold_them(few, stays):
    x = image(8, type=U8)
    net = mapped(small_graphs.graph(x, conv("c", x, 8)), TEST)
    assert net.weight_words("c") == (18, 2)
    config = SimpleNamespace(weight_words=few[0], parameter_words=few[1])
    nodes = (net.graph["c"],)
    assert stationary(SimpleNamespace(weight_words=net.weight_words, config=config), nodes) is stays


def test_weights_are_cut_into_slices_while_a_token_counter_holds_the_strips_of_all():
    x = image(8, type=U8)
    codes = np.ones((1, 16, 8, 3, 3), np.int8)
    # One word would do for equal weights. So the four groups take 36 words, and a slice 18.
    codes[0, :, :, 0, 0] = 2
    graph = small_graphs.graph(x, conv("c", x, 16, codes=codes))
    net = mapped(graph, replace(TEST, weight_words=32))
    node = net.graph["c"]
    assert [group.words for group in net.packed["c"]] == [9] * 4
    assert list(_slice_counts(net, (node,), 2)) == [2]
    assert list(_slice_counts(net, (node,), MOST_STRIPS // 2)) == [2]
    assert list(_slice_counts(net, (node,), MOST_STRIPS // 2 + 1)) == []
    # One strip has its weights once, whether they stay or not.
    assert list(_slice_counts(net, (node,), 1)) == []


def halved(name, x):
    """A 1x1 layer that reads every other row and column of ``x``."""
    place = {"kernel": 1, "stride": (2, 2), "padding": (0,) * 4, "shape": (8, 4, 4)}
    return conv(name, x, 8, **place)


def test_a_layer_that_reads_every_other_row_loads_these_alone_unless_another_reads_all():
    x = image(8, 8, 8, type=U8)
    one, other, full = halved("one", x), halved("other", x), conv("full", x, 8)
    net = mapped(Graph((x, one, other, full), (Output("full", full.shape),)))
    nodes, spilled = {node.name: node for node in (one, other, full)}, frozenset({"x"})
    assert row_steps(net, (nodes["one"],), spilled) == {"x": 2}
    assert row_steps(net, (nodes["one"],), frozenset()) == {}
    assert row_steps(net, (nodes["full"],), spilled) == {}
    assert row_steps(net, (nodes["one"], nodes["other"]), spilled) == {}
    twice = replace(one, inputs=("x", "x"))
    assert row_steps(net, (twice,), spilled) == {}


def test_strips_of_an_interleaving_are_whole_tiles_of_its_largest_operand():
    # A border of one column has tiles as high as there are columns, which are no reason for strips
    # so high that they do not fit.
    shapes = {"border": (4, 24, 1), "inside": (4, 24, 23)}
    tiles = {"border": Tile(1, 8), "inside": Tile(8, 1)}
    graph = {name: SimpleNamespace(shape=shape) for name, shape in shapes.items()}
    up = SimpleNamespace(interleaves=True, step=(2, 2), inputs=tuple(shapes))
    assert _row_step(SimpleNamespace(graph=graph, tiles=tiles), up) == 2
