from dataclasses import replace

import numpy as np
import pytest

from hw.spec.config import named_config
from hw.spec.isa.buffers import Buffer
from hw.spec.isa.tiles import Tiles
from hw.spec.isa.transfer import Transfer
from qnn.compiler import compile_graph
from qnn.ir.reference import reference
from sim import functional
from tests.compiler import small_graphs
from tests.graphs import images

TEST = named_config("test")
ONE = replace(TEST, table_words=256)
STRIPS = replace(TEST, feature_words=128, weight_words=128, parameter_words=16)


def table_loads(image):
    """Table number and place in memory of each load."""
    return [
        (load.address // 256, load.offset)
        for load in image.program
        if isinstance(load, Transfer) and load.buffer is Buffer.TABLES
    ]


def test_layers_with_equal_tables_share_one_that_is_loaded_once():
    image = compile_graph(small_graphs.tabled(layers=6), TEST, batch=3)
    loads = table_loads(image)
    assert [slot for slot, _ in loads] == [0, 1]
    used = [tiles.table_address for tiles in image.program if isinstance(tiles, Tiles)]
    assert used == [0, 0, 1, 1] * 9


def test_tables_of_channels_take_a_slot_for_each_group_of_them():
    image = compile_graph(small_graphs.tabled(tables=8), TEST)
    assert [slot for slot, _ in table_loads(image)] == [0, 1, 2, 3]


def test_more_tables_than_slots_are_loaded_again_when_they_are_needed():
    loads = table_loads(compile_graph(small_graphs.tabled(layers=4), ONE))
    first, second = loads[0][1], loads[1][1]
    assert loads == [(0, first), (0, second), (0, first), (0, second)]


def test_the_table_that_is_needed_last_makes_room():
    config = replace(TEST, table_words=512)
    loads = table_loads(compile_graph(small_graphs.tabled(tables=8, layers=3), config))
    places = sorted({place for _, place in loads})
    # Groups of a, b, and a again: of a's two tables, one stays while b's come and go.
    assert [places.index(place) for _, place in loads] == [0, 1, 2, 3, 1]


@pytest.mark.parametrize("config", [TEST, ONE, STRIPS], ids=["four", "one", "strips"])
@pytest.mark.parametrize("tables", [1, 8])
def test_every_slot_holds_what_its_reader_needs(config, tables):
    graph = small_graphs.tabled(tables=tables, layers=5)
    x = images(graph, 4)
    wanted = reference(graph, x)
    for name, tensor in functional.run(compile_graph(graph, config, batch=2), x).tensors.items():
        np.testing.assert_array_equal(tensor, wanted[name])
