"""Channels in the order of their terms: fewer steps, and no value of any tensor is another."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

import qnn
from hw.spec.config import named_config
from hw.spec.image import Image
from hw.spec.isa.tiles import Tiles
from qnn.compiler import compile_graph
from qnn.compiler.order_channels import free_orders, ordered
from qnn.ir.graph import Graph, Output
from qnn.ir.ops import Concat
from qnn.ir.reference import reference
from sim import functional
from tests import operators
from tests.compiler.small_graphs import U8, conv, graph, image
from tests.graphs import check_same, graphs, images

TEST = named_config("test", accumulator_bits=40)  # 8 lanes, 4 rows


def codes(needs, inputs, *, kernel=3, seed=0):
    """Random codes of channels that take ``needs`` terms each."""
    rng = np.random.default_rng(seed)
    made = rng.integers(1, 4, (max(needs), len(needs), inputs, kernel, kernel)).astype(np.int8)
    for channel, count in enumerate(needs):
        made[count:, channel] = 0
    return made


NEEDS = (2, 1, 1, 1, 2, 1, 1, 1)  # two groups of two terms, or one of two and one of one
SORTED = (1, 2, 3, 5, 6, 7, 0, 4)


def chain(*middle):
    """Two convolutions with nodes of ``middle`` between them, each a function of the one before."""
    x = image(3, 8, 8)
    nodes = [x, conv("a", x, 8, codes=codes(NEEDS, 3))]
    for make in middle:
        nodes.append(make(nodes[-1]))
    return graph(*nodes, conv("last", nodes[-1], 5))


def pool(source):
    fields = {"kernel": (2, 2), "stride": (2, 2)}
    shape = (source.shape[0], source.shape[1] // 2, source.shape[2] // 2)
    return operators.max_pool(
        name="pool", input=source.name, shape=shape, type=source.type, **fields
    )


def depthwise(source):
    return conv("deep", source, 8, codes=codes((1,) * 8, 1), groups=8)


def test_channels_stand_by_their_terms():
    assert free_orders(chain(), TEST) == {"a": SORTED}
    assert free_orders(chain(pool, depthwise), TEST) == dict.fromkeys(("a", "pool", "deep"), SORTED)


def test_a_last_group_of_few_channels_is_for_the_few_that_need_most():
    x = image(3)
    few = graph(x, a := conv("a", x, 6, codes=codes((1, 2, 1, 1, 1, 2), 3)), conv("last", a, 5))
    assert free_orders(few, TEST) == {"a": (0, 2, 3, 4, 1, 5)}
    many = graph(x, a := conv("a", x, 6, codes=codes((2, 1, 2, 2, 2, 1), 3)), conv("last", a, 5))
    assert free_orders(many, TEST) == {"a": (0, 2, 3, 4, 1, 5)}


def test_of_channels_that_need_as_much_in_all_those_of_a_layer_lie_together():
    """Two layers of one order, each with two terms where the other has one."""
    x = image(1)
    needs = (1, 2, 1, 2, 2, 1, 2, 1)
    first = conv("a", x, 8, codes=codes(needs, 1))
    deep = conv("deep", first, 8, codes=codes([3 - k for k in needs], 1), groups=8)
    found = free_orders(graph(x, first, deep, conv("last", deep, 5)), TEST)
    order = (0, 2, 5, 7, 1, 3, 4, 6)
    assert found == dict.fromkeys(("a", "deep"), order)


def test_no_order_where_none_saves_a_step():
    x = image(3)
    for needs in ((1,) * 8, (2,) * 8, (1, 1, 1, 1, 2, 2, 2, 2), (2, 1, 1, 2)):
        network = graph(x, a := conv("a", x, len(needs), codes=codes(needs, 3)), conv("last", a, 5))
        assert free_orders(network, TEST) == {}


def test_outputs_concatenations_and_groups_keep_their_channels():
    x = image(3)
    a = conv("a", x, 8, codes=codes(NEEDS, 3))
    assert free_orders(graph(x, a), TEST) == {}
    both = Concat(name="both", inputs=("a", "b"), shape=(16, 6, 5), type=U8)
    assert free_orders(graph(x, a, conv("b", x, 8), both, conv("last", both, 5)), TEST) == {}
    half = conv("half", a, 8, codes=codes((1,) * 8, 4), groups=2)
    assert free_orders(graph(x, a, half, conv("last", half, 5)), TEST) == {}
    # Added to themselves, whose places then count twice.
    itself = conv("half", a, 8, codes=codes((1,) * 8, 4), groups=2, skip=a)
    assert free_orders(graph(x, a, itself, conv("last", itself, 5)), TEST) == {}
    deep = conv("deep", image(8), 8, codes=codes(NEEDS, 1), groups=8)
    assert free_orders(graph(image(8), deep, conv("last", deep, 5)), TEST) == {}
    seen = Graph((x, a, conv("last", a, 5)), (Output("last", (5, 6, 5)), Output("a", (8, 6, 5))))
    assert free_orders(seen, TEST) == {}


def test_an_order_is_shared_by_all_that_are_added():
    x = image(3)
    a = conv("a", x, 8, codes=codes(NEEDS, 3))
    b = conv("b", a, 8, codes=codes((1, 1, 1, 1, 1, 1, 1, 2), 8), skip=a)
    orders = free_orders(graph(x, a, b, conv("last", b, 5)), TEST)
    # b has more steps a term, so that its one long channel stands with those of a.
    assert orders == dict.fromkeys(("a", "b"), (1, 2, 3, 5, 6, 0, 4, 7))


def test_a_multiplier_takes_whole_weights_in_any_order():
    config = replace(TEST, pe="multiply", weight_bits=8)
    image = compile_graph(chain(), config)
    assert all(layer.order is None for layer in image.layers)


def steps(image):
    return sum(each.steps * each.tiles for each in image.program if isinstance(each, Tiles))


def test_long_channels_together_take_fewer_steps():
    short, image, long = (
        compile_graph(chain_of(needs), TEST) for needs in ((1,) * 8, NEEDS, (2,) * 8)
    )
    # Of two groups one has the two channels of two terms.
    assert steps(image) - steps(short) == steps(long) - steps(image) > 0
    assert next(each for each in image.layers if each.name == "a").order == SORTED
    assert Image.from_bytes(image.to_bytes()) == image


def chain_of(needs):
    x = image(3, 8, 8)
    return graph(x, a := conv("a", x, 8, codes=codes(needs, 3)), conv("last", a, 5))


@pytest.mark.parametrize("words", [2048, 64])
def test_every_tensor_keeps_its_channels(words):
    network = chain(pool, depthwise)
    made = compile_graph(network, replace(TEST, feature_words=words), checked=True)
    x = images(network, 3)
    wanted, got = reference(network, x), functional.run(made, x).tensors
    assert got.keys() == {"a", "pool", "deep", "last"}
    for name, tensor in got.items():
        np.testing.assert_array_equal(tensor, wanted[name], name)


def test_a_slice_of_one_channel_has_that_channel_of_the_order():
    x = image(16, 8, 8)
    a = conv("a", x, 9, codes=codes((*NEEDS, 1), 16))
    network = graph(x, a, conv("last", a, 5))
    small = compile_graph(network, replace(TEST, feature_words=64, weight_words=64), checked=True)
    (order,) = {*free_orders(network, TEST).values()}
    parts = {layer.channel: layer.order for layer in small.layers if layer.name == "a"}
    assert parts == {0: order[:8], 8: order[8:]}
    given = images(network, 2)
    wanted, got = reference(network, given), functional.run(small, given).tensors
    np.testing.assert_array_equal(got["a"], wanted["a"])


def test_verify_names_a_channel_as_the_user_counts_it():
    network = chain()
    design = qnn.compile(network, config=TEST)
    node = network["a"]
    wrong = node.codes.copy()
    wrong[1, 4, 1, 1, 1] = 3 if wrong[1, 4, 1, 1, 1] != 3 else 1
    other = Graph(
        tuple(replace(n, codes=wrong) if n.name == "a" else n for n in network.nodes),
        network.outputs,
    )
    report = qnn.verify(replace(design, graph=other), images(network, 2), device="functional")
    assert (report.first.layer, report.first.channel) == ("a", 4)


def product_of_ordered():
    """A product by a gate whose epilogue differs from channel to channel, and a table of each."""
    x = image(3, 8, 8)
    a = conv("a", x, 8, codes=codes(NEEDS, 3))
    whole = {"codes": codes((1,) * 8, 8, kernel=8), "padding": (0, 0, 0, 0), "shape": (8, 1, 1)}
    gate = conv("gate", a, 8, **whole)
    numbers = np.arange(8)
    fields = {"left": numbers % 3, "bias": 900 * numbers - 3000, "right": 7 + numbers % 2}
    fields |= {"low": -100, "high": 127, "type": U8}
    tables = np.random.default_rng(2).integers(0, 256, (8, 228))
    product = operators.multiply(
        name="product", inputs=("a", "gate"), shape=a.shape, table=tables, **fields
    )
    return graph(x, a, gate, product, conv("last", product, 5))


def test_a_product_follows_the_order_of_its_operands():
    network = product_of_ordered()
    orders = free_orders(network, TEST)
    assert orders == dict.fromkeys(("a", "gate", "product"), orders["a"])
    assert orders["a"] != tuple(range(8))
    moved = ordered(network, orders)["product"]
    for name in ("left", "bias", "right", "table"):
        before, after = (getattr(each.epilogue, name) for each in (network["product"], moved))
        np.testing.assert_array_equal(after, before[list(orders["product"])], name)
    x = images(network, 2)
    wanted, got = reference(network, x), reference(ordered(network, orders), x)
    for name, tensor in wanted.items():
        order = list(orders.get(name, range(tensor.shape[1])))
        np.testing.assert_array_equal(got[name], tensor[:, order], name)


@settings(max_examples=25)
@given(graphs())
def test_a_network_in_another_order_computes_the_same(network):
    orders = free_orders(network, TEST)
    x = images(network, 2)
    wanted, got = reference(network, x), reference(ordered(network, orders), x)
    for name, tensor in wanted.items():
        order = list(orders.get(name, range(tensor.shape[1])))
        np.testing.assert_array_equal(got[name], tensor[:, order], name)


def test_a_network_that_is_ordered_has_no_better_order():
    network = chain()
    once = ordered(network, free_orders(network, TEST))
    assert free_orders(once, TEST) == {}
    check_same(ordered(once, {}), once)
