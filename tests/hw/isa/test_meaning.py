"""What instructions read and write, how long they take, and which a configuration refuses."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.spec.config import ADDRESS_BITS, CONFIGS, SvpeConfig
from hw.spec.isa import access
from hw.spec.isa.buffers import Buffer, Region, Span
from hw.spec.isa.end import End
from hw.spec.isa.header import Engine, Op
from hw.spec.isa.tiles import NO_FENCE, Tiles
from hw.spec.isa.transfer import Transfer
from hw.spec.timing import TABLE_STAGES, write_latency

TEST = CONFIGS["test"]  # 8 lanes of 8 bits, 4 rows, beats of 8 bytes
LOAD = Transfer(
    op=Op.LOAD,
    region=Region.INPUT,
    buffer=Buffer.FEATURES,
    address=10,
    words=3,
    rows=2,
    address_step=5,
    offset=64,
    offset_step=80,
)
# A 3 x 3 convolution, padding 1, of a 4 x 6 map at word 100 with rows of 7 words, 2 blocks.
CONV = Tiles(
    op=Op.CONV,
    terms=2,
    blocks=2,
    kernel_x=3,
    kernel_y=3,
    tiles_x=3,
    tiles_y=4,
    input_address=100 - 7 - 1,
    block_step=28,
    kernel_y_step=7,
    input_x=-1,
    input_y=-1,
    kernel_x_stride=1,
    kernel_y_stride=1,
    input_width=6,
    input_height=4,
    columns=2,
    weight_address=7,
    weight_step=1,
    parameter_address=5,
    interval=2,
    passes=1,
    output_address=200,
    tile_width=2,
    tile_height=1,
    output_tile_x_step=2,
    output_pitch=8,
    output_width=6,
    output_height=4,
)


def test_each_operation_has_its_engine():
    engines = {op: op.engine for op in Op}
    assert engines == {
        Op.END: None,
        Op.LOAD: Engine.LOAD,
        Op.STORE: Engine.STORE,
        Op.CONV: Engine.COMPUTE,
        Op.MAXPOOL: Engine.COMPUTE,
    }
    assert LOAD.engine is Engine.LOAD
    assert End().engine is None


def test_a_word_of_each_buffer_takes_whole_beats():
    assert [buffer.word_bits(TEST) for buffer in Buffer] == [64, 96, 4 * TEST.parameter_bits, 32]
    assert [buffer.word_beats(TEST) for buffer in Buffer] == [1, 2, 3, 1]
    assert [buffer.word_bytes(TEST) for buffer in Buffer] == [8, 16, 24, 8]
    assert [buffer.words(TEST) for buffer in Buffer] == [2048, 512, 64, 1024]


def test_spans_meet_where_they_share_a_word_of_one_memory():
    span = Span(Buffer.WEIGHTS, 4, 8)
    assert span.meets(Span(Buffer.WEIGHTS, 7, 9))
    assert not span.meets(Span(Buffer.WEIGHTS, 8, 9))
    assert not span.meets(Span(Buffer.WEIGHTS, 0, 4))
    assert Region(Buffer.WEIGHTS) == Buffer.WEIGHTS
    assert not span.meets(Span(Region(Buffer.WEIGHTS), 4, 8))


def test_a_load_reads_memory_and_writes_a_buffer_and_a_store_the_reverse():
    chip = Span(Buffer.FEATURES, 10, 10 + 5 + 3)
    memory = Span(Region.INPUT, 64, 64 + 80 + 3 * 8)
    assert (LOAD.reads(TEST), LOAD.writes(TEST)) == ((memory,), (chip,))
    store = replace(LOAD, op=Op.STORE)
    assert (store.reads(TEST), store.writes(TEST)) == ((chip,), (memory,))


def test_a_transfer_names_every_word():
    assert access.chip_words(LOAD).tolist() == [[10, 11, 12], [15, 16, 17]]
    assert access.memory_bytes(LOAD, TEST).tolist() == [[64, 72, 80], [144, 152, 160]]
    assert replace(LOAD, buffer=Buffer.WEIGHTS).run_beats(TEST) == 6


def test_a_convolution_reads_its_map_weights_and_parameters():
    assert CONV.reads(TEST) == (
        Span(Buffer.FEATURES, 100, 100 + 28 + 3 * 7 + 6),
        Span(Buffer.WEIGHTS, 7, 7 + 36),
        Span(Buffer.PARAMETERS, 5, 6),
    )
    assert CONV.writes(TEST) == (Span(Buffer.FEATURES, 200, 200 + 3 * 8 + 6),)


def test_one_weight_word_may_stand_for_all_steps():
    assert replace(CONV, weight_step=0).reads(TEST)[1] == Span(Buffer.WEIGHTS, 7, 8)


def test_a_map_at_the_buffers_start_is_found_behind_the_wrap():
    wrapped = replace(CONV, input_address=(0 - 7 - 1) % (1 << 20))
    assert wrapped.reads(TEST)[0] == Span(Buffer.FEATURES, 0, 28 + 3 * 7 + 6)


def test_a_skip_operand_and_passes_are_spans_of_their_own():
    skipped = replace(
        CONV,
        skip=True,
        skip_address=300,
        skip_tile_x_step=CONV.tile_width,
        skip_tile_y_step=9,
        passes=2,
        pass_step=40,
    )
    assert skipped.reads(TEST)[1] == Span(Buffer.FEATURES, 300, 300 + 3 * 9 + 6)
    gated = replace(skipped, skip_tile_x_step=0, skip_tile_y_step=0)
    assert gated.reads(TEST)[1] == Span(Buffer.FEATURES, 300, 301)
    assert skipped.writes(TEST) == (
        Span(Buffer.FEATURES, 200, 230),
        Span(Buffer.FEATURES, 240, 270),
    )


def test_a_table_is_read_whole_and_writes_come_later_by_its_memory():
    tabled = replace(CONV, table=True, table_address=2)
    assert tabled.reads(TEST)[-1] == Span(Buffer.TABLES, 512, 768)
    assert (CONV.late(TEST), tabled.late(TEST)) == (0, TABLE_STAGES)


def test_an_instruction_writes_behind_a_later_one_before_it():
    tabled = replace(CONV, table=True)
    assert tabled.order_fence(CONV, TEST) == tabled.order_fence(tabled, TEST) == NO_FENCE
    assert CONV.order_fence(tabled, TEST) == write_latency(TEST) + CONV.steps - 1


def test_max_pooling_reads_no_weights():
    pool = replace(CONV, op=Op.MAXPOOL)
    assert [span.memory for span in pool.reads(TEST)] == [Buffer.FEATURES]
    assert pool.weight_words == 0


def test_end_reads_and_writes_nothing():
    assert End().reads(TEST) == End().writes(TEST) == ()
    End().check(TEST)


def test_cycles_are_steps_or_writes():
    assert (CONV.taps, CONV.steps, CONV.tiles) == (36, 36, 12)
    assert replace(CONV, skip=True).steps == 37
    assert CONV.cycles == 12 * 36
    assert CONV.last_step == 12 * 36 - 1
    slow = replace(CONV, interval=50)
    assert slow.cycles == 12 * 50
    assert slow.last_step == 35 + 11 * 50


def test_legal_instructions_are_legal():
    LOAD.check(TEST)
    CONV.check(TEST)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"words": 0}, "Transfer words must be at least 1, not 0"),
        ({"rows": 0}, "Transfer rows must be at least 1, not 0"),
        (
            {"op": Op.STORE, "buffer": Buffer.WEIGHTS},
            "Transfer buffer of a STORE must be FEATURES, not WEIGHTS",
        ),
        (
            {"offset": 65},
            "Transfer offset must be a multiple of 8 bytes, which a beat has, not 65",
        ),
        (
            {"offset_step": 4},
            "Transfer offset_step must be a multiple of 8 bytes, which a beat has, not 4",
        ),
        (
            {"address": 2041},
            "Transfer address must keep all words within the 2048 of FEATURES, not reach 2049",
        ),
        (
            {"buffer": Buffer.PARAMETERS, "address": 60},
            "Transfer address must keep all words within the 64 of PARAMETERS, not reach 68",
        ),
    ],
)
def test_a_wrong_transfer_is_refused_by_its_field(changes, error):
    with pytest.raises(ValueError, match=f"^{re.escape(error)}$"):
        replace(LOAD, **changes).check(TEST)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"terms": 0}, "Tiles terms must be at least 1, not 0"),
        ({"kernel_y_stride": 0}, "Tiles kernel_y_stride must be at least 1, not 0"),
        ({"columns": 3}, "Tiles columns must be at most 2, not 3"),
        ({"passes": 6, "interval": 12}, "Tiles passes must be at most 4, not 6"),
        ({"output_part": 2}, "Tiles output_part must be at most 1, not 2"),
        ({"skip_part": 2}, "Tiles skip_part must be at most 1, not 2"),
        ({"interval": 1}, "Tiles interval must be at least 2, not 1"),
        ({"passes": 2, "interval": 3}, "Tiles interval must be at least 4, not 3"),
        (
            {"tiles_x": 4095, "tile_width": 4, "output_tile_x_step": 4},
            "Tiles tiles_x times tile_width must be at most 8192, not 16380",
        ),
        (
            {"tiles_y": 4095, "tile_height": 3},
            "Tiles tiles_y times tile_height must be at most 8192, not 12285",
        ),
        (
            {"kernel_y_stride": 2},
            "Tiles kernel_y_step must be whole rows, a multiple of the kernel_y_stride 2, not 7",
        ),
        (
            {"input_address": 1993},
            "Tiles input_address must keep all words within the 2048 of FEATURES, not reach 2056",
        ),
        (
            {"output_address": 2020},
            "Tiles output_address must keep all words within the 2048 of FEATURES, not reach 2050",
        ),
        (
            {"skip": True, "skip_address": 2040, "skip_tile_x_step": 1, "skip_tile_y_step": 6},
            "Tiles skip_address must keep all words within the 2048 of FEATURES, not reach 2064",
        ),
        (
            {"skip": True, "skip_tile_x_step": 3},
            "Tiles skip_tile_x_step must be 0 or the tile_width 2, not 3",
        ),
        ({"multiply": True}, "Tiles multiply must be 0 without a CONV and its skip operand"),
        (
            {"weight_address": 500},
            "Tiles weight_address must keep all words within the 512 of WEIGHTS, not reach 536",
        ),
        (
            {"parameter_address": 64},
            "Tiles parameter_address must keep all words within the 64 of PARAMETERS, not reach 65",
        ),
        (
            {"table": True, "table_address": 4},
            "Tiles table_address must keep all words within the 1024 of TABLES, not reach 1280",
        ),
        (
            {"table": True, "low": -129},
            "Tiles low and high must be an index within -128 to 127, not -129 to 0",
        ),
        (
            {"table": True, "passes": 2, "interval": 4},
            "Tiles table must be 0 where the result is a maximum or not rounded",
        ),
        (
            {"table": True, "op": Op.MAXPOOL},
            "Tiles table must be 0 where the result is a maximum or not rounded",
        ),
    ],
)
def test_wrong_tiles_are_refused_by_their_field(changes, error):
    with pytest.raises(ValueError, match=f"^{re.escape(error)}$"):
        replace(CONV, **changes).check(TEST)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        (
            {"columns": 4, "tile_width": 3, "output_tile_x_step": 3},
            "Tiles tile_width must divide the 4 columns of a turn, or be a multiple of them, not 3",
        ),
        (
            {"columns": 4, "output_step": 2, "tile_width": 4, "output_tile_x_step": 8},
            "Tiles output_step 2 and output_pitch 3 must bring the 4 columns of a turn to "
            "different sides of 4",
        ),
        (
            {"columns": 4, "tile_width": 1, "output_tile_x_step": 1, "output_pitch": 8},
            "Tiles output_step 1 and output_pitch 8 must bring the 4 columns of a turn to "
            "different sides of 4",
        ),
    ],
)
def test_words_of_a_turn_need_sides_of_their_own(changes, error):
    config = replace(TEST, columns=4, epilogue_words=4)
    tiles = replace(CONV, **({"output_pitch": 3} | changes))
    with pytest.raises(ValueError, match=f"^{re.escape(error)}$"):
        tiles.check(config)
    tiles.having(interval=4).check(replace(config, epilogue_words=1))


def test_a_turn_takes_as_many_columns_as_the_epilogue_writes_words():
    config = SvpeConfig(columns=8, epilogue_words=4)
    tiles = replace(CONV, columns=5, passes=3)
    assert tiles.turns(config) == 2
    assert tiles.write_cycles(config) == tiles.least_interval(config) == 6
    assert replace(CONV, columns=1, passes=1).least_interval(config) == 2
    assert tiles.least_interval(replace(config, epilogue_words=1)) == 15


NEAR = SvpeConfig(columns=8, epilogue_words=2, neighbours=2)


def test_columns_without_all_of_their_neighbours_are_read_and_not_written():
    tiles = replace(CONV, columns=8, neighbours=2, tile_width=6, output_tile_x_step=6)
    tiles = replace(tiles, output_width=16, interval=4)
    tiles.check(NEAR)
    assert (tiles.written, tiles.turns(NEAR), tiles.least_interval(NEAR)) == (6, 3, 4)
    assert access.reads(tiles)[0].shape[2] == 8
    address, valid = access.writes(tiles)
    assert address.shape[2] == valid.shape[1] == access.skip_reads(tiles).shape[1] == 6
    # The last of three tiles of six pixels in a row of sixteen has four.
    assert valid[:3].sum(1).tolist() == [6, 6, 4]


@pytest.mark.parametrize(
    ("changes", "config", "most"),
    [({}, TEST, 0), ({"op": Op.MAXPOOL}, NEAR, 0), ({"columns": 1}, NEAR, 0), ({}, NEAR, 1)],
)
def test_no_more_neighbours_are_taken_than_there_are(changes, config, most):
    tiles = replace(CONV, **({"interval": 8, "neighbours": most + 1} | changes))
    error = f"Tiles neighbours must be at most {most}, not {most + 1}"
    with pytest.raises(ValueError, match=f"^{error}$"):
        tiles.check(config)


def test_products_need_a_configuration_that_has_them():
    product = replace(CONV, skip=True, multiply=True)
    product.check(TEST)
    product.check(replace(TEST, activation_bits=10))
    wide = replace(TEST, activation_bits=11)
    error = "Tiles multiply must be 0 with activations of more than 10 bits, not 11"
    with pytest.raises(ValueError, match=f"^{error}$"):
        product.check(wide)


def test_numbers_of_numpy_count_as_their_values():
    tiles = replace(CONV, low=np.int64(-5), high=np.int64(5))
    assert tiles == replace(CONV, low=-5, high=5)


def test_an_instruction_having_other_members_is_the_one_built_with_them():
    changed = CONV.having(fence=7, tag=2, waits=frozenset({Engine.LOAD}))
    assert changed == replace(CONV, fence=7, tag=2, waits=frozenset({Engine.LOAD}))
    assert changed != CONV
    assert CONV.fence == CONV.tag == 0


@pytest.mark.parametrize("members", [{"op": Op.MAXPOOL}, {"tag": 1, "words": 3}])
def test_an_operation_or_a_member_of_others_is_not_set(members):
    text = f"no other values can be set for {sorted(members)}"
    with pytest.raises(AssertionError, match=f"^{re.escape(text)}$"):
        CONV.having(**members)


ADDRESSES = st.integers(0, (1 << ADDRESS_BITS) - 1)
SHORT = st.one_of(st.integers(0, 9), ADDRESSES)  # most of a program are short steps, some wrap
FOUR = st.tuples(SHORT, SHORT, SHORT, SHORT)
WALKS = {
    **dict.fromkeys(("tiles_y", "tiles_x", "kernel_y", "kernel_x", "blocks"), st.integers(1, 3)),
    **dict.fromkeys(("tile_x_stride", "kernel_x_stride"), st.integers(-9, 9)),
    **dict.fromkeys(("input_address", "skip_address"), ADDRESSES),
    **dict.fromkeys(("tile_y_step", "kernel_y_step", "block_step", "skip_tile_y_step"), SHORT),
    **dict.fromkeys(("column_address", "skip_column"), FOUR),
    "columns": st.integers(1, 16),
    "tile_width": st.integers(1, 16),
    "skip_tile_x_step": st.integers(0, 16),
    "skip": st.booleans(),
}


@given(st.fixed_dictionaries(WALKS))
def test_all_that_an_instruction_may_read_lies_in_its_bounds(walk):
    tiles = replace(CONV, **walk)
    read = [access.reads(tiles)[0], *([access.skip_reads(tiles)] if tiles.skip else [])]
    for addresses, (first, stop) in zip(read, access.read_bounds(tiles), strict=True):
        assert first <= addresses.min()
        assert addresses.max() < stop


@pytest.mark.parametrize("step", [1, access.ADDRESS_MASK], ids=["ahead", "back"])
def test_bounds_are_no_wider_than_the_reads_where_no_address_wraps(step):
    inner = replace(CONV, input_x=0, input_y=0, input_address=100, kernel_x=1, kernel_y=1)
    address, _ = access.reads(replace(inner, column_address=(step, 0, 0, 0)))
    (bounds,) = access.read_bounds(replace(inner, column_address=(step, 0, 0, 0)))
    assert bounds == (address.min(), address.max() + 1)
