import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnn.ir.shape import AXES, fits_axes, from_blocks, to_blocks, user_shape, usual_axes

SIZES = st.integers(1, 5)
BLOCKS = {
    "CHW": st.tuples(SIZES, SIZES, SIZES),
    "C": st.tuples(SIZES, st.just(1), st.just(1)),
    "CL": st.tuples(SIZES, SIZES, st.just(1)),
    "TC": st.tuples(SIZES, SIZES, st.just(1)),
    "L": st.tuples(st.just(1), SIZES, st.just(1)),
}


@given(st.sampled_from(list(AXES)), st.data())
def test_blocks_and_a_users_arrays_are_the_same_values(axes, data):
    block = data.draw(BLOCKS[axes])
    assert fits_axes(block, axes)
    shape = user_shape(block, axes)
    x = np.arange(2 * int(np.prod(shape))).reshape(2, *shape)
    blocks = to_blocks(x, axes)
    assert blocks.shape == (2, *block)
    np.testing.assert_array_equal(from_blocks(blocks, axes), x)
    np.testing.assert_array_equal(to_blocks(blocks, axes), blocks)


def test_every_axis_lies_where_the_block_has_it():
    sequence = np.array([[[1, 2, 3], [4, 5, 6]]])  # 2 channels of length 3
    tokens = sequence.swapaxes(1, 2)  # 3 tokens of 2 channels
    blocks = to_blocks(sequence, "CL")
    assert blocks.shape == (1, 2, 3, 1)
    assert blocks[0, 1, :, 0].tolist() == [4, 5, 6]
    np.testing.assert_array_equal(to_blocks(tokens, "TC"), blocks)
    assert to_blocks(np.array([[7, 8]]), "C")[0, :, 0, 0].tolist() == [7, 8]
    assert to_blocks(np.array([[7, 8]]), "L")[0, 0, :, 0].tolist() == [7, 8]


def test_what_fits_no_axes_stays_for_the_check_to_name():
    x = np.zeros((2, 3))
    assert to_blocks(x, "CL") is x
    assert to_blocks(x, "CHW") is x


@pytest.mark.parametrize(
    ("block", "axes", "fits"),
    [
        ((3, 4, 5), "CHW", True),
        ((3, 1, 1), "CHW", True),
        ((3, 1, 1), "C", True),
        ((3, 2, 1), "C", False),
        ((3, 2, 1), "CL", True),
        ((3, 1, 2), "CL", False),
        ((3, 2, 1), "TC", True),
        ((3, 2, 2), "TC", False),
        ((3, 2, 1), "LC", False),
        ((1, 9, 1), "L", True),
        ((2, 9, 1), "L", False),
        ((1, 9, 2), "L", False),
    ],
)
def test_axes_fit_a_block_where_no_width_is_left_over(block, axes, fits):
    assert fits_axes(block, axes) is fits


def test_one_pixel_is_a_vector_unless_something_else_is_said():
    assert usual_axes((5, 1, 1)) == "C"
    assert usual_axes((5, 2, 1)) == usual_axes((5, 1, 2)) == "CHW"
