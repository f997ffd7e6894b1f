"""Networks larger than the chip: what stays on it, what moves, and that every integer is right."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.spec.config import SvpeConfig, named_config
from hw.spec.isa.buffers import Buffer, Region
from hw.spec.isa.header import Op
from qnn.compiler import choose_plan, compile_graph, run_passes
from qnn.compiler.choose_runs import choose_runs
from qnn.compiler.network import network
from qnn.compiler.runs import best_run, candidates
from qnn.errors import CompileError
from qnn.ir.reference import reference
from qnn.ir.window import Window
from sim import functional
from sim.exercise_net import Exercise
from tests.compiler import large_graphs, small_graphs
from tests.compiler.small_graphs import conv, graph, image
from tests.graphs import Limits, graphs, images

TEST = named_config("test", weight_bits=4)
REFERENCE = replace(named_config("reference"), feature_words=2048, weight_words=512)


def assert_equal(g, image, x):
    """Every tensor, every part of one and every output of the image is the reference's."""
    want = reference(run_passes(g), x)
    got = functional.run(image, x)
    for layer in image.layers:
        for of_batch, own, rows in layer.by_image:
            whole = want[layer.name][of_batch :: image.batch][:, list(layer.channels), rows]
            part = got.parts[layer.tag][: len(whole), :, own]
            np.testing.assert_array_equal(part, whole, layer.name)
    for name, tensor in got.tensors.items():
        np.testing.assert_array_equal(tensor, want[name], name)
    for output, tensor in zip(g.outputs, got.outputs, strict=True):
        np.testing.assert_array_equal(tensor.reshape(want[output.name].shape), want[output.name])


@pytest.mark.parametrize("make", small_graphs.ALL, ids=lambda make: make.__name__)
@pytest.mark.parametrize("batch", [1, 2])
def test_small_networks_on_a_smaller_chip(make, batch):
    g = make()
    image = compile_graph(g, replace(TEST, feature_words=64), batch)
    assert_equal(g, image, images(g, 3))


@pytest.mark.parametrize("make", small_graphs.ALL, ids=lambda make: make.__name__)
def test_where_no_addresses_are_found_no_tensor_stays(make, monkeypatch):
    monkeypatch.setattr(choose_plan, "SHARES", ())
    g = make()
    image = compile_graph(g, replace(TEST, feature_words=64), 2)
    assert_equal(g, image, images(g, 2))


@pytest.mark.parametrize("make", large_graphs.ALL, ids=lambda make: make.__name__)
def test_layers_of_large_networks_on_the_reference_array(make):
    g = make()
    assert_equal(g, compile_graph(g, REFERENCE), images(g, 1))


ARRAYS = (
    TEST,
    named_config("small", weight_bits=4),
    SvpeConfig(lanes=4, rows=4, columns=4, weight_bits=4, bus_bits=64),
    SvpeConfig(lanes=8, rows=2, columns=8, weight_bits=5, activation_bits=12),
)
CHIPS = st.builds(
    lambda base, features, weights, parameters: replace(
        base, feature_words=features, weight_words=weights, parameter_words=parameters
    ),
    st.sampled_from(ARRAYS),
    st.sampled_from((64, 128, 256)),
    st.sampled_from((64, 512)),
    st.sampled_from((4, 64)),
)
LIMITS = Limits(weight_bits=4, size=16, channels=16, nodes=7)


def forced(g, config, batch, rate):
    try:
        image = compile_graph(g, config, batch, rate)
    except CompileError as error:
        named = any(f" '{node.name}' " in str(error) for node in run_passes(g).nodes)
        if not (named and "SvpeConfig." in str(error)):
            raise
        return
    assert_equal(g, image, images(g, batch + 1))


@settings(max_examples=25)
@given(graphs(LIMITS), CHIPS, st.integers(1, 2), st.sampled_from((8, 2)))
def test_random_networks_on_small_chips(g, config, batch, rate):
    forced(g, config, batch, rate)


@pytest.mark.slow
@settings(max_examples=1000)
@given(graphs(LIMITS), CHIPS, st.integers(1, 2), st.sampled_from((8, 2)))
def test_many_random_networks_on_small_chips(g, config, batch, rate):
    forced(g, config, batch, rate)


def pyramid():
    """Maps of 24 x 24 pixels, then of 6 x 6."""
    x = image(8, 24, 24, type=small_graphs.U8)
    a = conv("a", x, 8)
    b = conv("b", a, 8, shape=(8, 6, 6), stride=(4, 4))
    c = conv("c", b, 16, seed=3)
    d = conv("d", c, 16, seed=4, skip=c)
    return graph(x, a, b, c, d, small_graphs.last(d, 10))


def test_small_tensors_stay_on_chip_where_large_ones_do_not():
    config = replace(TEST, feature_words=512)
    net = network(run_passes(pyramid()), config, config.bus_bytes, 1)
    plan = choose_runs(net, config.feature_words)
    assert not plan.spilled & {"b", "c", "d"}
    image = compile_graph(pyramid(), config)
    moved = [f for f in image.program if f.op is Op.LOAD and f.buffer == Buffer.FEATURES]
    tensors = {image.layers[f.tag].name for f in moved}
    assert tensors <= {"a", "b"}


def test_of_equal_tensors_the_one_goes_to_memory_that_costs_least_there():
    x = image(8, 12, 12, type=small_graphs.U8)
    a = conv("a", x, 8, kernel=1)
    b = conv("b", a, 8)
    c = conv("c", b, 8, skip=a)
    g = run_passes(graph(x, a, b, c, small_graphs.last(c, 10)))
    # Room for less than two of the maps, and a memory that is the limit. Two strips of `c` read
    # rows of `b` twice, while rows of `c` are read once.
    plan = choose_runs(network(g, TEST, 1, 1), 230)
    assert plan.spilled == {"x", "a", "c", "last"}


def loads(image, buffer, region):
    return [
        f for f in image.program if f.op is Op.LOAD and f.buffer == buffer and f.region == region
    ]


def test_weights_that_fit_are_loaded_once_for_all_strips():
    image = compile_graph(large_graphs.residual_block(), REFERENCE)
    words = sum(f.words for f in loads(image, Buffer.WEIGHTS, Region.IMAGE))
    assert words == 2 * 4 * 36  # two layers, groups of 16 channels, steps of a tile
    assert len({layer.row for layer in image.layers}) > 2
    assert image.scratch_bytes == 12 * 4 * 56 * 16


def test_small_loads_of_weights_bring_their_parameters_and_the_first_large_one_all_others():
    x = image(8, 6, 5, type=small_graphs.U8)
    a = conv("a", x, 8, kernel=1)
    b = conv("b", a, 32)
    c = conv("c", b, 32)
    d = conv("d", c, 32, seed=2)
    compiled = compile_graph(graph(x, a, b, c, d), replace(TEST, weight_words=1024))
    weights = [f.words for f in loads(compiled, Buffer.WEIGHTS, Region.IMAGE)]
    numbers = [f.words for f in loads(compiled, Buffer.PARAMETERS, Region.IMAGE)]
    assert weights == [1, 10, 9, 9, 18, 63, 72, 72, 72, 72, 72, 72, 72, 36]
    # A load of 1024 / 16 words is large; there are 26 groups of four channels.
    assert numbers == [1, 2, 1, 1, 2, 4, 15]


def test_weights_come_again_for_each_strip_or_strips_for_each_slice_as_costs_less():
    """Weights of 180 words on a chip of 128: few pixels a strip, so that a slow memory matters."""
    config = replace(TEST, feature_words=512, weight_words=128)
    x = image(40, 48, 3, type=small_graphs.U8)
    g = graph(x, conv("c", x, 16))
    runs = []
    for rate in (8, 1):
        net = network(g, config, rate, 1)
        among = candidates(net, g.nodes[1:], frozenset({"x", "c"}))
        runs.append(best_run(among, config.feature_words).run)
        compiled = compile_graph(g, config, 1, rate)
        assert_equal(g, compiled, images(g, 2))
    assert [run.slices for run in runs] == [1, 2]
    assert all(1 < run.rows < 48 for run in runs)


def test_a_slower_memory_never_makes_the_plan_move_more():
    """What the rate changes is the choice; what comes out does not change."""
    g = pyramid()
    config = replace(TEST, feature_words=256)
    moved = []
    for rate in (8, 1):
        image = compile_graph(g, config, 1, rate)
        assert_equal(g, image, images(g, 1))
        features = loads(image, Buffer.FEATURES, Region.SCRATCH)
        moved.append(sum(f.words * f.rows for f in features))
    assert moved[1] <= moved[0]


def test_slices_of_a_tensor_that_stays_on_chip_lie_side_by_side():
    """Few weights fit, so that strips of the input come again for each block of channels."""
    x = image(16, 60, 1, type=small_graphs.U8)
    a = conv("a", x, 24)
    g = graph(x, a, conv("b", a, 8, kernel=1, seed=2))
    config = replace(TEST, feature_words=256, weight_words=64)
    compiled = compile_graph(g, config, 1, 1)
    assert not compiled.scratch_bytes
    assert {layer.channel for layer in compiled.layers if layer.name == "a"} == {0, 8, 16}
    assert_equal(g, compiled, images(g, 2))


@pytest.mark.parametrize("rounded", [False, True])
def test_slices_are_written_to_different_sides_at_a_time(rounded):
    """Pixels below each other are written in one cycle, in slices of an odd number of words."""
    config = replace(named_config("test"), columns=8, epilogue_words=4)
    config = replace(config, feature_words=256, weight_words=128)
    net = Exercise(config, seed=1)
    x = net.input("x", (64, 40, 1), signed=False)
    g = net.graph(net.conv("c", x, 120, Window(kernel=(1, 1)), rounded=rounded))
    compiled = compile_graph(g, config)
    assert {layer.channel for layer in compiled.layers} != {0}
    assert_equal(g, compiled, images(g, 1))


def test_as_many_strips_as_tokens_allow():
    """A tall map whose strips are stored and loaded again one row at a time."""
    x = image(8, 240, 5, type=small_graphs.U8)
    a = conv("a", x, 8)
    g = graph(x, a, conv("b", a, 8, seed=2))
    config = replace(TEST, feature_words=64)
    compiled = compile_graph(g, config)
    assert_equal(g, compiled, images(g, 1))


def test_a_1x1_layer_of_stride_2_loads_every_other_row():
    x = image(8, 24, 24, type=small_graphs.U8)
    fields = {"shape": (8, 12, 12), "stride": (2, 2), "kernel": 1}
    g = graph(x, conv("a", x, 8, **fields))
    compiled = compile_graph(g, replace(TEST, feature_words=256))
    assert_equal(g, compiled, images(g, 2))
    moved = loads(compiled, Buffer.FEATURES, Region.INPUT)
    assert len(moved) > 1
    assert sum(f.words * f.rows for f in moved) == 12 * 24
    assert {f.offset_step for f in moved if f.rows > 1} == {2 * 24 * 8}
