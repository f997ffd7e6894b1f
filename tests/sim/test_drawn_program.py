"""Programs that no compiler makes: what they reach, and that hardware computes them."""

from itertools import permutations

import numpy as np
import pytest

from hw.spec.config import COORDINATE_BITS, named_config
from hw.spec.isa.buffers import Buffer, Region
from hw.spec.isa.header import Engine, Op
from hw.spec.isa.tiles import Tiles
from hw.spec.isa.transfer import Transfer
from qnn.backend.array.trials import OFFSETS, PROGRAM_SEEDS
from qnn.compiler.add_tokens import add_tokens
from sim import functional, rtl
from sim.draw_tiles import LOOPS
from sim.drawn_program import displaced, draw_program
from sim.run_ahead import AHEAD, run_ahead
from tests.sim.test_thorough import CONFIGS

TEST = named_config("test")


@pytest.mark.parametrize("name", CONFIGS)
def test_a_program_is_proved_sound_for_any_configuration(name):
    # The proof is made when it is drawn.
    first, again, other = (draw_program(CONFIGS[name], seed).image for seed in (1, 1, 2))
    assert first.to_bytes() == again.to_bytes() != other.to_bytes()
    assert len({each.op for each in first.program}) == len(Op)


def drawn():
    """All instructions of the programs that are tried."""
    return [each for seed in PROGRAM_SEEDS for each in draw_program(TEST, seed).image.program]


def test_programs_reach_every_bit_of_counts_and_every_kind_of_result():
    tiles = [each for each in drawn() if isinstance(each, Tiles)]
    for loop in LOOPS:
        lengths = {getattr(each, loop).bit_length() for each in tiles}
        assert lengths == set(range(1, COORDINATE_BITS + 1))
    for name in ("table", "multiply", "skip", "weight_step", "sum_unsigned", "skip_unsigned"):
        assert {bool(getattr(each, name)) for each in tiles} == {False, True}
    for name, least in (("passes", TEST.passes), ("columns", TEST.columns), ("terms", 3)):
        assert {getattr(each, name) for each in tiles} == set(range(1, least + 1))
    assert {each.op for each in tiles} == {Op.CONV, Op.MAXPOOL}
    assert min(each.tile_x_stride for each in tiles) < 0


def test_programs_copy_any_buffer_and_region_in_many_rows_and_long_ones():
    transfers = [each for each in drawn() if isinstance(each, Transfer)]
    sides = {(each.op, each.region, each.buffer) for each in transfers}
    stores = {(Op.STORE, region, Buffer.FEATURES) for region in (Region.OUTPUT, Region.SCRATCH)}
    loads = {(Op.LOAD, region, Buffer.FEATURES) for region in (Region.INPUT, Region.SCRATCH)}
    constants = (Buffer.WEIGHTS, Buffer.PARAMETERS, Buffer.TABLES)
    assert sides == stores | loads | {(Op.LOAD, Region.IMAGE, buffer) for buffer in constants}
    for op in Transfer.OPS:
        own = [each for each in transfers if each.op is op]
        bits = [each.words for each in own if each.rows > 1]
        assert np.bitwise_or.reduce(bits) == TEST.feature_words // 2 - 1
        assert max(each.rows for each in own) >= TEST.feature_words // 2


@pytest.mark.parametrize(("giver", "taker"), list(permutations(Engine, 2)))
def test_an_engine_runs_ahead_of_another_by_more_than_its_queue_holds(giver, taker):
    _, _, *short = add_tokens(list(run_ahead(TEST, giver, taker, 0)), TEST)
    assert [each.engine for each in short] == [giver] * AHEAD + [taker] * AHEAD
    assert all(taker in each.signals for each in short[:AHEAD])
    assert all(giver in each.waits for each in short[AHEAD:])


def test_a_displaced_program_has_other_offsets_in_all_regions_but_its_own():
    image = draw_program(TEST, 0).image
    moved = displaced(image, 4096)
    assert displaced(moved, -4096).to_bytes() == image.to_bytes()
    for before, after in zip(image.program, moved.program, strict=True):
        if isinstance(before, Transfer):
            apart = 0 if before.region is Region.IMAGE else 4096
            assert after.offset - before.offset == apart
        else:
            assert before == after
    # Each upper bit is a one in one of the two.
    assert OFFSETS[0] | OFFSETS[1] == 0xFFFF_F000


@pytest.mark.rtl
@pytest.mark.parametrize("seed", [20, 21])
def test_hardware_computes_a_program_as_the_functional_simulator_does(seed):
    program = draw_program(TEST, seed)
    expected = functional.run(program.image, program.inputs).outputs
    result = rtl.execute(program.image, program.inputs)
    assert (result.broken, result.runs[0].failure) == (None, None)
    for got, right in zip(result.outputs, expected, strict=True):
        assert np.array_equal(got, right)
