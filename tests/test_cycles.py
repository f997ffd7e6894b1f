"""Costs of a graph's layers on hardware, as a search takes them."""

import pytest

import qnn
from hw.spec.config import named_config
from tests.compiler.small_graphs import conv, graph, image


def network():
    x = image(3)
    first = conv("a", x, 8)
    return graph(x, first, conv("b", first, 5))


def test_each_layer_has_cycles():
    found = qnn.cycles_on("test")(network())
    assert set(found) == {"a", "b"}
    assert all(cycles > 0 for cycles in found.values())


@pytest.mark.parametrize(("rows", "lanes"), [(1, 8), (4, 8), (16, 16)])
def test_rows_are_those_of_the_array(rows, lanes):
    config = named_config("test", rows=rows, lanes=lanes)
    assert qnn.cycles_on(config).rows(network()) == rows


def test_a_name_is_as_wide_as_its_configuration():
    assert qnn.cycles_on("test").rows(network()) == named_config("test").rows


def test_multipliers_take_all_terms_at_once():
    assert qnn.cycles_on(named_config("test", pe="multiply", weight_bits=8)).rows(network()) is None


def test_a_checkpoint_tells_costs_apart_by_their_text():
    one, other = qnn.cycles_on("test"), qnn.cycles_on(named_config("test", rows=8))
    assert repr(one) == repr(qnn.cycles_on("test"))
    assert repr(one) != repr(other) != repr(qnn.cycles_on("small"))
