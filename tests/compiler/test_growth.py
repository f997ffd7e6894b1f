"""The steps that the compiler takes grow as the network does, and no faster."""

import sys

import pytest

from hw.spec.config import named_config
from qnn.compiler import PASSES
from qnn.compiler.compilation import Compilation
from tests.compiler.large_graphs import shift
from tests.compiler.small_graphs import U8, conv, graph, image

TEST = named_config("test", weight_bits=4)
LAYERS = 12
SOME = 2_000  # calls, beside some hundred thousand of the larger passes


def chain(layers, channels, width):
    """Pairs of 3x3 layers with a skip operand, as in a residual network."""
    nodes = [image(channels, 8, width, type=U8)]
    for number in range(layers):
        skip = nodes[-2] if number % 2 else None
        right = shift(channels, 8)
        nodes.append(conv(f"c{number}", nodes[-1], channels, skip=skip, right=right))
    return graph(*nodes)


def steps(network):
    """Calls of functions, Python's and C's, that each pass makes."""
    state = Compilation(graph=network, config=TEST, batch=1, bytes_per_cycle=TEST.bus_bytes)
    found = {}
    for each in PASSES:
        calls = 0

        def count(frame, event, argument):
            nonlocal calls
            calls += event in ("call", "c_call")

        before = sys.getprofile()
        sys.setprofile(count)
        try:
            state = each(state)
        finally:
            sys.setprofile(before)
        found[each.name] = calls
    return found


# Of 2,048 words: in the first network every tensor stays on chip, in the second strips do.
@pytest.mark.parametrize(("channels", "width"), [(8, 8), (32, 32)], ids=["on chip", "in strips"])
def test_twice_the_layers_take_about_twice_the_steps(channels, width):
    steps(chain(LAYERS, channels, width))  # what is imported and remembered once does not count
    short, long = (steps(chain(count, channels, width)) for count in (LAYERS, 2 * LAYERS))
    for name in short:
        # What a network is begun with weighs more in a short one, and what is sorted takes a little
        # more than twice; a pass that looks at all pairs of layers or instructions takes four times
        # the steps.
        assert long[name] <= 2.2 * short[name] + SOME, name
