"""Results as they are stored: through tables of any type, and in as many words as they need."""

import numpy as np
import pytest

from hw.spec.config import named_config
from qnn.compiler import compile_graph
from qnn.quant.qtype import QType
from tests.compiler import small_graphs
from tests.graphs import images
from tests.sim.test_functional import assert_equal


@pytest.mark.parametrize("bits", [4, 6, 8])
@pytest.mark.parametrize("signed", [False, True])
def test_tables_of_results_of_any_width_and_sign_equal_the_reference(bits, signed):
    x, type = small_graphs.image(8), QType(bits, signed, 4)
    table = np.random.default_rng(bits).integers(type.low, type.high + 1, (8, 256))
    node = small_graphs.conv("c", x, 8, type=type, low=-128, high=127, table=table)
    graph = small_graphs.graph(x, node)
    assert_equal(graph, compile_graph(graph, named_config("test")), images(graph, 2))


@pytest.mark.parametrize(("bits", "words"), [(8, 4), (12, 3), (16, 2)])
def test_unrounded_results_of_any_number_of_words_come_out_whole(bits, words):
    x = small_graphs.image(8, 4, 3)
    wide = {"rounded": False, "type": QType(32, True, 9), "right": np.zeros(9, np.int64)}
    graph = small_graphs.graph(x, small_graphs.conv("c", x, 9, **wide))
    config = named_config("test", activation_bits=bits, accumulator_bits=32)
    made = compile_graph(graph, config)
    assert {layer.output.passes for layer in made.layers} == {words}
    assert_equal(graph, made, images(graph, 3))
