"""Which core is advised for a network, and that its cycles are those of the compiled one."""

from dataclasses import replace

import pytest
from hypothesis import given, settings

from hw.spec import resources
from hw.spec.config import named_config
from qnn.backend.array.advice import advice
from qnn.compiler import compile_graph
from qnn.compiler.estimate import array_cycles, layer_cycles
from qnn.errors import CompileError
from qnn.ir.window import Window
from sim.exercise_net import Exercise
from tests.graphs import graphs

CORE = replace(named_config("test"), rows=8, columns=8)
WIDE = replace(CORE, epilogue_words=2, neighbours=2)
SAME = {"kernel": (3, 3), "padding": (1, 1, 1, 1)}


def depthwise():
    net = Exercise(CORE, seed=1)
    node = net.input("x", (32, 12, 12), signed=False)
    for number in range(3):
        node = net.conv(f"own{number}", node, 32, Window(**SAME, groups=32), relu=True)
        node = net.conv(f"point{number}", node, 32, Window(kernel=(1, 1)), relu=True)
    return net.graph(node)


def dense():
    net = Exercise(CORE, seed=2)
    node = net.input("x", (32, 8, 8), signed=False)
    for number in range(2):
        node = net.conv(f"c{number}", node, 32, Window(**SAME), relu=True)
    return net.graph(node)


def test_a_depthwise_network_is_advised_a_core_of_more_words_with_neighbours():
    (line,) = advice(depthwise(), CORE)
    assert "--set epilogue_words=2" in line
    assert "--set neighbours=2" in line
    before, after = (cycles_of(depthwise(), each) for each in (CORE, WIDE))
    assert f"{(before - after) / before:.0%} fewer cycles" in line
    luts = [resources.total(each).lut for each in (CORE, WIDE)]
    assert f"{luts[1] / luts[0] - 1:.0%} more LUTs" in line
    assert not advice(depthwise(), WIDE)


def test_a_dense_network_is_advised_the_core_of_fewer_luts():
    assert not advice(dense(), CORE)
    (line,) = advice(dense(), WIDE)
    assert line.startswith("--set epilogue_words=1 --set neighbours=0 suits it better: as many ")
    assert "fewer LUTs" in line


def test_nothing_is_known_of_an_array_of_multipliers():
    assert not advice(depthwise(), replace(CORE, pe="multiply", weight_bits=4))


def cycles_of(graph, config):
    return sum(layer_cycles(compile_graph(graph, config)).values())


@pytest.mark.parametrize("config", [CORE, WIDE], ids=["one word", "two words"])
@settings(max_examples=15)
@given(graph=graphs())
def test_cycles_without_a_plan_are_those_of_the_program(config, graph):
    config = replace(config, weight_bits=4, accumulator_bits=32, result_bits=40)
    try:
        image = compile_graph(graph, config)
    except CompileError:
        return
    # The plan may leave an input as it is; and what it packs takes no more steps.
    (estimated,) = array_cycles(graph, [config])
    found = sum(layer_cycles(image).values())
    packed = all(layout.gather is not None for layout in image.network_inputs)
    assert estimated == found or (estimated < found and not packed)
