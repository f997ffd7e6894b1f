# amaranth: UnusedElaboratable=no
"""Several products of one multiplier: the sums are those of plain integers."""

import random
from itertools import product

import pytest
from amaranth.sim import Simulator

from hw.packed import FAST, PackedElement, pack
from hw.spec.config import SvpeConfig
from tests.hw.compute_model import wrap
from tests.hw.test_pe import IDLE


def config(bits, lanes=4):
    sizes = {"weight_bits": bits, "activation_bits": bits, "accumulator_bits": 24}
    return SvpeConfig(lanes=lanes, rows=1, pe="multiply", **sizes)


def sums(element, config, steps, double):
    """The sums after each tile: ``steps`` are (activations, weights, control).

    Weights are a list of lanes for each of two rows, activations one for each of the columns.
    """
    latency = element.latency
    seen = []

    async def drive(ctx):
        for activations, weights, control in steps:
            ctx.set(element.activations, _packed(activations, config.activation_bits))
            ctx.set(element.weights, _packed(weights, config.weight_bits))
            ctx.set(element.control, control)
            await ctx.tick()
        ctx.set(element.control, IDLE)

    async def watch(ctx):
        for cycle in range(len(steps) + latency):
            if cycle >= latency and steps[cycle - latency][2]["last"]:
                seen.append([ctx.get(total) for total in element.sums])
            await ctx.tick()

    simulator = Simulator(element)
    simulator.add_clock(2e-6, phase=2e-6)
    if double:
        simulator.add_clock(1e-6, phase=1e-6, domain=FAST)
    simulator.add_testbench(drive)
    simulator.add_testbench(watch)
    simulator.run()
    return seen


def _packed(operands, bits):
    width = bits if len(operands) == 1 else 2 * bits + 1
    words = [
        pack(*lane, bits) if len(lane) == 2 else lane[0] % (1 << bits)
        for lane in zip(*operands, strict=True)
    ]
    return sum(word << n * width for n, word in enumerate(words))


def dots(activations, weights):
    return [
        sum(a * w for a, w in zip(column, row, strict=True))
        for row, column in product(weights, activations)
    ]


def operands(rng, bits, lanes):
    half = 1 << (bits - 1)
    extremes = (-half, -1, 0, 1, half - 1)
    return [rng.choice((*extremes, rng.randrange(-half, half))) for _ in range(lanes)]


KINDS = pytest.mark.parametrize(("bits", "double"), list(product((4, 8), (False, True))))


@KINDS
def test_every_product_is_exact_beside_every_other(bits, double):
    made, half = config(bits), 1 << (bits - 1)
    element = PackedElement(made, double=double)
    values = (-half, -1, 0, 1, half - 1)
    steps = []
    for a, b, c, d in product(values, repeat=4):
        activations = [[a, d, b, c], [b, c, d, a]][: element.columns]
        control = {"enable": 1, "shift": 1, "first": 1, "last": 1}
        steps.append((activations, [[c, b, a, d], [d, a, c, b]], control))
    assert sums(element, made, steps, double) == [dots(a, w) for a, w, _ in steps]


@KINDS
@pytest.mark.parametrize("lanes", [4, 16])
def test_tiles_of_any_length_accumulate(bits, double, lanes):
    made, rng = config(bits, lanes), random.Random(bits + lanes)
    element = PackedElement(made, double=double)
    steps, expected = [], []
    for length in (1, 2, 1, 7, 30):
        total = [0] * element.products
        for n in range(length):
            activations = [operands(rng, bits, lanes) for _ in range(element.columns)]
            weights = [operands(rng, bits, lanes) for _ in range(2)]
            enable = n == 0 or rng.random() < 0.8
            if enable:
                total = [
                    wrap(t + s, 24) for t, s in zip(total, dots(activations, weights), strict=True)
                ]
            flags = {"enable": enable, "shift": n == 0, "first": n == 0, "last": n == length - 1}
            steps.append((activations, weights, {name: int(f) for name, f in flags.items()}))
        expected.append(total)
    assert sums(element, made, steps, double) == expected


def test_sums_of_the_column_before_pass():
    made = config(8)
    element = PackedElement(made, double=False)

    async def check(ctx):
        for n, port in enumerate(element.passing):
            ctx.set(port, 1000 + n)
        await ctx.tick().repeat(2)
        assert [ctx.get(total) for total in element.sums] == [1000, 1001]

    simulator = Simulator(element)
    simulator.add_clock(1e-6)
    simulator.add_testbench(check)
    simulator.run()


@pytest.mark.parametrize(("weight_bits", "activation_bits"), [(6, 6), (4, 8), (16, 16)])
def test_other_bits_are_refused(weight_bits, activation_bits):
    other = SvpeConfig(pe="multiply", weight_bits=weight_bits, activation_bits=activation_bits)
    with pytest.raises(
        ValueError,
        match=rf"^PackedElement needs weights and activations of 4 or of 8 bits, but got "
        rf"{weight_bits} x {activation_bits}$",
    ):
        PackedElement(other, double=False)
