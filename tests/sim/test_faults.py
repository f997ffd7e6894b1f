"""Each planted fault must make ``verify`` fail, and name the layer that has it."""

import functools
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import qnn
from hw.spec.config import named_config
from hw.spec.image import Image
from hw.spec.isa.buffers import Buffer
from hw.spec.isa.header import Engine, Op
from qnn.ir.encode import encode_input
from sim import rtl
from sim.verify import verify
from tests.expected import expected_tensors
from tests.nearest import quantize
from tests.programs import with_members

pytestmark = pytest.mark.rtl

CONFIG = named_config("test")
LIMIT = 20_000  # cycles; the sound design takes about 1,000


@functools.cache
def sound():
    """A design of three convolutions and a pooling layer, and inputs for it."""
    torch.manual_seed(4)
    model = nn.Sequential(
        *(nn.Conv2d(5, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 12, 3), nn.ReLU()),
        *(nn.MaxPool2d(2), nn.Conv2d(12, 3, 2)),
    ).eval()
    images = torch.randn(8, 5, 7, 6)
    design = qnn.compile(qnn.export(quantize(model, images)), CONFIG)
    return design, encode_input(design.graph, images[:1].numpy())


def weights_of(image, tag):
    """Where in the image the weights of a layer's first computation are loaded from."""
    word = next(
        each.weight_address for each in image.program if each.op is Op.CONV and each.tag == tag
    )
    load = next(
        each
        for each in image.program
        if each.op is Op.LOAD and each.buffer is Buffer.WEIGHTS
        if each.address <= word < each.address + each.words
    )
    return load.offset + (word - load.address) * Buffer.WEIGHTS.word_bytes(CONFIG)


def with_payload(design, start, data):
    """``design`` with other bytes at ``start`` of its image, checksums redone."""
    payload = bytearray(design.artifact.payload)
    payload[start : start + len(data)] = data
    assert bytes(payload) != design.artifact.payload
    image = Image.from_bytes(replace(design.artifact, payload=bytes(payload)).to_bytes())
    return replace(design, artifact=image)


def with_field(design, ops, tag, **changes):
    """``design`` with fields changed in the first instruction of ``ops`` and ``tag``."""
    index, old = next(
        (number, each)
        for number, each in enumerate(design.artifact.program)
        if each.op in ops and each.tag == tag
    )
    changed = {name: change(getattr(old, name)) for name, change in changes.items()}
    image = with_members(design.artifact, index, **changed)
    return with_payload(design, 0, image.payload[: image.program_bytes])


def layer_names(design):
    return [layer.name for layer in design.artifact.layers]


def test_the_sound_design_passes():
    design, x = sound()
    report = verify(design, x, limit=LIMIT)
    assert str(report) == f"verify: PASS 0/{report.values_compared} mismatches"
    assert report.values_compared == 6 * 7 * 6 + 12 * 5 * 4 + 12 * 2 * 2 + 3 + 3


@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_flipped_weight_bit_is_found_in_its_layer(number):
    design, x = sound()
    layer = design.artifact.layers[number]
    start = weights_of(design.artifact, layer.tag)
    for bit in range(64):  # the first that this input notices
        byte = design.artifact.payload[start + bit // 8] ^ 1 << bit % 8
        faulty = with_payload(design, start + bit // 8, bytes([byte]))
        if not verify(faulty, x, "functional").passed:
            break
    report = verify(faulty, x, limit=LIMIT)
    assert not report.passed
    assert report.first_layer == report.first.layer == layer.name
    assert report.first.got != report.first.expected
    assert report.first.cycle is not None


@pytest.mark.parametrize(
    ("number", "field", "change"),
    [
        (0, "high", lambda value: value - 200),
        (0, "kernel_x", lambda value: value - 1),
        (1, "weight_address", lambda value: value + 1),
        (1, "output_address", lambda value: value + 1),
        (1, "parameter_address", lambda value: value + 1),
        (2, "kernel_y_step", lambda value: value + 1),
        (3, "input_address", lambda value: value + 1),
        (3, "op", lambda value: Op.MAXPOOL),
    ],
)
def test_a_changed_instruction_field_is_found_in_its_layer(number, field, change):
    design, x = sound()
    layer = design.artifact.layers[number]
    faulty = with_field(design, (Op.CONV, Op.MAXPOOL), layer.tag, **{field: change})
    report = verify(faulty, x, limit=LIMIT)
    assert not report.passed
    assert report.mismatches > 0
    assert report.first_layer == layer.name


@pytest.mark.parametrize("device", ["functional", "rtl"])
def test_a_changed_expected_value_is_found_where_it_is(device):
    design, x = sound()
    name = layer_names(design)[1]
    expected = {key: tensor.copy() for key, tensor in expected_tensors(design.graph, x).items()}
    expected[name][0, 7, 3, 2] += 1
    options = {"limit": LIMIT} if device == "rtl" else {}
    report = verify(design, x, device, expected=expected, **options)
    assert report.mismatches == 1
    first = report.first
    assert (first.layer, first.image, first.channel, first.row, first.column) == (name, 0, 7, 3, 2)
    assert first.expected == first.got + 1
    when = f" in cycle {first.cycle}" if device == "rtl" else ""
    assert str(report) == (
        f"verify: FAIL 1/{report.values_compared} mismatches\n"
        f"  first: layer '{name}', image 0, channel 7, row 3, column 2: "
        f"expected {first.expected}, got {first.got}{when}"
    )


def test_a_broken_wire_of_a_lane_is_found_in_the_first_layer():
    design, x = sound()
    verilog = dict(rtl.generated(CONFIG))
    whole, broken = "$signed(next_activations[7:0])", "$signed({next_activations[7:1], 1'h0})"
    assert whole in verilog["qnn_pe.v"]
    verilog["qnn_pe.v"] = verilog["qnn_pe.v"].replace(whole, broken, 1)
    report = verify(design, x, verilog=verilog, limit=LIMIT)
    assert report.mismatches > 0
    assert report.first_layer == layer_names(design)[0]


@pytest.mark.parametrize("number", [0, 2])
def test_a_lost_token_ends_by_a_time_out_that_names_the_layer(number):
    design, x = sound()
    layer = design.artifact.layers[number]
    faulty = with_field(
        design,
        (Op.CONV, Op.MAXPOOL),
        layer.tag,
        waits=lambda value: (
            value | {Engine.STORE}
        ),  # the store engine gives no token before the end
    )
    report = verify(faulty, x, limit=LIMIT)
    assert report.failure == f"run 0: time-out: not done after {LIMIT} cycles"
    assert report.first_layer == layer.name
    values = report.layers[number].values
    assert f"layer '{layer.name}', image 0: {values} of {values} values were not written" in str(
        report
    )
    assert report.first.got is None


def test_a_missing_layer_is_found():
    design, x = sound()
    image = replace(design.artifact, layers=design.artifact.layers[:-1])
    report = verify(replace(design, artifact=image), x, "functional")
    assert report.first_layer == layer_names(design)[-1]
    assert "the image does not compute it" in str(report)


def test_stalls_change_cycles_and_nothing_else():
    design, x = sound()
    x = np.repeat(x, 2, axis=0)
    flowing = verify(design, x, limit=LIMIT)
    stalled = verify(design, x, timing=rtl.MemoryTiming.stalled(7), limit=4 * LIMIT)
    assert flowing.passed
    assert stalled.passed
    assert stalled.run_cycles != flowing.run_cycles
