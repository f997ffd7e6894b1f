"""Which tensors go to memory first, and in how many slices weights may stay on chip."""

from dataclasses import replace

import numpy as np

from hw.spec.config import named_config
from qnn.compiler import run_passes
from qnn.compiler.choose_runs import _Search
from qnn.compiler.network import network
from qnn.compiler.runs import MOST_STRIPS, _slice_counts
from tests.compiler import small_graphs
from tests.compiler.small_graphs import U8, conv, image

TEST = named_config("test")


def mapped(graph, config=TEST):
    return network(run_passes(graph), config, config.bus_bytes, 1)


def test_by_size_the_largest_tensor_goes_to_memory_first():
    x = image(8, type=U8)
    small = conv("small", x, 8)
    large = conv("large", small, 24)
    net = mapped(small_graphs.graph(x, small, large, conv("end", large, 8)))
    search = _Search(net, 0, frozenset())
    assert net.root_words("large") > net.root_words("small")
    assert sorted(("x", "small", "large"), key=lambda root: search.size(None, root))[0] == "large"


def test_weights_are_cut_into_slices_while_a_token_counter_holds_the_strips_of_all():
    x = image(8, type=U8)
    codes = np.ones((1, 16, 8, 3, 3), np.int8)
    # One word would do for equal weights. So the four groups take 36 words, and a slice 18.
    codes[0, :, :, 0, 0] = 2
    graph = small_graphs.graph(x, conv("c", x, 16, codes=codes))
    net = mapped(graph, replace(TEST, weight_words=32))
    node = net.graph["c"]
    assert [group.words for group in net.packed["c"]] == [9] * 4
    assert list(_slice_counts(net, (node,), 2)) == [2]
    assert list(_slice_counts(net, (node,), MOST_STRIPS // 2)) == [2]
    assert list(_slice_counts(net, (node,), MOST_STRIPS // 2 + 1)) == []
    # One strip has its weights once, whether they stay or not.
    assert list(_slice_counts(net, (node,), 1)) == []
