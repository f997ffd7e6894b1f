"""Runs that are cut elsewhere: legal, and with as many words on chip as the whole plan has."""

from dataclasses import replace

from hw.spec.config import named_config
from qnn.compiler import run_passes
from qnn.compiler.choose_runs import _alive, _Search, choose_runs
from qnn.compiler.cut_runs import cuts, words_during
from qnn.compiler.join_runs import MOST_LAYERS
from qnn.compiler.network import network
from qnn.compiler.storage import groups_of_layers
from tests.compiler.large_graphs import inverted

TEST = named_config("test")


def mapped(blocks, config=TEST, size=16):
    net = network(run_passes(inverted(8, 48, size, size, blocks)), config, config.bus_bytes, 1)
    groups = groups_of_layers(net.graph)
    return net, {node.name: nodes for nodes in groups for node in nodes}


def all_cuts(first, second, spilled=frozenset({"x"})):
    net, groups = mapped(2)
    nodes = net.graph.nodes[1:]
    runs = nodes[:first], nodes[first : first + second]
    return net, runs, list(cuts(net, groups, runs, spilled | {runs[0][-1].name}))


def test_every_other_cut_is_tried_on_chip_and_in_memory():
    _, runs, found = all_cuts(3, 3)
    layers = sum(runs, ())
    # No run has five layers, and what the second block adds to itself is read at its end, too, so
    # that it leaves the first run.
    assert [len(cut.runs[0]) for cut in found] == [2, 2]
    for number, cut in enumerate(found):
        assert sum(cut.runs, ()) == layers
        assert max(map(len, cut.runs)) <= MOST_LAYERS
        crossing = cut.runs[0][-1].name
        assert cut.spilled == frozenset({"x"}) | ({crossing} if number % 2 else set())


def test_words_are_those_of_the_plan_with_the_cut():
    net, runs, found = all_cuts(3, 3)
    before = _alive(net, runs, frozenset({"x", runs[0][-1].name}))
    assert found
    for cut in found:
        alive = _alive(net, cut.runs, cut.spilled)
        whole = [
            sum(net.root_words(root) for root, (a, b) in alive.items() if a <= number <= b)
            for number in range(2)
        ]
        assert list(words_during(net, cut, 0, before)) == whole


def test_a_plan_whose_runs_may_be_cut_elsewhere_takes_fewer_cycles(monkeypatch):
    sizes = {"rows": 8, "weight_words": 2048, "parameter_words": 256, "feature_words": 4096}
    net, _ = mapped(2, replace(TEST, **sizes), 24)
    with_cuts = choose_runs(net, net.config.feature_words)
    monkeypatch.setattr(_Search, "_cut", lambda search, state: state)
    grown = choose_runs(net, net.config.feature_words)
    assert with_cuts.cycles < grown.cycles
    assert [len(run.nodes) for run in with_cuts.runs] == [3, 1, 2]
    assert [len(run.nodes) for run in grown.runs] == [1, 2, 1, 1, 1]
