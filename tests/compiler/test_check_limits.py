import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from hw.spec.config import named_config
from qnn.compiler import compile_graph
from qnn.compiler.check_limits import _weight_bits
from qnn.errors import CompileError
from qnn.ir.reference import reference
from sim import functional
from tests.compiler.small_graphs import conv, graph, image
from tests.graphs import images


@pytest.mark.parametrize(("least", "most"), [(-1, 3), (-4, 1), (-4, 3)])
def test_a_multiplier_must_hold_the_least_and_the_greatest_weight(least, most):
    # Indices of powers of two: -8 or 4 beside a weight of one takes four bits all the same.
    codes = np.array([least, most], np.int8).reshape(1, 2, 1, 1, 1)
    x = image(1, 4, 4)
    network = graph(x, conv("c", x, 2, codes=codes, kernel=1, weight_bits=4))
    enough = named_config("test", pe="multiply", weight_bits=4)
    pixels = images(network, 2)
    outputs = functional.run(compile_graph(network, enough), pixels).outputs
    np.testing.assert_array_equal(outputs[0], reference(network, pixels)["c"])
    with pytest.raises(CompileError, match=r"^conv 'c' needs 4-bit weights, but the configuration"):
        compile_graph(network, named_config("test", pe="multiply", weight_bits=3))


def test_a_multipliers_weights_take_as_many_bits_as_twos_complement_has():
    config = named_config("test", pe="multiply")
    for least, most in itertools.product((-256, -129, -128, -5, -4, -3, -1, 0), (0, 1, 127, 128)):
        node = SimpleNamespace(integers=np.array([least, most]))
        bits = _weight_bits(node, config)
        assert -(1 << bits - 1) <= least
        assert most < 1 << bits - 1
        assert bits == 1 or not (-(1 << bits - 2) <= least and most < 1 << bits - 2)
