# amaranth: UnusedElaboratable=no
import random

import pytest

from hw.columns import bank_bits, row_bits
from hw.crossbar import REQUEST_STAGES, Crossbar
from hw.spec.config import SvpeConfig
from hw.spec.timing import BANK_STAGES, crossbar_stages
from tests.hw.record import record

CONFIGS = {
    columns: SvpeConfig(lanes=2, rows=2, columns=columns, feature_words=256)
    for columns in (1, 2, 8, 16)
}
CYCLES = 50


def random_requests(config, rng):
    """One for each column; those that read meet in no bank, the others ask for anything."""
    free = rng.sample(range(config.banks), config.columns)
    return [
        {"read": read, "bank": bank if read else rng.randrange(config.banks), "row": row}
        for bank, read, row in (
            (bank, rng.random() < 0.7, rng.randrange(1 << row_bits(config))) for bank in free
        )
    ]


def observed(config, words, requests, pads):
    """Rows of (bank rows, column words); each bank gives ``words[bank][row]`` in time."""
    dut = Crossbar(config)

    async def ask(ctx):
        for columns, pad in zip(requests, pads, strict=True):
            for port, request in zip(dut.requests, columns, strict=True):
                ctx.set(port, request)
            ctx.set(dut.pad_value, pad)
            await ctx.tick()

    async def answer(ctx):
        asked = [[0] * config.banks] * BANK_STAGES
        while True:
            _, _, *rows = await ctx.tick().sample(*dut.rows)
            asked = [*asked[1:], rows]
            for bank, port in enumerate(dut.words):
                ctx.set(port, words[bank][asked[0][bank]])

    end = len(requests) + REQUEST_STAGES + BANK_STAGES + crossbar_stages(config)
    return record(dut, ask, answer, cycles=end, signals=[*dut.rows, *dut.column_words])


@pytest.mark.parametrize("columns", CONFIGS)
def test_each_column_gets_its_word_or_padding_whatever_idle_columns_ask_for(columns):
    config, rng = CONFIGS[columns], random.Random(columns)
    depth = 1 << row_bits(config)
    words = [
        [rng.getrandbits(config.feature_bits) for _ in range(depth)] for _ in range(config.banks)
    ]
    requests = [random_requests(config, rng) for _ in range(CYCLES)]
    half = 1 << (config.activation_bits - 1)
    pads = [rng.randrange(-half, half) for _ in range(CYCLES)]

    rows = observed(config, words, requests, pads)
    late = REQUEST_STAGES + BANK_STAGES + crossbar_stages(config)
    for cycle, (asked, pad) in enumerate(zip(requests, pads, strict=True)):
        lane = pad & (2 * half - 1)
        padding = sum(lane << (n * config.activation_bits) for n in range(config.lanes))
        assert rows[cycle + late][config.banks :] == tuple(
            words[one["bank"]][one["row"]] if one["read"] else padding for one in asked
        )
        to_banks = rows[cycle + REQUEST_STAGES]
        for one in asked:
            assert not one["read"] or to_banks[one["bank"]] == one["row"]


def test_two_requests_in_one_bank_spoil_each_other():
    config = CONFIGS[2]
    assert bank_bits(config) == 2
    asked = [{"read": 1, "bank": 3, "row": row} for row in (0b01, 0b10)]
    rows = observed(config, [[0] * 4] * config.banks, [asked], [0])
    assert rows[REQUEST_STAGES][3] == 0b11
