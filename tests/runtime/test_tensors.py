import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.spec.config import named_config
from hw.spec.tensors import TensorLayout
from qnn.compiler import compile_graph
from qnn.runtime.tensors import from_words, pack_inputs, to_words
from tests.compiler import small_graphs


def layout(channels, height, width, *, signed=True, bits=8, gap=0):
    pitch = width + gap
    return TensorLayout(
        name="t",
        channels=channels,
        height=height,
        width=width,
        bits=bits,
        signed=signed,
        exponent=0,
        address=0,
        pitch=pitch,
        block_step=height * pitch,
    )


@given(
    channels=st.lists(st.integers(1, 20), min_size=1, max_size=3).map(tuple),
    size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    signed=st.booleans(),
    gap=st.integers(0, 3),
    seed=st.integers(0, 99),
)
def test_words_hold_every_value(channels, size, signed, gap, seed):
    place = layout(channels, *size, signed=signed, gap=gap)
    low = -128 if signed else 0
    rng = np.random.default_rng(seed)
    tensor = rng.integers(low, low + 256, (2, sum(channels), *size))
    words = to_words(tensor, place, 8, 8)
    assert words.min() >= -128
    assert words.max() <= 127
    np.testing.assert_array_equal(from_words(words, place, 8), tensor)


def test_each_segment_starts_a_block():
    words = to_words(np.arange(4).reshape(4, 1, 1), layout((3, 1), 1, 1), 4, 8)
    np.testing.assert_array_equal(words, [[0, 1, 2, 0], [3, 0, 0, 0]])


def test_an_unrounded_value_lies_in_passes_low_bits_first():
    value = -123456
    place = TensorLayout(**{**vars(layout((1,), 1, 1, bits=32)), "passes": 4, "pass_step": 1})
    pieces = [(value >> shift & 255) for shift in (0, 8, 16, 24)]
    words = np.array(pieces, np.uint8).view(np.int8)[:, None]
    assert from_words(words, place, 8).item() == value


def refusal(x):
    image = compile_graph(small_graphs.one_conv(), named_config("test"))
    with pytest.raises(ValueError, match="needs") as error:
        pack_inputs(image, x)
    return str(error.value)


def test_a_wrong_shape_is_refused():
    assert refusal(np.zeros((1, 3, 5, 5), int)) == (
        "input 'x' needs images of shape (N, 3, 6, 5), not (1, 3, 5, 5)"
    )


def test_a_value_out_of_range_is_refused():
    assert refusal(np.full((1, 3, 6, 5), 128)) == (
        "input 'x' needs integers from -128 to 127, not 128 to 128"
    )


def test_the_last_run_is_filled_up():
    image = compile_graph(small_graphs.one_conv(), named_config("test"), batch=2)
    x = np.arange(3 * 90).reshape(3, 3, 6, 5) % 100
    data = pack_inputs(image, x)
    assert data.shape == (2, image.input_bytes)
    half = image.input_bytes // 2
    np.testing.assert_array_equal(data[1, :half], data[1, half:])
