"""Networks whose late layers compute several images at a time: where they are cut, and values."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qnn
from hw.spec.config import named_config
from qnn.compiler import conditions, stack_images
from qnn.compiler.compilation import Compilation
from qnn.errors import CompileError
from qnn.ir.window import Window
from sim.cycles import simulate_cycles
from sim.exercise_net import Exercise
from sim.verify import verify
from tests.compiler.test_pipeline import broken, states
from tests.graphs import graphs, images

TEST = named_config("test")
FOUR_WORDS = replace(TEST, columns=8, epilogue_words=4)
POINT, SAME = Window(kernel=(1, 1)), Window(kernel=(3, 3), padding=(1, 1, 1, 1))


def body(net, size=6, channels=16):
    """Two layers that see their neighbours, and the mean of the second's pixels, of one image."""
    x = net.input("x", (3, size, size), signed=False)
    one = net.conv("one", x, channels, SAME, relu=True)
    two = net.conv("two", one, channels, replace(SAME, groups=channels), relu=True)
    return two, net.conv("mean", two, channels, Window(kernel=(size, size)), relu=True)


def classifier():
    net = Exercise(TEST, seed=1)
    wide = net.conv("wide", body(net)[1], 200, POINT, relu=True)
    return net.graph(net.conv("last", wide, 30, POINT, rounded=False))


def pointwise():
    """What comes behind the last layer with neighbours has several pixels for each image."""
    net = Exercise(TEST, seed=2)
    two, _ = body(net)
    net.nodes.pop()
    wide = net.conv("wide", two, 90, POINT, relu=True)
    mean = net.conv("mean", wide, 90, Window(kernel=(6, 6)), relu=True)
    return net.graph(net.conv("last", mean, 300, POINT, rounded=False))


def with_an_output_before():
    net = Exercise(TEST, seed=3)
    two, mean = body(net)
    last = net.conv("last", net.conv("wide", mean, 200, POINT, relu=True), 30, POINT)
    return net.graph(last, two, last)


def residual():
    """Between layers of single pixels two tensors go on."""
    net = Exercise(TEST, seed=4)
    mean = body(net)[1]
    for number in range(3):
        inner = net.conv(f"inner{number}", mean, 120, POINT, relu=True)
        mean = net.conv(f"sum{number}", inner, 16, POINT, skip=mean)
    return net.graph(mean)


NETWORKS = {
    classifier: ["one", "two"],
    pointwise: ["one", "two"],
    with_an_output_before: ["one", "two", "mean"],  # what is an output is not handed on
    residual: ["one", "two"],
}


def parts(graph, batch=4, config=TEST):
    """The layers of each part."""
    found = states(graph, config, batch)["stack_images"].parts
    return [[node.name for node in part.graph.nodes if node.is_computed] for part in found]


@pytest.mark.parametrize("make", NETWORKS)
def test_late_layers_compute_all_images_of_a_batch_at_a_time(make, monkeypatch):
    graph = make()
    head, tail = parts(graph)
    assert head == NETWORKS[make]
    assert head + tail == [node.name for node in graph.nodes if node.is_computed]
    design = qnn.compile(graph, TEST, 4)
    stacked = {layer.name for layer in design.artifact.layers if layer.image_height}
    assert stacked == set(tail)
    # Two more than a batch, so that the last run has images that nobody asks for.
    report = verify(design, images(graph, 6), "functional")
    assert report.passed, str(report)
    monkeypatch.setattr(stack_images, "LEAST_GAIN", 1)
    apart = qnn.compile(graph, TEST, 4)
    assert not any(layer.image_height for layer in apart.artifact.layers)
    assert simulate_cycles(design.artifact).cycles < 0.9 * simulate_cycles(apart.artifact).cycles


@pytest.mark.parametrize("make", NETWORKS)
def test_the_passes_keep_their_promises_to_parts(make):
    state = Compilation(graph=make(), config=TEST, batch=4, bytes_per_cycle=TEST.bus_bytes)
    for each in qnn.compiler.PASSES:
        state = each(state, checked=True)


def test_one_image_is_one_part():
    assert len(parts(classifier(), batch=1)) == 1


def test_weights_that_stay_on_chip_are_not_worth_a_cut_where_the_columns_are_full():
    net = Exercise(TEST, seed=1)
    x = net.input("x", (8, 4, 4), signed=False)
    graph = net.graph(net.conv("last", net.conv("one", x, 8, SAME, relu=True), 8, POINT))
    assert len(parts(graph)) == 1


def test_a_large_batch_is_computed_in_turns_of_as_many_images_as_rows_can_be_counted():
    net = Exercise(TEST, seed=5)
    x = net.input("x", (1, 400, 1), signed=False)
    one = net.conv("one", x, 8, Window(kernel=(3, 1), padding=(1, 1, 0, 0)), relu=True)
    mean = net.conv("mean", one, 64, Window(kernel=(400, 1)), relu=True)
    graph = net.graph(net.conv("last", mean, 40, POINT))
    head, tail = states(graph, TEST, 8)["stack_images"].parts
    assert (head.images, head.turns, tail.images, tail.turns) == (1, 8, 2, 4)
    report = verify(qnn.compile(graph, TEST, 8), images(graph, 8), "functional")
    assert report.passed, str(report)


def anywhere(draw):
    """A cut at any place where one may be."""

    def first(state):
        least = stack_images._first_stackable(state.graph)
        cuts = [cut for cut in stack_images._cuts(state.graph) if cut >= least]
        return draw(st.sampled_from([*cuts, len(state.graph.nodes)]))

    return first


@settings(max_examples=60)
@given(data=st.data(), batch=st.integers(2, 4))
def test_any_network_is_computed_alike_wherever_it_is_cut(data, batch):
    graph = data.draw(graphs())
    config = named_config("test", weight_bits=4, weight_words=512)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stack_images, "_first_together", anywhere(data.draw))
        try:
            design = qnn.compile(graph, config, batch)
        except CompileError:
            return
    report = verify(design, images(graph, batch + 1), "functional")
    assert report.passed, str(report)


def test_a_node_in_no_part_is_found():
    state = states(classifier(), TEST, 4)["stack_images"]
    missing = replace(state, parts=state.parts[:1])
    assert broken(conditions.parts_are_the_network, missing).startswith("the parts have ['x', ")
    fewer = replace(state, parts=(replace(state.parts[0], turns=3), state.parts[1]))
    assert broken(conditions.parts_are_the_network, fewer) == "3 turns of 1 images, not 4"


def test_parts_that_hand_on_different_tensors_are_found():
    state = states(classifier(), TEST, 4)["choose_plan"]
    head, tail = state.parts
    other = replace(state, parts=(replace(head, gives="one"), tail))
    assert broken(conditions.parts_meet, other) == "'one' is given, and 'two' taken"
    place = {**head.network.place, "two": replace(head.network.place["two"], segments=(7, 9))}
    moved = replace(head, network=replace(head.network, place=place))
    text = broken(conditions.parts_meet, replace(state, parts=(moved, tail)))
    assert text == "'two' has channels in (7, 9) and (16,)"


@pytest.mark.rtl
@pytest.mark.parametrize(
    ("make", "config"),
    [*((make, TEST) for make in NETWORKS), (pointwise, FOUR_WORDS)],
)
def test_parts_in_rtl_take_the_cycles_of_the_model(make, config):
    graph = make()
    design = qnn.compile(graph, config, 3)
    assert any(layer.image_height for layer in design.artifact.layers)
    report = verify(design, images(graph, 4), "rtl")
    assert report.passed, str(report)
    assert set(report.run_cycles) == {simulate_cycles(design.artifact).cycles}
