"""Convolutions of groups: the words that they read, the weights beside them, and the cycles."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.spec.config import ADDRESS_BITS, named_config
from hw.spec.isa.header import Op
from qnn.compiler import compile_graph, run_passes
from qnn.compiler.compilation import Compilation
from qnn.compiler.estimate import layer_cycles
from qnn.compiler.lower_products import lower_products
from qnn.compiler.order_channels import free_orders, ordered
from qnn.compiler.pack_input import pack_input
from qnn.compiler.recode_weights import recoded
from qnn.compiler.segments import block_count, blocks_read, groups, lanes_of
from qnn.compiler.steps import steps
from qnn.compiler.storage import places
from qnn.compiler.terms import terms_of
from qnn.compiler.tiles import choose_layout, cycles
from qnn.compiler.words import weight_words
from qnn.errors import CompileError
from qnn.ir.ops import Conv
from tests.compiler import small_graphs
from tests.graphs import graphs
from tests.operators import changed

TEST, REFERENCE = named_config("test", weight_bits=4), named_config("reference")
LARGE = named_config("test", weight_bits=4, feature_words=8192)


@st.composite
def grouped(draw):
    """A convolution of groups, and segments of its operand and its result."""
    count = draw(st.integers(1, 6))
    inputs, outputs = draw(st.integers(1, 20)), draw(st.integers(1, 20))
    shape = (2, count * outputs, inputs, draw(st.integers(1, 2)), 2)
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    x = small_graphs.image(count * inputs)
    codes = rng.integers(-3, 4, shape).astype(np.int8)
    conv = small_graphs.conv("c", x, count * outputs, codes=codes, groups=count)
    return conv, draw(_segments(count * inputs)), draw(_segments(count * outputs))


@st.composite
def _segments(draw, channels):
    cuts = sorted({0, channels, *draw(st.sets(st.integers(0, channels), max_size=2))})
    return tuple(b - a for a, b in pairwise(cuts))


def dense(conv):
    """The same convolution in one group, with codes of 0 between the groups."""
    terms, outputs, inputs, height, width = conv.codes.shape
    codes = np.zeros((terms, outputs, inputs * conv.window.groups, height, width), np.int8)
    for channel in range(outputs):
        group = channel // (outputs // conv.window.groups)
        start = group * inputs
        codes[:, channel, start : start + inputs] = conv.codes[:, channel]
    return changed(conv, codes=codes, groups=1)


@given(grouped())
def test_an_instruction_reads_the_blocks_of_its_groups_and_no_other(case):
    conv, operand, result = case
    block, _ = lanes_of(operand, TEST.lanes)
    whole = dense(conv)
    for share in groups(result, TEST.lanes, TEST.rows):
        touched = np.zeros(len(block), bool)
        for channel in share.channels:
            start = channel * conv.window.groups // conv.shape[0] * conv.codes.shape[2]
            touched[start : start + conv.codes.shape[2]] = True
        assert list(blocks_read(conv, share, operand, TEST.lanes)) == sorted(set(block[touched]))
        assert blocks_read(whole, share, operand, TEST.lanes) == range(block_count(operand, 8))


@given(grouped())
def test_weights_are_those_of_the_dense_layer_without_the_words_of_zeros(case):
    conv, operand, result = case
    height, width = conv.window.kernel
    for share in groups(result, TEST.lanes, TEST.rows):
        read, terms = (
            blocks_read(conv, share, operand, TEST.lanes),
            len(terms_of(conv, share, TEST)),
        )
        got, wanted = (weight_words(c, share, operand, TEST) for c in (conv, dense(conv)))
        shape = (terms * height * width, -1, TEST.rows, TEST.lanes)
        steps_of = [height * width * n * terms for n in (len(read), block_count(operand, 8))]
        got, wanted = (
            np.broadcast_to(words, (count, *words.shape[1:])).reshape(shape)
            for words, count in zip((got, wanted), steps_of, strict=True)
        )
        np.testing.assert_array_equal(got, wanted[:, read.start : read.stop])
        assert not np.delete(wanted, list(read), axis=1).any()


@settings(max_examples=25)
@given(graph=graphs())
def test_tiles_are_chosen_by_the_cycles_that_the_program_takes(graph):
    try:
        image = compile_graph(graph, LARGE)
    except CompileError:  # weights of one instruction that do not fit
        return
    state = Compilation(graph=run_passes(graph), config=LARGE, batch=1, bytes_per_cycle=8)
    graph = recoded(lower_products(state).graph, LARGE)
    graph = ordered(graph, free_orders(graph, LARGE))
    # Packed where that is the plan of fewer cycles, loads included.
    if image.network_inputs[0].gather is not None:
        graph, _ = pack_input(graph, "x", LARGE)
    place = places(graph, LARGE)
    tiles = choose_layout(graph, place, LARGE).tiles
    for name, estimate in layer_cycles(image).items():
        node = graph[name]
        own = (place[each].segments for each in (node.inputs[0], name))
        assert cycles(node, tiles[name], steps(node, *own, LARGE), LARGE) == estimate


def program(node, x):
    """The convolution instructions of a network of ``node`` alone, for the reference's sizes."""
    image = compile_graph(small_graphs.graph(x, node), REFERENCE)
    return [fields for fields in image.program if fields.op is Op.CONV]


def test_groups_of_4_in_64_channels_read_one_word_of_four():
    x = small_graphs.image(64)
    codes = np.arange(64 * 4 * 9).reshape(1, 64, 4, 3, 3) % 7 - 3
    conv = small_graphs.conv("c", x, 64, codes=codes.astype(np.int8), groups=16)
    fields = program(conv, x)
    assert [f.blocks for f in fields] == [1, 1, 1, 1]
    assert [f.weight_address for f in fields] == [0, 9, 18, 27]
    starts = [f.input_address for f in fields]
    assert {(b - a) % (1 << ADDRESS_BITS) for a, b in pairwise(starts)} == {5}  # a block of a row


def test_groups_of_24_channels_read_the_words_that_they_straddle():
    x = small_graphs.image(48)
    codes = np.ones((1, 48, 24, 1, 1), np.int8)
    conv = small_graphs.conv("c", x, 48, kernel=1, codes=codes, groups=2)
    assert [f.blocks for f in program(conv, x)] == [2, 3, 2]  # channels 0-23, both, 24-47


def test_a_depthwise_layer_takes_a_step_for_each_tap():
    x = small_graphs.image(48)
    codes = np.ones((1, 96, 1, 3, 3), np.int8)
    conv = small_graphs.conv("c", x, 96, codes=codes, groups=48)
    assert [f.blocks for f in program(conv, x)] == [1] * 6


def test_channels_meet_a_skip_operand_that_lies_otherwise_without_a_copy():
    graph = run_passes(small_graphs.spread())
    assert [node.name for node in graph.nodes if isinstance(node, Conv)] == [
        "a", "b", "b_copy", "a_copy", "a_copy_2", "d", "e",
    ]  # fmt: skip
