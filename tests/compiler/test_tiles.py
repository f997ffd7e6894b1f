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
