from dataclasses import replace

import pytest

from hw.spec.config import named_config
from qnn.compiler.storage import places
from qnn.compiler.tiles import Tile, choose_layout, distinct_banks
from tests.compiler import small_graphs

REFERENCE = named_config("reference")  # 8 columns, 16 banks


def test_a_pitch_of_the_tile_width_modulo_the_banks_spreads_its_rows():
    tile = Tile(4, 2)
    assert distinct_banks(tile, (1, 1), 16 + 4, 16)
    assert distinct_banks(tile, (2, 2), 16 + 4, 16)
    assert not distinct_banks(tile, (1, 1), 16 + 1, 16)


def test_stride_two_along_a_row_meets_no_conflict_and_stride_four_does():
    assert distinct_banks(Tile(8, 1), (2, 2), 32, 16)
    assert not distinct_banks(Tile(8, 1), (4, 4), 32, 16)


def test_narrow_images_use_every_column():
    x = small_graphs.image(16, 4, 4)
    graph = small_graphs.graph(x, small_graphs.conv("c", x, 16))
    layout = choose_layout(graph, places(graph, REFERENCE), REFERENCE)
    assert layout.tiles["c"].columns == 8
    assert distinct_banks(layout.tiles["c"], (1, 1), layout.pitches["x"], 16)


def test_a_single_row_has_no_gap_and_any_other_no_more_than_the_banks():
    x = small_graphs.image(40, 1, 5)
    graph = small_graphs.graph(x, small_graphs.conv("c", x, 16, kernel=1))
    layout = choose_layout(graph, places(graph, REFERENCE), REFERENCE)
    assert layout.pitches == {"x": 3 * 5, "c": 5}
    x = small_graphs.image(40, 6, 5)
    graph = small_graphs.graph(x, small_graphs.conv("c", x, 16))
    layout = choose_layout(graph, places(graph, REFERENCE), REFERENCE)
    assert 15 <= layout.pitches["x"] < 15 + REFERENCE.banks


@pytest.mark.parametrize("width", [1, 2, 3, 8, 9])
@pytest.mark.parametrize("words", [2, 4])
def test_columns_that_are_written_at_a_time_lie_on_sides_of_their_own(width, words):
    config = replace(REFERENCE, epilogue_words=words)
    x = small_graphs.image(16, 16, width)
    graph = small_graphs.graph(x, small_graphs.conv("c", x, 16))
    layout = choose_layout(graph, places(graph, config), config)
    turn = layout.tiles["c"].turn(config)
    assert turn.columns == words
    assert distinct_banks(turn, (1, 1), layout.pitches["c"], config.sides)
    # One word at a time leaves the pitch of a result that nothing reads at its least.
    layout = choose_layout(graph, places(graph, REFERENCE), REFERENCE)
    assert layout.pitches["c"] == width


@pytest.mark.parametrize(
    ("tile", "turn"),
    [
        (Tile(8, 1), Tile(4, 1)),
        (Tile(4, 2), Tile(4, 1)),
        (Tile(2, 4), Tile(2, 2)),
        (Tile(1, 8), Tile(1, 4)),
        (Tile(2, 1), Tile(2, 1)),
        (Tile(1, 1), Tile(1, 1)),
    ],
)
def test_a_turn_is_columns_in_the_order_of_the_tile(tile, turn):
    assert tile.turn(replace(REFERENCE, epilogue_words=4)) == turn
