"""Configurations that random networks are compiled for: many by functional simulation, few in RTL.

Of those in RTL each has one Verilator build, which is kept and serves all networks.
"""

import random
from dataclasses import dataclass, field, replace

from hw.spec.config import SvpeConfig, named_config
from sim.rtl import MemoryTiming


@dataclass(frozen=True, eq=False)
class Target:
    """A configuration by its name, and options of ``verify`` in RTL."""

    name: str
    config: SvpeConfig
    options: dict = field(default_factory=dict)


# Whose weights and activations all networks fit.
WIDEST = {"weight_bits": 5, "activation_bits": 10, "accumulator_bits": 48}
TEST = named_config("test", weight_bits=4)
# So small that most networks go through memory in strips.
STRIPS = replace(TEST, feature_words=128, weight_words=128, parameter_words=16)
# Odd widths, one column, and room for one table.
NARROW = SvpeConfig(
    lanes=4,
    rows=2,
    columns=1,
    feature_words=1024,
    weight_words=512,
    parameter_words=64,
    table_words=1024,
    bus_bits=64,
    **WIDEST,
)
# Two words per cycle of four columns, and four of eight; depthwise layers take neighbours' values.
NEIGHBOURS = replace(TEST, rows=8, columns=4, epilogue_words=2, neighbours=2)
FOUR_WORDS = replace(TEST, columns=8, epilogue_words=4)
LARGE = Target("reference", named_config("reference", **WIDEST))


def functional_targets(number: int) -> tuple[Target, ...]:
    """A configuration of any sizes, and a large one for what it cannot hold."""
    # Of its own, so that the network does not decide it.
    rng = random.Random(f"configuration {number}")
    named = {"test": TEST, "strips": STRIPS, "neighbours": NEIGHBOURS}
    kind = rng.choice((*named, "any", "any"))
    if kind == "any":
        return Target("any sizes", _any_sizes(rng)), LARGE
    return Target(kind, named[kind]), LARGE


def _any_sizes(rng):
    lanes = 2 ** rng.randint(1, 4)
    activation_bits = rng.choice((8, 8, 5, 7, 10))
    columns = 2 ** rng.randint(0, 3)
    return SvpeConfig(
        lanes=lanes,
        rows=2 ** rng.randint(0, lanes.bit_length() - 1),
        columns=columns,
        epilogue_words=min(columns, 2 ** rng.randint(0, 2)),
        weight_bits=rng.randint(2, 5),
        activation_bits=activation_bits,
        accumulator_bits=rng.choice((None, 32, 48)),
        feature_words=2 ** rng.randint(7, 12),
        weight_words=2 ** rng.randint(7, 11),
        parameter_words=2 ** rng.randint(4, 8),
        table_words=2 ** (activation_bits + rng.randint(0, 2)),
        bus_bits=rng.choice((64, 128)),
    )


def rtl_targets(number: int) -> tuple[Target, ...]:
    """One of six kinds of runs, and the largest build in RTL for what it cannot hold."""
    stalled = {"timing": MemoryTiming.stalled(number)}
    test = Target("test", TEST, stalled)
    kinds = (
        test,
        Target("strips", STRIPS, stalled),
        Target("narrow", NARROW, {"timing": MemoryTiming(rate=1 + number % 8)}),
        Target("two cores", TEST, {"cores": 2, "timing": MemoryTiming.stalled(number)}),
        Target("neighbours", NEIGHBOURS, stalled),
        Target("four words", FOUR_WORDS, {"timing": MemoryTiming(rate=1 + number % 8)}),
    )
    return kinds[number % len(kinds)], test
