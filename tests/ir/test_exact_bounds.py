"""The overflow proof's numbers are exactly the extremes, by a sum over corners written plainly."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.spec.isa.codes import integer, term_shift
from qnn.compiler import run_passes
from qnn.compiler.prove_bounds import prove_bounds
from qnn.errors import CompileError
from qnn.ir.bounds import bounds, check_bounds
from qnn.ir.graph import Graph, Output
from qnn.ir.ops import Conv, Input
from qnn.ir.reference import reference
from qnn.ir.sums import Bounds
from qnn.quant.qtype import QType
from tests.compiler import small_graphs
from tests.graphs import Limits, graphs
from tests.operators import changed, conv

SMALL = Limits(size=5, channels=4, nodes=3, products=True, table_bits=6)


def weights_of(node, channel):
    """The weights of a channel, one list a term, as integers of the term itself."""
    return [[integer(int(code)) for code in term[channel].flat] for term in node.codes]


def corners(weights, low, high):
    """The least and the greatest sum of products, each at its own extreme."""
    return (
        sum(min(w * low, w * high) for w in weights),
        sum(max(w * low, w * high) for w in weights),
    )


def stored(type):
    return type.low - type.offset, type.high - type.offset


def plainly(graph, node):
    """What ``bounds`` and ``plain_bounds`` must give, from their docstrings."""
    operand, *more = graph.sources(node)
    skip = more[0].type if more else None
    places = term_shift(node.weight_bits)
    sums, results, plain_sums, plain_results = [], [], [], []
    numbers = node.epilogue
    biases = node.sums(graph.sources(node)).stored_bias()
    for channel in range(node.shape[0]):
        terms = weights_of(node, channel)
        acc = (0, 0)
        for weights in terms:
            moved = tuple(value << places for value in acc)
            added = corners(weights, *stored(operand.type))
            acc = tuple(a + b for a, b in zip(moved, added, strict=True))
        sums += acc
        whole = [
            sum(w << places * n for n, w in enumerate(reversed(tap)))
            for tap in zip(*terms, strict=True)
        ]
        left, bias = int(numbers.left[channel]), biases[channel]
        skip_left = int(numbers.skip_left[channel]) if skip else 0
        skips = stored(skip) if skip else (0, 0)
        for product, other in itertools.product(corners(whole, *stored(operand.type)), skips):
            results += [product << left, (product << left) + bias]
            results += [(product << left) + bias + (other << skip_left)]
        reach = max(abs(operand.type.low), abs(operand.type.high))
        plain_sums.append(sum(abs(w) for w in whole) * reach)
        plain_results.append(
            (plain_sums[-1] << left)
            + abs(int(numbers.bias[channel]))
            + (1 << int(numbers.right[channel])) // 2
            + (max(abs(skip.low), abs(skip.high)) << skip_left if skip else 0)
        )
    shifts = [*numbers.left, *numbers.right, *(numbers.skip_left if skip else ())]
    bound = Bounds(node.name, (min(sums), max(sums)), (min(results), max(results)), max(shifts))
    return bound, (max(plain_sums), max(plain_results))


def dead_beside_large(node, dead):
    """``node`` with channels of no weights, and of the largest ones in the others."""
    most = (1 << (node.weight_bits - 1)) - 1
    codes = np.where(node.codes < 0, -most, most).astype(np.int8)
    codes[:, list(dead)] = 0
    return changed(node, codes=codes)


@settings(max_examples=60)
@given(graphs(SMALL), st.data())
def test_every_bound_is_exactly_the_extreme_of_its_corners(graph, data):
    for node in (node for node in graph.nodes if isinstance(node, Conv)):
        channels = st.sets(st.integers(0, node.shape[0] - 1))
        for one in (node, dead_beside_large(node, data.draw(channels))):
            made = Graph((*graph.nodes[: graph.nodes.index(node)], one), ())
            bound, plain = plainly(made, one)
            assert bounds(made)[one.name] == bound
            assert one.sums(made.sources(one)).plain_bounds() == plain


def two_channels(codes, inputs=600):
    """A convolution of many inputs whose channels have one code each, all over."""
    x = Input(name="x", shape=(inputs, 1, 1), type=QType(8, True, 0))
    codes = np.array(codes, np.int8).reshape(1, -1, 1, 1, 1).repeat(inputs, 2)
    node = conv(
        name="c",
        input="x",
        shape=(codes.shape[1], 1, 1),
        type=QType(40, True, 0),
        codes=codes,
        weight_bits=5,
        rounded=False,
    )
    return Graph((x, node), (Output("c", (codes.shape[1],)),))


@pytest.mark.parametrize("codes", [(0, 15), (15, 0), (0, -15), (-15, 0)])
def test_a_channel_of_zeros_beside_a_large_one_is_computed_exactly(codes):
    graph = two_channels(codes)
    x = np.random.default_rng(0).integers(-128, 128, (4, 600, 1, 1))
    # Odd sums past 2**24, which float32 would round.
    x[:, :, 0, 0] = 127 - 2 * (np.arange(600) % 3 == 0)
    sums = graph["c"].sums(graph.sources(graph["c"]))
    assert sums.plain_bounds()[0] == 600 * (1 << 14) * 128 > 1 << 24
    wanted = x[:, :, 0, 0].sum(1)[:, None] * np.array([integer(code) for code in codes])
    np.testing.assert_array_equal(reference(graph, x)["c"][:, :, 0, 0], wanted)


@pytest.mark.parametrize("codes", [(0, 15), (15, 0), (0, -15), (-15, 0)])
def test_a_channel_of_zeros_hides_no_overflow_of_another(codes):
    graph = two_channels(codes)
    needed = bounds(graph)["c"].accumulator_bits
    assert needed == (600 * (1 << 14) * 127).bit_length() + 1
    check_bounds(graph, needed, 48)
    with pytest.raises(CompileError, match=rf"^conv 'c' needs {needed} bits for its sums "):
        check_bounds(graph, needed - 1, 48)


def test_bits_of_a_bound_are_the_fewest_that_hold_it():
    edges = (sign * 2**n + d for sign in (1, -1) for n in (15, 23, 31, 47) for d in (-1, 0, 1))
    for value in (*range(-260, 261), *edges):
        check_bits(value)


def check_bits(value):
    for bound in (Bounds("c", (value, 0), (0, 0), 0), Bounds("c", (0, value), (0, 0), 0)):
        bits = bound.accumulator_bits
        assert -(1 << (bits - 1)) <= value < 1 << (bits - 1)
        fewer = bits - 1
        assert fewer == 0 or not -(1 << fewer) // 2 <= value < (1 << fewer) // 2


@pytest.mark.parametrize(
    ("shift", "result", "bits"),
    [(0, (-3, 2), 3), (2, (-3, 2), 3), (3, (-3, 2), 4), (9, (0, 0), 10)],
)
def test_a_result_needs_places_for_its_shift_and_for_its_value(shift, result, bits):
    assert Bounds("c", (0, 0), result, shift).result_bits == bits


def test_the_pass_refuses_what_the_proof_refuses():
    graph = run_passes(small_graphs.network())
    proved = bounds(graph).values()
    widths = {
        "accumulator_bits": max(bound.accumulator_bits for bound in proved),
        "result_bits": max(bound.result_bits for bound in proved),
    }
    state = SimpleNamespace(graph=graph, config=SimpleNamespace(**widths))
    assert prove_bounds(state) is state
    for field, bits in widths.items():
        narrow = SimpleNamespace(graph=graph, config=SimpleNamespace(**widths | {field: bits - 1}))
        with pytest.raises(CompileError, match=rf" but the accelerator has {bits - 1}; "):
            prove_bounds(narrow)
