import random

import pytest
from amaranth.sim import Simulator

from hw.epilogue_row import EpilogueRow
from hw.row_memory import ROW_MEMORY_STAGES
from hw.spec import timing
from hw.spec.config import SvpeConfig
from hw.spec.instructions import parameters
from tests.hw.compute_model import wrap

WORDS = 8


def results(config, memory, elements):
    """What the row gives for each of ``elements``, one a cycle: (element fields, sums, skip)."""
    row = EpilogueRow(config)
    layout = parameters(config)
    lead = ROW_MEMORY_STAGES + timing.result_stages(config)  # from an element to its sum
    seen = []

    async def drive(ctx):
        ctx.set(row.load, 1)
        for address, fields in enumerate(memory):
            ctx.set(row.load_address, address)
            ctx.set(row.load_data, layout.encode(**fields))
            await ctx.tick()
        ctx.set(row.load, 0)
        for port, value in zip(row.sums, elements[0][1], strict=True):
            ctx.set(port, value)
        total = lead + timing.EPILOGUE_STAGES
        for cycle in range(len(elements) + total):
            if cycle < len(elements):
                ctx.set(row.element, elements[cycle][0])
            if 0 <= cycle - lead < len(elements):
                ctx.set(row.skip, elements[cycle - lead][2])
            if cycle >= total:
                seen.append(ctx.get(row.result))
            await ctx.tick()

    simulator = Simulator(row)
    simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.run()
    return seen


def expected(config, fields, element, sums, skip):
    bits, activation_bits = config.accumulator_bits, config.activation_bits
    value = wrap(
        (sums[element["column"]] << fields["left"])
        + fields["bias"]
        + (skip << fields["skip_left"]),
        bits,
    )
    if element["raw"]:
        shifted = value >> element["slice_shift"]
    else:
        shifted = min(max(value >> fields["right"], element["low"]), element["high"])
    return shifted & ((1 << activation_bits) - 1)


@pytest.mark.parametrize("columns", [1, 2, 8, 16])
@pytest.mark.parametrize(("activation_bits", "accumulator_bits"), [(4, 24), (8, 32), (16, 48)])
def test_every_shift_clamp_and_pass_equals_integers(columns, activation_bits, accumulator_bits):
    config = SvpeConfig(
        lanes=2,
        rows=1,
        columns=columns,
        activation_bits=activation_bits,
        accumulator_bits=accumulator_bits,
        parameter_words=WORDS,
    )
    rng = random.Random(columns)
    half, whole = 1 << (activation_bits - 1), 1 << (accumulator_bits - 1)
    sums = [rng.choice((-whole, whole - 1, rng.randrange(-whole, whole))) for _ in range(columns)]
    for shift in range(0, 64, WORDS):
        memory = [
            {
                "bias": rng.choice((-whole, whole - 1, rng.randrange(-whole, whole))),
                "left": rng.choice((0, shift + n)),
                "skip_left": 63 - shift - n,
                "right": shift + n,
            }
            for n in range(WORDS)
        ]
        elements = []
        for address in range(WORDS):
            for column in range(columns):
                low, high = sorted(rng.randrange(-half, half) for _ in range(2))
                element = {
                    "column": column,
                    "parameter_address": address,
                    "raw": rng.randint(0, 1),
                    "slice_shift": activation_bits * rng.randrange(config.passes),
                    "low": low,
                    "high": high,
                }
                elements.append((element, sums, rng.choice((-half, half - 1, 0))))
        assert results(config, memory, elements) == [
            expected(config, memory[element["parameter_address"]], element, totals, skip)
            for element, totals, skip in elements
        ]
