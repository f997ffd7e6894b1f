"""Images of a batch below each other: which networks, where they lie, and equal values."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import qnn
from hw.spec.config import named_config
from hw.spec.image import Image
from qnn.compiler import compile_graph
from qnn.compiler.estimate import layer_cycles
from qnn.ir.window import Window
from sim.cycles import simulate_cycles
from sim.exercise import Exercise
from sim.verify import verify
from tests.graphs import Limits, graphs, images
from tests.nearest import quantize

TEST, REFERENCE = named_config("test"), named_config("reference")
POINT = Window(kernel=(1, 1))


class Last(nn.Module):
    """The last state of an LSTM, and a layer."""

    def __init__(self):
        super().__init__()
        self.lstm, self.last = nn.LSTM(6, 8, batch_first=True), nn.Linear(8, 3)

    def forward(self, x):
        return self.last(self.lstm(x)[0][:, -1])


def linear(*sizes):
    layers = [nn.Linear(*pair) for pair in pairwise(sizes)]
    return nn.Sequential(*(each for layer in layers for each in (layer, nn.ReLU())), nn.Softmax(1))


NETWORKS = {
    "linear": (lambda: linear(20, 30, 9), (20,)),
    "of an image": (lambda: nn.Sequential(nn.Flatten(), linear(3 * 7 * 6, 9, 5)), (3, 7, 6)),
    "pooled": (
        lambda: nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten(), linear(3, 9)),
        (3, 5, 4),
    ),
    "recurrent": (Last, (5, 6)),
    "tabled": (lambda: nn.Sequential(nn.Linear(9, 12), nn.SiLU(), nn.Linear(12, 4)), (9,)),
}


def network(name):
    torch.manual_seed(0)
    build, shape = NETWORKS[name]
    return qnn.export(quantize(build().eval(), torch.randn(8, *shape)))


@pytest.mark.parametrize("batch", [2, 5, 12])
@pytest.mark.parametrize("name", NETWORKS)
def test_images_below_each_other_give_the_values_of_the_reference(name, batch):
    graph = network(name)
    design = qnn.compile(graph, TEST, batch)
    assert all(layer.image_height for layer in design.artifact.layers)
    # One image more than a batch, so that the last run has images that nobody asks for.
    report = verify(design, images(graph, batch + 1), "functional")
    assert report.passed, str(report)
    one = simulate_cycles(qnn.compile(graph, TEST, 1).artifact).cycles
    assert simulate_cycles(design.artifact).cycles < one * batch * 0.7


def test_each_image_lies_where_it_would_alone():
    graph = network("linear")
    image = compile_graph(graph, TEST, 6)
    apart = compile_graph(graph, replace(TEST, columns=1), 6)
    assert not any(layer.image_height for layer in apart.layers)
    for name in ("batch", "inputs", "outputs", "input_axes", "output_shapes", "host"):
        assert getattr(image, name) == getattr(apart, name), name
    assert Image.from_bytes(image.to_bytes()) == image


@settings(max_examples=40)
@given(graphs(Limits(size=1, inputs=2, nodes=5)), st.integers(2, 5))
def test_any_network_of_single_pixels_is_computed_alike_in_batches(graph, batch):
    design = qnn.compile(graph, named_config("test", weight_bits=4, columns=4), batch)
    report = verify(design, images(graph, batch), "functional")
    assert report.passed, str(report)


def test_an_image_in_two_strips_has_its_rows_in_both():
    net = Exercise(TEST, seed=2)
    x = net.input("x", (TEST.lanes * 5, 3, 1), signed=False)
    one = net.conv("one", x, TEST.lanes * 4, POINT, relu=True)
    graph = net.graph(net.conv("two", one, 3, POINT, rounded=False))
    small = replace(TEST, feature_words=128, weight_words=128)
    design = qnn.compile(graph, small, 8)
    layers = [layer for layer in design.artifact.layers if layer.name == "one"]
    cut = [each for layer in layers for each in layer.by_image if each.rows.stop < 3]
    assert cut
    assert {each.image for layer in layers for each in layer.by_image} == set(range(8))
    report = verify(design, images(graph, 8), "functional")
    assert report.passed, str(report)


def shared(net):
    x = net.input("x", (8, 1, 1), signed=False)
    high = net.input("high", (8, 4, 1), signed=False)
    gate = net.conv("gate", x, 8, POINT, relu=True)
    return net.graph(net.conv("sum", high, 8, POINT, skip=gate))


def padded(net):
    x = net.input("x", (8, 1, 1), signed=False)
    window = Window(kernel=(3, 3), padding=(1, 1, 1, 1))
    return net.graph(net.conv("c", x, 8, window, relu=True))


def overlapping(net):
    x = net.input("x", (8, 4, 1), signed=False)
    return net.graph(net.conv("c", x, 8, Window(kernel=(2, 1)), relu=True))


def wide(net):
    x = net.input("x", (8, 1, 16), signed=False)
    return net.graph(net.conv("c", x, 8, POINT, relu=True))


@pytest.mark.parametrize("make", [shared, padded, overlapping, wide])
def test_networks_whose_images_would_meet_or_fill_the_columns_alone_stay_apart(make):
    graph = make(Exercise(TEST, seed=1))
    design = qnn.compile(graph, TEST, 4)
    assert not any(layer.image_height for layer in design.artifact.layers)
    report = verify(design, images(graph, 4), "functional")
    assert report.passed, str(report)


def test_a_batch_is_cut_where_rows_are_more_than_can_be_counted():
    net = Exercise(TEST, seed=1)
    x = net.input("x", (8, 300, 1), signed=False)
    graph = net.graph(net.conv("c", x, 8, Window(kernel=(300, 1)), relu=True))
    layers = compile_graph(graph, TEST, 12).layers
    # 2,047 rows are six images; a tile of the last may reach two further, so that four are left.
    assert sorted({each.image for layer in layers for each in layer.by_image}) == list(range(12))
    assert {layer.image for layer in layers} == {0, 4, 8}


def test_columns_of_the_reference_array_are_images():
    net = Exercise(REFERENCE, seed=1)
    x = net.input("x", (256, 1, 1), signed=False)
    graph = net.graph(net.conv("c", x, 64, POINT, relu=True))
    # 16 words for each of 4 groups, for 8 images at a time or for one.
    assert layer_cycles(compile_graph(graph, REFERENCE, 32)) == {"c": 16 * 4 // 8}
    assert layer_cycles(compile_graph(graph, REFERENCE, 1)) == {"c": 16 * 4}


@pytest.mark.rtl
@pytest.mark.parametrize("name", ["of an image", "recurrent"])
def test_a_batch_in_rtl_takes_the_cycles_of_the_model(name):
    graph = network(name)
    design = qnn.compile(graph, TEST, 6)
    report = verify(design, images(graph, 7), "rtl")
    assert report.passed, str(report)
    model = simulate_cycles(design.artifact).cycles
    assert set(report.run_cycles) == {model}


def test_one_value_for_several_pixels_of_a_row_stays_with_its_image():
    net = Exercise(TEST, 1)
    x, one = (net.input(f"x{n}", (8, 1, n), signed=True) for n in (3, 1))
    graph = net.graph(net.conv("c", x, 8, POINT, skip=one))
    report = verify(qnn.compile(graph, TEST, 2), images(graph, 2), "functional")
    assert report.passed, str(report)
