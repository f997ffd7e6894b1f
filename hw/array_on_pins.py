"""The array alone, with two pins and a clock: for place and route, which has no pins for all."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.array import SvpeArray

# A register joins four bits on the way out, which is one LUT4 of an ECP5.
WAY = 4


class ArrayOnPins(wiring.Component):
    """An array whose operands come in bit by bit, and whose sums leave as one bit.

    Registers stand on both sides, so that no pin is on a path of the array.

    Members
    -------
    i : In(1), o : Out(1)
    """

    def __init__(self, config):
        self._config = config
        super().__init__({"i": In(1), "o": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.array = array = SvpeArray(self._config)
        operands = [*array.words, *array.weights, *(c.as_value() for c in array.controls)]
        # One shift register holds all operands, so that a single pin can set every one of them.
        held = Signal(sum(len(operand) for operand in operands))
        m.d.sync += held.eq(Cat(self.i, held))
        start = 0
        for operand in operands:
            m.d.comb += operand.eq(held[start : start + len(operand)])
            start += len(operand)

        bits = Cat(*(Cat(sums) for sums in array.sums))
        while len(bits) > 1:
            joined = Signal(-(-len(bits) // WAY))
            m.d.sync += joined.eq(Cat(bits[n : n + WAY].xor() for n in range(0, len(bits), WAY)))
            bits = joined
        m.d.comb += self.o.eq(bits)
        return m
