import random
from itertools import product

import numpy as np
import pytest
from amaranth.sim import Simulator

from hw.pe import ProcessingElement
from hw.spec import timing
from hw.spec.config import SvpeConfig
from hw.spec.isa import codes
from hw.spec.isa.array_codes import array_integer
from qnn.ir.sums import integer_weights
from tests.hw.compute_model import wrap

IDLE = {"enable": 0, "shift": 0, "first": 0, "last": 0}


def sums(config, steps):
    """What the element's sum is after each tile: ``steps`` are (activations, codes, control)."""
    pe = ProcessingElement(config)
    latency = 3 + timing.product_stages(config) + timing.tree_levels(config)
    seen = []

    async def drive(ctx):
        for activations, weights, control in steps:
            ctx.set(pe.activations, _pack(activations, config.activation_bits))
            ctx.set(pe.weights, _pack(weights, config.weight_bits))
            ctx.set(pe.control, control)
            await ctx.tick()
        ctx.set(pe.control, IDLE)

    async def watch(ctx):
        lasts = [n for n, (_, _, control) in enumerate(steps) if control["last"]]
        cycle = 0
        for last in lasts:
            while cycle < last + latency:
                await ctx.tick()
                cycle += 1
            seen.append(ctx.get(pe.sum))

    simulator = Simulator(pe)
    simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.add_testbench(watch)
    simulator.run()
    return seen


def _pack(values, bits):
    return sum((value & ((1 << bits) - 1)) << (n * bits) for n, value in enumerate(values))


def dot(activations, weights, config):
    pairs = zip(activations, weights, strict=True)
    return sum(a * array_integer(w, config) for a, w in pairs)


def single(lanes, activations, weights):
    return activations, weights, {"enable": 1, "shift": 1, "first": 1, "last": 1}


KINDS = [
    *(("shift", bits) for bits in (2, 3, 4, 5)),
    *(("multiply", bits) for bits in (3, 8)),
    *(("multiply_lut", bits) for bits in (2, 3, 4, 7, 8)),
]


@pytest.mark.parametrize(("pe", "weight_bits"), KINDS)
@pytest.mark.parametrize("activation_bits", [4, 8, 16])
def test_every_code_multiplies_every_extreme(pe, weight_bits, activation_bits):
    config = SvpeConfig(
        lanes=2,
        rows=1,
        pe=pe,
        weight_bits=weight_bits,
        activation_bits=activation_bits,
        accumulator_bits=48,
    )
    half = 1 << (activation_bits - 1)
    values = range(-half, half) if activation_bits == 4 else (-half, -1, 0, 1, half // 3, half - 1)
    every = range(1 << weight_bits)
    # Each code beside its neighbour's, so that both lanes and both signs meet.
    cases = [((a, b), (w, (w * 3 + 1) % len(every))) for a, b, w in product(values, values, every)]
    steps = [single(2, activations, weights) for activations, weights in cases]

    assert sums(config, steps) == [dot(a, w, config) for a, w in cases]


@pytest.mark.parametrize(("pe", "weight_bits"), KINDS)
@pytest.mark.parametrize("lanes", [2, 8, 16])
def test_tiles_of_any_length_accumulate_and_wrap(pe, weight_bits, lanes):
    config = SvpeConfig(lanes=lanes, rows=1, pe=pe, weight_bits=weight_bits, accumulator_bits=24)
    rng = random.Random(weight_bits * lanes)
    steps, expected = [], []
    for length in (1, 1, 2, 3, 9, 40):
        total = 0
        for n in range(length):
            activations = [rng.choice((-128, 127, rng.randint(-128, 127))) for _ in range(lanes)]
            weights = [rng.getrandbits(weight_bits) for _ in range(lanes)]
            enable, shift = n == 0 or rng.random() < 0.8, n == 0 or rng.random() < 0.2
            if enable:
                total <<= config.term_shift * shift
                total += dot(activations, weights, config)
            flags = {"enable": enable, "shift": shift, "first": n == 0, "last": n == length - 1}
            control = {name: int(flag) for name, flag in flags.items()}
            steps.append((activations, weights, control))
        expected.append(wrap(total, 24))

    assert sums(config, steps) == expected


def term_by_term(activation, weight):
    """The steps of a tile that multiplies one activation by one weight, given by its codes."""
    last = len(weight) - 1
    for term, code in enumerate(weight):
        control = {"enable": 1, "shift": 1, "first": int(term == 0), "last": int(term == last)}
        yield [activation, 0], [code, 0], control


# More terms of wider codes: every one of their combinations is tried in the simulated Verilog.
EVERY = [(2, 1), (2, 2), (2, 3), (2, 4), (3, 1), (3, 2), (3, 3), (4, 1), (4, 2), (5, 1), (5, 2)]


@pytest.mark.parametrize(("bits", "terms"), EVERY)
def test_every_weight_of_every_code_multiplies(bits, terms):
    config = SvpeConfig(lanes=2, rows=1, weight_bits=bits, accumulator_bits=48)
    every = list(product(range(1 << bits), repeat=terms))
    rng = random.Random(bits * terms)
    tiles = [(rng.choice((-128, 127, rng.randint(-128, 127))), weight) for weight in every]
    indices = np.array([[codes.decode(code, bits) for code in weight] for weight in every], np.int8)
    integers = integer_weights(indices.T, bits).tolist()

    got = sums(config, [step for tile in tiles for step in term_by_term(*tile)])
    assert got == [a * w for (a, _), w in zip(tiles, integers, strict=True)]
    assert integers == [
        sum(codes.integer(m) << config.term_shift * n for n, m in enumerate(weight[::-1]))
        for weight in indices.tolist()
    ]


def test_operands_pass_on_one_cycle_later():
    config = SvpeConfig(lanes=2, rows=1)
    pe = ProcessingElement(config)

    async def check(ctx):
        ctx.set(pe.activations, 0xBEEF)
        ctx.set(pe.weights, 0x2A)
        ctx.set(pe.control, {"enable": 1, "shift": 0, "first": 0, "last": 1})
        await ctx.tick()
        assert ctx.get(pe.next_activations) == 0xBEEF
        assert ctx.get(pe.next_weights) == 0x2A
        assert ctx.get(pe.next_control.as_value()) == 0b1001

    simulator = Simulator(pe)
    simulator.add_clock(1e-6)
    simulator.add_testbench(check)
    simulator.run()


@pytest.mark.parametrize("last", [0, 1])
def test_a_sum_that_passes_comes_out_two_cycles_later_but_where_the_elements_own_does(last):
    config = SvpeConfig(lanes=2, rows=1)
    pe = ProcessingElement(config)
    latency = 3 + timing.product_stages(config) + timing.tree_levels(config)
    seen = []

    async def check(ctx):
        ctx.set(pe.activations, 1)
        ctx.set(pe.weights, 1)
        ctx.set(pe.control, {"enable": 1, "shift": 1, "first": 1, "last": last})
        for cycle in range(2 * latency):
            ctx.set(pe.passing, -cycle)
            await ctx.tick()
            ctx.set(pe.control, IDLE)
            seen.append(ctx.get(pe.sum))

    simulator = Simulator(pe)
    simulator.add_clock(1e-6)
    simulator.add_testbench(check)
    simulator.run()
    expected = [0, *(-cycle for cycle in range(2 * latency - 1))]
    if last:
        expected[latency - 1] = array_integer(1, config)
    assert seen == expected
