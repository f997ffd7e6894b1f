"""Packed inputs: which are, how many words they take, and that no value changes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.spec.config import named_config
from hw.spec.image import Image, ImageError
from hw.spec.isa.header import Op
from hw.spec.tensors import Gather
from qnn.backend.array.backend import BACKEND as ARRAY
from qnn.compiler import compile_graph
from qnn.compiler.pack_input import pack_input
from qnn.design import Design
from qnn.ir.check import check
from qnn.ir.graph import Graph, Output
from qnn.ir.reference import reference
from qnn.runtime.tensors import gathered
from sim.functional import run
from sim.verify import verify
from tests.compiler import large_graphs, small_graphs
from tests.graphs import images
from tests.operators import changed

TEST, REFERENCE = named_config("test"), named_config("reference")

BY_TWO = {"stride": (2, 2)}


def first_layer(shape, outputs, kernel, **window):
    """A convolution of an image of ``shape``, with any window."""
    x = small_graphs.image(*shape)
    rng = np.random.default_rng(5)
    codes = rng.integers(-3, 4, (1, outputs, shape[0], *kernel)).astype(np.int8)
    conv = small_graphs.conv("c", x, outputs, **{"codes": codes, "padding": (0,) * 4} | window)
    conv = replace(conv, shape=conv.output_shape((x,)))
    return small_graphs.graph(x, conv)


@st.composite
def first_layers(draw):
    """One or two convolutions of one window over a small image, of stored signs of both kinds."""
    side, reach = st.integers(1, 9), st.integers(1, 5)
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    shape = (draw(st.integers(1, 5)), draw(side), draw(side))
    kernel, stride, dilation = (draw(reach), draw(reach)), draw(pair), draw(pair)
    padding = []
    for size, taps, apart in zip(shape[1:], kernel, dilation, strict=True):
        before = draw(st.integers(0, 4))
        least = max(0, apart * (taps - 1) + 1 - size - before)
        padding += [before, draw(st.integers(least, least + 3))]
    window = {"stride": stride, "dilation": dilation, "padding": tuple(padding)}
    graph = first_layer(shape, draw(st.integers(1, 6)), kernel, **window)
    if draw(st.booleans()):
        x = replace(graph.inputs[0], type=small_graphs.U8)
        graph = Graph((x, *graph.nodes[1:]), graph.outputs)
    if draw(st.booleans()):
        codes, left = -graph["c"].codes[:, ::-1], graph["c"].epilogue.left
        twin = changed(graph["c"], name="d", codes=codes, bias=left)
        outputs = (*graph.outputs, Output("d", twin.shape))
        graph = Graph((*graph.nodes, twin), outputs)
    check(graph)
    return graph


@settings(deadline=None)
@given(first_layers(), st.sampled_from([TEST, REFERENCE]), st.integers(1, 2))
def test_no_value_changes_and_steps_only_fall(graph, config, batch):
    x = images(graph, batch + 1)
    image = compile_graph(graph, config, batch)
    result, expected = run(image, x), reference(graph, x)
    for output, got in zip(graph.outputs, result.outputs, strict=True):
        np.testing.assert_array_equal(got, expected[output.name])
    packed, gather = pack_input(graph, "x", config)
    check(packed)
    before, after = graph["c"], packed["c"]
    assert after.shape == before.shape
    assert np.prod(after.window.kernel) < np.prod(before.window.kernel) or gather is None
    # What takes more than a word has no pixel twice, but all that a window reads at one place.
    if after.codes.shape[2] > max(config.lanes, before.codes.shape[2]):
        assert after.window.kernel == (1, 1)
        for count, stride, kernel, apart in zip(
            after.shape[1:],
            before.window.stride,
            before.window.kernel,
            before.window.dilation,
            strict=True,
        ):
            assert count == 1 or stride > apart * (kernel - 1)
    if gather is not None:  # a word an output column, and those that its last steps reach beyond
        beyond = after.window.dilation[1] * (after.window.kernel[1] - 1)
        plain = graph.inputs[0].shape[2] if gather.taps[1] == 1 else 0
        assert packed.inputs[0].shape[2] <= max(plain, before.shape[2] + beyond)


def test_a_linear_layer_of_an_image_reads_it_in_whole_words():
    # Three images below each other, as in a batch.
    graph = first_layer((1, 84, 28), 10, (28, 28), stride=(28, 28))
    packed, gather = pack_input(graph, "x", REFERENCE)
    assert packed.inputs[0].shape == (784, 3, 1)
    assert gather.taps == (28, 28)
    patches = first_layer((3, 8, 8), 10, (4, 4), stride=(4, 4))
    assert pack_input(patches, "x", REFERENCE)[0].inputs[0].shape == (48, 2, 2)
    # Windows that share pixels stay within a word: three of three channels.
    shared = first_layer((3, 9, 9), 10, (3, 3), stride=(2, 2))
    assert pack_input(shared, "x", REFERENCE)[0].inputs[0].shape[0] == 9


@given(first_layers())
def test_the_convolution_over_gathered_words_is_the_convolution(graph):
    packed, gather = pack_input(graph, "x", REFERENCE)
    x = images(graph, 2)
    words = x if gather is None else gathered(x, gather, packed.inputs[0].shape[1:])
    expected, got = reference(graph, x), reference(packed, words)
    for output in graph.outputs:
        np.testing.assert_array_equal(got[output.name], expected[output.name])


@pytest.mark.parametrize(
    ("shape", "kernel", "window", "taps", "packed_kernel", "words"),
    [
        ((3, 32, 32), (3, 3), {"padding": (1,) * 4}, (1, 3), (3, 1), (32, 32)),
        ((3, 224, 224), (7, 7), BY_TWO | {"padding": (3,) * 4}, (1, 4), (7, 2), (224, 114)),
        ((1, 49, 10), (10, 4), BY_TWO | {"padding": (4, 5, 1, 1)}, (4, 4), (3, 1), (27, 5)),
        ((1, 28, 28), (28, 28), {}, (4, 4), (7, 7), (7, 7)),
        ((16, 8, 8), (3, 3), {"padding": (1,) * 4}, None, (3, 3), (8, 8)),
        ((3, 32, 32), (1, 1), {}, None, (1, 1), (32, 32)),
    ],
    ids=["3x3", "7x7 stride 2", "10x4 stride 2", "linear", "full word", "1x1"],
)  # fmt: skip
def test_what_a_word_holds(shape, kernel, window, taps, packed_kernel, words):
    packed, gather = pack_input(first_layer(shape, 8, kernel, **window), "x", REFERENCE)
    assert (gather.taps if gather else None) == taps
    assert packed["c"].window.kernel == packed_kernel
    assert packed.inputs[0].shape[1:] == words


def test_an_input_that_others_read_otherwise_stays():
    graph = small_graphs.one_conv()
    x, conv = graph.nodes
    other = small_graphs.conv("d", x, 8, kernel=1)
    skip = small_graphs.conv("s", x, 3, skip=x)
    for nodes, outputs in (
        ((x, conv, other), "cd"),
        ((x, skip), "s"),
        ((x, conv), "cx"),
        ((x, changed(conv, codes=conv.codes[:, :3, :1], groups=3, shape=(3, 6, 5))), "c"),
    ):
        same = Graph(nodes, tuple(Output(o, (1,)) for o in outputs))
        assert pack_input(same, "x", TEST) == (same, None)


def test_an_input_that_fits_only_as_it_is_stays_so():
    """Dilated taps at a stride of 1 reach behind the image: their words are more than its own."""
    window = {"dilation": (1, 3), "padding": (0, 0, 6, 6)}
    graph = first_layer((4, 1, 31), 4, (1, 5), **window)
    wide = compile_graph(graph, replace(TEST, feature_words=128))
    assert wide.inputs[0].gather is not None
    tight = replace(TEST, feature_words=64)
    image = compile_graph(graph, tight)
    assert image.inputs[0].gather is None
    x = images(graph, 2)
    np.testing.assert_array_equal(run(image, x).outputs[0], reference(graph, x)["c"])


def test_a_network_in_strips_takes_a_packed_input_too():
    graph = large_graphs.pooled(height=17)
    image = compile_graph(graph, TEST)
    assert image.scratch_bytes or len(image.layers) > 2  # in strips
    assert image.inputs[0].gather.taps == (1, 2)
    assert sum(layer.macs for layer in image.layers) == 64 * 3 * 49 * 9 * 56
    x = images(graph, 2)
    np.testing.assert_array_equal(run(image, x).outputs[0], reference(graph, x)["pool"])


def test_words_of_a_packed_input_as_documented():
    gather = Gather(shape=(1, 1, 4), taps=(1, 3), dilation=(1, 1), first=(0, -1), step=(1, 2))
    words = gathered(np.array([[[5, 6, 7, 8]]]), gather, (1, 2))
    assert words.tolist() == [[[0, 6]], [[5, 7]], [[6, 8]]]


def test_the_file_keeps_the_gather():
    image = compile_graph(small_graphs.one_conv(), TEST)
    assert Image.from_bytes(image.to_bytes()).inputs[0].gather == image.inputs[0].gather is not None


def test_an_image_from_before_inputs_were_packed_is_refused():
    data = bytearray(compile_graph(small_graphs.one_conv(), TEST).to_bytes())
    data[8:12] = (1).to_bytes(4, "little")
    with pytest.raises(ImageError) as error:
        Image.from_bytes(bytes(data), "old.bin")
    assert str(error.value) == (
        "old.bin: image version 1, but this qnn reads version 6; compile the model again"
    )


def test_utilisation_counts_the_products_of_the_network_alone():
    (layer,) = compile_graph(small_graphs.one_conv(), TEST).layers
    assert layer.macs == 8 * 3 * 9 * 30


def _tampered(image):
    gather = image.inputs[0].gather
    moved = replace(gather, first=(gather.first[0], gather.first[1] + 1))
    return replace(image, inputs=tuple(replace(i, gather=moved) for i in image.inputs))


def test_verify_reports_an_input_gathered_one_pixel_off():
    graph = small_graphs.network()
    design = Design(graph, _tampered(compile_graph(graph, TEST)), ARRAY)
    report = verify(design, images(graph, 1), "functional")
    assert report.first_layer == "a"


@pytest.mark.rtl
@pytest.mark.parametrize(
    ("shape", "kernel", "window"),
    [
        ((3, 8, 7), (3, 3), {"padding": (1,) * 4}),
        ((3, 9, 11), (7, 7), BY_TWO | {"padding": (3,) * 4}),
        ((1, 13, 10), (10, 4), BY_TWO | {"padding": (4, 5, 1, 1)}),
        ((1, 8, 8), (8, 8), {}),
        ((2, 7, 9), (3, 4), {"padding": (2, 1, 3, 0), "dilation": (2, 3), "stride": (3, 1)}),
    ],
    ids=["3x3", "7x7 stride 2", "10x4 stride 2", "linear", "dilated"],
)
def test_the_rtl_computes_the_same(shape, kernel, window):
    graph = first_layer(shape, 8, kernel, **window)
    image = compile_graph(graph, TEST, 2)
    assert image.inputs[0].gather is not None
    convs = [i for i in image.program if i.op is Op.CONV]
    assert convs[0].kernel_x * convs[0].kernel_y < kernel[0] * kernel[1]
    report = verify(Design(graph, image, ARRAY), images(graph, 3), "rtl")
    assert report.passed, str(report)
