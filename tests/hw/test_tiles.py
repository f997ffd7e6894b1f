# amaranth: UnusedElaboratable=no
import random
from itertools import pairwise

import pytest

from hw.spec.config import ADDRESS_BITS, SvpeConfig
from hw.spec.isa.header import Op
from hw.spec.timing import hold_latency
from hw.tiles import ELEMENT_LEAD, Tiles
from tests.hw.record import record

CONFIGS = {
    "least latency": SvpeConfig(lanes=2, rows=1, columns=1),
    "test": SvpeConfig(lanes=8, rows=4, columns=2),
    "most latency": SvpeConfig(lanes=64, rows=1, columns=16, weight_bits=5),
    "most passes": SvpeConfig(lanes=4, rows=2, columns=4, activation_bits=4, accumulator_bits=48),
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


def scheduled(tiles, rng, slack, columns):
    """(cycle of its last step, tile): the least interval apart, and up to ``slack`` more."""
    at, schedule = 0, []
    for tile in tiles:
        schedule.append((at, tile))
        interval = tile["instruction"]["columns"] * tile["instruction"]["passes"]
        at += max(interval, columns) + rng.randint(0, slack)
    return schedule


def observed(config, schedule):
    """(cycle, outputs) of each element; its destination comes one cycle later."""
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
    signals = [dut.bypass, dut.element, dut.write, dut.final, dut.destination, dut.limits]
    signals += [dut.arrival]
    rows = record(dut, drive, cycles=last + 2, signals=signals)
    quiet = [cycle for cycle, row in enumerate(rows[:-1]) if not row[0]["valid"]]
    assert not any(rows[cycle + 1][2] or rows[cycle + 1][3] for cycle in quiet)
    arrived = {cycle: row[-1]["column"] for cycle, row in enumerate(rows) if row[-1]["valid"]}
    assert arrived == {
        at + hold_latency(config) + column: column
        for at, _ in schedule
        for column in range(config.columns)
    }
    return [
        (cycle, bypass, element, *after[2:5], limits)
        for cycle, ((bypass, element, *_, limits, _), after) in enumerate(pairwise(rows))
        if bypass["valid"]
    ]


def expected(config, schedule):
    """The cycle of each element, and the fields of its outputs."""
    for at, tile in schedule:
        own, offsets = tile["instruction"], tile["offsets"]
        columns, passes = own["columns"], own["passes"]
        for n in range(columns * passes):
            number, column = divmod(n, columns)
            down, right = divmod(column, own["tile_width"])
            x, y = offsets["output_column"] + right, offsets["output_row"] + down
            last = n == columns * passes - 1
            address = (
                own["output_address"]
                + offsets["output_tile_x"]
                + offsets["output_tile_y"]
                + right * own["output_step"]
                + down * own["output_pitch"]
                + number * own["pass_step"]
            )
            yield (
                at + hold_latency(config) - ELEMENT_LEAD + n,
                {
                    "column": column,
                    "last": last,
                    "skip": own["skip"],
                    "part": own["skip_part"],
                },
                {
                    "column": column % 16,
                    "parameter_address": own["parameter_address"],
                    "raw": passes > 1,
                    "slice_shift": number * config.activation_bits,
                },
                x < own["output_width"] and y < own["output_height"],
                last and tile["final"],
                {
                    "address": address % (1 << ADDRESS_BITS),
                    "part": own["output_part"],
                    "all": own["op"] == Op.MAXPOOL,
                    "number": number,
                    "tag": own["tag"],
                    "table": own["table"],
                    "table_address": own["table_address"],
                    "signals": sum(own[f"signal_{name}"] << n for n, name in enumerate(SIGNALS)),
                },
                {"raw": passes > 1, "low": own["low"], "high": own["high"]},
            )


def check(config, schedule):
    seen, wanted = observed(config, schedule), list(expected(config, schedule))
    assert [one[0] for one in seen] == [one[0] for one in wanted]
    for (cycle, *got), (_, *fields) in zip(seen, wanted, strict=True):
        bypass, element, write, final, destination, limits = fields
        for view, values in zip(
            (got[0], got[1], got[4], got[5]), (bypass, element, destination, limits), strict=True
        ):
            assert {name: view[name] for name in values} == values, cycle
        assert (got[2], got[3]) == (write, final), cycle


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("slack", [0, 30])
def test_every_result_has_its_place_and_its_cycle(name, slack):
    config, rng = CONFIGS[name], random.Random(slack)
    tiles = [random_tile(config, rng) for _ in range(30)]
    check(config, scheduled(tiles, rng, slack, config.columns))


@pytest.mark.parametrize("name", CONFIGS)
def test_the_least_intervals_never_fill_the_memory_of_tiles(name):
    config, rng = CONFIGS[name], random.Random(7)
    tiles = [one_pixel(rng, config) for _ in range(4 * hold_latency(config))]
    check(config, scheduled(tiles, rng, 0, config.columns))


def test_tiles_closer_than_their_interval_lose_results():
    config, rng = CONFIGS["test"], random.Random(3)
    tiles = [random_tile(config, rng) for _ in range(2)]
    for tile in tiles:
        tile["instruction"] |= {"columns": 2, "tile_width": 2}
    with pytest.raises(AssertionError):
        check(config, [(0, tiles[0]), (1, tiles[1])])
