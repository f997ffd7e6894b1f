# amaranth: UnusedElaboratable=no
"""Elements with and without tables, against plain integers."""

import random

import pytest

from hw.spec.config import SvpeConfig
from hw.spec.timing import TABLE_STAGES
from hw.tables import Tables
from tests.hw.compute_model import wrap
from tests.hw.record import record

CONFIGS = {
    "test": SvpeConfig(lanes=8, rows=4, columns=2),
    "two words": SvpeConfig(lanes=8, rows=4, columns=2, epilogue_words=2),
    "an index wider than an activation": SvpeConfig(
        lanes=2, rows=2, columns=1, activation_bits=4, table_bits=6
    ),
    "an activation wider than an index": SvpeConfig(
        lanes=2, rows=1, columns=1, activation_bits=16, table_bits=3, table_words=8
    ),
}


def elements(config, rng, count):
    """What comes in each cycle: an element without a table keeps away from those before it."""
    taken, found, words = set(), [], config.epilogue_words
    for cycle in range(count):
        table = rng.getrandbits(1)
        lands = cycle + TABLE_STAGES * table
        write, final = rng.getrandbits(words), int(rng.random() < 0.2)
        if lands in taken:
            write = final = 0
        taken.add(lands)
        bits = config.table_bits if table else config.activation_bits
        half = 1 << bits - 1
        found.append(
            {
                "write": write,
                "final": final,
                "destination": {
                    "addresses": [rng.getrandbits(20) for _ in range(words)],
                    "table": table,
                    "table_address": rng.randrange(config.tables),
                },
                "clamped": [
                    [rng.randrange(-half, half) for _ in range(config.rows)] for _ in range(words)
                ],
            }
        )
    return found


def observed(config, words, offers):
    """(write, final, addresses, each word's results) of each cycle from the first element on."""
    dut = Tables(config)

    async def drive(ctx):
        for address, word in enumerate(words):
            data = packed(word, config.activation_bits)
            ctx.set(dut.load.payload, {"address": address, "data": data})
            ctx.set(dut.load.valid, 1)
            await ctx.tick()
        ctx.set(dut.load.valid, 0)
        await ctx.tick()
        for element in offers:
            for name in ("write", "final", "destination"):
                ctx.set(getattr(dut.i, name), element[name])
            for port, clamped in zip(dut.clamped, element["clamped"], strict=True):
                ctx.set(port, packed(clamped, config.clamp_bits))
            await ctx.tick()

    start = len(words) + 1
    signals = [dut.o.write, dut.o.final, dut.o.destination.addresses, *dut.results]
    return record(dut, drive, cycles=start + len(offers), signals=signals)[start:]


def packed(values, bits):
    return sum((value & ((1 << bits) - 1)) << (n * bits) for n, value in enumerate(values))


@pytest.mark.parametrize("name", CONFIGS)
def test_entries_come_later_by_their_memory_and_other_results_at_once(name):
    config, rng = CONFIGS[name], random.Random(1)
    half = 1 << config.activation_bits - 1
    words = [
        [rng.randrange(-half, half) for _ in range(config.rows)] for _ in range(config.table_words)
    ]
    offers = elements(config, rng, 200)
    rows = observed(config, words, offers)
    landings = {}
    for cycle, element in enumerate(offers):
        to, results = element["destination"], element["clamped"]
        if to["table"]:
            first, count = to["table_address"] << config.table_bits, 1 << config.table_bits
            results = [
                [words[first + own % count][row] for row, own in enumerate(lanes)]
                for lanes in results
            ]
        if element["write"] or element["final"]:
            lands = cycle + TABLE_STAGES * to["table"]
            landings[lands] = (element["write"], element["final"], to["addresses"], results)
    for cycle, (write, final, addresses, *results) in enumerate(rows[: len(offers)]):
        wanted = landings.get(cycle, (0, 0, None, None))
        assert (write, final) == wanted[:2], cycle
        if wanted[2] is not None:
            bits, each = config.activation_bits, range(config.rows)
            lanes = [[wrap(word >> row * bits, bits) for row in each] for word in results]
            assert (list(addresses), lanes) == wanted[2:], cycle
