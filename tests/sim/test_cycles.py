"""The cycle model's own rules; that it meets the RTL's cycles is tested with the RTL."""

from dataclasses import replace

import pytest

from hw.spec.config import named_config
from hw.spec.isa.header import Engine
from hw.spec.isa.tiles import Tiles
from hw.spec.timing import write_latency
from qnn.compiler import compile_graph
from qnn.compiler.estimate import layer_cycles
from sim import rtl
from sim.cycles import simulate_cycles
from sim.cycles.array import finish
from sim.spent import SpentCycles
from sim.trace import layer_cycles as layer_cycles_of
from tests.compiler import large_graphs, small_graphs
from tests.graphs import images

TEST = named_config("test")
IN_STRIPS = replace(TEST, feature_words=64)
LARGER = replace(TEST, feature_words=1024)
FOUR_WORDS = replace(TEST, columns=8, epilogue_words=4)


def test_one_instruction_takes_its_steps_and_the_latency_of_the_last_write():
    graph = small_graphs.max_pool()
    image = compile_graph(graph, TEST)
    timing = simulate_cycles(image)
    (layer,) = timing.layers
    tiles, steps = 6, 4  # 3 x 3 pixels in columns of 2, a window of 2 x 2
    assert layer_cycles(image) == {"m": tiles * steps}
    last_write = {1: 0, 2: 1}[2 - 3 % 2]  # the last tile has one pixel inside
    assert layer.cycles == tiles * steps - 1 + write_latency(TEST) + last_write


@pytest.mark.parametrize("make", small_graphs.ALL, ids=lambda make: make.__name__)
def test_no_layer_is_faster_than_its_steps(make):
    image = compile_graph(make(), TEST, 2)
    timing = simulate_cycles(image)
    least = layer_cycles(image)
    assert all(layer.cycles >= least[layer.name] for layer in timing.layers)
    assert len(timing.layers) == len(image.layers)
    assert timing.cycles > max(layer.last_write_cycle for layer in timing.layers)
    assert 0 < timing.array_utilisation < 1 or not any(each.macs for each in image.layers)


def test_a_slower_memory_delays_the_first_step_and_not_the_array():
    image = compile_graph(small_graphs.network(), TEST)
    fast, slow = simulate_cycles(image, latency=8), simulate_cycles(image, latency=108)
    assert slow.layers[0].issue_cycle - fast.layers[0].issue_cycle >= 100
    assert slow.layers[0].cycles == fast.layers[0].cycles
    assert slow.busy_cycles[Engine.LOAD] > fast.busy_cycles[Engine.LOAD]


def test_a_batch_hides_transfers_behind_the_array():
    graph = small_graphs.network()
    one = simulate_cycles(compile_graph(graph, TEST, 1)).cycles
    four = simulate_cycles(compile_graph(graph, TEST, 4)).cycles
    assert four < 4 * one
    assert simulate_cycles(compile_graph(graph, TEST, 4)).stall_cycles[Engine.LOAD] > 0


def test_a_memory_of_half_the_rate_takes_twice_as_long_to_load():
    image = compile_graph(small_graphs.one_conv(), TEST)
    whole, half, quarter = (
        simulate_cycles(image, bytes_per_cycle=rate).layers[0].issue_cycle for rate in (8, 4, 2)
    )
    beats = 4 * 16 + 35 + 2 * 4 + 12 * 2  # instructions, input, parameters and weights
    assert beats <= half - whole <= beats + 3 * 16  # and instructions that were asked for before
    assert quarter - half == pytest.approx(2 * (half - whole), abs=4)


def test_a_slow_memory_hides_behind_computation_up_to_a_point():
    image = compile_graph(large_graphs.residual_block(32, 12, 24), LARGER)
    cycles = [simulate_cycles(image, bytes_per_cycle=rate).cycles for rate in (8, 4, 2, 1)]
    assert image.scratch_bytes
    assert cycles[1] < 1.1 * cycles[0]
    assert cycles[3] > 1.2 * cycles[0]


def test_parts_of_a_layer_count_as_one():
    image = compile_graph(large_graphs.residual_block(32, 12, 24), LARGER)
    timing = simulate_cycles(image)
    assert len(image.layers) > 4
    assert [layer.name for layer in timing.layers] == ["a", "b"]
    assert [layer.macs for layer in timing.layers] == [32 * 32 * 9 * 12 * 24] * 2


def meet(graph, image, count, rate=None):
    """Hold the model to the RTL: the whole run, and each layer in it."""
    (run,) = rtl.execute(image, images(graph, count), timing=rtl.MemoryTiming(rate=rate)).runs
    model = simulate_cycles(image, bytes_per_cycle=rate)
    assert run.cycles == model.cycles
    for timing in model.layers:
        tags = [e.tag for e in image.layers if (e.name, e.image) == (timing.name, timing.image)]
        spans = [layer_cycles_of(run.trace, tag) for tag in tags]
        cycles = max(s.last_write for s in spans) - min(s.issue for s in spans)
        assert cycles == timing.cycles, timing.name


@pytest.mark.rtl
@pytest.mark.parametrize("config", [TEST, FOUR_WORDS], ids=["one word", "four words"])
@pytest.mark.parametrize("make", small_graphs.ALL, ids=lambda make: make.__name__)
def test_the_model_meets_the_rtl(make, config):
    graph = make()
    meet(graph, compile_graph(graph, config, 2), 2)


def test_a_turn_of_several_words_shortens_what_waits_for_the_epilogue():
    configs = (replace(FOUR_WORDS, epilogue_words=words) for words in (1, 2, 4))
    timings = [simulate_cycles(compile_graph(small_graphs.spread(), each)) for each in configs]
    waits = [sum(layer.spent.interval for layer in timing.layers) for timing in timings]
    assert waits[0] > waits[1] > waits[2]
    assert timings[0].cycles > timings[1].cycles > timings[2].cycles


@pytest.mark.parametrize("make", small_graphs.ALL, ids=lambda make: make.__name__)
def test_what_layers_spend_adds_up_to_the_run(make):
    image = compile_graph(make(), TEST, 3)
    timing = simulate_cycles(image)
    spent = sum((layer.spent for layer in timing.layers), SpentCycles())
    # They end with the last step, behind which the last tile goes through the epilogue.
    newest = [each for each in image.program if isinstance(each, Tiles)][-1]
    assert finish(newest, TEST, spent.cycles - 1) == timing.ended[Engine.COMPUTE][-1]
    assert spent.issue + spent.interval >= 3 * sum(layer_cycles(image).values()) * 0.99
    assert spent.load + spent.fetch > 0  # the first layer waits for its input, or its instruction


def test_a_slower_memory_is_told_as_waiting_for_it():
    image = compile_graph(small_graphs.network(), TEST)
    fast, slow = (simulate_cycles(image, latency).layers[0].spent for latency in (8, 108))
    assert slow.load + slow.fetch - fast.load - fast.fetch >= 100
    assert (slow.issue, slow.interval) == (fast.issue, fast.interval)


@pytest.mark.rtl
@pytest.mark.parametrize("rate", [8, 6, 4, 3, 1])
@pytest.mark.parametrize("make", small_graphs.ALL, ids=lambda make: make.__name__)
def test_the_model_meets_the_rtl_at_every_rate_of_the_memory(make, rate):
    graph = make()
    meet(graph, compile_graph(graph, IN_STRIPS, 2, rate), 2, rate)
