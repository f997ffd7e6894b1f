from itertools import product

import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from qnn.ir.rows import Rows, cut
from qnn.ir.window import Window


def window_rows(window, row):
    """Rows that a row of the output reads, those outside of the image included."""
    start = row * window.stride[0] - window.padding[0]
    return {start + tap * window.dilation[0] for tap in range(window.kernel[0])}


def column(kernel, stride, dilation, top, bottom):
    return Window(
        kernel=(kernel, 1),
        stride=(stride, 1),
        padding=(top, bottom, 0, 0),
        dilation=(dilation, 1),
    )


def test_the_output_has_every_whole_step_as_torch_counts_them():
    sizes = st.tuples(*[st.integers(1, 4)] * 6, *[st.integers(0, 3)] * 4)

    @given(sizes, st.integers(1, 12), st.integers(1, 12))
    def holds(drawn, height, width):
        window = Window(kernel=drawn[:2], stride=drawn[2:4], dilation=drawn[4:6], padding=drawn[6:])
        top, bottom, left, right = window.padding
        image = F.pad(torch.zeros(1, 1, height, width), (left, right, top, bottom))
        size = window.output_size((height, width))
        if window.reach[0] > image.shape[2] or window.reach[1] > image.shape[3]:
            assert min(size) < 1
            return
        weight = torch.zeros(1, 1, *window.kernel)
        result = F.conv2d(image, weight, stride=window.stride, dilation=window.dilation)
        assert size == tuple(result.shape[2:])

    holds()


def test_a_window_of_unequal_sides_counts_each_by_its_own_numbers():
    wide = Window(kernel=(3, 2), stride=(2, 3), dilation=(2, 1), padding=(1, 0, 2, 1))
    assert wide.reach == (5, 2)
    assert wide.output_size((9, 10)) == (3, 4)
    assert wide.output_size((3, 10)) == (0, 4)


def test_every_window_of_every_strip_sees_its_rows_and_real_padding_only():
    """All kernels up to 4, strides up to 3, dilations up to 2 and paddings up to 5."""
    checked = 0
    for kernel, stride, dilation in product(range(1, 5), range(1, 4), (1, 2)):
        for height, top, bottom in product((1, 2, 5, 9), (0, 1, 3, 5), (0, 1, 5)):
            window = column(kernel, stride, dilation, top, bottom)
            outputs, _ = window.output_size((height, 1))
            for first in range(outputs):
                rows = Rows(first, min(first + 2, outputs))
                read = window.rows_read(rows, height)
                part = window.strip(rows, read)
                assert 0 <= read.first < read.stop <= height
                assert part.output_size((read.count, 1)) == (rows.count, 1)
                for row in range(rows.count):
                    whole = {r for r in window_rows(window, first + row) if 0 <= r < height}
                    seen = {r for r in window_rows(part, row) if 0 <= r < read.count}
                    assert {r + read.first for r in seen} == whole
                    checked += 1
    assert checked > 1000


def test_a_window_over_every_other_row_reads_what_it_reads_of_all_rows():
    for stride, height in product((2, 3), range(1, 12)):
        window = column(1, stride, 1, 0, 0)
        assert window.row_step == stride
        dense, there = window.without_gaps(), -(-height // stride)
        for rows in cut(window.output_size((height, 1))[0], 2):
            read = dense.rows_read(rows, there)
            part = dense.strip(rows, read)
            for row in range(rows.count):
                (seen,) = window_rows(part, row)
                assert {(seen + read.first) * stride} == window_rows(window, rows.first + row)
    assert column(3, 2, 1, 0, 0).row_step == column(1, 2, 1, 1, 0).row_step == 1


@given(st.integers(1, 40), st.integers(1, 41))
def test_strips_cover_every_row_once(height, size):
    rows = [row for strip in cut(height, size) for row in range(*strip)]
    assert rows == list(range(height))


def test_a_union_holds_what_lies_between():
    assert Rows(1, 3).union(Rows(5, 6)) == Rows(1, 6)
    assert Rows(1, 6).count == 5
