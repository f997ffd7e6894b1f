import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnn.eda.timing.graph import PinGraph


@st.composite
def graphs(draw):
    """A graph without loops, a delay for each arc, and where paths begin."""
    pins = draw(st.integers(2, 12))
    order = draw(st.permutations(range(pins)))
    pairs = st.tuples(st.integers(0, pins - 1), st.integers(0, pins - 1))
    arcs = [(min(p), max(p)) for p in draw(st.lists(pairs, max_size=25)) if p[0] != p[1]]
    start = np.array([order[a] for a, _ in arcs], int)
    end = np.array([order[b] for _, b in arcs], int)
    delay = np.array(draw(st.lists(st.integers(0, 9), min_size=len(arcs), max_size=len(arcs))))
    begin = np.array([0.0 if draw(st.booleans()) else -np.inf for _ in range(pins)])
    return PinGraph(pins, start, end), delay.astype(float), begin


def all_paths(graph, delay, begin):
    """The longest delay to each pin, by walking every path that there is."""
    longest = begin.copy()

    def walk(pin, so_far):
        longest[pin] = max(longest[pin], so_far)
        for arc in range(len(graph.start)):
            if graph.start[arc] == pin:
                walk(graph.end[arc], so_far + delay[arc])

    for pin in np.flatnonzero(np.isfinite(begin)):
        walk(pin, begin[pin])
    return longest


@given(given=graphs())
def test_longest_is_that_of_all_paths(given):
    graph, delay, begin = given
    assert graph.longest(delay, begin).tolist() == all_paths(graph, delay, begin).tolist()


@given(given=graphs())
def test_what_remains_is_that_of_all_paths_backwards(given):
    graph, delay, begin = given
    back = PinGraph(graph.pins, graph.end, graph.start)
    assert graph.reverse.longest(delay, begin).tolist() == all_paths(back, delay, begin).tolist()


@given(given=graphs())
def test_a_path_adds_up_to_what_was_found(given):
    graph, delay, begin = given
    found = graph.longest(delay, begin)
    for pin in np.flatnonzero(np.isfinite(found)):
        arcs = graph.path(found, delay, int(pin))
        ends = [graph.start[arcs[0]] if arcs else pin, *(graph.end[arc] for arc in arcs)]
        assert ends[-1] == pin
        assert [graph.start[arc] for arc in arcs] == ends[:-1]
        assert begin[ends[0]] + delay[arcs].sum() == found[pin]


@given(given=graphs())
def test_a_part_of_the_delay_is_summed_along_the_same_path(given):
    graph, delay, begin = given
    part = delay * np.arange(len(delay))
    found = graph.longest(delay, begin)
    along = graph.along(found, delay, part)
    for pin in np.flatnonzero(np.isfinite(found)):
        assert along[pin] == part[graph.path(found, delay, int(pin))].sum()


def flows(given, seed, near):
    """A graph whose paths begin where no arc ends, what leaves at its pins, and the flow."""
    graph, delay, _ = given
    random = np.random.default_rng(seed)
    # Without two ways that are equally late.
    delay = delay + random.random(len(delay))
    begin = np.full(graph.pins, -np.inf)
    begin[np.setdiff1d(np.arange(graph.pins), graph.end)] = 0
    found, leaving = graph.longest(delay, begin), random.random(graph.pins)
    return graph, delay, found, leaving, graph.flow(found, delay, leaving, near)


@given(given=graphs(), seed=st.integers(0, 999))
def test_what_leaves_at_a_pin_came_along_its_longest_path(given, seed):
    graph, delay, found, leaving, flow = flows(given, seed, near=1e-9)
    expected = leaving.copy()
    for pin in range(graph.pins):
        for arc in graph.path(found, delay, pin):
            expected[graph.start[arc]] += leaving[pin]
    assert flow == pytest.approx(expected)


@given(given=graphs(), seed=st.integers(0, 999), near=st.sampled_from([0.1, 1.0, 10.0]))
def test_as_much_begins_as_leaves(given, seed, near):
    graph, _, _, leaving, flow = flows(given, seed, near)
    begins = np.setdiff1d(np.arange(graph.pins), graph.end)
    assert flow[begins].sum() == pytest.approx(leaving.sum())


def test_a_loop_is_refused():
    graph = PinGraph(3, np.array([0, 1, 2]), np.array([1, 2, 1]))
    with pytest.raises(ValueError, match="a netlist needs a register in every loop"):
        graph.longest(np.ones(3), np.zeros(3))
