"""Groups of weights that are equal stand in the image once, and are loaded once where all fit."""

from dataclasses import replace

import numpy as np
import pytest

from hw.spec.config import named_config
from hw.spec.isa.buffers import Buffer
from hw.spec.isa.transfer import Transfer
from qnn.compiler import PASSES
from qnn.compiler.compilation import Compilation
from qnn.ir.reference import reference
from sim import functional
from tests.compiler.small_graphs import U8, conv, graph, image
from tests.graphs import images
from tests.operators import changed

CONFIG = named_config("test", weight_bits=4)


def steps(count, other=()):
    """A layer that works on its own result, in some steps with another shift."""
    x = image(8, 3, 3, U8)
    nodes = [x, conv("step0", x, 8)]
    for number in range(1, count):
        step = replace(nodes[1], name=f"step{number}", inputs=(nodes[-1].name,))
        right = step.epilogue.right + (number in other)
        nodes.append(changed(step, right=right))
    return graph(*nodes)


def compiled(network, config=CONFIG):
    """The data section and the image, after a test that it computes what the graph does."""
    state = Compilation(graph=network, config=config, batch=2, bytes_per_cycle=config.bus_bytes)
    for each in PASSES:
        state = each(state, checked=True)
    x = images(network, 2)
    wanted, got = reference(network, x), functional.run(state.image, x).tensors
    assert all(np.array_equal(value, wanted[name]) for name, value in got.items())
    return state.data, state.image


def loads(image):
    """Words of weights that a run loads."""
    transfers = (each for each in image.program if isinstance(each, Transfer))
    return sum(each.words for each in transfers if each.buffer is Buffer.WEIGHTS)


def test_equal_layers_have_one_place_in_the_image_and_are_loaded_once():
    (one, first), (two, second) = compiled(steps(2)), compiled(steps(6))
    assert one.content == two.content
    assert loads(first) == loads(second) == sum(one.words.values())


@pytest.mark.parametrize("other", [(3,), (1, 3, 5)])
def test_layers_that_differ_in_a_shift_alone_stay_apart(other):
    (plain, _), (data, image) = compiled(steps(6)), compiled(steps(6, other))
    assert len(data.order) == 2 * len(plain.order)
    assert loads(image) == 2 * sum(plain.words.values())


def test_weights_that_most_steps_share_are_shared_where_they_do_not_fit():
    data, _ = compiled(steps(6))
    small = replace(CONFIG, weight_words=16)
    found, image = compiled(steps(6), small)
    assert found.content == data.content
    # Each step finds the weights of another group in its place.
    assert loads(image) > sum(data.words.values())


def test_few_equal_groups_stay_apart_where_weights_do_not_fit():
    nodes = [image(8, 3, 3, U8)]
    for number, name in enumerate("abc"):
        nodes.append(conv(name, nodes[-1], 8, seed=number))
    network = graph(*nodes, replace(nodes[1], name="d", inputs=("c",)))
    whole, _ = compiled(network)
    needed = sum(whole.words.values())
    small = replace(CONFIG, weight_words=16)
    found, _ = compiled(network, small)
    assert sum(found.words.values()) == needed * 4 // 3
