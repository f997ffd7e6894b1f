"""Terms of weights: in the codes of the array, in the order of its steps, and only those needed."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.spec.config import named_config
from hw.spec.isa.codes import most_index, term_shift
from hw.spec.isa.header import Op
from qnn.compiler import compile_graph, run_passes
from qnn.compiler.recode_weights import recoded
from qnn.compiler.segments import groups
from qnn.compiler.terms import moved_left, terms_of
from qnn.compiler.words import weight_words
from qnn.ir.reference import reference
from sim import functional
from tests.compiler.small_graphs import conv, graph, image
from tests.graphs import check_same, images

TEST = named_config("test")  # 8 lanes, 4 rows, 3-bit codes


def layer(codes, **fields):
    """A 1x1 convolution of ``codes``, (terms, outputs, inputs)."""
    codes = np.array(codes, np.int8)[..., None, None]
    return conv("c", image(codes.shape[2]), codes.shape[1], kernel=1, codes=codes, **fields)


def terms(node, number, config=TEST):
    group = groups((node.shape[0],), config.lanes, config.rows)[number]
    return terms_of(node, group, config), moved_left(node, terms_of(node, group, config), config)


def test_words_lie_term_by_term_in_the_order_of_the_steps():
    codes = np.zeros((2, 4, 8, 2, 2), np.int8)
    codes[0, 0, 0], codes[1, 0, 0] = [[1, 2], [3, -1]], [[-2, -3], [1, 2]]
    node = conv("c", image(8), 4, codes=codes, padding=(0, 1, 0, 1))
    words = weight_words(node, groups((4,), 8, 4)[0], (8,), TEST)
    assert words[:, 0, 0].tolist() == [1, 2, 3, -1, -2, -3, 1, 2]


def test_a_group_of_channels_takes_no_term_in_which_all_codes_are_zero():
    #         channels 0 to 3 have no third term, 4 to 7 no first one, and 8 has one term, the last
    rows = [[1, 2, 0], [3, 0, 0], [0, 1, 0], [1, 1, 0]]
    rows += [[0, 1, 2], [0, 0, 3], [0, 0, 0], [0, 1, 0], [0, 0, 1]]
    node = layer(np.array(rows).T[..., None])
    assert terms(node, 0) == (range(2), 2)
    assert terms(node, 1) == (range(1, 3), 0)
    assert terms(node, 2) == (range(2, 3), 0)


def test_a_group_without_weights_takes_one_term():
    assert terms(layer(np.zeros((3, 4, 2))), 0) == (range(1), 4)


def test_a_group_without_weights_takes_one_term_where_its_sum_cannot_move_either():
    node = layer(np.zeros((3, 4, 2)), left=np.full(4, TEST.result_bits - 1))
    assert terms(node, 0) == (range(2, 3), 0)


def test_terms_of_zeros_stay_where_the_epilogue_cannot_shift_as_far():
    codes = np.zeros((4, 4, 1))
    codes[0] = 1
    for left, taken in ((0, 1), (25, 1), (26, 2), (28, 3), (29, 3), (30, 4), (31, 4)):
        node = layer(codes, left=np.array([0, left, 0, 0]))
        assert terms(node, 0) == (range(taken), 2 * (4 - taken))


def test_a_multiplier_takes_whole_weights_in_one_step():
    node, config = layer([[[1, -2]] * 4, [[2, 3]] * 4]), named_config("test", pe="multiply_lut")
    assert terms(node, 0, config) == (range(1), 0)
    words = weight_words(node, groups((4,), 8, 4)[0], (2,), config)
    assert words[:, 0, :2].tolist() == [[1 * 4 + 2, -2 * 4 + 4]]


def test_groups_of_fewer_terms_take_fewer_steps_and_give_the_same_integers():
    rng = np.random.default_rng(3)
    codes = rng.integers(-3, 4, (4, 16, 5))
    for group, stop in enumerate((4, 3, 2, 1)):
        codes[stop:, 4 * group : 4 * group + 4] = 0
    node = layer(codes, right=np.full(16, 9))
    network = graph(image(5), node)
    made = compile_graph(network, TEST)
    assert [i.terms for i in made.program if i.op is Op.CONV] == [4, 3, 2, 1]
    x = images(network, 5)
    np.testing.assert_array_equal(functional.run(made, x).tensors["c"], reference(network, x)["c"])


@settings(max_examples=60)
@given(st.data())
def test_weights_keep_their_values_in_the_codes_of_any_array(data):
    own = data.draw(st.integers(2, 5))
    wider = data.draw(st.integers(own, 5))
    count, most = data.draw(st.integers(1, 7)), most_index(own)
    codes = data.draw(st.lists(st.integers(-most, most), min_size=3 * count, max_size=3 * count))
    node = layer(np.array(codes).reshape(count, 1, 3), weight_bits=own)
    network = graph(image(3), node)
    config = named_config("test", weight_bits=wider)
    other = recoded(network, config)["c"]
    assert len(other.codes) == count
    assert np.abs(other.codes).max() <= most_index(other.weight_bits)
    assert count == 1 or term_shift(other.weight_bits) == config.term_shift
    np.testing.assert_array_equal(other.integers, node.integers)


@pytest.mark.parametrize("bits", [2, 3])
def test_every_weight_of_many_terms_has_as_many_terms_on_a_wider_array(bits):
    every = [[0, 0], [0, 1], [1, 0], [1, 1], [-1, 1], [1, -1]]
    every += [[-1, -1], [-1, 0], [0, -1]]
    node = layer(np.array(every).T[:, None, :], weight_bits=bits)
    for wider in range(bits, 6):
        config = named_config("test", weight_bits=wider)
        other = recoded(graph(image(9), node), config)["c"]
        np.testing.assert_array_equal(other.integers, node.integers)


def test_weights_that_the_array_takes_as_they_are_do_not_change():
    network = graph(image(2), layer([[[1, -1]], [[1, 1]]], weight_bits=2))
    same = named_config("test", weight_bits=5)
    check_same(recoded(network, same), network)
    multiplied = replace(TEST, pe="multiply", weight_bits=8)
    check_same(recoded(network, multiplied), network)
    assert recoded(network, TEST)["c"].weight_bits == 3


@pytest.mark.parametrize("wider", [3, 4, 5])
def test_a_network_of_narrow_terms_gives_the_same_integers_on_a_wider_array(wider):
    rng = np.random.default_rng(wider)
    for own in range(2, wider + 1):
        most = most_index(own)
        codes = rng.integers(-most, most + 1, (3, 6, 5, 1, 1)).astype(np.int8)
        node = conv("c", image(5), 6, kernel=1, codes=codes, weight_bits=own)
        network = graph(image(5), node)
        made = compile_graph(network, named_config("test", weight_bits=wider, accumulator_bits=32))
        x = images(network, 4)
        want = reference(run_passes(network), x)["c"]
        np.testing.assert_array_equal(functional.run(made, x).tensors["c"], want)
