from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.spec.config import SvpeConfig, named_config
from hw.spec.isa.buffers import Buffer
from hw.spec.isa.header import Engine, Op
from hw.spec.isa.packing import pack, unpack
from qnn.compiler import compile_graph, run_passes
from qnn.errors import CompileError, DeviceError
from qnn.ir.reference import reference
from qnn.runtime.tensors import pack_inputs, unpack_outputs
from sim import functional
from tests.compiler import small_graphs
from tests.graphs import Limits, graphs, images
from tests.operators import changed
from tests.programs import with_members

CONFIGS = {
    "test": named_config("test", weight_bits=4),
    "small": named_config("small", weight_bits=4),
    "16x16x2": named_config("reference", columns=2, weight_bits=4),
    "two words": named_config("test", weight_bits=4, epilogue_words=2),
    "streamed": named_config("test", weight_bits=4, weight_words=128, parameter_words=4),
    "wide": SvpeConfig(
        lanes=8, rows=2, columns=8, weight_bits=5, activation_bits=12, accumulator_bits=40
    ),
}


def compiled(graph, config, batch):
    """The image, or None where the weights of one instruction do not fit."""
    try:
        return compile_graph(graph, config, batch)
    except CompileError:
        return None


def of_width(bits):
    """What keeps random networks to codes of at most ``bits`` bits, and an array of as many."""
    config = named_config("test", weight_bits=bits, accumulator_bits=40)
    return Limits(weight_bits=bits, result_bits=config.result_bits), config


def assert_equal(graph, image, x):
    """Every tensor and every output of the image is the reference's."""
    want = reference(run_passes(graph), x)
    got = functional.run(image, x)
    for name, tensor in got.tensors.items():
        np.testing.assert_array_equal(tensor, want[name], err_msg=name)
    for output, tensor in zip(graph.outputs, got.outputs, strict=True):
        np.testing.assert_array_equal(tensor, want[output.name], err_msg=output.name)


@pytest.mark.parametrize("bits", [2, 3, 4, 5])
@settings(max_examples=15)
@given(data=st.data())
def test_terms_of_any_width_equal_the_reference(bits, data):
    limits, config = of_width(bits)
    graph = data.draw(graphs(limits))
    assert_equal(graph, compile_graph(graph, config), images(graph, 3))


@pytest.mark.parametrize("name", CONFIGS)
@settings(max_examples=10)
@given(graph=graphs(), batch=st.integers(1, 2))
def test_random_networks_equal_the_reference(name, graph, batch):
    image = compiled(graph, CONFIGS[name], batch)
    if image is None:
        unmultiplied = graph.products and not CONFIGS[name].multiplies
        assert name == "streamed" or unmultiplied
        return
    assert_equal(graph, image, images(graph, 3))


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGS)
@settings(max_examples=400)
@given(graph=graphs())
def test_many_random_networks_equal_the_reference(name, graph):
    image = compiled(graph, CONFIGS[name], 2)
    if image is None:
        assert name == "streamed"
        return
    assert_equal(graph, image, images(graph, 5))


@pytest.mark.parametrize("make", small_graphs.ALL, ids=lambda make: make.__name__)
def test_small_networks_equal_the_reference(make):
    graph = make()
    assert_equal(graph, compile_graph(graph, named_config("test"), 3), images(graph, 7))


def network():
    graph = small_graphs.network()
    return graph, compile_graph(graph, named_config("test")), images(graph, 2)


def test_any_flipped_weight_that_is_used_changes_its_layer():
    _, image, x = network()
    good = functional.run(image, x)
    for layer in ("a", "last"):
        tag = next(each.tag for each in image.layers if each.name == layer)
        start = _weights_of(image, tag)
        payload = bytearray(image.payload)
        payload[start] ^= 1  # of the index of row 0, lane 0, first tap
        bad = functional.run(replace(image, payload=bytes(payload)), x)
        wrong = [n for n in good.tensors if (good.tensors[n] != bad.tensors[n]).any()]
        assert wrong[0] == layer


def _weights_of(image, tag):
    """Byte in the payload of the first weight that a layer's load brings."""
    return next(
        f.offset for f in image.program if f.op is Op.LOAD and f.buffer == 1 and f.tag == tag
    )


FIELDS = (
    ("kernel_x", 2), ("blocks", 2), ("input_address", 500), ("tile_y_step", 1),
    ("column_address", (0, 0, 0, 0)), ("input_width", 3), ("pad_value", 9), ("weight_address", 1),
    ("weight_step", 0), ("parameter_address", 1), ("output_part", 1), ("output_address", 0),
    ("output_pitch", 1), ("output_width", 2), ("low", 3), ("high", -120),
)  # fmt: skip


@pytest.mark.parametrize(("name", "value"), FIELDS, ids=[name for name, _ in FIELDS])
def test_a_changed_field_changes_a_value_or_is_refused(name, value):
    _, image, x = network()
    good = functional.run(image, x)
    index = next(i for i, f in enumerate(image.program) if f.op is Op.CONV)
    try:
        bad = functional.run(_changed(image, index, name, value), x)
    except DeviceError:
        return
    assert any((good.tensors[n] != bad.tensors[n]).any() for n in good.tensors)


def _changed(image, index, name, value):
    return with_members(image, index, **{name: value})


@pytest.mark.parametrize("feature_words", [2048, 64])  # on chip, and in strips
def test_unrounded_results_wider_than_a_sum_come_out_whole(feature_words):
    x = small_graphs.image(type=small_graphs.S8)
    last = small_graphs.last(x, 10)
    graph = small_graphs.graph(x, changed(last, left=last.epilogue.left + 14))
    config = named_config("test", feature_words=feature_words)
    tensor = images(graph, 2)
    want = reference(graph, tensor)["last"]
    assert np.abs(want).max() >> (config.accumulator_bits - 1)
    got = functional.run(compile_graph(graph, config), tensor).outputs[0]
    np.testing.assert_array_equal(got, want)


def test_results_wrap_at_their_width():
    x = small_graphs.image(type=small_graphs.S8)
    graph = small_graphs.graph(x, small_graphs.last(x, 10))
    image = compile_graph(graph, named_config("test", result_bits=24))
    tensor = images(graph, 2)
    start = next(f.offset for f in image.program if f.op is Op.LOAD and f.buffer == 2)
    payload = bytearray(image.payload)
    payload[start : start + 3] = (0x7FFFFF).to_bytes(3, "little")  # the bias of channel 0
    bad = functional.run(replace(image, payload=bytes(payload)), tensor).outputs[0][:, 0]
    bias = int(graph["last"].epilogue.bias[0])
    want = reference(graph, tensor)["last"][:, 0].astype(np.int64) - bias + 0x7FFFFF
    np.testing.assert_array_equal(bad, (want + (1 << 23)) % (1 << 24) - (1 << 23))
    assert (bad < 0).any()


def test_sums_wrap_as_the_accumulator_does():
    """Weights that no proof allowed: each that is not 0 becomes the largest."""
    x = small_graphs.image(type=small_graphs.S8)
    graph = small_graphs.graph(x, small_graphs.last(x, 10))
    config = named_config("test", weight_bits=5, accumulator_bits=24, result_bits=40)
    image = compile_graph(graph, config)
    payload = bytearray(image.payload)
    size = Buffer.WEIGHTS.word_bytes(config)
    for fields in image.program:
        if fields.op is Op.LOAD and fields.buffer == Buffer.WEIGHTS:
            place = slice(fields.offset, fields.offset + fields.words * size)
            raw = np.frombuffer(payload[place], np.uint8).reshape(-1, size)
            codes = unpack(raw, config.weight_bits, config.rows * config.lanes, signed=False)
            payload[place] = pack(np.where(codes, 15, 0), config.weight_bits, size).tobytes()
    tensor = images(graph, 2)
    bias = graph["last"].epilogue.bias[:, None, None]
    wide, narrow = (
        functional.run(replace(image, payload=bytes(payload), config=made), tensor).outputs[0]
        - bias
        for made in (replace(config, accumulator_bits=40), config)
    )
    assert (np.abs(wide) >> 23).any()
    np.testing.assert_array_equal(narrow, (wide + (1 << 23)) % (1 << 24) - (1 << 23))


def test_a_token_that_never_comes_is_refused():
    _, image, x = network()
    index = next(i for i, f in enumerate(image.program) if Engine.COMPUTE in f.signals)
    line = r"^instruction \d+ of layer 'last' waits for a token from load that never comes; "
    with pytest.raises(DeviceError, match=line + "compile the model again$"):
        functional.run(_changed(image, index, "signals", frozenset()), x)


def test_a_device_runs_as_often_as_it_has_rows_of_inputs():
    made = compile_graph(small_graphs.one_conv(), named_config("test"))
    x = images(small_graphs.one_conv(), functional.SLAB + 3)
    (wanted,) = functional.run(made, x).outputs
    got = functional.FunctionalDevice().run(made, pack_inputs(made, x)).outputs
    (outputs,) = unpack_outputs(made, got, len(x))
    np.testing.assert_array_equal(outputs, wanted)


@pytest.mark.parametrize(("low", "high", "needed"), [(0, 99, 100), (0, 127, 128), (-128, 5, 256)])
def test_a_table_of_which_an_entry_is_not_loaded_is_refused(low, high, needed):
    graph = small_graphs.tabled(low=low, high=high, layers=1)
    image, x = compile_graph(graph, named_config("test")), images(graph, 1)
    loads = [n for n, each in enumerate(image.program) if each.op is Op.LOAD]
    (index,) = (n for n in loads if image.program[n].buffer is Buffer.TABLES)
    # Entries of negative indices stand at the end.
    functional.run(with_members(image, index, words=needed), x)
    with pytest.raises(DeviceError, match="reads a table that nothing loaded"):
        functional.run(with_members(image, index, words=needed - 1), x)
