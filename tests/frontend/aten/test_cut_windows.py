"""Windows of any sizes are pooled in few layers, each of alike ones."""

import pytest
import torch
import torch.nn.functional as F

from qnn.frontend.aten.average_pool import _shares
from qnn.frontend.aten.cut_windows import regions_of
from qnn.frontend.capture import capture
from qnn.frontend.fuse import fuse
from qnn.frontend.run import run
from tests.frontend.test_odd_models import Made


@pytest.mark.parametrize("size", range(1, 30))
def test_runs_hold_each_window_once(size):
    for count in range(1, size + 8):
        spans = [(a, b - a, b - a) for a, b in _shares(size, count)]
        apart, runs = regions_of(spans)
        held = {
            run.first + n * apart: (run.start + n * run.step, run.length, run.counted)
            for run in runs
            for n in range(run.count)
        }
        assert [held[n] for n in range(count)] == spans
        assert sum(run.count for run in runs) == count
        # What a run cuts off leaves its own windows: those that fit are as many as it has.
        for each in runs:
            left = size + sum(each.border(size))
            assert (left - each.length) // each.step + 1 == each.count


def test_sizes_that_take_turns_are_two_kinds_along_an_axis():
    model = Made(lambda m, x: F.adaptive_max_pool2d(x, 5))
    assert (
        str(fuse(capture(model, torch.zeros(2, 4, 28, 28))))
        == """\
x = input() 4x28x28
adaptive_max_pool2d.part = maxpool(x) 4x3x3 6x6 stride=(11,11)
adaptive_max_pool2d.part_1 = maxpool(x) 4x3x2 6x7 stride=(11,11) padding=(0,0,-5,-5)
adaptive_max_pool2d.part_2 = maxpool(x) 4x2x3 7x6 stride=(11,11) padding=(-5,-5,0,0)
adaptive_max_pool2d.part_3 = maxpool(x) 4x2x2 7x7 stride=(11,11) padding=(-5,-5,-5,-5)
adaptive_max_pool2d = interleave(adaptive_max_pool2d.part, adaptive_max_pool2d.part_1, \
adaptive_max_pool2d.part_2, adaptive_max_pool2d.part_3) 4x5x5 step=(2,2) \
offsets=((0,0),(0,1),(1,0),(1,1))
return adaptive_max_pool2d"""
    )


def test_the_greatest_in_large_uneven_windows_are_found_by_columns_first():
    model = Made(lambda m, x: F.adaptive_max_pool2d(x, 5))
    images = torch.randn(1, 64, 112, 112, generator=torch.Generator().manual_seed(0))
    graph = capture(model, images)
    reads = [node for node in graph.nodes if "x" in node.inputs]
    assert [node.window.kernel for node in reads] == [(1, 23), (1, 24), (1, 23)]
    assert torch.equal(run(graph, images)[graph.outputs[0].name], model(images))
