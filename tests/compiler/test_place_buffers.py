"""Addresses of a plan's buffers: apart from each other, and a copy for each strip or none more."""

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.spec.config import named_config
from qnn.compiler import compile_graph, run_passes
from qnn.compiler import place_buffers as module
from qnn.compiler.choose_runs import choose_runs
from qnn.compiler.network import network
from qnn.compiler.place_buffers import _before, _behind, _fewer, place_buffers, requests
from qnn.compiler.runs import strip_rows
from sim.cycles import simulate_cycles
from tests.compiler import large_graphs
from tests.compiler.small_graphs import U8, conv, graph, image

SMALL = replace(named_config("reference"), feature_words=2048, weight_words=512)


def placed(make, words):
    """A plan for less than all words, what it is with its addresses, and those."""
    net = network(run_passes(make()), SMALL, SMALL.bus_bytes, 1)
    plan = choose_runs(net, words)
    return net, plan, *place_buffers(net, plan, 1)


def strips(net, plan, run):
    return run.slices * len(strip_rows(net, run.nodes, run.rows, plan.spilled))


@pytest.mark.parametrize("make", large_graphs.ALL, ids=lambda make: make.__name__)
@pytest.mark.parametrize("words", [2048, 1433])
def test_each_buffer_lies_apart_from_all_that_live_with_it(make, words):
    net, _, plan, chip = placed(make, words)
    needs = requests(net, plan)
    assert chip.keys() == needs.keys()
    for spot, need in needs.items():
        assert 0 <= chip[spot] <= SMALL.feature_words - need.words
    for a, b in combinations(needs.values(), 2):
        apart = chip[a.name] + a.words <= chip[b.name] or chip[b.name] + b.words <= chip[a.name]
        assert apart or not a.meets(b)


@pytest.mark.parametrize("make", large_graphs.ALL, ids=lambda make: make.__name__)
@pytest.mark.parametrize("words", [2048, 1433])
def test_a_run_has_the_copies_that_were_chosen_or_one_for_each_strip(make, words):
    net, chosen, plan, _ = placed(make, words)
    assert plan.spilled == chosen.spilled
    for before, after in zip(chosen.runs, plan.runs, strict=True):
        assert replace(after, copies=before.copies) == before
        assert after.copies in (before.copies, strips(net, plan, after))


def test_where_there_is_room_each_strip_has_a_copy():
    x = image(8, 24, 24, type=U8)
    net = network(run_passes(graph(x, conv("a", x, 8))), SMALL, SMALL.bus_bytes, 1)
    (chosen,) = choose_runs(net, 512).runs
    plan, chip = place_buffers(net, choose_runs(net, 512), 1)
    (run,) = plan.runs
    assert chosen.copies == 2
    assert run.copies == strips(net, plan, run) > 2
    assert {spot.copy for spot in chip if spot.name == "x"} == set(range(run.copies))


@pytest.mark.parametrize(
    ("number", "cycles", "batch", "lives"),
    [
        # Of one image, from the start on at the longest, then as long as the transfer takes.
        (3, 5, 1, [((0, 3),), ((2, 3),)]),
        (3, 15, 1, [((0, 3),), ((1, 3),), ((2, 3),)]),
        (0, 5, 1, []),
        # Of a batch, from behind the same run of the image before.
        (1, 5, 2, [((0, 1), (2, 3)), ((0, 1),)]),
        (1, 15, 2, [((0, 1), (2, 3)), ((0, 1), (3, 3)), ((0, 1),)]),
        (0, 5, 2, [((0, 0), (1, 3)), ((0, 0), (3, 3))]),
    ],
)
def test_a_buffer_that_is_loaded_may_live_from_runs_before_on(number, cycles, batch, lives):
    assert list(_before(number, [10, 10, 10, 10], cycles, batch)) == lives


@given(st.integers(1, 200), st.integers(0, 200), st.booleans())
def test_few_lives_are_tried_for_which_others_would_move(count, found, wraps):
    lives = [((0, 0), (n, count)) if wraps else ((n, count),) for n in range(count)]
    own = lives[found] if found < count else ((count, count),)
    tried = list(_fewer(lives, own))
    assert own not in tried
    assert tried == sorted(tried)
    if not wraps:
        assert tried == (lives[-1:] if found >= count else [])
        return
    assert tried[:1] == lives[: min(found, 1)]
    assert tried[-1:] == lives[min(found, count) - 1 : min(found, count)][: len(tried)]
    assert len(tried) <= count.bit_length() + 1


def test_the_next_image_is_loaded_while_small_layers_are_computed(monkeypatch):
    """All of it is on chip, at an address that the last layers would take without a reason."""
    x = image(16, 40, 32, type=U8)
    nodes = [x, conv("first", x, 16, shape=(16, 20, 16), stride=(2, 2))]
    for number in range(6):
        nodes.append(conv(f"c{number}", nodes[-1], 16))
    network = graph(*nodes)
    early = simulate_cycles(compile_graph(network, SMALL, 4)).cycles
    monkeypatch.setattr(module, "_fewer", lambda lives, _: lives[-1:])
    assert early < 0.9 * simulate_cycles(compile_graph(network, SMALL, 4)).cycles


def test_a_buffer_that_is_stored_may_live_into_the_run_behind():
    assert _behind((1, 2), 4, 1) == ((1, 3),)
    assert _behind((1, 3), 4, 1) == ((1, 3),)
    assert _behind((1, 3), 4, 2) == ((1, 3), (0, 0))
    assert _behind((0, 3), 4, 2) == ((0, 3),)
