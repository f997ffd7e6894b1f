"""A weight of another group, and a word of another group, are found by ``verify``."""

import functools
from dataclasses import replace

import numpy as np
import pytest

import qnn
from hw.spec.config import named_config
from hw.spec.image import Image
from hw.spec.isa.buffers import Buffer
from hw.spec.isa.header import Op
from hw.spec.isa.packing import pack, unpack
from sim.verify import verify
from tests.compiler import small_graphs
from tests.graphs import images
from tests.programs import with_members

CONFIG = named_config("test")
DEVICES = pytest.mark.parametrize(
    "device", ["functional", pytest.param("rtl", marks=pytest.mark.rtl)]
)


@functools.cache
def sound():
    graph = small_graphs.grouped()
    return qnn.compile(graph, CONFIG), images(graph, 1)


def first(design, name, op, **wanted):
    """Number and fields of the first instruction of a layer."""
    tag = next(layer.tag for layer in design.artifact.layers if layer.name == name)
    return next(
        (number, fields)
        for number, fields in enumerate(design.artifact.program)
        if fields.op is op and fields.tag == tag
        if all(getattr(fields, key) == value for key, value in wanted.items())
    )


def weight_byte(design, word):
    """Where in the image a word of the weight buffer is loaded from."""
    load = next(
        each
        for each in design.artifact.program
        if each.op is Op.LOAD and each.buffer is Buffer.WEIGHTS
        if each.address <= word < each.address + each.words
    )
    return load.offset + (word - load.address) * Buffer.WEIGHTS.word_bytes(CONFIG)


def with_payload(design, start, data):
    payload = bytearray(design.artifact.payload)
    payload[start : start + len(data)] = data
    assert bytes(payload) != design.artifact.payload
    image = Image.from_bytes(replace(design.artifact, payload=bytes(payload)).to_bytes())
    return replace(design, artifact=image)


@DEVICES
@pytest.mark.parametrize("name", ["half", "twofold"])
def test_a_weight_at_the_lane_of_another_group_is_found(name, device):
    design, x = sound()
    _, conv = first(design, name, Op.CONV)
    size = Buffer.WEIGHTS.word_bytes(CONFIG)
    # The kernel's middle, which no padding hides.
    start = weight_byte(design, conv.weight_address + 4)
    word = np.frombuffer(design.artifact.payload[start : start + size], np.uint8)
    count = CONFIG.rows * CONFIG.lanes
    codes = unpack(word, CONFIG.weight_bits, count, signed=False).reshape(-1, CONFIG.lanes)
    row, lane = np.argwhere(codes)[0]
    other = (lane + 4) % CONFIG.lanes
    assert codes[row, other] == 0
    codes[row, [lane, other]] = codes[row, [other, lane]]
    packed = pack(codes.reshape(1, -1).astype(np.int64), CONFIG.weight_bits, size)
    report = verify(with_payload(design, start, packed.tobytes()), x, device)
    assert not report.passed
    assert (report.first.layer, report.first.channel) == (name, row)
    assert report.mismatches <= x[0, 0].size


@DEVICES
def test_a_word_of_another_group_is_found(device):
    design, x = sound()
    number, fields = first(design, "half", Op.CONV, output_part=1)
    address = (fields.input_address + fields.block_step) % (1 << 20)
    image = with_members(design.artifact, number, input_address=address)
    faulty = with_payload(design, 0, image.payload[: image.program_bytes])
    report = verify(faulty, x, device)
    assert not report.passed
    assert (report.first.layer, report.first.channel) == ("half", 4)
