import itertools

import numpy as np
import pytest
from hypothesis import given, settings

from qnn.graph.bounds import bounds
from qnn.graph.ir import Concat, Conv, Input, MaxPool
from qnn.graph.reference import reference
from tests.graphs import Limits, graphs, images


def slow(graph, image):
    """Every tensor of one image by the definition, in loops over Python integers."""
    tensors = {}
    for node in graph.nodes:
        operands = [tensors[name] for name in node.inputs]
        tensors[node.name] = SLOW[type(node)](node, image, *operands)
    return tensors


def slow_conv(node, image, x, skip=None):
    y = np.zeros(node.shape, object)
    inputs = node.codes.shape[2]
    for output, row, column in np.ndindex(node.shape):
        total = 0
        first = output * inputs if node.groups > 1 else 0
        for term, i, dy, dx in np.ndindex(node.codes.shape[0], *node.codes.shape[2:]):
            m = int(node.codes[term, output, i, dy, dx])
            a = at(x[first + i], node, row, column, dy, dx)
            if m and a is not None:
                total += (1 if m > 0 else -1) * (a << (abs(m) - 1))
        v = (total << int(node.left[output])) + int(node.bias[output])
        if skip is not None:
            v += int(skip[output, row, column]) << int(node.skip_left[output])
        if node.rounded:
            right = int(node.right[output])
            half = 2 ** (right - 1) if right else 0
            v = min(max((v + half) // 2**right, node.low), node.high)
        y[output, row, column] = v
    return y


def slow_max_pool(node, image, x):
    y = np.zeros(node.shape, object)
    for channel, row, column in np.ndindex(node.shape):
        taps = itertools.product(range(node.kernel[0]), range(node.kernel[1]))
        seen = [at(x[channel], node, row, column, dy, dx) for dy, dx in taps]
        y[channel, row, column] = max(
            [value for value in seen if value is not None], default=node.type.low
        )
    return y


def at(plane, node, row, column, dy, dx):
    """The pixel under a tap, or None in the padding."""
    y = row * node.stride[0] + dy * node.dilation[0] - node.padding[0]
    x = column * node.stride[1] + dx * node.dilation[1] - node.padding[2]
    inside = 0 <= y < plane.shape[0] and 0 <= x < plane.shape[1]
    return int(plane[y, x]) if inside else None


SLOW = {
    Input: lambda node, image: image,
    Conv: slow_conv,
    MaxPool: slow_max_pool,
    Concat: lambda node, image, *parts: np.concatenate(parts),
}


@settings(max_examples=60, deadline=None)
@given(graphs(Limits(size=6, channels=5, nodes=4)))
def test_equals_loops_over_python_integers(graph):
    x = images(graph, 2)
    tensors = reference(graph, x)
    for number, image in enumerate(x):
        for name, expected in slow(graph, image).items():
            np.testing.assert_array_equal(tensors[name][number], expected.astype(np.int64))
