"""Interleaving: what covers a grid once, and what is refused of it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnn.errors import CompileError
from qnn.ir.check import check
from qnn.ir.ops import Interleave
from qnn.ir.ops.interleave import uncovered
from qnn.ir.reference import reference
from qnn.ir.text import parse, text
from qnn.quant.qtype import QType
from tests.graphs import images

UPSAMPLED = parse("""
x: s8e-4 2x2x3 = input()
a: s8e-4 2x2x3 = maxpool(x) 1x1
up: s8e-4 2x4x6 = interleave(x, a, x, a) step=2x2 at=0x0,0x1,1x0,1x1
return up 2x4x6
""")


def test_its_text_says_step_and_offsets():
    assert text(UPSAMPLED) == text(UPSAMPLED, full=True)
    assert text(UPSAMPLED).splitlines()[2] == (
        "up: s8e-4 2x4x6 = interleave(x, a, x, a) step=2x2 at=0x0,0x1,1x0,1x1"
    )
    assert UPSAMPLED["up"].summary == "4 tensors interleaved, step 2x2"


def test_nearest_upsampling_is_a_pixel_four_times():
    x = images(UPSAMPLED, 2)
    np.testing.assert_array_equal(
        reference(UPSAMPLED, x)["up"], np.asarray(x).repeat(2, 2).repeat(2, 3)
    )


SIZES = st.integers(1, 4)
PLACES = st.tuples(st.integers(0, 4), st.integers(0, 4))


@given(
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.lists(st.tuples(PLACES, st.tuples(SIZES, SIZES)), min_size=1, max_size=4),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_what_covers_each_pixel_once_is_what_marking_them_says(step, operands, whole):
    offsets, sizes = zip(*operands, strict=True)
    marks = np.zeros((20, 20), int)
    for (top, left), (height, width) in operands:
        marks[top :: step[0], left :: step[1]][:height, :width] += 1
    inside = marks[: whole[0], : whole[1]]
    right = bool((inside == 1).all()) and marks.sum() == inside.size
    assert (uncovered(step, offsets, sizes, whole) is None) == right


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": (), "offsets": ()}, "needs operands, but got none; remove it"),
        (
            {"offsets": ((0, 0),) * 3},
            "needs an offset for each operand, but got 3 for 4 operands; correct it",
        ),
        (
            {"step": (0, 2)},
            "needs steps of at least 1 and offsets of at least 0, but got step (0, 2) and offsets "
            "((0, 0), (0, 1), (1, 0), (1, 1)); correct it",
        ),
        (
            {"shape": (3, 4, 6)},
            "needs operands of 3 channels, but got 2 of 'x'; keep the channels",
        ),
        (
            {"type": QType(8, True, 5)},
            "needs operands of its type s8e-5, but got s8e-4 of 'x'; requantize the operand first",
        ),
        (
            {"offsets": ((0, 0), (0, 1), (0, 0), (1, 1))},
            "needs each of its 4x6 pixels from one operand, but got operands 0 and 2 in the same "
            "place; correct its step or offsets",
        ),
        (
            {"shape": (2, 4, 7)},
            "needs each of its 4x7 pixels from one operand, but got operands that cover 4x6; "
            "correct its step or offsets",
        ),
        (
            {"inputs": ("x", "x", "a"), "offsets": ((0, 0), (0, 1), (1, 1))},
            "needs each of its 4x6 pixels from one operand, but got 18 pixels in all; correct its "
            "step or offsets",
        ),
    ],
)
def test_what_is_wrong_with_it_is_said(changes, message):
    wrong = replace(UPSAMPLED["up"], **changes)
    assert isinstance(wrong, Interleave)
    with pytest.raises(CompileError) as refusal:
        check(replace(UPSAMPLED, nodes=(*UPSAMPLED.nodes[:2], wrong)))
    assert str(refusal.value) == f"interleave 'up' {message}"
