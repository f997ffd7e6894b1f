"""The adder tree: from many terms to the two that enter an accumulator."""

from dataclasses import dataclass, replace

from amaranth import *

from hw.delay import delay
from hw.spec.timing import tree_triples


@dataclass(frozen=True)
class Term:
    """A register and the bounds of its value, which is ``raised`` above the number it stands for.

    What is never negative needs no sign, and an adder of three of those no LUT for its highest bit.
    """

    value: Signal
    low: int
    high: int
    raised: int = 0


def register(m, name: str, low: int, high: int, raised: int = 0) -> Term:
    """A register just wide enough for ``low`` to ``high``, signed if it must be; no driver yet."""
    width = max((-1 - low).bit_length(), high.bit_length()) + (low < 0)
    shape = signed(width) if low < 0 else unsigned(width)
    return Term(Signal(shape, name=name, reset_less=True), low, high, raised)


def add_in_threes(m, circuits, terms: list[Term], carries: list[Value]):
    """Levels of adders of three terms and two carries, with a register after each.

    Terms and carries that no adder of a level takes wait for the next level. The result is at most
    two terms and the remaining carries. If there were as many carries as terms at first, there
    are as many in the end.
    """
    level = 0
    while len(terms) > 2:
        level += 1
        triples, sums = tree_triples(len(terms)), []
        for n in range(triples):
            three, two = terms[3 * n : 3 * n + 3], carries[2 * n : 2 * n + 2]
            # Exact bounds keep each register as narrow as its value, which saves LUTs on every
            # level.
            low, high = sum(t.low for t in three), sum(t.high for t in three) + len(two)
            total = register(m, f"tree_{level}_{n}", low, high, sum(t.raised for t in three))
            m.d.sync += total.value.eq(
                circuits.add([t.value for t in three], two, len(total.value))
            )
            sums.append(total)
        rest = [
            replace(t, value=delay(m, t.value, 1, name=f"waits_{level}_{n}"))
            for n, t in enumerate(terms[3 * triples :])
        ]
        terms = rest + sums  # who waited goes first: nobody waits twice
        carries = late(m, carries[2 * triples :], f"carries_{level}")
    return terms, carries


def late(m, bits: list[Value], name: str, cycles: int = 1) -> list[Value]:
    """One-bit values some cycles later, in registers with a reset: no shift register in LUTs."""
    if all(isinstance(bit, Const) for bit in bits):  # also if there are none
        return bits
    word = delay(m, Cat(bits), cycles, name=name, reset_less=False)
    return [word[n] for n in range(len(bits))]
