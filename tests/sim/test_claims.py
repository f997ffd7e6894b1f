"""What an image says of its tensors is held to the network, and every value is counted."""

import functools
from dataclasses import replace

import numpy as np
import pytest

import qnn
from hw.spec.isa.header import Op
from sim.verify import verify
from tests.compiler import small_graphs
from tests.graphs import images
from tests.programs import with_members


@functools.cache
def sound():
    """A design of a network that takes pixels, two images a run, and inputs for it."""
    plain = small_graphs.network()
    (given,) = plain.inputs
    table = np.arange(256) + np.array([[-128], [-128], [-128]])
    graph = replace(plain, nodes=(replace(given, table=table), *plain.nodes[1:]))
    return qnn.compile(graph, batch=2), images(graph, 2)


def verified(**changes):
    """The report of the sound design with other members of its image."""
    design, x = sound()
    return verify(replace(design, artifact=replace(design.artifact, **changes)), x, "functional")


def changed_layout(layouts, number, **changes):
    return tuple(replace(o, **changes) if n == number else o for n, o in enumerate(layouts))


def test_the_sound_image_passes():
    report = verified()
    assert str(report) == f"verify: PASS 0/{report.values_compared} mismatches"


def test_a_pixel_table_of_zeros_is_found():
    report = verified(pixel_tables=(((0,) * 256,) * 3,))
    assert not report.passed
    assert str(report).splitlines()[1:] == [
        "  input 'x': 765 of 768 values of the image's pixel table differ, the first for channel "
        "0, pixel 0: expected -128, got 0"
    ]


@pytest.mark.parametrize(
    ("tables", "line"),
    [
        ((None,), "the image claims pixel table None, but the network has of 3 channels"),
        (
            (((0,) * 256,) * 2,),
            "the image claims pixel table of 2 channels, but the network has of 3 channels",
        ),
    ],
)
def test_another_form_of_pixel_table_is_found(tables, line):
    assert str(verified(pixel_tables=tables)).splitlines()[1:] == [f"  input 'x': {line}"]


def test_no_single_value_of_the_pixel_table_may_differ():
    design, _ = sound()
    rows = [list(row) for row in design.artifact.pixel_tables[0]]
    rows[2][17] += 1
    report = verified(pixel_tables=(tuple(map(tuple, rows)),))
    assert str(report).splitlines()[1:] == [
        "  input 'x': 1 of 768 values of the image's pixel table differ, the first for channel 2, "
        f"pixel 17: expected {rows[2][17] - 1}, got {rows[2][17]}"
    ]


@pytest.mark.parametrize("number", [0, 1], ids=["first image", "second image"])
def test_an_exponent_of_an_output_that_is_not_the_networks_is_found(number):
    design, _ = sound()
    (output,) = design.graph.outputs
    right = design.graph[output.name].type.exponent
    outputs = changed_layout(design.artifact.outputs, number, exponent=right - 2)
    report = verified(outputs=outputs)
    assert not report.passed
    assert str(report).splitlines()[1:] == [
        f"  output '{output.name}': the image claims exponent {right - 2}, but the network has "
        f"{right}"
    ]


def test_a_shape_of_an_output_that_is_not_the_networks_is_found():
    design, _ = sound()
    (output,) = design.graph.outputs
    report = verified(output_shapes=((1, *output.shape),))
    assert str(report).splitlines()[1:] == [
        f"  output '{output.name}': the image claims shape {(1, *output.shape)}, but the network "
        f"has {output.shape}"
    ]


def test_an_exponent_of_an_input_or_a_layer_that_is_not_the_networks_is_found():
    design, _ = sound()
    inputs = changed_layout(design.artifact.inputs, 0, exponent=7)
    assert str(verified(inputs=inputs)).splitlines()[1:] == [
        "  input 'x': the image claims exponent 7, but the network has 4"
    ]
    first, *rest = design.artifact.layers
    wrong = replace(first, output=replace(first.output, exponent=-3))
    report = verified(layers=(wrong, *rest))
    assert not report.passed
    assert report.first_layer == first.name
    assert f"the image claims exponent -3, but the network has {first.output.exponent}" in str(
        report
    )


@pytest.mark.parametrize("axis", ["rows", "channels"])
def test_a_layer_that_claims_less_than_it_has_is_found(axis):
    design, _ = sound()
    first, *rest = design.artifact.layers
    channels, height, width = design.graph[first.name].shape
    assert first.output.channels == (channels,)
    less = {"height": height - 1} if axis == "rows" else {"channels": (channels - 1,)}
    report = verified(layers=(replace(first, output=replace(first.output, **less)), *rest))
    assert not report.passed
    missing = width * (channels if axis == "rows" else height)
    assert (report.mismatches, report.first_layer) == (missing, first.name)
    assert report.values_compared == verified().values_compared
    # The writes of what is claimed no longer go outside of it.
    problem = next(layer.problem for layer in report.layers if not layer.passed)
    assert problem.endswith(
        (
            "writes outside its tensor",
            f"{missing} of {channels * height * width} values are in no part that the image has "
            f"of it",
        )
    )


@pytest.mark.parametrize("claim", [{"channel": 1}, {"row": 3}])
def test_a_layer_that_claims_another_place_is_found(claim):
    design, _ = sound()
    first, *rest = design.artifact.layers
    report = verified(layers=(replace(first, **claim), *rest))
    assert not report.passed
    assert report.first_layer == first.name
    shape = design.graph[first.name].shape
    assert str(report).splitlines()[1] == (
        f"  layer '{first.name}', image 0: the image has values of shape {shape} of it, which do "
        f"not lie in its {shape}"
    )


def test_a_layer_of_no_network_is_found():
    design, _ = sound()
    first, *rest = design.artifact.layers
    report = verified(layers=(replace(first, name="elsewhere"), *rest))
    assert not report.passed
    assert "layer 'elsewhere', image 0: the network has no such layer" in str(report)


def tiles_of(design, name):
    """Number and instruction of each computation of a layer of the first image."""
    tags = {e.tag for e in design.artifact.layers if (e.name, e.image) == (name, 0)}
    return [
        (number, each)
        for number, each in enumerate(design.artifact.program)
        if each.op in (Op.CONV, Op.MAXPOOL) and each.tag in tags
    ]


DEVICES = pytest.mark.parametrize(
    "device", ["functional", pytest.param("rtl", marks=pytest.mark.rtl)]
)


@DEVICES
def test_a_fault_in_an_instruction_is_told_by_its_layer_and_what_it_left_out(device):
    design, x = sound()
    first = design.artifact.layers[0].name
    number, tiles = tiles_of(design, first)[0]
    wrong = with_members(design.artifact, number, output_height=tiles.output_height - 1)
    options = {"limit": 20_000} if device == "rtl" else {}
    report = verify(replace(design, artifact=wrong), x, device, **options)
    assert not report.passed
    assert report.first_layer == first
    channels, height, width = design.graph[first].shape
    missing = min(channels, design.config.rows) * width
    line = f"{missing} of {channels * height * width} values were not written at the end"
    assert f"  layer '{first}', image 0: {line}" in str(report).splitlines()


def test_an_instruction_that_cannot_run_is_told_by_its_layer():
    design, x = sound()
    last = design.artifact.layers[-1].name
    number, _ = tiles_of(design, last)[0]
    beyond = design.config.feature_words - 1
    wrong = with_members(design.artifact, number, output_address=beyond)
    report = verify(replace(design, artifact=wrong), x, "functional")
    assert (report.passed, report.first_layer) == (False, last)
    assert str(report).splitlines()[1] == (
        f"  instruction {number} of layer '{last}' leaves the feature buffer of "
        f"{design.config.feature_words}; compile the model again"
    )
    before = [layer for layer in report.layers if layer.op != "none" and layer.image == 0]
    assert all(layer.passed for layer in before)
    assert before
