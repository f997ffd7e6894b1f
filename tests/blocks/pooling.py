"""Maxima and means of windows, of uneven shares and of whole axes."""

from types import MappingProxyType

from hypothesis import strategies as st
from torch import nn

from tests.blocks.parts import Called, of_rank, sizes, space


def _window(draw, shape):
    kernel = sizes(draw, shape, 3)
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    return kernel, tuple(draw(st.integers(1, 2)) for _ in kernel), padding


def _max_pool(draw, shape):
    kind = of_rank(shape, nn.MaxPool1d, nn.MaxPool2d)
    pool = kind(*_window(draw, shape), ceil_mode=draw(st.booleans()))
    return nn.Sequential(pool, nn.ReLU()) if draw(st.booleans()) else pool


def _average(**fields):
    def make(draw, shape):
        kind = of_rank(shape, nn.AvgPool1d, nn.AvgPool2d)
        return kind(*_window(draw, shape), **fields)

    return make


def _shares(line, plane):
    def make(draw, shape):
        return of_rank(shape, line, plane)(sizes(draw, shape, 4))

    return make


def _mean_of_an_axis(draw, shape):
    axis = draw(st.sampled_from(space(shape)))
    return Called(lambda x: x.mean(axis, keepdim=True))


def _greatest_of_an_axis(draw, shape):
    axis = draw(st.sampled_from(space(shape)))
    return Called(lambda x: x.amax(axis, keepdim=True))


def _sum_of_an_axis(draw, shape):
    axis = draw(st.sampled_from(space(shape)))
    return Called(lambda x: x.sum(axis, keepdim=True))


KINDS = MappingProxyType(
    {
        "maximum": _max_pool,
        "average": _average(),
        "average without padding": _average(count_include_pad=False),
        "average of cut windows": _average(ceil_mode=True),
        "shares of means": _shares(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d),
        "shares of maxima": _shares(nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d),
        "mean of an axis": _mean_of_an_axis,
        "sum of an axis": _sum_of_an_axis,
        "greatest of an axis": _greatest_of_an_axis,
    }
)
