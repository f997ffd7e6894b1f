"""Which inputs are packed, and how much of the chip a plan may take."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from hw.spec.config import named_config
from qnn.compiler import choose_plan as module
from qnn.compiler.choose_plan import SHARES, choose_plan
from qnn.compiler.compilation import Compilation
from qnn.compiler.stack_images import stack_images
from qnn.ir.graph import Graph, Output
from tests.compiler import small_graphs
from tests.compiler.small_graphs import conv, image

TEST = named_config("test")


def state(graph):
    given = Compilation(graph=graph, config=TEST, batch=1, bytes_per_cycle=TEST.bus_bytes)
    return stack_images(given)


def gathers(graph):
    (part,) = choose_plan(state(graph)).parts
    return part.gathers


def two_images():
    """Two images, each of which is packed for its first layer."""
    inputs = [replace(image(1, 8, 8), name=name) for name in ("x", "y")]
    layers = [conv(f"of_{each.name}", each, 8) for each in inputs]
    return Graph((*inputs, *layers), tuple(Output(each.name, each.shape) for each in layers))


def test_every_input_that_costs_less_in_packed_words_is_packed():
    assert gathers(two_images()).keys() == {"x", "y"}


@pytest.mark.parametrize(("packed", "taken"), [(9, True), (10, True), (11, False)])
def test_an_input_is_packed_where_that_costs_no_more_cycles(monkeypatch, packed, taken):
    def tried(_state, given, _graph, _like):
        cycles = packed if given.gathers else 10
        return replace(given, plan=SimpleNamespace(cycles=cycles))

    monkeypatch.setattr(module, "_tried", tried)
    graph = Graph(two_images().nodes[::2], two_images().outputs[:1])
    assert bool(gathers(graph)) is taken


def test_a_plan_without_addresses_is_tried_again_with_each_smaller_share_of_the_chip(monkeypatch):
    asked = []

    def choose_runs(_net, words, **_options):
        asked.append(words)
        return "a plan"

    monkeypatch.setattr(module, "choose_runs", choose_runs)
    # Only where a run has the chip for itself there are addresses.
    found = iter([None] * len(SHARES) + [("a plan", {})])
    monkeypatch.setattr(module, "place_buffers", lambda *_: next(found))
    choose_plan(state(small_graphs.residual()))
    assert asked == [*(int(share * TEST.feature_words) for share in SHARES), TEST.feature_words]
    assert asked[0] == TEST.feature_words > asked[1]
