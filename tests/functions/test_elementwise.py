"""A function of one variable is a list of PyTorch's calls, in a file too, and nothing else."""

import json
from dataclasses import asdict

import pytest
import torch

from qnn.fields import FieldsError, parsed, typed
from qnn.functions.elementwise import IDENTITY, Elementwise, TorchCall, Value, applied_to
from tests.functions.texts import function

TEXTS = ("x", "silu(x)", "mul(x,sigmoid(x))", "gelu(x,tanh)", "where(gt(x,0),x,mul(x,0.1))")


@pytest.mark.parametrize("text", TEXTS)
def test_a_function_comes_back_from_its_file(text):
    one = function(text)
    assert str(one) == text
    assert typed(Elementwise, parsed(json.dumps(asdict(one)))) == one


def test_a_function_of_a_function_computes_what_is_equal_once():
    silu = function("mul(x,sigmoid(x))")
    twice = silu.of(silu)
    x = torch.randn(2, 3, 4, 5)
    torch.testing.assert_close(twice(x), silu(silu(x)))
    assert len(twice.calls) == 4
    assert silu.of(IDENTITY) == IDENTITY.of(silu) == silu
    assert len(applied_to("add.Tensor", [silu, silu, 1]).calls) == 3


def test_constants_of_each_channel_are_along_the_channels():
    one = applied_to("mul.Tensor", [IDENTITY, (1.0, 2.0, 3.0)])
    x = torch.randn(2, 3, 4, 5)
    torch.testing.assert_close(one(x), x * torch.tensor([1.0, 2.0, 3.0])[:, None, None])
    assert one.channels == 3


def test_a_function_that_ends_in_a_reciprocal_inverts():
    texts = ("reciprocal(add(x,1))", "rsqrt(x)", "pow(x,-0.5)")
    assert all(function(text).inverts for text in texts)
    texts = ("x", "sqrt(x)", "pow(x,2)", "add(reciprocal(x),1)")
    assert not any(function(text).inverts for text in texts)


WRONG = {
    "load.default": [],
    "set_.default": [{"value": 0}],
    "add.out": [{"value": 0}, 1.0, 1],
    "sigmoid.default": [],
    "sigmoid.wrong": [{"value": 0}],
    "gelu.default": [{"value": 0}, "exec"],
    "tanh.default": [{"value": 1}],
    "abs.default": [None],
    "exp.default": ["x"],
    "pow.Tensor_Scalar": [{"value": 0}, {"value": 0}],
}


@pytest.mark.parametrize("call", WRONG)
def test_a_file_can_name_no_other_calls_and_no_other_arguments(call):
    with pytest.raises(FieldsError):
        typed(Elementwise, {"calls": [{"call": call, "arguments": WRONG[call]}]})


def test_what_a_function_cannot_be_is_said():
    texts = []
    for calls in (
        (TorchCall("tanh.default", (Value(1),)),),
        (
            TorchCall("mul.Tensor", (Value(0), (1.0, 2.0))),
            TorchCall("mul.Tensor", (Value(1), (1.0,))),
        ),
        (TorchCall("tanh.default", (Value(0),)),) * 257,
    ):
        with pytest.raises(ValueError, match="function") as caught:
            Elementwise(calls)
        texts.append(str(caught.value))
    assert texts == [
        "call 0 of a function reads a value that comes later",
        "a function has constants of one number of channels, not {1, 2}",
        "a function has at most 256 calls, not 257",
    ]
    with pytest.raises(ValueError, match="finite") as caught:
        TorchCall("add.Tensor", (Value(0), float("inf"), 1))
    assert str(caught.value) == "'add.Tensor' needs finite numbers, not inf"
