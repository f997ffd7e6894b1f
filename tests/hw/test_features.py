# amaranth: UnusedElaboratable=no
import random

import pytest

from hw.bank import Bank
from hw.columns import row_bits
from hw.features import Features
from hw.spec.config import SvpeConfig
from hw.spec.timing import REQUEST_STAGES, STORE_LATENCY
from tests.hw.record import record

WRITE_CYCLES = 2  # from a write to the cycle in which a row reads it
READ_CYCLES = 2
CONFIGS = {
    "one column, one part": SvpeConfig(lanes=2, rows=2, columns=1, feature_words=64),
    "two columns, two parts": SvpeConfig(lanes=4, rows=2, columns=2, feature_words=64),
    "sixteen columns, four parts": SvpeConfig(lanes=8, rows=2, columns=16, feature_words=128),
    "two words": SvpeConfig(lanes=4, rows=2, columns=2, feature_words=64, epilogue_words=2),
    "four words": SvpeConfig(lanes=8, rows=2, columns=8, feature_words=128, epilogue_words=4),
}


class Model:
    """The words by cycle: what was written is there ``WRITE_CYCLES`` later."""

    def __init__(self, config):
        self.config = config
        self.part_bits = config.rows * config.activation_bits
        self.words = [0] * config.feature_words
        self.coming = []  # (cycle, address, mask, data)

    def write(self, cycle, address, mask, data):
        self.coming.append((cycle + WRITE_CYCLES, address, mask, data & mask))

    def part(self, number):
        return ((1 << self.part_bits) - 1) << (number * self.part_bits)

    def advance(self, cycle):
        """All that is in memory in ``cycle``."""
        while self.coming and self.coming[0][0] <= cycle:
            _, address, mask, data = self.coming.pop(0)
            self.words[address] = self.words[address] & ~mask | data


def traffic(config, rng, cycles, busy):
    """What epilogue, loads and stores offer in each cycle, on few addresses; rows to read."""
    hot = [rng.randrange(config.feature_words) for _ in range(6)]
    whole = (1 << config.feature_bits) - 1

    def address():
        return rng.choice((*hot, rng.randrange(config.feature_words)))

    def word():
        return rng.randint(0, whole)

    def write():
        """Part, whether it is all parts, and for each word whether it is valid, address, data."""
        sides = rng.sample(range(config.sides), config.epilogue_words)
        words = [
            (rng.random() < busy, address() // config.sides * config.sides + side, word())
            for side in sides
        ]
        return rng.randrange(config.parts), rng.random() < 0.3, words

    return {
        "writes": [write() for _ in range(cycles)],
        "loads": [(address(), word()) for _ in range(cycles)],
        "stores": [address() for _ in range(cycles)],
        "rows": [
            [rng.randrange(1 << row_bits(config)) for _ in range(config.banks)]
            for _ in range(cycles)
        ],
    }


def sides_of(config, words):
    """The sides that valid words of a write lie on."""
    return {address % config.sides for valid, address, _ in words if valid}


def loader(config, load, offered, seed, idle):
    """A driver that gives each word once no result is written to its side."""
    waits = random.Random(seed)

    async def give(ctx):
        left = list(offered["loads"])
        for _, _, words in offered["writes"]:
            free = left[0][0] % config.sides not in sides_of(config, words)
            given = free and waits.random() >= idle
            ctx.set(load.valid, given)
            if given:
                address, data = left.pop(0)
                ctx.set(load.payload, {"address": address, "data": data})
            await ctx.tick()
        ctx.set(load.valid, 0)

    return give


def feeder(stream, payloads, seed, idle):
    """A driver that offers each payload until it is taken, for as long as cycles are recorded."""
    waits = random.Random(seed)

    async def feed(ctx):
        for payload in payloads:
            while waits.random() < idle:
                await ctx.tick()
            ctx.set(stream.payload, payload)
            ctx.set(stream.valid, 1)
            taken = 0
            while not taken:
                _, _, taken = await ctx.tick().sample(stream.ready)
            ctx.set(stream.valid, 0)

    return feed


def observed(config, offered, rng, idle):
    """Run ``offered``; rows of load (valid, payload), store (valid, ready, payload), outputs."""
    dut = Features(config)

    async def write(ctx):
        for part, whole, words in offered["writes"]:
            ctx.set(dut.write.part, part)
            ctx.set(dut.write.all, whole)
            ctx.set(dut.write.valid, sum(valid << n for n, (valid, _, _) in enumerate(words)))
            for side in range(config.sides):
                on_it = (valid and address % config.sides == side for valid, address, _ in words)
                ctx.set(dut.write.sides[side], sum(own << n for n, own in enumerate(on_it)))
            for n, (_, address, word) in enumerate(words):
                ctx.set(dut.write.addresses[n], address)
                ctx.set(dut.write.data[n], word)
            await ctx.tick()
        ctx.set(dut.write.valid, 0)
        ctx.set(dut.write.sides, [0] * config.sides)

    async def read(ctx):
        for rows in offered["rows"]:
            for port, row in zip(dut.rows, rows, strict=True):
                ctx.set(port, row)
            await ctx.tick()

    drivers = (
        *(write, read, loader(config, dut.load, offered, rng.random(), idle)),
        feeder(dut.store_request, offered["stores"], rng.random(), idle),
    )
    signals = (
        *(dut.load.valid, dut.load.payload),
        *(dut.store_request.valid, dut.store_request.ready, dut.store_request.payload),
        *(dut.store_valid, dut.store_data, *dut.words),
    )
    return record(dut, *drivers, cycles=len(offered["writes"]), signals=signals)


def check(config, seed, *, busy=0.6, idle=0.2):
    """Hold every cycle to the model; returns how many loads came, and how often a store waited."""
    cycles = 2000 // config.banks
    rng = random.Random(seed)
    offered, model = traffic(config, rng, cycles, busy), Model(config)
    loads, stores = iter(offered["loads"]), iter(offered["stores"])
    due, loaded, waits = {}, 0, 0  # due: cycle to what comes then
    for cycle, row in enumerate(observed(config, offered, rng, idle)):
        load_valid, load, store_valid, store_ready, store, *outputs = row
        part, whole, words = offered["writes"][cycle]
        model.advance(cycle)
        for bank, own in enumerate(offered["rows"][cycle]):
            due[cycle + READ_CYCLES, bank] = model.words[own * config.banks + bank]
        written = [(address, word) for valid, address, word in words if valid]
        for address, word in written:
            copies = (1 << config.feature_bits) - 1 if whole else model.part(part)
            model.write(cycle, address, copies, word)
        banks = {address % config.banks for address, _ in written}
        if load_valid:
            banks.add(load["address"] % config.banks)
            loaded += 1
            assert (load["address"], load["data"]) == next(loads)
            model.write(cycle, load["address"], (1 << config.feature_bits) - 1, load["data"])
        if store_valid:
            assert store_ready == (store % config.banks not in banks), cycle
            waits += not store_ready
        if store_valid and store_ready:
            assert store == next(stores)
            later = Model(config)  # the bank is read in the next cycle
            later.words, later.coming = list(model.words), list(model.coming)
            later.advance(cycle + 1)
            due[cycle + STORE_LATENCY - REQUEST_STAGES, "store"] = later.words[store]
        compare(cycle, outputs, due)
    return loaded, waits


def compare(cycle, outputs, due):
    store_valid, store_data, *words = outputs
    assert (store_data if store_valid else None) == due.get((cycle, "store")), cycle
    for bank, word in enumerate(words):
        assert word == due.get((cycle, bank), word), (cycle, bank)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("idle", [0.0, 0.5])
def test_results_and_loads_win_and_stores_wait_but_lose_nothing(name, idle):
    assert min(check(CONFIGS[name], seed=1, idle=idle)) > 0


def test_a_model_that_writes_a_cycle_late_is_refused(monkeypatch):
    monkeypatch.setattr(f"{__name__}.WRITE_CYCLES", 3)
    with pytest.raises(AssertionError):
        check(CONFIGS["two columns, two parts"], seed=1)


def test_a_bank_gives_old_data_until_the_cycle_after_a_write():
    bank = Bank(words=4, parts=2, part_bits=4)

    async def drive(ctx):
        ctx.set(bank.row, 3)
        ctx.set(bank.port_row, 3)
        await ctx.tick()
        for write, data in ((0b11, 0xAB), (0b01, 0xCD), (0b10, 0xEF), (0b00, 0x77)):
            ctx.set(bank.port_write, write)
            ctx.set(bank.port_data, data)
            await ctx.tick()

    rows = record(bank, drive, cycles=8, signals=[bank.word])
    assert [word for (word,) in rows] == [0, 0, 0, 0, 0xAB, 0xAD, 0xED, 0xED]
