from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from hw.spec.isa.codes import term_shift
from qnn.errors import CompileError
from qnn.ir.bounds import bounds, check_bounds
from qnn.ir.graph import Graph, Output
from qnn.ir.ops import Conv, Input
from qnn.ir.reference import reference
from qnn.quant.qtype import QType
from tests import operators
from tests.graphs import Limits, graphs, images
from tests.operators import changed

SMALL = Limits(size=6, channels=5, nodes=4, products=True, table_bits=6)


def products(graph, conv, stored):
    """What one pixel of the array sums: (terms, images, outputs, products of a term, pixels)."""
    window = conv.window
    top, bottom, left, right = window.padding
    pads = ((0, 0), (0, 0), (top, bottom), (left, right))
    x = np.pad(stored, pads, constant_values=-graph[conv.inputs[0]].type.offset)
    wide = conv.codes.astype(np.int64)
    weights = np.sign(wide) * 2 ** np.maximum(np.abs(wide) - 1, 0) * (wide != 0)
    terms, _, inputs, height, width = weights.shape
    summands = []
    for term, i, dy, dx in np.ndindex(terms, inputs, height, width):
        rows = slice(dy * window.dilation[0], None, window.stride[0])
        columns = slice(dx * window.dilation[1], None, abs(window.stride[1]))
        taps = x[:, :, rows, columns][:, :, : conv.shape[1], : conv.shape[2]]
        taps = taps[..., ::-1] if window.stride[1] < 0 else taps
        first = np.arange(conv.shape[0]) * window.groups // conv.shape[0] * inputs
        plane = taps[:, first + i]
        summands.append(plane * weights[term, :, i, dy, dx][:, None, None])
    whole = np.stack([np.broadcast_to(s, (len(x), *conv.shape)) for s in summands], 2)
    return np.stack(np.split(whole, terms, 2))


@settings(max_examples=40)
@given(graphs(SMALL))
def test_stored_integers_stay_in_bounds_term_by_term_and_give_the_reference(graph):
    tensors = reference(graph, images(graph, 2))
    stored = {name: x.astype(np.int64) - graph[name].type.offset for name, x in tensors.items()}
    proved = bounds(graph)
    order = np.random.default_rng(0)
    for conv in (node for node in graph.nodes if isinstance(node, Conv)):
        bound, acc = proved[conv.name], 0
        for summands in products(graph, conv, stored[conv.inputs[0]]):
            moved = np.expand_dims(acc << term_shift(conv.weight_bits), 2) if np.ndim(acc) else 0
            partial = moved + order.permuted(summands, axis=2).cumsum(2)
            assert bound.accumulator[0] <= partial.min() <= partial.max() <= bound.accumulator[1]
            acc = partial[:, :, -1]
        v = acc << conv.epilogue.left[:, None, None]
        v += np.array(conv.sums(graph.sources(conv)).stored_bias())[:, None, None]
        if conv.skip is not None:
            v += stored[conv.skip] << conv.epilogue.skip_left[:, None, None]
        assert bound.result[0] <= v.min() <= v.max() <= bound.result[1]
        if conv.rounded:
            table, offset = conv.epilogue.table, conv.type.offset * (conv.epilogue.table is None)
            v = (v >> conv.epilogue.right[:, None, None]).clip(
                conv.epilogue.low - offset, conv.epilogue.high - offset
            )
            if table is not None:
                held = np.broadcast_to(table - conv.type.offset, (conv.shape[0], table.shape[1]))
                v = held[np.arange(conv.shape[0])[:, None, None], v - conv.epilogue.low]
        np.testing.assert_array_equal(v, stored[conv.name])


def one_conv(type, codes, left=0, bias=0):
    outputs = codes.shape[1]
    zeros = np.zeros(outputs, np.int64)
    x = Input(name="x", shape=(codes.shape[2], *codes.shape[3:]), type=type)
    node = operators.conv(
        name="c",
        input="x",
        shape=(outputs, 1, 1),
        type=QType(32, True, 0),
        codes=codes,
        weight_bits=4,
        left=zeros + left,
        bias=zeros + bias,
        rounded=False,
    )
    return Graph((x, node), (Output("c", (outputs,)),))


@pytest.mark.parametrize("signed", [True, False])
def test_bounds_are_reached_by_the_worst_image(signed):
    codes = np.random.default_rng(1).integers(-7, 8, (1, 1, 3, 2, 2)).astype(np.int8)
    type = QType(8, signed, 0)
    graph = one_conv(type, codes, left=2, bias=-77)
    worst = np.where(codes[0] > 0, [[[type.high]]], type.low)
    best = reference(graph, worst)["c"].item()
    least = reference(graph, np.where(codes[0] > 0, type.low, type.high))["c"].item()
    bound = bounds(graph)["c"]
    offset = type.offset * int(graph["c"].integers.sum())
    assert bound.accumulator == ((least + 77) // 4 - offset, (best + 77) // 4 - offset)
    assert bound.result[1] >= best
    assert bound.result[0] <= least


@pytest.mark.parametrize(
    ("codes", "left", "bias", "bits"),
    [
        ([1], 0, 0, 8),  # -128 to 127
        ([-1], 0, 0, 9),  # -127 to 128
        ([1, 1], 0, 0, 9),
        ([1], 3, 0, 11),
        ([1], 0, 1, 9),  # 128 does not fit 8 bits
        ([1], 0, -1, 9),
        ([0], 0, 2**30, 32),
        ([1, -1], 0, 0, 9),
        ([-1], 1, -2, 10),  # -254 to 256 before the bias
    ],
)
def test_bits_are_what_the_extremes_take(codes, left, bias, bits):
    row = np.array(codes, np.int8).reshape(1, 1, -1, 1, 1)
    assert bounds(one_conv(QType(8, True, 0), row, left, bias))["c"].result_bits == bits


def test_terms_that_cancel_still_count():
    cancelling = np.array([5, -7], np.int8).reshape(2, 1, 1, 1, 1)
    graph = one_conv(QType(8, True, 0), cancelling)
    bound = bounds(graph)["c"]
    # 16 << 2 and then 64: the sum passes through what the first term alone reaches.
    assert bound.accumulator == (-128 * 64 - 127 * 64, 127 * 64 + 128 * 64)
    assert bound.result == (0, 0)
    assert graph["c"].sums(graph.sources(graph["c"])).plain_bounds() == (0, 0)


def test_a_weight_that_fits_as_a_whole_but_not_on_its_way_is_refused():
    # 3 = 4 - 1: 300 of them sum to at most 300 * 3 * 128, but pass through 300 * 5 * 128.
    codes = np.array([1, -1], np.int8).reshape(2, 1, 1, 1, 1).repeat(300, 2)
    graph = one_conv(QType(8, True, 0), codes)
    assert graph["c"].integers.tolist() == np.full((1, 300, 1, 1), 3).tolist()
    whole = (300 * 3 * 128).bit_length() + 1
    assert whole == 18
    with pytest.raises(CompileError) as refusal:
        check_bounds(graph, whole, 32)
    assert str(refusal.value) == (
        "conv 'c' needs 19 bits for its sums to be safe from overflow, but the accelerator has 18; "
        "take a configuration with accumulator_bits=19, or fewer terms, weight bits or activation "
        "bits"
    )
    check_bounds(graph, whole + 1, 32)


def test_an_overflow_is_refused_and_the_exact_width_is_not():
    graph = one_conv(QType(8, True, 0), np.ones((1, 1, 1, 1, 1), np.int8), left=20)
    check_bounds(graph, 8, 28)
    text = (
        "conv 'c' needs {} bits for its sums to be safe from overflow, but the accelerator has {}; "
        "take a configuration with {}={}, or fewer terms, weight bits or activation bits"
    )
    for accumulator, result, refused in (
        (7, 28, text.format(8, 7, "accumulator_bits", 8)),
        (8, 27, text.format(28, 27, "result_bits", 28)),
    ):
        with pytest.raises(CompileError) as refusal:
            check_bounds(graph, accumulator, result)
        assert str(refusal.value) == refused


def test_an_unrounded_result_that_its_type_does_not_hold_is_refused():
    graph = one_conv(QType(8, True, 0), np.ones((1, 1, 1, 1, 1), np.int8), left=23)
    check_bounds(graph, 24, 48)
    wide = one_conv(QType(8, True, 0), np.ones((1, 1, 1, 1, 1), np.int8), left=24)
    with pytest.raises(CompileError) as refusal:
        check_bounds(wide, 24, 48)
    assert str(refusal.value) == (
        "conv 'c' needs 33 bits for its unrounded result, but its type s32e+0 has 32; give it "
        "a wider one, or shift it less"
    )
    whole = replace(wide["c"], type=QType(40, True, 0))
    check_bounds(replace(wide, nodes=(*wide.inputs, whole)), 24, 48)


def test_shifts_past_64_bits_are_still_counted():
    conv = one_conv(QType(8, True, 0), np.ones((1, 1, 1, 1, 1), np.int8))["c"]
    shifted = changed(conv, left=conv.epilogue.left + 63)
    graph = Graph((Input(name="x", shape=(1, 1, 1), type=QType(8, True, 0)), shifted), ())
    assert bounds(graph)["c"].result_bits == 71
