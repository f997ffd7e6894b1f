import numpy as np

from qnn.compiler.rows import rows_by_strip
from tests.compiler.small_graphs import conv, graph, image


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
