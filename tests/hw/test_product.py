"""Products by quarter squares: every pair of small operands, and a stream of larger ones."""

import random
from itertools import product

import pytest

from hw.product import Product
from hw.spec.config import SvpeConfig
from hw.spec.timing import PRODUCT_STAGES
from tests.hw.record import record


def products(bits, operands):
    """What comes out in each cycle, for (one, other, one_unsigned, other_unsigned) in each."""
    dut = Product(SvpeConfig(lanes=2, rows=1, columns=1, activation_bits=bits))
    ports = (dut.one, dut.other, dut.one_unsigned, dut.other_unsigned)

    async def drive(ctx):
        for values in operands:
            for port, value in zip(ports, values, strict=True):
                ctx.set(port, value)
            await ctx.tick()

    rows = record(dut, drive, cycles=len(operands) + PRODUCT_STAGES, signals=[dut.o])
    return [row[0] for row in rows[PRODUCT_STAGES:]]


def integer(stored, bits, is_unsigned):
    half = 1 << (bits - 1)
    return (stored ^ half) if is_unsigned else (stored ^ half) - half


def check(bits, operands):
    assert products(bits, operands) == [
        integer(a, bits, p) * integer(b, bits, q) for a, b, p, q in operands
    ]


def test_every_pair_of_four_bits_of_either_sign_in_every_cycle():
    check(4, list(product(range(16), range(16), (0, 1), (0, 1))))


@pytest.mark.parametrize("bits", [5, 8, 10])
def test_wider_operands_and_all_their_extremes(bits):
    rng, most = random.Random(bits), (1 << bits) - 1
    ends = (0, 1, most // 2, most // 2 + 1, most)
    operands = list(product(ends, ends, (0, 1), (0, 1)))
    operands += [
        (rng.randint(0, most), rng.randint(0, most), rng.randint(0, 1), rng.randint(0, 1))
        for _ in range(500)
    ]
    check(bits, operands)
