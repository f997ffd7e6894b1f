"""The circuits of a processing element as UltraScale+ cells, for synthesis.

Tools find none of these by themselves: two small functions in a LUT, a shift in the LUT of an
adder, three terms in one carry chain. Each equals its like in ``hw.circuits``: tests prove it for
every register of a processing element.
"""

from hw.cells import Cells, Function, extended, net, nets, word

# Codes 0 to 7 of -2 b2 + b1 + b0 are 0, 1, 1, 2, -2, -1, -1, 0.
MULTIPLES = (0, 1, 1, 2, 2, 1, 1, 0)  # magnitude of the Booth digit of each code


class Mapped:
    """The circuits of ``hw.circuits.Words`` as UltraScale+ cells."""

    def __init__(self, m):
        self._cells = Cells(m)

    def shift(self, activation, index, negative, width):
        """One LUT per bit, with three bits of data, two of the index and the sign; edges share."""
        a, index, negative = nets(activation), nets(index), net(negative)
        most = (1 << len(index)) - 1

        def rule(*bits):
            data, m, sign = bits[:most], _number(bits[most:-1]), bits[-1]
            return (data[m - 1] if m else 0) ^ sign

        return self._level(
            Function.of(rule, *(extended(a, n - s) for s in range(most)), *index, negative)
            for n in range(width)
        )

    def coarse(self, activation, low, width):
        """A multiplexer of four to one: one LUT per bit."""
        a, low = nets(activation), nets(low)

        def rule(*bits):
            return bits[_number(bits[4:])]

        return self._level(
            Function.of(rule, *(extended(a, n - s) for s in range(4)), *low) for n in range(width)
        )

    def middle(self, value, select, some, width):
        """A shift by 0 or 4, in which bits n and n + 4 share a LUT."""
        v, select, some = nets(value), net(select), net(some)

        def rule(near, far, select, some):
            return some and (far if select else near)

        return self._level(
            Function.of(rule, extended(v, n), extended(v, n - 4), select, some)
            for n in range(width)
        )

    def last(self, value, select, by, some, negative, width):
        """Two bits of data, sign, shift and zero: one LUT for one bit or for two."""
        return self._level(
            Function.of(_last, *inputs)
            for inputs in _last_inputs(value, select, by, some, negative, width)
        )

    def add_last(self, other, carry, value, select, by, some, negative, width):
        """The same in the LUTs of the adder, whose sixth input is the other term."""
        inputs = _last_inputs(value, select, by, some, negative, width)
        return self._add_row(_last, inputs, nets(other), net(carry), width)

    def digit(self, activation, digit, width):
        """Two bits of data and the digit: one LUT per bit, or for two bits if the digit has two."""
        inputs = _digit_inputs(activation, digit, width)
        return self._level(Function.of(_digit, *each) for each in inputs)

    def add_digit(self, other, activation, digit, width):
        """The same in the LUTs of the adder, whose sixth input is the other term."""
        inputs = _digit_inputs(activation, digit, width)
        return self._add_row(_digit, inputs, nets(other), net(digit[2]), width)

    def add(self, terms, carries, width):
        """One LUT and one bit of a carry chain for each bit of the sum."""
        return self._sum([nets(term) for term in terms], carries, width)

    def choose(self, first, one, other):
        """Two bits of each operand and the choice: one LUT for two bits."""

        def rule(one, other, first):
            return one if first else other

        first, pairs = net(first), zip(nets(one), nets(other), strict=True)
        return self._level(Function.of(rule, *pair, first) for pair in pairs)

    def accumulate(self, accumulator, places, shift, first, terms, carries):
        """A LUT for two bits that may move; clearing is the fifth input of the adder's LUTs."""

        def rule(near, far, shift):
            return far if shift else near

        kept, shift, width = nets(accumulator), net(shift), len(accumulator)
        if places:
            moves = (
                Function.of(rule, kept[n], kept[n - places], shift) for n in range(places, width)
            )
            kept = [*kept[:places], *self._cells.functions(list(moves))]
        # Nothing moves into the low bits, so that they are cleared instead, without a LUT.
        clear = [shift] * places + [net(first)] * (width - places)
        return self._sum([kept, *map(nets, terms)], carries, width, clear)

    def _level(self, functions):
        return word(self._cells.functions(list(functions))).as_signed()

    def _add_row(self, rule, inputs, other, carry, width):
        """``other`` plus a number whose bits are each a function of at most five nets."""

        # A carry chain wants the exclusive or of its addends, and one addend as it is.
        def select(far, *rest):
            return rule(*rest) ^ far

        far = [extended(other, n) for n in range(width)]
        chosen = [
            self._cells.single(Function.of(select, bit, *each))
            for bit, each in zip(far, inputs, strict=True)
        ]
        return self._cells.chain(chosen, far, carry).as_signed()

    def _sum(self, terms, carries, width, clear=None):
        """The sum of terms and of one carry fewer; bit n of the first is 0 where ``clear[n]``."""
        adder = self._sum_of_two if len(terms) == 2 else self._sum_of_three
        bits = [[extended(term, n) for term in terms] for n in range(width)]
        return adder(bits, [net(carry) for carry in carries], clear or [0] * width).as_signed()

    def _sum_of_two(self, bits, carries, clears):
        def select(first, second, clear):
            return (first and not clear) ^ second

        pairs = zip(bits, clears, strict=True)
        chosen = [self._cells.single(Function.of(select, *pair, clear)) for pair, clear in pairs]
        return self._cells.chain(chosen, [second for _, second in bits], carries[0])

    def _sum_of_three(self, bits, carries, clears):
        """Each LUT adds three bits and the carry of the bit before, and gives its own at O5."""

        def majority(first, second, third, clear):
            return (first and not clear) + second + third >= 2

        def parity(first, second, third, clear, below):
            return (first and not clear) ^ second ^ third ^ below

        # Three terms become two, which one chain adds: the parity of each bit, and the majority of
        # the bit below. A LUT gives both, so that a sum of three takes one LUT per bit.
        chosen, others, below = [], [], carries[1]
        for three, clear in zip(bits, clears, strict=True):
            above = Function.of(majority, *three, clear)
            total = Function.of(parity, *three, clear, below)
            others.append(below)
            below, high = self._cells.pair(above, total)
            chosen.append(high)
        return self._cells.chain(chosen, others, carries[0])


def _last_inputs(value, select, by, some, negative, width):
    v, controls = nets(value), (net(select), net(some), net(negative))
    return [(extended(v, n + 1), extended(v, n + 1 - by), *controls) for n in range(width)]


def _last(near, far, select, some, negative):
    return (some and (far if select else near)) ^ negative


def _digit_inputs(activation, digit, width):
    a, digit = nets(activation), [net(bit) for bit in digit]
    return [(extended(a, n), extended(a, n - 1), *digit) for n in range(width)]


def _digit(one, two, *digit):
    return (0, one, two)[MULTIPLES[_number(digit)]] ^ digit[2]


def _number(bits):
    return sum(bit << n for n, bit in enumerate(bits))
