from dataclasses import replace

import numpy as np
import pytest

from qnn.errors import CompileError
from qnn.ir import exact_arrays
from qnn.ir.bounds import bounds, check_bounds
from qnn.ir.check import check
from qnn.ir.graph import Graph, Output
from qnn.ir.ops import Input
from qnn.ir.ops.operator import shared_operands
from qnn.ir.reference import reference
from qnn.ir.text import parse, text
from qnn.quant.qtype import QType
from tests.graphs import check_same
from tests.operators import changed, conv, multiply

U3, S3 = QType(3, False, 1), QType(3, True, 0)
A, B = (Input(name=name, shape=(2, 4, 2), type=U3) for name in "ab")
GATE = Input(name="g", shape=(2, 1, 1), type=S3)
CLAMP = {"low": -128, "high": 127}


def product(inputs=("a", "b"), **fields):
    fields = {"type": QType(8, True, 0), **CLAMP} | fields
    return multiply(name="p", inputs=inputs, shape=(2, 4, 2), **fields)


def graph(node, *inputs):
    return Graph((*inputs, node), (Output(node.name, node.shape),))


def every_pair(one, other):
    """All pairs of stored values of two types, as images of shape (2, 4, 2)."""
    pairs = np.array([(a, b) for a in range(one.low, one.high + 1) for b in range(other.low,
        other.high + 1)]).T  # fmt: skip
    return [pair.reshape(-1, 2, 4, 2) for pair in pairs]


@pytest.mark.parametrize("one", [U3, S3], ids=str)
@pytest.mark.parametrize("other", [U3, S3], ids=str)
@pytest.mark.parametrize("right", [0, 2])
def test_products_of_every_pair_are_rounded_half_up_and_clamped(one, other, right):
    node = product(right=np.full(2, right), left=np.array([0, 1]), bias=np.array([0, -3]), high=30)
    network = graph(node, replace(A, type=one), replace(B, type=other))
    check(network)
    a, b = every_pair(one, other)
    scaled = (a * b << np.array([0, 1])[:, None, None]) + np.array([0, -3])[:, None, None]
    wanted = np.floor(scaled / 2**right + 0.5).astype(int).clip(-128, 30)
    np.testing.assert_array_equal(reference(network, (a, b))["p"], wanted)


def test_a_gate_multiplies_all_pixels_of_its_channel():
    network = graph(product(("a", "g")), A, GATE)
    a = np.arange(16).reshape(1, 2, 4, 2) % 8
    gate = np.array([3, -4]).reshape(1, 2, 1, 1)
    np.testing.assert_array_equal(reference(network, (a, gate))["p"], a * gate)


@pytest.mark.parametrize("shape", [(1, 4, 2), (1, 1, 1)], ids=str)
def test_one_channel_multiplies_all(shape):
    mask = replace(GATE, shape=shape, axes=None)
    network = graph(product(("a", "g")), A, mask)
    check(network)
    a = np.arange(16).reshape(1, 2, 4, 2) % 8
    values = (np.arange(np.prod(shape)) % 8 - 4).reshape(1, *shape)
    np.testing.assert_array_equal(reference(network, (a, values))["p"], a * values)
    check_same(parse(text(network, full=True)), network)


@pytest.mark.parametrize("shape", [(1, 4, 2), (1, 1, 1)], ids=str)
@pytest.mark.parametrize("groups", [1, 2])
def test_a_convolution_adds_one_channel_to_all(shape, groups):
    fields = {"skip": "g", "skip_left": np.array([0, 2]), "type": QType(8, True, 0), **CLAMP}
    codes = np.ones((1, 2, 2 // groups, 1, 1), np.int8)
    fields |= {"codes": codes, "weight_bits": 2, "groups": groups}
    node = conv(name="c", input="a", shape=(2, 4, 2), **fields)
    network = graph(node, A, replace(GATE, shape=shape, axes=None))
    check(network)
    a = np.arange(16).reshape(1, 2, 4, 2) % 8
    values = (np.arange(np.prod(shape)) % 8 - 4).reshape(1, *shape)
    summed = a.sum(1, keepdims=True) if groups == 1 else a
    wanted = summed + values * np.array([1, 4]).reshape(1, 2, 1, 1)
    np.testing.assert_array_equal(reference(network, (a, values))["c"], wanted)
    assert shared_operands(node, network.sources(node)) == ("g",)
    # The lanes that a sum lies in are not those of the one channel.
    assert node.channels_of(network.sources(node)) == (("a",) if groups == 2 else ())
    assert node.aligned(network.sources(node)) == (("a",) if groups == 2 else ())


def test_a_convolution_adds_one_value_for_each_channel():
    codes = np.ones((1, 2, 2, 1, 1), np.int8)
    zeros = np.zeros(2, np.int64)
    fields = {"skip": "g", "skip_left": zeros + 1, "type": QType(8, True, 0), **CLAMP}
    node = conv(name="c", input="a", shape=(2, 4, 2), codes=codes, weight_bits=2, **fields)
    network = graph(node, A, GATE)
    check(network)
    a = np.arange(16).reshape(1, 2, 4, 2) % 8
    gate = np.array([3, -4]).reshape(1, 2, 1, 1)
    wanted = a.sum(1, keepdims=True) + 2 * gate
    np.testing.assert_array_equal(reference(network, (a, gate))["c"], wanted)
    check_same(parse(text(network, full=True)), network)


def test_a_square_names_its_operand_twice():
    network = graph(product(("a", "a")), A)
    assert network["p"].summary == "square"
    a = np.arange(16).reshape(1, 2, 4, 2) % 8
    np.testing.assert_array_equal(reference(network, a)["p"], a * a)


def test_a_product_of_16_bits_needs_more_than_32_and_is_exact_in_both_arithmetics(monkeypatch):
    wide = QType(16, False, 0)
    node = product(type=QType(48, True, 0), rounded=False, low=0, high=0)
    network = graph(node, replace(A, type=wide), replace(B, type=wide))
    check(network)
    a = np.full((1, 2, 4, 2), 65535)
    assert (reference(network, (a, a))["p"] == 65535**2).all()
    for module in ("qnn.ir.ops.multiply", "qnn.ir.ops.input", "qnn.ir.reference"):
        monkeypatch.setattr(f"{module}.arithmetic", lambda: exact_arrays, raising=False)
    assert (reference(network, (a, a))["p"] == 65535**2).all()


@pytest.mark.parametrize("one", [U3, S3], ids=str)
@pytest.mark.parametrize("other", [U3, S3], ids=str)
def test_bounds_are_the_extremes_of_all_pairs(one, other):
    numbers = {"left": np.array([1, 0]), "bias": np.array([5, -9]), "right": np.array([2, 3])}
    for type in (QType(6, True, 0), QType(6, False, 0)):
        node = product(**numbers, type=type, low=0, high=31)
        network = graph(node, replace(A, type=one), replace(B, type=other))
        a, b = every_pair(one, other)
        products = a * b
        stored = np.array([a.min() - one.offset, a.max() - one.offset])
        scaled = products << numbers["left"][:, None, None]
        sums = node.sums(network.sources(node))
        steps = [scaled, scaled + np.array(sums.stored_bias())[:, None, None]]
        bound = bounds(network)["p"]
        assert bound.accumulator == (
            min(stored.min(), products.min()),
            max(stored.max(), products.max()),
        )
        # Each channel meets every product, which the images do not: 2 of them have half each.
        assert bound.result[0] <= min(step.min() for step in steps)
        assert max(step.max() for step in steps) <= bound.result[1]
        most = abs(products).max()
        assert sums.plain_bounds() == (most, max((most << 1) + 5 + 2, most + 9 + 4))
        v = steps[1] >> numbers["right"][:, None, None]
        v = v.clip(-type.offset, 31 - type.offset) + type.offset
        np.testing.assert_array_equal(v, reference(network, (a, b))["p"])


def test_an_overflow_of_a_product_is_refused_by_its_kind():
    network = graph(product(), A, B)
    needed = bounds(network)["p"].accumulator_bits
    assert needed == (49).bit_length() + 1
    check_bounds(network, needed, 48)
    with pytest.raises(CompileError) as refusal:
        check_bounds(network, needed - 1, 48)
    assert str(refusal.value) == (
        "multiply 'p' needs 7 bits for its sums to be safe from overflow, but the accelerator has "
        "6; take a configuration with accumulator_bits=7, or fewer terms, weight bits or "
        "activation bits"
    )


def test_sums_beyond_64_bits_are_refused():
    network = graph(product(left=np.array([0, 60])), A, B)
    with pytest.raises(CompileError) as refusal:
        reference(network, (np.zeros((1, 2, 4, 2), int),) * 2)
    assert str(refusal.value) == (
        "multiply 'p' needs sums of 67 bits, but the reference has 64; quantize to fewer bits"
    )


ONE = Input(name="o", shape=(1, 4, 2), type=U3)
ROWS = Input(name="r", shape=(2, 4, 1), type=U3)
REFUSALS = [
    (
        product(("a",)),
        "multiply 'p' needs two operands, but got 1 inputs; multiply two at a time",
    ),
    (
        product(("o", "a")),
        "multiply 'p' needs an operand of shape (2, 4, 2), but got (1, 4, 2) of 'o'; make the "
        "shapes equal",
    ),
    (
        product(("a", "r")),
        "multiply 'p' needs a second operand of 2 channels or 1, and of 4x2 pixels or 1x1, but got "
        "(2, 4, 1) of 'r'; make the shapes equal",
    ),
    (
        product(skip_left=np.zeros(2, np.int64)),
        "multiply 'p' needs an epilogue without a skip, but got skip_left; add in a convolution "
        "behind",
    ),
    (
        product(right=np.array([0, 64])),
        "multiply 'p' needs right shifts from 0 to 63, but got 0 to 64; quantize it with other "
        "exponents",
    ),
    (
        product(high=128),
        "multiply 'p' needs a clamp within -128 to 127, but got -128 to 128; clamp it to its type",
    ),
    (
        changed(product(), type=QType(20, True, 0)),
        "multiply 'p' needs a type of 2 to 16 bits, but got s20e+0; round it to fewer bits",
    ),
]


@pytest.mark.parametrize(("node", "expected"), REFUSALS, ids=range(len(REFUSALS)))
def test_a_product_that_breaks_a_rule_is_refused(node, expected):
    with pytest.raises(CompileError) as refusal:
        check(graph(node, A, B, ONE, ROWS))
    assert str(refusal.value) == expected
