"""The sequencer's rule, cycle by cycle with random delays, against the fences of the compiler."""

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from hw.spec.config import named_config
from hw.spec.isa import access
from hw.spec.isa.tiles import NO_FENCE, Tiles
from hw.spec.timing import (
    INSTRUCTION_GAP,
    INSTRUCTION_LEAST,
    TABLE_STAGES,
    dependent_fence,
    read_latency,
    write_latency,
)
from qnn.compiler import compile_graph
from qnn.errors import CompileError
from qnn.ir.graph import Graph, Output
from tests.compiler import small_graphs
from tests.graphs import graphs

CONFIG = named_config("test", weight_bits=4)
WIDE = named_config("small", weight_bits=4, columns=16)
# What dependent_fence says of the buffer: cycles from a write to a read that sees it.
VISIBLE = read_latency(CONFIG) - dependent_fence(CONFIG) + 1


def timeline(program, config, delay):
    """Cycles of each read and write of the feature buffer: {word: [cycles]}, per instruction."""
    latency = write_latency(config)
    first = last = -(10**6)
    interval = late = 0
    for tiles in program:
        issue = max(last + INSTRUCTION_GAP, first + INSTRUCTION_LEAST)
        issue = max(issue, last + latency + late + interval - tiles.fence) + delay()
        late = tiles.late(config)
        address, inside = access.reads(tiles)
        written, valid = access.writes(tiles)
        reads, writes, cycle = [], [], issue
        for tile in range(len(address)):
            steps = [address[tile, step][inside[tile, step]] for step in range(address.shape[1])]
            if tiles.skip:
                steps.append(access.skip_reads(tiles)[tile][valid[tile]])
            for number, words in enumerate(steps):
                if number == len(steps) - 1:
                    cycle = max(cycle, last + interval)
                    last, interval = cycle, tiles.interval
                reads += [(int(w), cycle + read_latency(config)) for w in words]
                cycle += 1
            for p, words in enumerate(written[tile]):
                at = last + latency + late + p * tiles.columns
                writes += [(int(w), at + c) for c, w in enumerate(words) if valid[tile, c]]
        first = issue
        yield reads, writes


def early_reads(program, config, delay):
    """Reads that miss an earlier instruction's write, and the least cycles to spare of any."""
    landed, late, least = {}, [], 10**6
    for reads, writes in timeline(program, config, delay):
        for word, cycle in reads:
            slack = cycle - landed.get(word, -(10**6)) - VISIBLE
            least = min(least, slack)
            if slack < 0:
                late.append((word, cycle))
        landed.update(writes)
    return late, least


def disordered_writes(program, config, delay):
    """Instructions, by number, that write before, or while, an earlier one does."""
    return disordered(program, config, delay, table_stages=0)


def disordered_sums(program, config, delay):
    """Instructions, by number, that reach the epilogue before, or while, an earlier one does."""
    return disordered(program, config, delay, table_stages=TABLE_STAGES)


def disordered(program, config, delay, table_stages):
    """Instructions whose results, so long before their entries of tables, come in another order."""
    newest, found = -(10**6), []
    for number, (_, writes) in enumerate(timeline(program, config, delay)):
        behind = table_stages * program[number].table
        cycles = [cycle - behind for _, cycle in writes]
        if min(cycles) <= newest:
            found.append(number)
        newest = max(newest, *cycles)
    return found


def compute(image):
    return [each for each in image.program if isinstance(each, Tiles)]


def drawn_program(graph, config):
    """The program of a random graph, of which some have more weights than a buffer holds."""
    try:
        return compute(compile_graph(graph, config, batch=2))
    except CompileError:
        reject()


@settings(max_examples=30)
@given(graph=graphs(), seed=st.integers(0, 1000), config=st.sampled_from((CONFIG, WIDE)))
def test_no_read_is_early_however_late_instructions_come(graph, seed, config):
    rng = random.Random(seed)
    program = drawn_program(graph, config)
    for chance in (0.0, 0.3, 1.0):
        late, _ = early_reads(
            program, config, lambda c=chance: rng.randrange(60) if rng.random() < c else 0
        )
        assert not late


@settings(max_examples=30)
@given(graph=graphs(), seed=st.integers(0, 1000), config=st.sampled_from((CONFIG, WIDE)))
def test_writes_keep_the_order_of_instructions_whether_they_have_tables_or_not(graph, seed, config):
    rng = random.Random(seed)
    program = drawn_program(graph, config)
    for delay in (lambda: 0, lambda: rng.randrange(60)):
        assert not disordered_writes(program, config, delay)
        assert not disordered_sums(program, config, delay)


def test_a_sum_that_goes_through_a_table_would_meet_a_product_in_the_epilogue():
    program = compute(compile_graph(small_graphs.table_behind_product(), CONFIG, batch=2))
    products = [n for n, tiles in enumerate(program) if tiles.multiply]
    behind = next(n + 1 for n in products if n + 1 not in products)
    assert program[behind].table
    assert program[behind].fence == write_latency(CONFIG) + program[behind].steps - 1
    # Enough for its writes alone.
    program[behind] = program[behind].having(fence=program[behind].fence + TABLE_STAGES)
    assert not disordered_writes(program, CONFIG, lambda: 0)
    assert disordered_sums(program, CONFIG, lambda: 0) == [behind]


def test_a_result_without_a_table_would_overtake_one_that_has_one():
    program = compute(compile_graph(small_graphs.table_beside(), CONFIG))
    behind = next(n for n, tiles in enumerate(program) if n and not tiles.table)
    assert program[behind - 1].table
    assert program[behind].fence == write_latency(CONFIG) + program[behind].steps - 1
    program[behind] = program[behind].having(fence=NO_FENCE)
    assert disordered_writes(program, CONFIG, lambda: 0) == [behind]


@pytest.mark.parametrize("config", [CONFIG, WIDE], ids=["2 columns", "16 columns"])
def test_an_instruction_of_fewer_columns_between_writer_and_reader_shortens_the_drain(config):
    x = small_graphs.image(3, 1, 16)
    a = small_graphs.conv("a", x, 4, kernel=9)
    ones = np.ones((1, 4, 3, 1, 16), np.int8)
    single = {"codes": ones, "padding": (0, 0, 0, 0), "shape": (4, 1, 1)}
    b = small_graphs.conv("b", x, 4, **single)
    c = small_graphs.conv("c", a, 4, kernel=1)
    graph = Graph((x, a, b, c), (Output("b", b.shape), Output("c", c.shape)))
    program = compute(compile_graph(graph, config))
    columns = {tiles.columns for tiles in program}
    assert columns == {config.columns, 1}
    late, least = early_reads(program, config, lambda: 0)
    assert not late
    assert least < 4


def test_a_larger_fence_would_read_early():
    program = compute(compile_graph(small_graphs.network(), CONFIG))
    late, least = early_reads(program, CONFIG, lambda: 0)
    assert (late, least) == ([], 0)
    early = []
    for index in range(len(program)):
        wrong = list(program)
        wrong[index] = replace(wrong[index], fence=wrong[index].fence + 1)
        early += early_reads(wrong, CONFIG, lambda: 0)[0]
    assert early


def test_dependent_layers_overlap():
    program = compute(compile_graph(small_graphs.network(), CONFIG))
    fences = np.array([tiles.fence for tiles in program])
    assert (fences > dependent_fence(CONFIG)).all()
