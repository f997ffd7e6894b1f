# amaranth: UnusedElaboratable=no
import random

import pytest

from hw.spec.config import ADDRESS_BITS, SvpeConfig
from hw.spec.isa.header import Op
from hw.spec.timing import PRODUCT_STAGES, hold_latency
from hw.tiles import ELEMENT_LEAD, Tiles
from tests.hw.record import record

CONFIGS = {
    "least latency": SvpeConfig(lanes=2, rows=1, columns=1),
    "test": SvpeConfig(lanes=8, rows=4, columns=2),
    "most latency": SvpeConfig(lanes=64, rows=1, columns=16, weight_bits=5),
    "most passes": SvpeConfig(lanes=4, rows=2, columns=4, activation_bits=4, accumulator_bits=48),
    "two words": SvpeConfig(lanes=8, rows=4, columns=2, epilogue_words=2),
    "four words": SvpeConfig(lanes=4, rows=2, columns=16, epilogue_words=4),
}
SIGNALS = ("load", "compute", "store")


def random_tile(config, rng):
    """The fields of instruction and offsets that a tile's last step has, and what it is."""
    columns = rng.choice([1 << n for n in range(config.columns.bit_length())])
    width = rng.choice([1 << n for n in range(columns.bit_length())])
    half = 1 << (config.activation_bits - 1)
    return {
        "instruction": {
            "op": rng.choice((Op.CONV, Op.MAXPOOL)),
            "columns": columns,
            "tile_width": width,
            "passes": rng.choice((1, 1, config.passes)),
            **{
                name: rng.getrandbits(ADDRESS_BITS)
                for name in ("pass_step", "output_pitch", "output_address")
            },
            "output_step": rng.choice((1, 1, 2, 255)),
            "output_width": rng.choice((1, 5, 2047)),
            "output_height": rng.choice((1, 5, 2047)),
            "output_part": rng.getrandbits(6),
            "parameter_address": rng.getrandbits(12),
            "low": rng.randrange(-half, half),
            "high": rng.randrange(-half, half),
            "table": rng.getrandbits(1),
            "table_address": rng.getrandbits(6),
            "skip": rng.getrandbits(1),
            "multiply": rng.getrandbits(1),
            "sum_unsigned": rng.getrandbits(1),
            "skip_unsigned": rng.getrandbits(1),
            "skip_part": rng.getrandbits(6),
            "tag": rng.getrandbits(16),
            **{f"signal_{name}": rng.getrandbits(1) for name in SIGNALS},
        },
        "offsets": {
            "output_tile_x": rng.getrandbits(ADDRESS_BITS),
            "output_column": rng.choice((0, 3, 4, 100)),
            "output_tile_y": rng.getrandbits(ADDRESS_BITS),
            "output_row": rng.choice((0, 3, 4, 100)),
        },
        "final": rng.getrandbits(1),
    }


def one_pixel(rng, config):
    """The tile that takes the least time: one result."""
    tile = random_tile(config, rng)
    tile["instruction"] |= {"columns": 1, "tile_width": 1, "passes": 1}
    return tile


def late_of(tile):
    return PRODUCT_STAGES * tile["instruction"]["multiply"]


def turns_of(tile, config):
    return -(-tile["instruction"]["columns"] // config.epilogue_words)


def scheduled(tiles, rng, slack, config):
    """(cycle of its last step, tile): as close as fences allow, and up to ``slack`` more."""
    at, schedule = 0, []
    for tile, following in zip(tiles, [*tiles[1:], tiles[-1]], strict=True):
        schedule.append((at, tile))
        interval = turns_of(tile, config) * tile["instruction"]["passes"]
        # What is less late waits for what is later, as ``in_order_fence`` says.
        at += max(interval, config.turns) + max(0, late_of(tile) - late_of(following))
        at += rng.randint(0, slack)
    return schedule


def observed(config, schedule):
    """What every output is in every cycle."""
    dut = Tiles(config)

    async def drive(ctx):
        cycle = 0
        for at, tile in schedule:
            while cycle < at:
                ctx.set(dut.step, {"valid": at % 2, "last": 1 - at % 2})
                await ctx.tick()
                cycle += 1
            ctx.set(dut.step, {"valid": 1, "last": 1, "final": tile["final"]})
            ctx.set(dut.instruction, tile["instruction"])
            ctx.set(dut.offsets, tile["offsets"])
            await ctx.tick()
            cycle += 1
        ctx.set(dut.step, {"valid": 0})

    last = schedule[-1][0] + hold_latency(config) + config.columns * (config.passes + 1)
    names = ("bypass", "operand", "element", "limits", "write", "final", "destination", "arrival")
    signals = [getattr(dut, name) for name in names]
    rows = record(dut, drive, cycles=last + PRODUCT_STAGES + 2, signals=signals)
    seen = {name: list(each) for name, each in zip(names, zip(*rows, strict=True), strict=True)}
    arrived = {n: one["turn"] for n, one in enumerate(seen["arrival"]) if one["valid"]}
    assert arrived == {
        at + hold_latency(config) + turn: turn for at, _ in schedule for turn in range(config.turns)
    }
    return seen


def expected(config, schedule):
    """(cycle, output, its fields) of each operand and element."""
    for at, tile in schedule:
        own, offsets = tile["instruction"], tile["offsets"]
        columns, passes = own["columns"], own["passes"]
        turns, words = turns_of(tile, config), config.epilogue_words
        for n in range(turns * passes):
            number, turn = divmod(n, turns)
            last = n == turns * passes - 1
            addresses, written = [], 0
            for place in range(words):
                down, right = divmod(turn * words + place, own["tile_width"])
                x, y = offsets["output_column"] + right, offsets["output_row"] + down
                inside = x < own["output_width"] and y < own["output_height"]
                written |= (inside and turn * words + place < columns) << place
                addresses.append(
                    own["output_address"]
                    + offsets["output_tile_x"]
                    + offsets["output_tile_y"]
                    + right * own["output_step"]
                    + down * own["output_pitch"]
                    + number * own["pass_step"]
                )
            cycle = at + hold_latency(config) - ELEMENT_LEAD + n
            yield (
                cycle,
                "bypass",
                {
                    "valid": 1,
                    "turn": turn,
                    "last": last,
                    "skip": own["skip"],
                    "part": own["skip_part"],
                },
            )
            yield (
                cycle,
                "operand",
                {
                    "turn": turn % 16,
                    "sum_unsigned": own["sum_unsigned"],
                    "skip_unsigned": own["skip_unsigned"],
                },
            )
            cycle += late_of(tile)
            yield (
                cycle,
                "element",
                {
                    "multiply": own["multiply"],
                    "parameter_address": own["parameter_address"],
                    "raw": passes > 1,
                    "slice_shift": number * config.activation_bits,
                },
            )
            yield cycle, "limits", {"raw": passes > 1, "low": own["low"], "high": own["high"]}
            yield cycle + 1, "write", written
            yield cycle + 1, "final", last and tile["final"]
            yield (
                cycle + 1,
                "destination",
                {
                    "addresses": [each % (1 << ADDRESS_BITS) for each in addresses],
                    "part": own["output_part"],
                    "all": own["op"] == Op.MAXPOOL,
                    "number": number,
                    "tag": own["tag"],
                    "table": own["table"],
                    "table_address": own["table_address"],
                    "signals": sum(own[f"signal_{name}"] << n for n, name in enumerate(SIGNALS)),
                },
            )


def plain(value):
    """A field's value; those of an array as a list."""
    return value if isinstance(value, int) else list(value)


def check(config, schedule):
    seen, wanted = observed(config, schedule), list(expected(config, schedule))
    for cycle, name, fields in wanted:
        got = seen[name][cycle]
        if isinstance(fields, dict):
            got = {field: plain(got[field]) for field in fields}
        assert got == fields, (cycle, name)
    # And nothing else: no operand is asked for, and nothing is written, in any other cycle.
    for name, flags in (
        ("bypass", [one["valid"] for one in seen["bypass"]]),
        ("write", seen["write"]),
        ("final", seen["final"]),
    ):
        cycles = {cycle for cycle, other, fields in wanted if other == name and fields}
        assert {cycle for cycle, flag in enumerate(flags) if flag} == cycles


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("slack", [0, 30])
def test_every_result_has_its_place_and_its_cycle(name, slack):
    config, rng = CONFIGS[name], random.Random(slack)
    tiles = [random_tile(config, rng) for _ in range(30)]
    check(config, scheduled(tiles, rng, slack, config))


@pytest.mark.parametrize("name", CONFIGS)
def test_the_least_intervals_never_fill_the_memory_of_tiles(name):
    config, rng = CONFIGS[name], random.Random(7)
    tiles = [one_pixel(rng, config) for _ in range(4 * hold_latency(config))]
    check(config, scheduled(tiles, rng, 0, config))


@pytest.mark.parametrize("name", CONFIGS)
def test_a_sum_right_behind_a_product_would_meet_it(name):
    config, rng = CONFIGS[name], random.Random(5)
    tiles = [one_pixel(rng, config) for _ in range(2)]
    for tile, multiply in zip(tiles, (1, 0), strict=True):
        tile["instruction"]["multiply"] = multiply
    check(config, scheduled(tiles, rng, 0, config))
    with pytest.raises(AssertionError):
        check(config, [(0, tiles[0]), (PRODUCT_STAGES, tiles[1])])


def test_tiles_closer_than_their_interval_lose_results():
    config, rng = CONFIGS["test"], random.Random(3)
    tiles = [random_tile(config, rng) for _ in range(2)]
    for tile in tiles:
        tile["instruction"] |= {"columns": 2, "tile_width": 2}
    with pytest.raises(AssertionError):
        check(config, [(0, tiles[0]), (1, tiles[1])])
