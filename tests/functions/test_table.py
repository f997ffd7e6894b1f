"""Tables: entries by the definition, slopes by finite differences, and what samples tell."""

import math

import pytest
import torch

from qnn.functions.elementwise import IDENTITY, applied_to
from qnn.functions.table import entries, is_never_negative, is_rising, slopes
from qnn.quant.qtype import QType
from tests.functions.texts import function

INDEX, RESULT = QType(8, True, 5), QType(8, True, 6)


def test_an_entry_is_the_function_of_its_index_rounded_half_up_and_clamped():
    table = entries(function("sinh(x)"), INDEX, RESULT)
    assert table.shape == (1, 256)
    for place, got in enumerate(table[0].tolist()):
        wanted = math.floor(math.sinh((place - 128) / 32) * 64 + 0.5)
        assert got == max(-128, min(127, wanted))


def test_where_a_function_has_no_value_the_nearest_one_stands():
    root = entries(function("sqrt(x)"), INDEX, RESULT)[0]
    assert (root[:128] == 0).all()
    both = entries(function("sqrt(sub(abs(x),1))"), INDEX, QType(8, False, 4))[0]
    assert both[128 - 32 : 128 + 33].eq(0).all()
    assert not entries(function("sqrt(sub(-1,abs(x)))"), INDEX, RESULT).any()
    # What grows without a bound is the greatest of the type.
    assert int(entries(function("reciprocal(x)"), INDEX, RESULT)[0, 128]) == 127


def test_constants_of_each_channel_give_a_table_of_each():
    one = applied_to("mul.Tensor", [IDENTITY, (1.0, -1.0)])
    table = entries(one, INDEX, QType(9, True, 5))
    assert table.tolist() == [list(range(-128, 128)), list(range(128, -128, -1))]
    assert slopes(one, INDEX, QType(9, True, 5)).tolist() == [[1.0] * 256, [-1.0] * 256]


@pytest.mark.parametrize("text", ["tanh(x)", "mul(x,sigmoid(x))", "gelu(x,tanh)", "softplus(x)"])
def test_a_slope_is_the_derivative_where_the_entry_is_not_clamped(text):
    one, step = function(text), 1e-6
    x = (torch.arange(-128, 128, dtype=torch.float64) / 32)[None, None, None]
    difference = ((one(x + step) - one(x - step)) / (2 * step))[0, 0, 0]
    got = slopes(one, INDEX, RESULT)[0].double()
    inside = (one(x)[0, 0, 0] <= 127 / 64) & (one(x)[0, 0, 0] >= -2)
    torch.testing.assert_close(got[inside], difference[inside] * 2, atol=1e-6, rtol=1e-5)
    assert not got[~inside].any()


def test_samples_tell_signs_and_order():
    for text in ("sigmoid(x)", "exp(x)", "abs(x)", "mul(x,x)", "relu(x)"):
        assert is_never_negative(function(text), of_negative=True)
    for text in ("silu(x)", "tanh(x)", "sin(x)"):
        assert not is_never_negative(function(text), of_negative=True)
    assert is_never_negative(function("tanh(x)"), of_negative=False)
    assert [is_rising(function(t)) for t in ("tanh(x)", "silu(x)", "neg(x)", "floor(x)")] == [
        True,
        False,
        False,
        True,
    ]
