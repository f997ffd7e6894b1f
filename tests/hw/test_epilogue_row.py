import random

import pytest
from amaranth.lib import data
from amaranth.sim import Simulator

from hw.epilogue_row import EpilogueRow
from hw.row_memory import ROW_MEMORY_STAGES
from hw.scale import LIMITS_LEAD
from hw.spec import timing
from hw.spec.config import SvpeConfig
from hw.spec.isa.parameters import parameters
from tests.hw.compute_model import wrap

WORDS = 8


def set_all(ctx, ports, values):
    for port, value in zip(ports, values, strict=True):
        ctx.set(port, value)


def results(config, memory, elements, wait=0):
    """What the row gives for each of ``elements``, one a cycle.

    Each is (operand, element and limits, sums, skips); ``wait`` cycles lie between the first two.
    ``sums`` are those of each word, by turn, ``skips`` one of each word.
    """
    row = EpilogueRow(config)
    layout = parameters(config)
    lead = ROW_MEMORY_STAGES + timing.RESULT_STAGES  # from an element to its sum
    seen = []

    async def drive(ctx):
        ctx.set(row.load, 1)
        for address, fields in enumerate(memory):
            ctx.set(row.load_address, address)
            ctx.set(row.load_data, layout.encode(**fields))
            await ctx.tick()
        ctx.set(row.load, 0)
        for turn, values in enumerate(zip(*elements[0][1], strict=True)):
            ctx.set(row.arrival, {"valid": 1, "turn": turn})
            set_all(ctx, row.sums, values)
            await ctx.tick()
        ctx.set(row.arrival, {"valid": 0})
        set_all(ctx, row.sums, [-1] * config.epilogue_words)
        total = wait + lead + timing.EPILOGUE_STAGES
        for cycle in range(len(elements) + total):
            if cycle < len(elements):
                ctx.set(row.operand, _only(row.operand, elements[cycle][0]))
            if 0 <= cycle - wait < len(elements):
                ctx.set(row.element, _only(row.element, elements[cycle - wait][0]))
            if 0 <= cycle - lead < len(elements):
                set_all(ctx, row.skips, elements[cycle - lead][2])
            late = cycle - wait - lead - LIMITS_LEAD + 1
            if 0 <= late < len(elements):
                ctx.set(row.limits, _only(row.limits, elements[late][0]))
            if cycle >= total:
                seen.append([ctx.get(port) for port in row.results])
            await ctx.tick()

    simulator = Simulator(row)
    simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.run()
    return seen


def _only(port, fields):
    names = {name for name, _ in data.Layout.cast(port.shape())}
    return {name: value for name, value in fields.items() if name in names}


def factor(stored, bits, is_unsigned):
    """The integer of an activation that is stored in ``bits`` bits."""
    return wrap(stored, bits) + (is_unsigned << (bits - 1))


def expected(config, fields, element, sums, skips):
    """The result of each word."""
    return [
        _expected(config, fields, element, own[element["turn"]], skip)
        for own, skip in zip(sums, skips, strict=True)
    ]


def _expected(config, fields, element, total, skip):
    bits, activation_bits = config.result_bits, config.activation_bits
    if element.get("multiply"):
        one = factor(total, activation_bits, element["sum_unsigned"])
        total, skip = one * factor(skip, activation_bits, element["skip_unsigned"]), 0
    value = wrap(
        (total << fields["left"]) + fields["bias"] + (skip << fields["skip_left"]),
        bits,
    )
    if element["raw"]:
        shifted = value >> element["slice_shift"]
    else:
        shifted = min(max(value >> fields["right"], element["low"]), element["high"])
    return shifted & ((1 << activation_bits) - 1)


@pytest.mark.parametrize(("columns", "words"), [(1, 1), (2, 1), (8, 1), (16, 1), (2, 2), (8, 4)])
@pytest.mark.parametrize(
    ("activation_bits", "accumulator_bits", "result_bits"),
    [(4, 24, 24), (8, 24, 32), (8, 32, 33), (16, 32, 40), (16, 48, 48)],
)
def test_every_shift_limit_and_pass_equals_integers(
    columns, words, activation_bits, accumulator_bits, result_bits
):
    config = SvpeConfig(
        lanes=2,
        rows=1,
        columns=columns,
        epilogue_words=words,
        activation_bits=activation_bits,
        accumulator_bits=accumulator_bits,
        result_bits=result_bits,
        parameter_words=WORDS,
    )
    rng = random.Random(columns)
    half = 1 << (activation_bits - 1)

    def number(bits):
        whole = 1 << (rng.choice((bits, rng.randint(1, bits))) - 1)
        return rng.choice((-whole, whole - 1, rng.randrange(-whole, whole)))

    sums = [[number(accumulator_bits) for _ in range(config.turns)] for _ in range(words)]
    shifts = [n % result_bits for n in range(-(-result_bits // WORDS) * WORDS)]
    for first in range(0, len(shifts), WORDS):
        memory = [
            {
                "bias": number(result_bits),
                "left": rng.choice((0, shift)),
                "skip_left": result_bits - 1 - shift,
                "right": shift,
            }
            for shift in shifts[first : first + WORDS]
        ]
        elements = []
        for address in range(WORDS):
            for turn in range(config.turns):
                low, high = sorted(
                    rng.choice((-half, half - 1, rng.randrange(-half, half))) for _ in range(2)
                )
                element = {
                    "turn": turn,
                    "parameter_address": address,
                    "raw": rng.randint(0, 1),
                    "slice_shift": activation_bits * rng.randrange(config.passes),
                    "low": low,
                    "high": high,
                }
                skips = [rng.choice((-half, half - 1, 0)) for _ in range(words)]
                elements.append((element, sums, skips))
        assert results(config, memory, elements) == [
            expected(config, memory[element["parameter_address"]], element, totals, skips)
            for element, totals, skips in elements
        ]


@pytest.mark.parametrize("one_unsigned", [0, 1])
@pytest.mark.parametrize("other_unsigned", [0, 1])
@pytest.mark.parametrize("activation_bits", [4, 10])
def test_products_are_those_of_integers_and_scaled_as_sums_are(
    one_unsigned, other_unsigned, activation_bits
):
    config = SvpeConfig(
        lanes=2,
        rows=1,
        columns=16,
        activation_bits=activation_bits,
        parameter_words=WORDS,
        epilogue_words=2,
    )
    rng = random.Random(activation_bits)
    half = 1 << (activation_bits - 1)
    ends = (-half, -1, 0, 1, half - 1)
    memory = [
        {"bias": rng.randrange(-999, 999), "left": n % 3, "skip_left": n, "right": n % 5}
        for n in range(WORDS)
    ]
    # The sum's higher bits are no part of the activation.
    sums = [
        [rng.choice((*ends, rng.randrange(-half, half))) + 8 * half for _ in range(config.turns)]
        for _ in range(config.epilogue_words)
    ]
    elements = [
        (
            {
                "multiply": 1,
                "sum_unsigned": one_unsigned,
                "skip_unsigned": other_unsigned,
                "turn": rng.randrange(config.turns),
                "parameter_address": rng.randrange(WORDS),
                "raw": rng.randint(0, 1),
                "slice_shift": activation_bits * rng.randrange(config.passes),
                "low": -half,
                "high": half - 1,
            },
            sums,
            [rng.choice((*ends, rng.randrange(-half, half))) for _ in sums],
        )
        for _ in range(400)
    ]
    assert results(config, memory, elements, timing.PRODUCT_STAGES) == [
        expected(config, memory[element["parameter_address"]], element, totals, skips)
        for element, totals, skips in elements
    ]
