"""Data of 0..1 where 0..255 is taken, and the reverse, are told in one line; others are not."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnn.errors import QnnWarning
from qnn.ir.encode import encode_input
from qnn.ir.graph import Graph, Output
from qnn.ir.ops import Input
from qnn.quant.qtype import QType
from qnn.runtime.values import encode
from tests.compiler import small_graphs

ADVICE = "scale them as for calibration (0..1 and 0..255 are easily mixed up)"
UNIT = np.random.default_rng(0).uniform(0, 1, (4, 3, 6, 5))


def network(exponent, bits=8):
    x = Input(name="x", shape=(3, 6, 5), type=QType(bits, True, exponent))
    return Graph((x,), (Output("x", (3, 6, 5)),))


def warned(graph, x):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        encode_input(graph, x)
    return [str(each.message) for each in found if each.category is QnnWarning]


def test_numbers_to_1_for_an_input_to_255_are_told():
    assert warned(network(-1), UNIT) == [
        f"input 'x' takes numbers up to 254, but of those given none is above {UNIT.max():g}; "
        f"{ADVICE}"
    ]
    assert warned(network(7, bits=16), UNIT) != []
    assert warned(network(-1), 255 * UNIT) == []


def test_numbers_to_255_for_an_input_to_1_are_told():
    beyond = 255 * UNIT
    (text,) = warned(network(7), beyond)
    share = 100 * (beyond * 128 > 127.5).mean()
    assert text == (
        f"input 'x' takes numbers from -1 to 0.992188, but {share:.0f} % of those given lie beyond "
        f"and are clipped; {ADVICE}"
    )
    # Most of an image may be black.
    dark = np.where(UNIT < 0.9, 0.0, beyond)
    assert len(warned(network(7), dark)) == 1
    assert warned(network(7), UNIT) == []


def test_numbers_below_0_are_told_by_how_far_they_reach():
    x = Input(name="x", shape=(3, 6, 5), type=QType(8, True, 0, 127))
    graph = Graph((x,), (Output("x", (3, 6, 5)),))
    assert warned(graph, -254 * UNIT) == []
    assert warned(graph, -UNIT) == [
        f"input 'x' takes numbers up to 254, but of those given none is above {UNIT.max():g}; "
        f"{ADVICE}"
    ]


def test_pixels_of_0_and_1_are_told():
    table = np.arange(256).repeat(3).reshape(256, 3).T - 128
    x = Input(name="x", shape=(3, 6, 5), type=QType(8, True, 0), table=table.astype(np.int32))
    graph = Graph((x,), (Output("x", (3, 6, 5)),))
    pixels = (UNIT > 0.5).astype(np.uint8)
    assert warned(graph, pixels) == [
        f"input 'x' takes pixels up to 255, but of those given none is above 1; {ADVICE}"
    ]
    assert warned(graph, 2 * pixels) == []
    assert warned(graph, 0 * pixels) == []


@given(st.floats(1 / 8, 1.2), st.integers(-3, 9), st.sampled_from([4, 8, 16]))
def test_what_reaches_about_the_range_is_not_told(share, exponent, bits):
    # As other images than those of calibration do.
    graph = network(exponent, bits)
    high = graph.inputs[0].type.high * 2.0**-exponent
    assert warned(graph, share * high * (2 * UNIT - 1)) == []
    assert warned(graph, 0 * UNIT) == []


def test_a_driver_warns_as_well():
    from qnn.design import compile

    image = compile(small_graphs.one_conv(), "test").artifact
    (layout,) = image.network_inputs
    x = np.moveaxis(UNIT, 1, 3) * 1e4 * 2.0**-layout.exponent
    with pytest.warns(QnnWarning, match=r"of those given lie beyond and are clipped; scale them"):
        encode(image, x)
