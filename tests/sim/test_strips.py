"""Networks larger than the chip, simulated: every strip is right, and a wrong one is found."""

from dataclasses import replace

import numpy as np
import pytest

from hw.spec.config import named_config
from hw.spec.isa.buffers import Buffer, Region
from hw.spec.isa.header import Op
from qnn.backend.array.backend import BACKEND as ARRAY
from qnn.compiler import compile_graph
from qnn.design import Design
from sim.rtl import MemoryTiming
from sim.verify import verify
from tests.compiler import large_graphs
from tests.graphs import images
from tests.programs import with_members
from tests.sim.checks import model_cycles

TEST = replace(named_config("test"), feature_words=256, weight_words=128)
REFERENCE = replace(named_config("reference"), feature_words=2048, weight_words=512)
SMALL = {
    "a halo and a skip": lambda: large_graphs.residual_block(8, 12, 24),
    "stride 2": lambda: large_graphs.strided(8, 20, 16, 24),
    "pooling": lambda: large_graphs.pooled(10, 33, 24),
    "two layers a strip": lambda: large_graphs.thin(8, 40, 20),
    "weights that stream": lambda: large_graphs.deep(72, 24, 5),
    "branches side by side": lambda: large_graphs.branched(16, 40, 8),
    "columns in reverse": lambda: large_graphs.turned(8, 20, 21),
    "many operands of one layer": lambda: large_graphs.upsampled(32, 24, 6),
}


def design(graph, config, batch=1, rate=None):
    return Design(graph, compile_graph(graph, config, batch, rate), ARRAY)


def in_rtl(built, count, rate=None):
    """Verify in the RTL, at a rate of the memory, and hold the cycle model to it."""
    report = verify(built, images(built.graph, count), "rtl", timing=MemoryTiming(rate=rate))
    assert report.passed, str(report)
    assert set(report.run_cycles) == {model_cycles(built, rate)}


@pytest.mark.rtl
@pytest.mark.parametrize("rate", [None, 3])
@pytest.mark.parametrize("kind", SMALL)
def test_strips_of_each_kind_in_rtl(kind, rate):
    in_rtl(design(SMALL[kind](), TEST, 2, rate), 2, rate)


@pytest.mark.rtl
@pytest.mark.parametrize("kind", SMALL)
def test_strips_on_a_memory_that_stalls(kind):
    built = design(SMALL[kind](), TEST)
    report = verify(built, images(built.graph, 1), "rtl", timing=MemoryTiming.stalled(5))
    assert report.passed, str(report)


@pytest.mark.slow
@pytest.mark.rtl
@pytest.mark.parametrize("rate", [None, 9])
@pytest.mark.parametrize("make", large_graphs.ALL, ids=lambda make: make.__name__)
def test_tiles_of_resnet18_on_the_reference_array_in_rtl(make, rate):
    in_rtl(design(make(), REFERENCE, 1, rate), 1, rate)


def test_each_part_is_compared():
    """Rows that two strips compute count twice."""
    built = design(SMALL["two layers a strip"](), TEST, rate=2)
    report = verify(built, images(built.graph, 1), "functional")
    assert report.passed
    assert not built.artifact.scratch_bytes
    rows = [layer.output.height for layer in built.artifact.layers if layer.name == "a"]
    assert sum(rows) > built.graph["a"].shape[1]
    values = sum(layer.values for layer in report.layers if layer.name == "a")
    assert values == sum(rows) * 8 * 20


def with_field(built, index, **changes):
    """``built`` with one instruction changed."""
    return replace(built, artifact=with_members(built.artifact, index, **changes))


def feature_loads(built):
    return [
        (index, fields)
        for index, fields in enumerate(built.artifact.program)
        if fields.op is Op.LOAD and fields.buffer == Buffer.FEATURES
    ]


def row_bytes(built, fields):
    """Of a row in memory: a strip of whole rows is one run, or one run a row."""
    layer = built.artifact.layers[fields.tag]
    name = built.graph[layer.name].inputs[0]
    channels, _, width = built.graph[name].shape
    config = built.config
    return -(-channels // config.lanes) * width * config.feature_bits // 8


@pytest.mark.parametrize("kind", ["a halo and a skip", "stride 2", "pooling"])
@pytest.mark.parametrize("rows", [-1, 1])
def test_any_strip_that_is_loaded_a_row_off_is_found_in_its_layer(kind, rows):
    built = design(SMALL[kind](), TEST)
    x = images(built.graph, 1)
    found = 0
    for index, fields in feature_loads(built):
        offset = fields.offset + rows * row_bytes(built, fields)
        if offset < 0:
            continue
        report = verify(with_field(built, index, offset=offset), x, "functional")
        layer = built.artifact.layers[fields.tag]
        assert not report.passed
        # A load that leaves its region, or reads what is stored later, ends the run in its layer.
        assert report.first_layer == layer.name
        assert report.failure or report.first.layer == layer.name
        found += 1
    assert found > 2


@pytest.mark.parametrize("change", [-1, 1])
def test_a_strip_that_takes_an_inner_border_for_the_images_is_found(change):
    built, found = design(SMALL["a halo and a skip"](), TEST), 0
    x = images(built.graph, 1)
    for index, fields in enumerate(built.artifact.program):
        if fields.op is Op.CONV:
            wrong = with_field(built, index, input_y=fields.input_y + change)
            report = verify(wrong, x, "functional")
            assert report.first_layer == built.artifact.layers[fields.tag].name
            found += 1
    assert found > 10


def test_a_strip_that_is_loaded_before_it_is_stored_is_refused():
    built = design(SMALL["a halo and a skip"](), TEST)
    index, _ = feature_loads(built)[0]
    early = with_field(built, index, region=Region.SCRATCH)
    report = verify(early, images(built.graph, 1), "functional")
    assert report.failure == (
        f"instruction {index} of layer 'a' loads words that nothing stored; compile the model again"
    )
    assert report.first_layer == "a"


@pytest.mark.rtl
def test_a_row_off_is_found_in_rtl_with_layer_row_and_cycle():
    built = design(SMALL["a halo and a skip"](), TEST)
    x = images(built.graph, 1)
    middle = len(feature_loads(built)) // 4
    index, fields = feature_loads(built)[middle]
    layer = built.artifact.layers[fields.tag]
    assert 0 < layer.row < built.graph[layer.name].shape[1] - layer.output.height
    offset = fields.offset + row_bytes(built, fields)
    report = verify(with_field(built, index, offset=offset), x, "rtl")
    assert not report.passed
    assert report.first.layer == layer.name
    assert layer.row <= report.first.row < layer.row + layer.output.height
    assert report.first.cycle is not None
    assert np.array_equal(x, images(built.graph, 1))
