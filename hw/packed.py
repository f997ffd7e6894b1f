"""Elements whose DSP blocks give several products at once, to compare with.

A multiplier of 27 x 18 bits takes two operands side by side at one input, or at both: its result
holds their products side by side (AMD WP486 for 8 bits, WP521 for 4 bits). Where a block runs at
twice the clock, it also takes two lanes in a cycle, and adds their products.
"""

from dataclasses import replace

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.circuits import Words
from hw.delay import delay
from hw.dsp import Blocks, Multipliers
from hw.mapped import Mapped
from hw.pe import held_operands, keep_sum, operand_ports
from hw.spec.timing import tree_levels
from hw.tree import Term, add_in_threes

FAST = "fast"  # the domain of twice the clock, whose edges include all edges of ``sync``
PACKED_BITS = (4, 8)
# Places from one product to the next: of four bits, two weights stand over two activations.
STEPS = {4: 11, 8: 18}


def pack(first: int, second: int, bits: int) -> int:
    """Two signed operands of ``bits`` bits as one of ``2 * bits + 1`` bits, as memory has them.

    The second one is less one where the first is negative: with the first's sign repeated between
    them, both are one number without an adder.
    """
    above = (second - (first < 0)) % (2 << bits)
    return first % (1 << bits) | above << bits


class PackedElement(wiring.Component):
    """What processing elements of two rows do, and of two columns at 4 bits, one multiplier a lane.

    A sum is out as a ``ProcessingElement`` gives it, ``latency`` cycles after the operands of its
    last step came in.

    Parameters
    ----------
    config : SvpeConfig of multipliers, whose weights and activations have 4 or 8 bits each
    double : a multiplier takes two lanes in a cycle, in the domain ``fast``

    Members
    -------
    activations : In(lanes * (2 * activation_bits + 1) or, at 8 bits, lanes * activation_bits)
    weights : In(lanes * (2 * weight_bits + 1)), control : In(Control)
    next_activations, next_weights, next_control : Out of the same, a cycle later
    passing : In(signed(accumulator_bits)).array(products)
    sums : Out(signed(accumulator_bits)).array(products)
        Of the first row's columns, and then of the second row's.
    """

    def __init__(self, config, *, double: bool):
        bits = config.weight_bits
        if bits not in PACKED_BITS or config.activation_bits != bits:
            raise ValueError(
                f"PackedElement needs weights and activations of 4 or of 8 bits, but got "
                f"{bits} x {config.activation_bits}"
            )
        self._config, self._double = config, double
        self.columns = 2 if bits == PACKED_BITS[0] else 1
        self.products = 2 * self.columns
        # Levels of a tree of so many terms.
        terms = replace(config, lanes=config.lanes // (1 + double), rows=1)
        # From operands in registers to products: the block's, and one more behind the fast clock.
        self.latency = 3 + (3 if double else 2) + tree_levels(terms)
        self._weight = 2 * bits + 1
        self._activation = self._weight if self.columns == 2 else bits
        weights, activations = (config.lanes * n for n in (self._weight, self._activation))
        total = signed(config.accumulator_bits)
        super().__init__(
            {
                **operand_ports(activations, weights),
                "passing": In(total).array(self.products),
                "sums": Out(total).array(self.products),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, circuits = self._config, getattr(platform, "circuits", Words)(m)
        blocks = (Blocks if isinstance(circuits, Mapped) else Multipliers)(m)
        activations, weights, control = held_operands(self)
        m.d.sync += [
            activations.eq(self.activations),
            weights.eq(self.weights),
            control.eq(self.control),
        ]
        if self._double:
            results = self._twice(m, blocks, self._lanes(weights, activations))
        else:  # the first registers of the blocks stand beside those of this element
            results = [
                blocks.multiply("sync", *operands, stages=1, again=C(0, 1))
                for operands in self._lanes(self.weights, self.activations)
            ]
        later = delay(m, control, self.latency - 3, name="control", reset_less=False)
        copy = delay(m, later.last, 1, name="copy")
        for n in range(self.products):
            products = [self._product(result, n) for result in results]
            terms, carries = add_in_threes(m, circuits, *map(list, zip(*products, strict=True)))
            step = [term.value for term in terms], carries, 0
            total = keep_sum(m, circuits, config, later, copy, step, self.passing[n])
            m.d.comb += self.sums[n].eq(total)
        m.d.comb += [
            self.next_activations.eq(activations),
            self.next_weights.eq(weights),
            self.next_control.eq(control),
        ]

        return m

    def _lanes(self, weights, activations):
        """The two numbers that each lane's block multiplies."""
        step = STEPS[self._config.weight_bits]
        return [
            (
                self._apart(weights.word_select(lane, self._weight), step * self.columns),
                self._apart(activations.word_select(lane, self._activation), step),
            )
            for lane in range(self._config.lanes)
        ]

    def _twice(self, m, blocks, lanes):
        """What one block gives for two lanes, first of the one and then of both."""
        even, seen, is_first = Signal(), Signal(), Signal()
        m.d.sync += even.eq(~even)
        m.d[FAST] += seen.eq(even)
        # The one that tells has just changed in the first half of a cycle.
        m.d.comb += is_first.eq(even ^ seen)
        results = []
        for n, pair in enumerate(zip(lanes[::2], lanes[1::2], strict=True)):
            operands = [Mux(is_first, first, second) for first, second in zip(*pair, strict=True)]
            # Two registers before the product: so the sum is there in the second half of a cycle.
            total = blocks.multiply(FAST, *operands, stages=2, again=~is_first)
            results.append(delay(m, total, 1, name=f"late_{n}"))
        return results

    def _apart(self, operand, places):
        """The number that has the second of two operands so many places above the first."""
        bits = self._config.weight_bits
        first, second = operand[:bits], operand[bits:]
        if not len(second):
            return first.as_signed()
        return Cat(first, first[-1].replicate(places - bits), second).as_signed()

    def _product(self, result, number):
        """A product as a term, and what it lacks: one where the product below is negative."""
        bits, start = self._config.weight_bits, STEPS[self._config.weight_bits] * number
        added, half = 2 if self._double else 1, 1 << (bits - 1)
        value = result[start : start + 2 * bits + added - 1].as_signed()
        low, high = -added * half * (half - 1), added * half * half
        return Term(value, low - bool(number), high), result[start - 1] if number else C(0, 1)
