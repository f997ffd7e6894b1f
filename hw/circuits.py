"""Circuits of one stage as expressions: arithmetic of a processing element, choices, comparisons.

Simulators run expressions fast; ``hw.mapped`` has the same circuits as cells. Each method is one
stage, of one LUT level or one adder. Its result goes to a register of ``width`` bits.
"""

from amaranth import *

# Four LUTs of a slice and the multiplexers behind them; more would need another slice's.
MOST_PICKED = 16  # words of which one is picked


class Words:
    """The circuits of a processing element as Amaranth expressions.

    A number is negated by inverting it, which gives one less than the negative; the adder that
    takes the number adds the missing one. A shift ends by leaving out the lowest bit, since the
    index m of a weight stands for a shift by m - 1. What shifts end in is raised by
    ``2**(width - 1)``, so that it is never negative; all else is signed, or said to be raised.
    """

    def __init__(self, m):
        pass

    def shift(self, activation, index, negative, width):
        """±(activation << (index - 1)), or 0 where the index, of one or two bits, is 0; raised."""
        shifted = _resized((activation << index)[1:], width)
        return _raised(Mux(index.any(), shifted, 0), negative, width)

    def coarse(self, activation, low, width):
        """activation << low, where ``low`` has two bits."""
        return activation << low

    def middle(self, value, select, some, width):
        """value << 4 where ``select``, else value; 0 where not ``some``."""
        return Mux(some, Mux(select, value << 4, value), 0)

    def last(self, value, select, by, some, negative, width):
        """±((value << by where select, else value) >> 1), or 0 where not ``some``; raised."""
        shifted = _resized(Mux(select, value << by, value)[1:], width)
        return _raised(Mux(some, shifted, 0), negative, width)

    def add_last(self, other, carry, value, select, by, some, negative, width):
        """What ``last`` gives for the same operands, plus ``other`` and ``carry``."""
        return other + self.last(value, select, by, some, negative, width) + carry

    def digit(self, activation, digit, width, raised):
        """The activation times a radix-4 Booth digit, -2 b2 + b1 + b0; raised on demand."""
        # The digit selects 0, 1 or 2 times the activation; its sign inverts that.
        one = digit[0] ^ digit[1]
        two = (digit[0] & digit[1] & ~digit[2]) | (digit[2] & ~digit[1] & ~digit[0])
        multiple = Mux(two, activation << 1, Mux(one, activation, 0))
        return (_raised if raised else _inverted)(multiple, digit[2], width)

    def add_digit(self, other, activation, digit, width, raised):
        """What ``digit`` gives for the same operands, with its missing one, plus ``other``."""
        total = (other + self.digit(activation, digit, width, False) + digit[2])[:width]
        return Cat(total[:-1], ~total[-1]) if raised else total

    def add(self, terms, carries, width):
        """The sum of two or three terms and of one carry fewer than terms."""
        return sum(carries, sum(terms[1:], terms[0]))

    def choose(self, first, one, other):
        """``one`` where ``first``, else ``other``."""
        return Mux(first, one, other)

    def accumulate(self, accumulator, places, shift, first, terms, carries, raised):
        """The accumulator plus one or two terms and as many carries, less what is too much.

        It moves left by ``places`` where ``shift``, and counts as 0 where ``first``, with which
        ``shift`` always comes.
        """
        kept = Mux(first, 0, accumulator)
        if places:
            high = Mux(shift, accumulator[:-places], accumulator[places:])
            # Where a tile begins, ``shift`` alone clears the low bits: that saves them a LUT.
            kept = Cat(Mux(shift, 0, accumulator[:places]), Mux(first, 0, high)).as_signed()
        return sum(carries, sum(terms, kept)) - raised

    def pick(self, words, index):
        """Word ``index`` of ``2**len(index)``, ``MOST_PICKED`` at most."""
        return Array(words)[index]

    def exceeds(self, one, other, anyway):
        """Whether ``one`` is greater than ``other``, or ``anyway`` is 1."""
        return anyway | (one > other)

    def up(self, value, amount, unit, width):
        """value << unit * amount, where ``amount`` has one or two bits."""
        return Array(value << n * unit for n in range(1 << len(amount)))[amount]

    def down(self, value, amount, unit, width):
        """value >> unit * amount, where ``amount`` has one or two bits."""
        return Array(value >> n * unit for n in range(1 << len(amount)))[amount]

    def saturate(self, value, whole, sign):
        """The value where it is ``whole``, else the least or the greatest of its width."""
        most = 1 << (len(value) - 1)
        return Mux(whole, value, Mux(sign, -most, most - 1))


def _raised(value, negative, width):
    number = _inverted(value, negative, width)[:width]
    # Half of the range is one in the highest bit, which told the sign.
    return Cat(number[:-1], ~number[-1])


def _inverted(value, negative, width):
    return (_resized(value, width) ^ negative.replicate(width)).as_signed()


def _resized(value, width):
    """A signed value as ``width`` bits."""
    if len(value) >= width:
        return value[:width].as_signed()
    return Cat(value, value[-1].replicate(width - len(value))).as_signed()
