from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from qnn.compiler.rows import (
    Rows,
    cut,
    row_step,
    rows_by_strip,
    rows_read,
    strip_node,
    without_gaps,
)
from qnn.ir.graph import MaxPool
from tests.compiler import small_graphs
from tests.compiler.small_graphs import conv, graph, image


def window_rows(node, row):
    """Rows that a row of the output reads, those outside of the image included."""
    start = row * node.stride[0] - node.padding[0]
    return {start + tap * node.dilation[0] for tap in range(node.kernel[0])}


def pool(height, kernel, stride, dilation, top, bottom):
    out = (height + top + bottom - dilation * (kernel - 1) - 1) // stride + 1
    return MaxPool(
        name="m",
        input="x",
        shape=(1, out, 1),
        type=small_graphs.S8,
        kernel=(kernel, 1),
        stride=(stride, 1),
        padding=(top, bottom, 0, 0),
        dilation=(dilation, 1),
    )


def test_every_window_of_every_strip_sees_its_rows_and_real_padding_only():
    """All kernels up to 4, strides up to 3, dilations up to 2 and paddings up to 5."""
    checked = 0
    for kernel, stride, dilation in product(range(1, 5), range(1, 4), (1, 2)):
        for height, top, bottom in product((1, 2, 5, 9), (0, 1, 3, 5), (0, 1, 5)):
            node = pool(height, kernel, stride, dilation, top, bottom)
            for first in range(node.shape[1]):
                rows = Rows(first, min(first + 2, node.shape[1]))
                read = rows_read(node, rows, height)
                part = strip_node(node, rows, read)
                assert 0 <= read.first < read.stop <= height
                assert part.shape[1] == rows.count
                for row in range(rows.count):
                    whole = {r for r in window_rows(node, first + row) if 0 <= r < height}
                    seen = {r for r in window_rows(part, row) if 0 <= r < read.count}
                    assert {r + read.first for r in seen} == whole
                    checked += 1
    assert checked > 1000


@given(st.integers(1, 40), st.integers(1, 41))
def test_strips_cover_every_row_once(height, size):
    rows = [row for strip in cut(height, size) for row in range(*strip)]
    assert rows == list(range(height))


def test_strips_of_two_layers_need_the_halo_of_both():
    x = image(3, 9, 5)
    a = conv("a", x, 8)
    network = graph(x, a, conv("b", a, 8, skip=a))
    first, middle, last = rows_by_strip(network, network.nodes[1:], 3)
    assert first == {"b": (0, 3), "a": (0, 4), "x": (0, 5)}
    assert middle == {"b": (3, 6), "a": (2, 7), "x": (1, 8)}
    assert last == {"b": (6, 9), "a": (5, 9), "x": (4, 9)}


def test_strips_that_would_leave_out_rows_of_a_layer_are_none():
    x = image(3, 9, 5)
    a = conv("a", x, 8)
    every_third = {"shape": (8, 3, 2), "stride": (3, 3), "kernel": 1}
    network = graph(x, a, conv("b", a, 8, **every_third))
    assert rows_by_strip(network, network.nodes[1:], 1) is None
    (whole,) = rows_by_strip(network, network.nodes[1:], 3)
    assert whole["a"] == (0, 9)
    assert np.prod(network["b"].shape) == 48


def test_a_layer_over_every_other_row_reads_what_it_reads_of_all_rows():
    for stride, height in product((2, 3), range(1, 12)):
        node = pool(height, 1, stride, 1, 0, 0)
        assert row_step(node) == stride
        dense, there = without_gaps(node), -(-height // stride)
        for rows in cut(node.shape[1], 2):
            read = rows_read(dense, rows, there)
            part = strip_node(dense, rows, read)
            for row in range(rows.count):
                (seen,) = window_rows(part, row)
                assert {(seen + read.first) * stride} == window_rows(node, rows.first + row)
    assert row_step(pool(9, 3, 2, 1, 0, 0)) == row_step(pool(9, 1, 2, 1, 1, 0)) == 1
