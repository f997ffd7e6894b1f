"""Words that concatenations leave partly empty: who fills them, what it saves, and equal values."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qnn
from hw.spec.config import named_config
from qnn.compiler import close_gaps, compile_graph, storage
from qnn.compiler.estimate import layer_cycles
from qnn.ir.graph import Graph
from qnn.ir.window import Window
from sim.exercise import Exercise
from sim.verify import verify
from tests.graphs import images
from tests.sim.checks import check_in_rtl

TEST, SMALL = named_config("test"), named_config("small")  # words of 8 channels
POINT, SAME = Window(kernel=(1, 1)), Window(kernel=(3, 3), padding=(1, 1, 1, 1))


def diagonal(net, name, source, terms=1, window=POINT):
    own = Window(kernel=window.kernel, padding=window.padding, groups=source.shape[0])
    return net.conv(name, source, source.shape[0], own, relu=True, terms=terms)


def dense(growth, terms, units=3, config=TEST) -> Graph:
    """Layers that read all results so far, each through factors of its own."""
    net = Exercise(config, seed=3)
    x = net.input("x", (5, 6, 7), signed=False)
    all_so_far = net.conv("first", x, 5, SAME, relu=True)
    for number in range(units):
        scaled = diagonal(net, f"scaled{number}", all_so_far, terms)
        more = net.conv(f"layer{number}", scaled, growth, SAME, relu=True)
        all_so_far = net.concat(f"all{number}", all_so_far, more)
    scaled = diagonal(net, "scaled", all_so_far, terms)
    return net.graph(net.conv("last", scaled, 3, POINT, rounded=False))


def segments_in(graph, name, config=TEST):
    image = compile_graph(graph, config)
    return next(layer.output.channels for layer in image.layers if layer.name == name)


@settings(max_examples=25)
@given(st.integers(1, 9), st.integers(1, 3))
def test_values_stay_and_no_more_cycles_are_estimated(growth, terms):
    graph = dense(growth, terms)
    design = qnn.compile(graph, TEST)
    report = verify(design, images(graph, 1), "functional")
    assert report.passed, str(report)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "close_gaps", lambda graph, of, config: of)
        kept = layer_cycles(compile_graph(graph, TEST))
    assert sum(layer_cycles(design.artifact).values()) <= sum(kept.values())


def test_layers_of_the_reference_array_save_a_word_in_four_of_twelve_channels():
    graph = dense(12, 4, units=4, config=named_config("reference"))
    cycles = layer_cycles(compile_graph(graph, named_config("reference")))
    # 5 + 4 x 12 channels in 4 words rather than 5, at 9 steps each for 6 tiles of 8 pixels.
    assert cycles["layer3"] == 6 * 9 * 3
    # A word in each 8 cycles, in which it takes 4 terms of the two words that it is read from.
    assert cycles["scaled"] == 6 * (8 + 12 + 8 + 8)


def test_gaps_are_closed_for_layers_that_mix_channels_alone():
    net = Exercise(TEST, seed=1)
    x = net.input("x", (3, 6, 7), signed=False)
    both = net.concat("both", *(net.conv(f"c{n}", x, 5, SAME, relu=True) for n in range(3)))
    mixed, pooled, joined, added, sent = (
        diagonal(net, name, both) for name in ("mixed", "pooled", "joined", "added", "sent")
    )
    behind = [
        net.conv("one", mixed, 4, SAME, relu=True),
        net.conv("two", mixed, 4, POINT, relu=True),
        net.pool("pool", pooled, SAME),
        net.concat("more", joined, x),
        net.conv("sum", x, 15, SAME, skip=added),
        sent,
    ]
    graph = net.graph(*behind)
    assert segments_in(graph, "mixed") == (15,)
    for name in ("pooled", "joined", "added", "sent"):
        assert segments_in(graph, name) == (5, 5, 5), name
    report = verify(qnn.compile(graph, TEST), images(graph, 1), "functional")
    assert report.passed, str(report)


def test_gaps_stay_where_filling_them_costs_more_than_it_saves():
    net = Exercise(SMALL, seed=1)
    x = net.input("x", (3, 6, 7), signed=False)
    both = net.concat("both", *(net.conv(f"c{n}", x, 5, SAME, relu=True) for n in range(3)))
    # Each tap of a window reads two words for one, and a layer of few outputs saves little.
    windowed = diagonal(net, "windowed", both, window=SAME)
    graph = net.graph(net.conv("last", windowed, 2, POINT, relu=True))
    assert segments_in(graph, "windowed", SMALL) == (5, 5, 5)


def test_what_has_no_gaps_is_left_as_it_is():
    graph = dense(8, 1)
    of = {node.name: (node.shape[0],) for node in graph.nodes}
    assert close_gaps.close_gaps(graph, of, TEST) == of


@pytest.mark.rtl
@pytest.mark.parametrize("growth", [3, 5])
def test_dense_layers_take_the_cycles_of_the_model_in_rtl(growth):
    check_in_rtl(dense(growth, terms=3), TEST)
