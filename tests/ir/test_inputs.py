"""Several inputs, and inputs and outputs of every kind of axes."""

from dataclasses import replace

import numpy as np
import pytest

from qnn.errors import CompileError, ModelError
from qnn.ir.check import check
from qnn.ir.encode import as_results, decode, encode_input
from qnn.ir.graph import Graph, Output
from qnn.ir.ops import Input
from qnn.ir.reference import reference, stream
from qnn.ir.serialize import from_bytes, to_bytes
from qnn.ir.text import parse
from qnn.quant.qtype import QType
from tests.graphs import check_same

# An image and a vector: the vector is added to every channel's sum.
TWO = parse("""
image: u8e+0 1x2x2 = input() table=[256*3]
gain: s8e-1 2x1x1 = input()
sums: s8e-1 2x1x1 = conv(image) 2x2 w3 bias=0 + gain<<[0,1] >>0 clamp -128..127 codes=1
return sums 2, gain 2
""")
IMAGES = np.arange(12).reshape(3, 1, 2, 2)
GAINS = np.array([[1, 2], [3, 4], [-5, -6]])
SUMS = np.array([[7, 10], [25, 30], [33, 26]])


def test_each_input_has_its_own_array():
    tensors = reference(TWO, (IMAGES, GAINS[:, :, None, None]))
    assert list(tensors) == ["image", "gain", "sums"]
    np.testing.assert_array_equal(tensors["sums"][:, :, 0, 0], SUMS)
    vectors = reference(TWO, (IMAGES, GAINS), outputs_only=True)
    assert vectors.keys() == {"sums", "gain"}
    np.testing.assert_array_equal(vectors["sums"][:, :, 0, 0], SUMS)


def test_batches_and_progress_count_images_not_inputs():
    starts = [(start, len(t["sums"])) for start, t in stream(TWO, (IMAGES, GAINS), batch=2)]
    assert starts == [(0, 2), (2, 1)]
    seen = []
    reference(TWO, (IMAGES, GAINS), progress=lambda *counts: seen.append(counts))
    assert seen == [(3, 3)]


def test_each_input_is_encoded_by_its_own_table_or_type():
    pixels, reals = np.zeros((1, 1, 2, 2), np.uint8), np.array([[0.25, -70.0]], np.float32)
    encoded = encode_input(TWO, (pixels, reals))
    assert [part.ravel().tolist() for part in encoded] == [[3] * 4, [1, -128]]
    sums, gains = decode(TWO, reference(TWO, encoded))
    assert sums.tolist() == [[6.5, -64.0]]
    assert gains.tolist() == [[0.5, -64.0]]


def test_one_input_is_an_array_or_a_tuple_of_one():
    graph = parse("x: s8e-1 2x1x1 = input()\nreturn x 2")
    reals = np.array([[0.5, 1.0]], np.float32)
    (one,) = encode_input(graph, (reals,))
    np.testing.assert_array_equal(one, encode_input(graph, reals))
    np.testing.assert_array_equal(reference(graph, (one,))["x"], reference(graph, one)["x"])


@pytest.mark.parametrize("function", [reference, encode_input])
@pytest.mark.parametrize(
    ("x", "text"),
    [
        (
            IMAGES,
            "the network needs a tuple of 2 arrays, for its inputs 'image', 'gain', but got one "
            "array; give each input its own",
        ),
        (
            (IMAGES,),
            "the network needs a tuple of 2 arrays, for its inputs 'image', 'gain', but got a "
            "tuple of 1; give each input its own",
        ),
        (
            [IMAGES, GAINS],
            "the network needs a tuple of 2 arrays, for its inputs 'image', 'gain', but got one "
            "list; give each input its own",
        ),
        (
            (IMAGES, [GAINS]),
            "input 'gain' needs an array, but got a list; a tuple of arrays is several inputs, and "
            "the arrays of a list are to be joined first",
        ),
        (
            (IMAGES, GAINS[:2]),
            "input 'gain' needs 3 images, as many as input 'image', but got 2; pair them",
        ),
        (
            (IMAGES, GAINS[:, :1]),
            "input 'gain' needs images of shape (N, 2, 1, 1) with N at least 1, but got (3, 1); "
            "reshape them, channels first",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_refused_by_the_inputs_name(function, x, text):
    with pytest.raises(ModelError) as refusal:
        function(TWO, x)
    assert str(refusal.value) == text


TOKENS = parse("""
x: s8e-1 2x3x1 = input() axes=TC
y: s8e-1 2x3x1 = maxpool(x) 1x1
return y 3x2 axes=TC, y 2x3 axes=CL, y 6
""")


def test_tokens_go_in_and_come_out_with_their_axes():
    tokens = np.arange(12).reshape(2, 3, 2)
    tensors = reference(TOKENS, tokens)
    np.testing.assert_array_equal(tensors["y"][:, :, :, 0], tokens.swapaxes(1, 2))
    first, second, flat = (as_results(output, tensors["y"]) for output in TOKENS.outputs)
    np.testing.assert_array_equal(first, tokens)
    np.testing.assert_array_equal(second, tokens.swapaxes(1, 2))
    np.testing.assert_array_equal(flat, tokens.swapaxes(1, 2).reshape(2, 6))


def test_tokens_of_another_shape_are_refused_by_their_axes():
    with pytest.raises(ModelError) as refusal:
        reference(TOKENS, np.zeros((1, 2, 3), int))
    assert str(refusal.value) == (
        "input 'x' needs arrays of shape (N, 3, 2) with N at least 1, but got (1, 2, 3); give it "
        "tokens, (tokens, channels)"
    )


@pytest.mark.parametrize("graph", [TWO, TOKENS])
def test_a_file_holds_inputs_and_axes(graph):
    check_same(from_bytes(to_bytes(graph)), graph)


def test_a_file_says_nothing_of_axes_that_are_usual():
    assert b"axes" not in to_bytes(TWO)
    assert b'"axes":"TC"' in to_bytes(TOKENS)


X = Input(name="x", shape=(2, 3, 1), type=QType(8, True, 0))


def one(node=X, *outputs):
    return Graph((node,), outputs or (Output("x", (6,)),))


@pytest.mark.parametrize(
    ("graph", "text"),
    [
        (
            one(replace(X, axes="LC")),
            "input 'x' needs axes CHW, C, CL, TC, L, but got 'LC'; name one of them",
        ),
        (
            one(replace(X, axes="C")),
            "input 'x' needs a shape of axes C, a vector, (channels,), but got (2, 3, 1); put what "
            "is not a channel along the height",
        ),
        (
            one(X, Output("x", (3, 2), "NC")),
            "output 'x' needs axes CHW, C, CL, TC, L or an order, but got 'NC'; name one of them, "
            "or none",
        ),
        (
            one(X, Output("x", (2, 3), "TC")),
            "output 'x' needs a shape of axes TC, tokens, (tokens, channels), of its node's shape "
            "(2, 3, 1), but got shape (2, 3); correct it",
        ),
    ],
)
def test_axes_that_do_not_fit_are_refused(graph, text):
    with pytest.raises(CompileError) as refusal:
        check(graph)
    assert str(refusal.value) == text
