"""The circuits of ``hw.circuits`` as UltraScale+ cells, for synthesis.

Tools find none of these by themselves: two small functions in a LUT, a shift in the LUT of an
adder, three terms in one carry chain, a comparison of two bits a LUT, one of sixteen words in four
LUTs. Each equals its like in ``hw.circuits``: tests prove it for every register of the components
that are made of them.
"""

from typing import NamedTuple

from hw.adders import add_row, majority, ripple
from hw.cells import Bit, Cells, Function, Net, extended, net, nets, widened, word

MULTIPLEXERS = ("MUXF7", "MUXF8")  # of two LUTs, and of two of those
LUT_PICKS = 2  # bits of an index: a LUT6 picks one of four
COMPARED = 2  # bits of each of two numbers, and one input more for a LUT of two functions
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

        rules = _rules(rule, width)
        return self._level(
            Function.of(rules[n], *(extended(a, n - s) for s in range(most)), *index, negative)
            for n in range(width)
        )

    def coarse(self, activation, low, width):
        """A multiplexer of four to one: one LUT per bit."""
        return self._one_of(activation, low, -1, width)

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
        inputs = _last_inputs(value, select, by, some, negative, width)
        return self._level(map(Function.of, _rules(_last, width), *zip(*inputs, strict=True)))

    def add_last(self, other, carry, value, select, by, some, negative, width):
        """The same in the LUTs of the adder, whose sixth input is the other term."""
        inputs = _last_inputs(value, select, by, some, negative, width)
        # Neither number is negative: the carry alone is the bit above both.
        row = _rules(_last, width), inputs, widened(other, width), net(carry)
        return add_row(self._cells, *row, carry_out=True)

    def digit(self, activation, digit, width, raised):
        """Two bits of data and the digit: one LUT per bit, or for two bits if the digit has two."""
        rules, inputs = _rules(_digit, width, raised), _digit_inputs(activation, digit, width)
        return self._level(map(Function.of, rules, *zip(*inputs, strict=True)))

    def add_digit(self, other, activation, digit, width, raised):
        """The same in the LUTs of the adder, whose sixth input is the other term."""
        rules, inputs = _rules(_digit, width, raised), _digit_inputs(activation, digit, width)
        return add_row(self._cells, rules, inputs, widened(other, width), net(digit[2]))

    def add(self, terms, carries, width):
        """One LUT and one bit of a carry chain for each bit of the sum.

        A highest bit that is but the carry of the place below has no place of its own.
        """
        rows = list(zip(*(widened(term, width) for term in terms), [0] * width, strict=True))
        carry, below = map(net, carries)
        carry_out = not any(rows[-1]) and not Function.of(majority, *rows[-2]).nets
        chosen, others, _ = ripple(self._cells, rows[:-1] if carry_out else rows, carry, below)
        return self._cells.chain(chosen, others, carry, carry_out=carry_out)

    def choose(self, first, one, other):
        """Two bits of each operand and the choice: one LUT for two bits."""

        def rule(one, other, first):
            return one if first else other

        first, pairs = net(first), zip(nets(one), nets(other), strict=True)
        return self._level(Function.of(rule, *pair, first) for pair in pairs)

    def accumulate(self, accumulator, places, shift, first, terms, carries, raised):
        """Bits that terms reach take half a LUT to move and one to add; those above one for both.

        Clearing is an input of the adder's LUTs. Nothing moves into the low bits, so that these
        are cleared instead of moved.
        """
        kept, width, first, shift = nets(accumulator), len(accumulator), net(first), net(shift)
        bits = [_Kept(kept[n], kept[n - places], shift, first) for n in range(places, width)]
        bits = [*(_Kept(bit, bit, 0, shift) for bit in kept[:places]), *bits]
        top = min(raised.bit_length() - 1, width) if raised else width
        small, big = [[0] * width, *(widened(t, width) for t in sorted(terms, key=len))][-2:]
        carry, below = [0, 0, *map(net, carries)][-2:]  # a single one goes by the bypass
        moves = [Function.of(_move, *bit[:3]) for bit in bits[:top]]
        lowest = []
        if isinstance(carry, Net):  # what the lowest place carries shares nets with a bit's move
            lowest = [Function.of(majority, bits[0].near, small[0], big[0], bits[0].clear)]
        found = self._cells.functions([*lowest, *moves])
        moved = found[len(lowest) :]
        rows = [(moved[n], small[n], big[n], bits[n].clear) for n in range(top)]
        chosen, others, below = ripple(self._cells, rows, carry, below, found[0])
        if top < width:
            # Less 2**top, the only bit of the terms there tells the sign of both: 1 where it is 0.
            sign = big[top]
            chosen.append(self._cells.single(Function.of(_add_sign, *bits[top], sign, below)))
            others.append(below)
            # One more there and one less above it cancel, so that above remains one less or not.
            (less,) = self._cells.functions([Function.of(_borrow, *bits[top], sign)])
            above = [Function.of(_take, *bit, less) for bit in bits[top + 1 :]]
            chosen += map(self._cells.single, above)
            others += [less] * len(above)
        return self._cells.chain(chosen, others, carry)

    def pick(self, words, index):
        """One LUT for one of four bits; the dedicated multiplexers of a slice choose among them."""
        bits, index = [nets(word) for word in words], nets(index)
        low, high = index[:LUT_PICKS], index[LUT_PICKS:]
        size = 1 << len(low)

        def rule(*bits):
            return bits[_number(bits[size:])]

        def one_of(group):
            return [Function.of(rule, *each, *low) for each in zip(*group, strict=True)]

        picked = [
            self._cells.functions(one_of(bits[n : n + size])) for n in range(0, len(bits), size)
        ]
        for kind, select in zip(MULTIPLEXERS, high, strict=False):
            pairs = zip(picked[::2], picked[1::2], strict=True)
            picked = [self._cells.choose(kind, zero, one, select) for zero, one in pairs]
        return word(picked[0])

    def exceeds(self, one, other, anyway):
        """A carry chain from the lowest bits up: unequal bits decide, equal ones pass the carry."""
        ones, others = nets(one), nets(other)
        # With their signs exchanged, signed numbers compare as numbers without a sign do.
        ones[-1], others[-1] = others[-1], ones[-1]
        starts = range(0, len(ones), COMPARED)
        # The LUT of the highest bits has the last word, and an input left for ``anyway``.
        anyways = [0] * (len(starts) - 1) + [net(anyway)]
        compared = [
            self._compared(ones[n : n + COMPARED], others[n : n + COMPARED], last)
            for n, last in zip(starts, anyways, strict=True)
        ]
        greater, equal = zip(*compared, strict=True)
        return self._cells.carried(equal, greater, 0)

    def up(self, value, amount, unit, width):
        """One of four bits in a LUT; edges, of which fewer bits matter, share."""
        return self._one_of(value, amount, -unit, width)

    def down(self, value, amount, unit, width):
        """The same, towards the lowest bit."""
        return self._one_of(value, amount, unit, width)

    def saturate(self, value, whole, sign):
        """Two bits share a LUT: what they need beside their own is the same."""
        v, controls = nets(value), (net(whole), net(sign))

        def lower(bit, whole, sign):
            return bit if whole else not sign

        def highest(bit, whole, sign):
            return bit if whole else sign

        rules = [lower] * (len(v) - 1) + [highest]
        return self._level(
            Function.of(rule, bit, *controls) for rule, bit in zip(rules, v, strict=True)
        )

    def _one_of(self, value, amount, step, width):
        v, amount = nets(value), nets(amount)
        count = 1 << len(amount)

        def rule(*bits):
            return bits[_number(bits[count:])]

        return self._level(
            Function.of(rule, *(extended(v, n + step * i) for i in range(count)), *amount)
            for n in range(width)
        )

    def _compared(self, ones, others, anyway):
        """Whether bits are greater than others, and whether they are equal, in one LUT."""
        count = len(ones)

        def greater(*bits):
            return bits[-1] or _number(bits[:count]) > _number(bits[count:-1])

        def equal(*bits):
            return not bits[-1] and bits[:count] == bits[count:-1]

        inputs = (*ones, *others, anyway)
        return self._cells.pair(Function.of(greater, *inputs), Function.of(equal, *inputs))

    def _level(self, functions):
        return word(self._cells.functions(list(functions)))


class _Kept(NamedTuple):
    """A bit of the accumulator as a step finds it: itself or one below, or cleared."""

    near: Bit
    far: Bit
    shift: Bit
    clear: Bit


def _move(near, far, shift):
    return far if shift else near


def _add_sign(near, far, shift, clear, positive, below):
    return _take(near, far, shift, clear, not positive) ^ below


def _borrow(near, far, shift, clear, positive):
    return not positive and (clear or not _move(near, far, shift))


def _take(near, far, shift, clear, less):
    return (_move(near, far, shift) and not clear) ^ less


def _rules(rule, width, raised=True):
    """The rule of each bit of a number: if it is raised by half of its range, an inverted sign."""
    return [rule] * (width - 1) + [(lambda *bits: not rule(*bits)) if raised else rule]


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
