"""Programs that no compiler makes: what they reach, and that hardware computes them."""

import re
from collections import Counter
from functools import cache
from itertools import chain, permutations

import numpy as np
import pytest

from hw.spec.config import COORDINATE_BITS, named_config
from hw.spec.isa.buffers import Buffer, Region
from hw.spec.isa.header import TOKEN_BITS, Engine, Op
from hw.spec.isa.tiles import Tiles
from hw.spec.isa.transfer import Transfer
from hw.spec.timing import QUEUE_DEPTH
from qnn.backend.array.trials import LATENCY, OFFSETS, PROGRAM_SEEDS, rtl_trials
from qnn.compiler.add_tokens import add_tokens
from sim import functional, rtl
from sim.cycles import simulate_cycles
from sim.draw_tiles import LOOPS
from sim.drawn_program import FAR, displaced, draw_program
from sim.run_ahead import AHEAD, far_ahead, run_ahead
from tests.sim.test_faults import sound
from tests.sim.test_thorough import CONFIGS, mutant

TEST = named_config("test")
PAIRS = [f"{giver.word}_to_{taker.word}" for giver, taker in permutations(Engine, 2)]


@pytest.mark.parametrize("name", CONFIGS)
def test_a_program_is_proved_sound_for_any_configuration(name):
    # The proof is made when it is drawn.
    first, again, other = (draw_program(CONFIGS[name], seed).image for seed in (1, 1, 2))
    assert first.to_bytes() == again.to_bytes() != other.to_bytes()
    assert len({each.op for each in first.program}) == len(Op)


@cache
def programs():
    """The programs that are tried, drawn once."""
    return [list(draw_program(TEST, seed).image.program) for seed in PROGRAM_SEEDS]


def drawn():
    """All instructions of the programs that are tried."""
    return list(chain(*programs()))


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


@pytest.mark.parametrize("ahead", [AHEAD, far_ahead(TEST)])
@pytest.mark.parametrize(("giver", "taker"), list(permutations(Engine, 2)))
def test_an_engine_runs_ahead_of_another_by_more_than_its_queue_holds(giver, taker, ahead):
    made = add_tokens(list(run_ahead(TEST, giver, taker, 0, ahead)), TEST)
    long, short = made[1 : -2 * ahead], made[-2 * ahead :]
    # Of what is long, the engine and its queue hold all, so that the short ones come behind.
    assert {each.engine for each in long} == {taker}
    assert len(long) <= QUEUE_DEPTH
    assert [each.engine for each in short] == [giver] * ahead + [taker] * ahead
    assert all(taker in each.signals for each in short[:ahead])
    assert all(giver in each.waits for each in short[ahead:])
    assert ahead > QUEUE_DEPTH


def test_tokens_of_each_pair_of_engines_gather_until_their_counter_is_full():
    most = Counter()
    for program in programs():
        counts = Counter()
        for each in program:
            for other in each.waits:
                counts[other, each.engine] -= 1
            for other in each.signals:
                counts[each.engine, other] += 1
            most |= counts
    full = (1 << TOKEN_BITS) - 1
    assert set(most) == set(permutations(Engine, 2))
    assert set(most.values()) <= {full - 1, full}
    # A small buffer has fewer words for instructions that are apart.
    assert far_ahead(CONFIGS["few words"]) == CONFIGS["few words"].feature_words // 8 == 16


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


@pytest.mark.slow
@pytest.mark.rtl
@pytest.mark.parametrize("number", range(len(PAIRS)), ids=PAIRS)
def test_a_counter_of_tokens_without_its_highest_bit_is_found(number):
    design, x = sound()
    name, module = "qnn_accelerator.v", "\\qnn_accelerator.shell.gates "
    # The register itself: Verilog also has names of what it is set to, which nothing reads.
    pattern = rf" {PAIRS[number]} <= \\\$\d+ ;"
    (register,) = re.findall(pattern, rtl.generated(design.config)[name])
    wrong = register.replace(";", f"[{TOKEN_BITS - 2}:0];")
    seed = next(seed for seed in reversed(PROGRAM_SEEDS) if (number - seed) % FAR == 0)
    trials = {each.name: each for each in rtl_trials(design.graph, design.artifact, x, None)}
    trial = trials[f"program {seed} drawn at random, plain"]
    # The sound one takes the model's cycles; what waits for a lost token never starts.
    limit = simulate_cycles(trial.artifact, LATENCY).cycles + 10_000
    options = {**trial.options, "verilog": mutant(name, module, register, wrong), "limit": limit}
    failure = rtl.execute(trial.artifact, trial.inputs, **options).runs[0].failure
    assert failure == f"time-out: not done after {limit} cycles"
