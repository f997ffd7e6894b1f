# amaranth: UnusedElaboratable=no
import random
from itertools import product

import pytest

from hw.bypass import SKIP_STAGES, Bypass
from hw.spec.config import SvpeConfig
from hw.spec.timing import (
    RESULT_STAGES,
    bypass_depth,
    edge_latency,
    hold_latency,
    write_latency,
)
from hw.tiles import ELEMENT_LEAD
from tests.hw.compute_model import wrap
from tests.hw.record import record

CONFIGS = {
    "one column": SvpeConfig(lanes=2, rows=1, columns=1),
    "test": SvpeConfig(lanes=8, rows=4, columns=2),
    "sixteen columns": SvpeConfig(lanes=4, rows=2, columns=16, activation_bits=5),
    "four words": SvpeConfig(lanes=4, rows=2, columns=16, activation_bits=5, epilogue_words=4),
    "two words": SvpeConfig(lanes=8, rows=4, columns=2, epilogue_words=2),
}


def random_tile(config, rng):
    """Steps of a tile: words of each column, and what its results need."""
    columns = rng.choice([1 << n for n in range(config.columns.bit_length())])
    return {
        "columns": columns,
        "steps": [
            [rng.getrandbits(config.feature_bits) for _ in range(config.columns)]
            for _ in range(rng.choice((1, 1, 2, 5)))
        ],
        "maximum": rng.random() < 0.5,
        "passes": rng.choice((1, 1, 2)),
        "skip": rng.getrandbits(1),
        "part": rng.randrange(config.parts),
    }


def elements_of(tile, config):
    """Turns of all passes."""
    return tile["passes"] * -(-tile["columns"] // config.epilogue_words)


def scheduled(tiles, config):
    """(cycle of its first step, cycle of its last step, tile), the least interval apart."""
    first, last_before, interval, schedule = 0, None, 0, []
    for tile in tiles:
        last = first + len(tile["steps"]) - 1
        if last_before is not None and last < last_before + interval:
            first, last = first + last_before + interval - last, last_before + interval
        schedule.append((first, last, tile))
        first, last_before = last + 1, last
        interval = max(elements_of(tile, config), config.turns)
    return schedule


def observed(config, schedule):
    """Rows of maxima, then the rows' skips, of each word of each cycle."""
    dut = Bypass(config)
    steps, words, reads = {}, {}, {}
    lead = hold_latency(config) - edge_latency(config) - ELEMENT_LEAD
    for first, last, tile in schedule:
        for n, row in enumerate(tile["steps"]):
            load = not tile["maximum"] or n == 0
            steps[first + n] = (load, first + n == last)
            most, together = config.turns - 1, config.epilogue_words
            words |= {(first + n + most - c // together, c): word for c, word in enumerate(row)}
        total = elements_of(tile, config)
        for n in range(total):
            reads[last + lead + n] = {
                "valid": 1,
                "turn": n % (total // tile["passes"]),
                "last": n == total - 1,
                **{name: tile[name] for name in ("skip", "part")},
            }
    end = schedule[-1][1] + write_latency(config) + 3 * config.columns

    async def drive(ctx):
        for cycle in range(end):
            load, last = steps.get(cycle, (1, 0))
            ctx.set(dut.step, {"load": load, "last": last})
            for column, port in enumerate(dut.words):
                ctx.set(port, words.get((cycle, column), 0))
            ctx.set(dut.read, reads.get(cycle, {"valid": 0}))
            await ctx.tick()

    skips = [lane for lanes in dut.skips for lane in lanes]
    return record(dut, drive, cycles=end, signals=[*dut.maxima, *skips])


def lanes(config, word):
    bits = config.activation_bits
    return [wrap(word >> (n * bits), bits) for n in range(config.lanes)]


def check(config, schedule):
    rows = observed(config, schedule)
    lead = hold_latency(config) - edge_latency(config) - ELEMENT_LEAD
    for _, last, tile in schedule:
        turns = elements_of(tile, config) // tile["passes"]
        for n, column in product(range(turns * tile["passes"]), range(tile["columns"])):
            turn, word = divmod(column, config.epilogue_words)
            if n % turns != turn:
                continue
            element = last + lead + n
            taken = tile["steps"] if tile["maximum"] else tile["steps"][-1:]
            window = [lanes(config, step[column]) for step in taken]
            best = [max(lane) for lane in zip(*window, strict=True)]
            at = element + write_latency(config) - hold_latency(config) + 1
            assert lanes(config, rows[at][word]) == best, (last, column)
            for row in range(config.rows):
                at = element + SKIP_STAGES + RESULT_STAGES + row
                skip = best[tile["part"] * config.rows + row] if tile["skip"] else 0
                own = config.epilogue_words + word * config.rows + row
                assert rows[at][own] == skip, (last, column, row)


@pytest.mark.parametrize("name", CONFIGS)
def test_skip_words_and_maxima_come_in_time_at_the_least_interval(name):
    config, rng = CONFIGS[name], random.Random(1)
    tiles = [random_tile(config, rng) for _ in range(30)]
    check(config, scheduled(tiles, config))


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("whole", [False, True], ids=["one column", "all columns"])
def test_the_buffer_wraps_around_while_it_is_as_full_as_it_gets(name, whole):
    config, rng = CONFIGS[name], random.Random(2)
    columns = config.columns if whole else 1
    tiles = [
        random_tile(config, rng) | {"columns": columns, "passes": 1}
        for _ in range(3 * bypass_depth(config) // columns)
    ]
    for tile in tiles:
        del tile["steps"][1:]
    check(config, scheduled(tiles, config))


def test_a_tile_that_ends_before_its_interval_spoils_the_one_before():
    config, rng = CONFIGS["test"], random.Random(3)
    tiles = [random_tile(config, rng) | {"columns": 2, "passes": 1} for _ in range(2)]
    for tile in tiles:
        del tile["steps"][1:]
    with pytest.raises(AssertionError):
        check(config, [(0, 0, tiles[0]), (1, 1, tiles[1])])
