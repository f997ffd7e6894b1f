"""Every way to compute a convolution is a plain one: equal sums of integers, and gradients."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from qnn.ir.window import Window
from qnn.nn.convolution import convolution, is_diagonal

SIZES = st.integers(1, 4)
FORMATS = (torch.contiguous_format, torch.channels_last)


@st.composite
def windows(draw):
    """A window, the shape of its weights, and an image that it fits."""
    groups = draw(st.integers(1, 5))
    kernel = draw(st.sampled_from(((1, 1), (1, 1), (3, 3), (1, 2))))
    padding = draw(st.sampled_from(((0, 0, 0, 0), (0, 0, 0, 0), (1, 1, 1, 1), (1, 0, 2, 0))))
    stride = draw(st.sampled_from(((1, 1), (1, 1), (2, 1), (1, -1))))
    window = Window(kernel=kernel, stride=stride, padding=padding, groups=groups)
    each, inputs = draw(st.sampled_from((1, 1, 2))), draw(st.sampled_from((1, 1, 2)))
    size = (kernel[0] + draw(st.integers(0, 3)), kernel[1] + draw(st.integers(0, 3)))
    return window, (groups * each, inputs, *kernel), (draw(SIZES), groups * inputs, *size)


def plain(x, weight, bias, window):
    top, bottom, left, right = window.padding
    x = F.pad(x, (left, right, top, bottom))
    sums = F.conv2d(x, weight, bias, window.forwards().stride, groups=window.groups)
    return sums.flip(3) if window.backwards else sums


@given(windows(), st.booleans(), st.sampled_from(FORMATS), st.integers(0, 99))
def test_sums_of_integers_and_their_gradients_are_those_of_the_plain_formula(
    case, biased, memory_format, seed
):
    window, weight_shape, shape = case
    generator = torch.Generator().manual_seed(seed)

    def drawn(*size):
        values = torch.randint(-40, 41, size, generator=generator)
        return values.float().requires_grad_()

    x, weight = drawn(*shape), drawn(*weight_shape)
    bias = drawn(weight_shape[0]) if biased else None
    given_x = x.contiguous(memory_format=memory_format)
    found = convolution(given_x, weight, bias, window)
    wanted = plain(x, weight, bias, window)
    assert torch.equal(found, wanted)
    gradient = torch.randint(-9, 10, wanted.shape, generator=generator).float()
    learnt = [each for each in (x, weight, bias) if each is not None]
    for got, right in zip(
        torch.autograd.grad(found, learnt, gradient),
        torch.autograd.grad(wanted, learnt, gradient),
        strict=True,
    ):
        assert torch.equal(got, right)


@pytest.mark.parametrize(
    ("more", "shape", "diagonal"),
    [
        ({}, (4, 1, 1, 1), True),
        ({"stride": (1, -1)}, (4, 1, 1, 1), False),
        ({"stride": (2, 2)}, (4, 1, 1, 1), False),
        ({"padding": (0, 1, 0, 0)}, (4, 1, 1, 1), False),
        ({"padding": (-1, 0, 0, 0)}, (4, 1, 1, 1), False),
        ({}, (8, 1, 1, 1), False),
        ({"kernel": (3, 1)}, (4, 1, 3, 1), False),
        ({"groups": 2}, (4, 2, 1, 1), False),
    ],
)
def test_a_diagonal_layer_moves_nothing(more, shape, diagonal):
    window = Window(**{"kernel": (1, 1), "groups": 4} | more)
    assert is_diagonal(torch.zeros(shape), window) is diagonal
