import itertools
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.spec.isa.codes import term_shift
from qnn.errors import CompileError, ModelError
from qnn.ir.check import check
from qnn.ir.encode import decode, encode_input
from qnn.ir.graph import Graph, Output
from qnn.ir.ops import Concat, Conv, Input, Interleave, MaxPool, Multiply
from qnn.ir.reference import BATCH, fits_32_bits, reference, stream
from qnn.ir.sums import Sums
from qnn.ir.text import parse
from qnn.quant.qtype import QType
from tests.graphs import Limits, graphs, images
from tests.operators import conv, max_pool


def slow(graph, image):
    """Every tensor of one image by the definition, in loops over Python integers."""
    tensors = {}
    for node in graph.nodes:
        operands = [tensors[name] for name in node.inputs]
        tensors[node.name] = SLOW[type(node)](node, image, *operands)
    return tensors


def slow_conv(node, image, x, skip=None):
    y = np.zeros(node.shape, object)
    inputs = node.codes.shape[2]
    for output, row, column in np.ndindex(node.shape):
        total = 0
        first = output * node.window.groups // node.shape[0] * inputs
        for term, i, dy, dx in np.ndindex(node.codes.shape[0], *node.codes.shape[2:]):
            m = int(node.codes[term, output, i, dy, dx])
            a = at(x[first + i], node, row, column, dy, dx)
            if m and a is not None:
                places = term_shift(node.weight_bits) * (len(node.codes) - 1 - term)
                total += (1 if m > 0 else -1) * (a << (abs(m) - 1 + places))
        added = 0
        if skip is not None:
            added = spread(skip, output, row, column) << int(node.epilogue.skip_left[output])
        y[output, row, column] = finished(node, output, total, added)
    return y


def finished(node, output, total, added=0):
    """What the epilogue makes of a sum, and of a skip operand that is shifted already."""
    epilogue = node.epilogue
    v = (total << int(epilogue.left[output])) + int(epilogue.bias[output]) + added
    if not node.rounded:
        return v
    right = int(epilogue.right[output])
    half = 2 ** (right - 1) if right else 0
    v = min(max((v + half) // 2**right, epilogue.low), epilogue.high)
    return v if epilogue.table is None else entry(epilogue, output, v)


def slow_multiply(node, image, one, other):
    y = np.zeros(node.shape, object)
    for output, row, column in np.ndindex(node.shape):
        product = int(one[output, row, column]) * spread(other, output, row, column)
        y[output, row, column] = finished(node, output, product)
    return y


def spread(operand, *place):
    """The value of a second operand at a place of the result."""
    # One channel, and one pixel, count in all.
    sizes = zip(place, operand.shape, strict=True)
    return int(operand[tuple(at if size > 1 else 0 for at, size in sizes)])


def entry(epilogue, channel, index):
    """What the channel's table makes of the index."""
    table = epilogue.table[channel if len(epilogue.table) > 1 else 0]
    return dict(enumerate(table.tolist(), epilogue.low))[index]


def slow_max_pool(node, image, x):
    y = np.zeros(node.shape, object)
    for channel, row, column in np.ndindex(node.shape):
        taps = itertools.product(range(node.window.kernel[0]), range(node.window.kernel[1]))
        seen = [at(x[channel], node, row, column, dy, dx) for dy, dx in taps]
        y[channel, row, column] = max(
            [value for value in seen if value is not None], default=node.type.low
        )
    return y


def at(plane, node, row, column, dy, dx):
    """The pixel under a tap, or None in the padding."""
    y = row * node.window.stride[0] + dy * node.window.dilation[0] - node.window.padding[0]
    if node.window.stride[1] < 0:
        column = node.shape[2] - 1 - column
    x = column * abs(node.window.stride[1]) + dx * node.window.dilation[1] - node.window.padding[2]
    inside = 0 <= y < plane.shape[0] and 0 <= x < plane.shape[1]
    return int(plane[y, x]) if inside else None


def slow_interleave(node, image, *parts):
    y = np.full(node.shape, None)
    for part, (top, left) in zip(parts, node.offsets, strict=True):
        for channel, row, column in np.ndindex(part.shape):
            place = (channel, top + row * node.step[0], left + column * node.step[1])
            assert y[place] is None
            y[place] = part[channel, row, column]
    return y


SLOW = {
    Input: lambda node, image: image,
    Conv: slow_conv,
    MaxPool: slow_max_pool,
    Multiply: slow_multiply,
    Concat: lambda node, image, *parts: np.concatenate(parts),
    Interleave: slow_interleave,
}


@settings(max_examples=60, deadline=None)
@given(graphs(Limits(size=6, channels=5, nodes=4, table_bits=6)))
def test_equals_loops_over_python_integers(graph):
    x = images(graph, 2)
    tensors = reference(graph, x)
    for number, image in enumerate(x):
        for name, expected in slow(graph, image).items():
            np.testing.assert_array_equal(tensors[name][number], expected.astype(np.int64))


U8 = QType(8, False, 4)


@settings(max_examples=30)
@given(
    graphs(
        Limits(
            size=5,
            channels=4,
            nodes=3,
            weight_bits=5,
            activation_bits=16,
            result_bits=48,
            table_bits=12,
        )
    )
)
def test_wide_sums_equal_loops_over_python_integers(graph):
    x = images(graph, 1)
    tensors = reference(graph, x)
    for name, expected in slow(graph, x[0]).items():
        np.testing.assert_array_equal(tensors[name][0], expected.astype(np.int64))


@pytest.mark.parametrize("products", [2**30, 2**60], ids=["float64", "int64"])
@settings(max_examples=20)
@given(graph=graphs(Limits(size=6, channels=5, nodes=4)))
def test_every_arithmetic_gives_the_same(products, graph):
    x = images(graph, 2)
    expected = reference(graph, x)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sums, "plain_bounds", lambda _: (products, 2**62))
        for name, tensor in reference(graph, x).items():
            np.testing.assert_array_equal(tensor, expected[name])


def conv_graph(codes, source=U8, **fields):
    """One convolution, unrounded unless ``fields`` say so, over an input as large as its kernel."""
    outputs = codes.shape[1]
    x = Input(name="x", shape=codes.shape[2:], type=source)
    last = {"type": QType(48, True, 6), "rounded": False} | fields
    node = conv(
        name="c",
        input="x",
        shape=(outputs, 1, 1),
        codes=codes,
        weight_bits=5,
        **last,
    )
    graph = Graph((x, node), (Output("c", (outputs,)),))
    check(graph)
    return graph


@pytest.mark.parametrize("count", [3, 600, 3000])
@pytest.mark.parametrize("most", [1, 15])
def test_sums_are_exact_below_and_above_what_a_float_holds(count, most):
    rng = np.random.default_rng(count)
    codes = rng.integers(-most, most + 1, (1, 2, count, 1, 1)).astype(np.int8)
    graph = conv_graph(codes, QType(16, False, 0), bias=np.array([1, -(2**40)]))
    x = images(graph, 3)
    expected = x[:, :, 0, 0].astype(object) @ graph["c"].integers[:, :, 0, 0].T.astype(object)
    expected += np.array([1, -(2**40)], object)
    result = reference(graph, x)["c"]
    assert result.dtype == np.int64
    assert (result[:, :, 0, 0] == expected).all()


@pytest.mark.parametrize("count", [256, 257])
def test_float32_is_left_where_it_would_first_be_wrong(count):
    graph = conv_graph(np.ones((1, 1, count, 1, 1), np.int8), QType(16, False, 0))
    x = np.full((1, count, 1, 1), 2**16 - 1)
    expected = count * (2**16 - 1)
    assert (int(np.float32(expected)) == expected) is (count == 256)
    assert reference(graph, x)["c"].item() == expected


def test_float64_is_left_where_it_would_first_be_wrong():
    count = 1_300_000
    codes = np.full((7, 1, count, 1, 1), 15, np.int8)
    codes[:, 0, 0, 0, 0] = [0, 0, 0, 0, 0, 0, 1]
    graph = conv_graph(codes, QType(16, False, 0))
    x = np.full((1, count, 1, 1), 2**16 - 1)
    expected = (2**16 - 1) * ((count - 1) * (2**7 - 1) * 2**14 + 1)
    assert float(expected) != expected
    assert reference(graph, x)["c"].item() == expected


@pytest.mark.parametrize("left", [23, 24])
def test_32_bits_are_left_where_they_would_first_overflow(left):
    graph = conv_graph(np.ones((1, 1, 1, 1, 1), np.int8), left=np.array([left]))
    x = np.full((1, 1, 1, 1), 255)
    assert (255 << left < 2**31) is (left == 23)
    assert reference(graph, x)["c"].item() == 255 << left


def test_32_bits_hold_exactly_the_types_of_so_many():
    for bits in (2, 8, 31, 32, 33, 40):
        assert fits_32_bits(QType(bits, True, 0)) is (bits <= 32)
        assert fits_32_bits(QType(bits, False, 0)) is (bits <= 31)


def test_an_interleaving_may_have_one_operand():
    network = parse("""
x: s8e-4 2x2x2 = input()
a: s8e-4 2x2x2 = maxpool(x) 1x1
all: s8e-4 2x2x2 = interleave(a) step=1x1 at=0x0
return all 2x2x2
""")
    found = reference(network, images(network, 3))
    np.testing.assert_array_equal(found["all"], found["x"])


def test_the_callers_float_settings_change_nothing():
    rng = np.random.default_rng(5)
    codes = rng.integers(-7, 8, (1, 8, 16, 3, 3)).astype(np.int8)
    graph = conv_graph(codes)
    x = images(graph, 20)
    expected = reference(graph, x)["c"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        np.testing.assert_array_equal(reference(graph, x)["c"], expected)


def test_rounding_goes_half_up_and_the_clamp_follows():
    codes = np.ones((1, 1, 1, 1, 1), np.int8)
    graph = conv_graph(
        codes,
        QType(8, True, 0),
        type=QType(8, True, 0),
        rounded=True,
        right=np.array([1]),
        low=-2,
        high=3,
    )
    x = np.array([-8, -4, -3, -2, -1, 0, 1, 2, 3, 5, 6, 8]).reshape(-1, 1, 1, 1)
    assert reference(graph, x)["c"].ravel().tolist() == [-2, -2, -1, -1, 0, 0, 1, 1, 2, 3, 3, 3]


def test_a_table_gives_the_entry_that_the_rounded_and_clamped_sum_says():
    squares = np.array([[9, 4, 1, 0, 1, 4]])
    graph = conv_graph(
        np.ones((1, 2, 1, 1, 1), np.int8),
        QType(8, True, 0),
        type=U8,
        rounded=True,
        right=np.array([1, 0]),
        low=-3,
        high=2,
        table=np.concatenate([squares, 200 + squares]),
    )
    x = np.array([-9, -6, -5, -4, -3, -1, 0, 1, 2, 3, 9]).reshape(-1, 1, 1, 1)
    one, other = reference(graph, x)["c"][:, :, 0, 0].T.tolist()
    assert one == [9, 9, 4, 4, 1, 0, 0, 1, 1, 4, 4]
    assert other == [209, 209, 209, 209, 209, 201, 200, 201, 204, 204, 204]


def test_sums_past_64_bits_are_refused():
    graph = conv_graph(np.ones((1, 1, 1, 1, 1), np.int8), left=np.array([60]))
    text = "conv 'c' needs sums of 69 bits, but the reference has 64; quantize to fewer bits"
    with pytest.raises(CompileError, match=f"^{re.escape(text)}$"):
        reference(graph, np.zeros((1, 1, 1, 1), np.int64))


@settings(max_examples=20)
@given(graphs(Limits(size=4, channels=4)))
def test_outputs_only_are_the_same_outputs(graph):
    x = images(graph, 2)
    every, kept = reference(graph, x), reference(graph, x, outputs_only=True)
    assert kept.keys() == {output.name for output in graph.outputs}
    for name, tensor in kept.items():
        np.testing.assert_array_equal(tensor, every[name])


@settings(max_examples=20)
@given(graphs(Limits(size=4, channels=4)), st.data())
def test_what_is_known_is_taken_as_it_is(graph, data):
    x = images(graph, BATCH + 1)
    every = reference(graph, x)
    names = data.draw(st.sets(st.sampled_from(sorted(every))))
    known = {name: every[name] for name in names}
    again = reference(graph, x, known=known)
    for name, tensor in every.items():
        np.testing.assert_array_equal(again[name], tensor)
    # Another value than it would compute shows that it computes none.
    other = graph.nodes[-1].name
    given = reference(graph, x, known={**known, other: every[other] * 0 + 1})
    assert (given[other] == 1).all()


def test_batches_join_and_report_progress():
    graph = conv_graph(np.ones((1, 1, 2, 1, 1), np.int8))
    x = images(graph, 2 * BATCH + 3)
    seen = []
    result = reference(graph, x, progress=lambda done, count: seen.append((done, count)))["c"]
    np.testing.assert_array_equal(result[:, 0, 0, 0], x.sum((1, 2, 3)))
    assert seen == [(done, len(x)) for done in (BATCH, 2 * BATCH, len(x))]
    starts = [(start, len(tensors["c"])) for start, tensors in stream(graph, x, batch=40)]
    assert starts == [(0, 40), (40, 27)]


def test_the_input_is_left_alone():
    x = np.ones((1, 1, 2, 2), np.int32)
    pool = max_pool(
        name="p", input="x", shape=(1, 2, 2), type=QType(8, True, 0), kernel=(1, 1), stride=(1, 1)
    )
    graph = Graph(
        (Input(name="x", shape=(1, 2, 2), type=pool.type), pool), (Output("p", (1, 2, 2)),)
    )
    result = reference(graph, x)["p"]
    result += 1
    assert (x == 1).all()


X = Input(name="x", shape=(2, 1, 2), type=QType(6, True, 2))
PASSING = Graph((X,), (Output("x", (4,)),))


def refused(function, x):
    with pytest.raises(ModelError) as refusal:
        function(PASSING, x)
    return str(refusal.value)


@pytest.mark.parametrize("function", [reference, encode_input])
@pytest.mark.parametrize("shape", [(2, 1, 2), (1, 2, 2, 1), (0, 2, 1, 2)])
def test_another_shape_is_refused(function, shape):
    assert refused(function, np.zeros(shape, np.int64)) == (
        f"input 'x' needs images of shape (N, 2, 1, 2) with N at least 1, but got {shape}; reshape "
        f"them, channels first"
    )


def test_reals_are_no_integers():
    assert refused(reference, np.zeros((1, 2, 1, 2))) == (
        "input 'x' needs integers of type s6e-2, but got float64; convert images with encode_input"
    )


def test_integers_outside_the_type_are_refused():
    assert refused(reference, np.array([-33, 0, 1, 32]).reshape(1, 2, 1, 2)) == (
        "input 'x' needs integers from -32 to 31, but got -33 to 32; convert images with "
        "encode_input"
    )


def test_pixels_without_a_table_are_refused():
    assert refused(encode_input, np.zeros((1, 2, 1, 2), np.uint8)) == (
        "input 'x' takes real numbers, but got 8-bit pixels; quantize with mean= and std= so that "
        "the network knows its pixels, or pass floats"
    )


def test_other_integers_are_no_images():
    assert refused(encode_input, np.zeros((1, 2, 1, 2), np.int64)) == (
        "input 'x' takes floats, which are reals, or uint8, which are pixels, but got int64; "
        "convert them, or give qnn.Codes(x) if they are codes of its type"
    )


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_reals_that_are_not_finite_are_refused(value):
    assert refused(encode_input, np.full((1, 2, 1, 2), value)) == (
        "input 'x' takes finite numbers, but got NaN or infinity; clean the images"
    )


def test_reals_are_rounded_half_up_and_clamped():
    reals = np.array([0.125, -0.125, 7.7, -99], np.float32).reshape(1, 2, 1, 2)
    assert encode_input(PASSING, reals).ravel().tolist() == [1, 0, 31, -32]


def test_pixels_go_through_the_table_of_their_channel():
    table = np.stack([np.arange(256) // 16, -(np.arange(256) // 16)])
    graph = replace(PASSING, nodes=(replace(X, table=table),))
    pixels = np.array([0, 255, 16, 255], np.uint8).reshape(1, 2, 1, 2)
    assert encode_input(graph, pixels).ravel().tolist() == [0, 15, -1, -15]


def test_outputs_decode_to_reals_in_the_users_shape():
    integers = np.array([[1, -2], [31, 0]]).reshape(1, 2, 1, 2)
    (reals,) = decode(PASSING, reference(PASSING, integers))
    assert reals.dtype == np.float64
    assert reals.tolist() == [[0.25, -0.5, 7.75, 0.0]]
