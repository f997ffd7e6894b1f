"""Products and tables, on chip and in strips: in RTL as in the reference, in the model's cycles."""

from dataclasses import replace

import pytest

import qnn
from hw.spec.config import named_config
from qnn.ir.window import Window
from sim.exercise import Exercise
from sim.verify import verify
from tests.compiler import small_graphs
from tests.graphs import images
from tests.sim.checks import check_in_rtl

TEST = named_config("test")
SMALL = replace(TEST, feature_words=256, weight_words=128, parameter_words=16, table_words=256)
POINT = Window(kernel=(1, 1))
EACH = pytest.mark.parametrize("config", [TEST, SMALL], ids=["on chip", "in strips"])


def multiplied(config):
    """Products of maps, by a gate and with tables, between layers that are strips of memory."""
    net, lanes = Exercise(config, seed=6), config.lanes
    x = net.input("x", (lanes, 20, 9), signed=False)
    same = Window(kernel=(3, 3), padding=(1, 1, 1, 1))
    a = net.conv("a", x, lanes + 2, same, relu=True, tables=1)
    b = net.conv("b", x, lanes + 2, same, signed=True)
    both = net.multiply("both", a, b, signed=True)
    pooled = net.pool("pooled", both, Window(kernel=(10, 3), stride=(10, 3)))
    gate = net.conv("gate", pooled, lanes + 2, Window(kernel=(2, 3)), tables=lanes + 2)
    gated = net.multiply("gated", both, gate)
    square = net.multiply("square", gated, gated, signed=True)
    added = net.conv("added", square, lanes + 2, POINT, skip=gate, signed=True)
    # A value for each pixel, of a maximum, which the blocks of a product and of a sum share.
    mask = net.pool("mask", net.conv("narrow", added, 1, same, signed=True), same)
    masked = net.multiply("masked", added, mask, signed=True)
    again = net.conv("again", masked, lanes + 2, POINT, skip=mask, signed=True)
    last = net.conv("last", again, 3, same, rounded=False)
    return net.graph(last, gated)


@EACH
def test_products_are_computed_as_the_reference_says(config):
    graph = multiplied(config)
    design = qnn.compile(graph, config, batch=2)
    assert bool(design.artifact.scratch_bytes) == (config is SMALL)
    report = verify(design, images(graph, 2), "functional")
    assert report.passed, str(report)


@pytest.mark.rtl
@EACH
def test_products_take_the_cycles_of_the_model_in_rtl(config):
    check_in_rtl(multiplied(config), config)


@pytest.mark.rtl
def test_a_table_behind_a_gated_product_meets_none_of_its_results():
    graph = small_graphs.table_behind_product()
    report = verify(qnn.compile(graph, TEST, batch=2), images(graph, 3), "rtl")
    assert report.passed, str(report)


@pytest.mark.rtl
@pytest.mark.slow
def test_products_in_strips_pass_every_trial():
    graph = multiplied(SMALL)
    design = qnn.compile(graph, SMALL)
    report = verify(design, images(graph, 1), "rtl", thorough=True)
    assert report.passed, str(report)
    assert {name for name, _ in report.trials} >= {"a network of every kind", "a slow memory"}
