# amaranth: UnusedElaboratable=no
import random

import pytest

from hw.columns import Columns
from hw.spec.config import ADDRESS_BITS, COLUMN_STEPS, SvpeConfig
from hw.spec.timing import column_stages
from tests.hw.record import record

CONFIGS = {
    columns: SvpeConfig(lanes=4, rows=2, columns=columns, feature_words=1024)
    for columns in (1, 2, 4, 16)
}
CYCLES = 100
COORDINATES = (-8192, -2048, -17, -2, -1, 0, 1, 2, 15, 16, 2047, 8191)
SIZES = (0, 1, 2, 16, 2047)


def random_step(config, rng):
    """Coordinates close to each side of the image, and far away."""
    return {
        "place": {
            "address": rng.getrandbits(ADDRESS_BITS),
            "x": rng.choice(COORDINATES),
            "y": rng.choice(COORDINATES),
        },
        "steps": [
            {
                "address": rng.getrandbits(ADDRESS_BITS),
                "x": rng.choice((0, rng.randint(-9, 9))),
                "y": rng.choice((0, rng.randint(-9, 9))),
            }
            for _ in range(COLUMN_STEPS)
        ],
        "frame": {
            "valid": rng.random() < 0.8,
            "width": rng.choice(SIZES),
            "height": rng.choice(SIZES),
            "anywhere": rng.random() < 0.3,
            "pad_value": rng.randint(-128, 127),
            "columns": rng.randint(1, config.columns),
        },
    }


def expected(config, step):
    """(read, address) of each column; the address of one that does not read is None."""
    place, frame = step["place"], step["frame"]
    for column in range(config.columns):
        taken = [step["steps"][b] for b in range(COLUMN_STEPS) if column >> b & 1]
        address, x, y = (
            place[name] + sum(one[name] for one in taken) for name in ("address", "x", "y")
        )
        x, y = ((value + 8192) % 16384 - 8192 for value in (x, y))
        inside = 0 <= x < frame["width"] and 0 <= y < frame["height"]
        used = frame["valid"] and column < frame["columns"]
        read = used and (inside or frame["anywhere"])
        yield bool(read), address % config.feature_words if read else None


@pytest.mark.parametrize("columns", CONFIGS)
def test_columns_in_use_read_what_lies_inside_and_others_nothing(columns):
    config, rng = CONFIGS[columns], random.Random(columns)
    dut = Columns(config)
    steps = [random_step(config, rng) for _ in range(CYCLES)]

    async def drive(ctx):
        for step in steps:
            for name, value in step.items():
                ctx.set(getattr(dut, name), value)
            await ctx.tick()

    late = column_stages(config) + 1
    rows = record(dut, drive, cycles=CYCLES + late, signals=[dut.pad_value, *dut.requests])
    for step, (pad_value, *requests) in zip(steps, rows[late:], strict=True):
        assert pad_value == step["frame"]["pad_value"]
        seen = [
            (
                bool(request["read"]),
                request["row"] * config.banks + request["bank"] if request["read"] else None,
            )
            for request in requests
        ]
        assert seen == list(expected(config, step))
    reads = [read for step in steps for read, _ in expected(config, step)]
    assert True in reads
    assert False in reads
