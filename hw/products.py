"""From operands to the terms of the adder tree: a front end for each kind of product.

Each takes a list of activations and one of codes, and gives ``product_terms`` terms after
``product_stages`` registers, with as many carries of weight one that are still to be added. The
shift that a code stands for is ``circuits.shift``, of ``hw.circuits`` or of ``hw.mapped``.
"""

from amaranth import *

from hw.delay import delay
from hw.spec.isa.codes import most_index
from hw.tree import Term, late, register


def products(m, circuits, config, activations, weights):
    """Terms and carries of a processing element of ``config``."""
    if config.pe == "multiply":
        front_end = _multiplied
    elif config.pe == "multiply_lut":
        front_end = _recoded
    else:
        front_end = _shifted if config.weight_bits <= 3 else _shifted_pairs
    return front_end(m, circuits, config, activations, weights)


def _shifted(m, circuits, config, activations, weights):
    """Products of codes of up to 3 bits: three places for each bit, so one LUT level."""
    terms, signs = [], []
    for lane, (activation, code) in enumerate(zip(activations, weights, strict=True)):
        product = _product(m, config, f"product_{lane}")
        shifted = circuits.shift(activation, code[:-1], code[-1], len(product.value))
        m.d.sync += product.value.eq(shifted)
        terms.append(product)
        signs.append(code[-1])
    return terms, late(m, signs, "negative")


def _shifted_pairs(m, circuits, config, activations, weights):
    """Products of wider codes: shifts in stages, half of the last ones in the adders of pairs."""
    # The highest bit of the index shifts last: 4 places with 4-bit codes, 8 with 5-bit codes.
    by = 1 << (config.weight_bits - 2)  # places of the last stage
    terms, signs = [], []
    lanes = zip(activations, weights, strict=True)
    shifts = [_Shift(m, circuits, config, n, *operands) for n, operands in enumerate(lanes)]
    for n, (first, second) in enumerate(zip(shifts[::2], shifts[1::2], strict=True)):
        product = _product(m, config, f"product_{n}")
        pair = register(m, f"pair_{n}", 0, 2 * product.high + 1, 2 * product.raised)
        shifted = circuits.last(
            first.value, first.select, by, first.some, first.sign, len(product.value)
        )
        m.d.sync += product.value.eq(shifted)
        (carry,) = late(m, [first.sign], f"carry_{n}")
        second.wait()
        total = circuits.add_last(
            product.value,
            carry,
            second.value,
            second.select,
            by,
            second.some,
            second.sign,
            len(product.value),
        )
        m.d.sync += pair.value.eq(total)
        terms.append(pair)
        signs.append(second.sign)
    return terms, late(m, signs, "negative")


# The shift of wide codes: low two bits first, then the middle one, and the highest at the end.
class _Shift:
    """One lane's activation, shifted by all but the last bit of the index."""

    def __init__(self, m, circuits, config, lane, activation, code):
        self._m, self._lane = m, lane
        self.value, self._stage = activation, 0
        self._controls = {"some": code[:-1].any(), "sign": code[-1], "select": code[-2]}
        middle = code[2]
        self._step(circuits.coarse(activation, code[:2], config.activation_bits + 3), 3)
        if config.weight_bits == 5:
            (middle,) = late(m, [middle], f"middle_{lane}")
            width = len(self.value) + 4
            some = self._controls.pop("some")
            self._step(circuits.middle(self.value, middle, some, width), 4)

    def wait(self):
        """Keep the value for one more cycle."""
        self._step(self.value, 0)

    @property
    def sign(self):
        return self._controls["sign"]

    @property
    def select(self):
        """Whether the last stage shifts."""
        return self._controls["select"]

    @property
    def some(self):
        """Whether the weight is not 0; constant once the value is 0 if not."""
        return self._controls.get("some", C(1, 1))

    def _step(self, value, places):
        self._stage += 1
        name = f"shift_{self._lane}_{self._stage}"
        held = Signal(signed(len(self.value) + places), name=name, reset_less=True)
        self._m.d.sync += held.eq(value)
        self.value = held
        controls = late(self._m, list(self._controls.values()), f"{name}_control")
        self._controls = dict(zip(self._controls, controls, strict=True))


def _multiplied(m, circuits, config, activations, weights):
    """Products with the two registers that a DSP block has for them."""
    terms = []
    for lane, (activation, weight) in enumerate(zip(activations, weights, strict=True)):
        low, high = _multiples(config)
        product = register(m, f"product_{lane}", low, high)
        m.d.sync += product.value.eq(activation * weight.as_signed())
        # The second register is the block's output register; without it the block is slower.
        terms.append(Term(delay(m, product.value, 1, name=f"late_{lane}"), low, high))
    # A multiplier negates by itself, so that no carry is left to add.
    return terms, [C(0, 1)] * len(terms)


def _recoded(m, circuits, config, activations, weights):
    """Multipliers in LUTs: one row of Booth's digits per stage, added to the rows before it.

    Where the first digit is negative, the one that inverting lacks is a carry of the tree.
    """
    low, high = _multiples(config)
    terms, signs = [], []
    for lane, (activation, weight) in enumerate(zip(activations, weights, strict=True)):
        bits = [weight[n] for n in range(len(weight))]
        # Booth's digits take two bits each, so a weight of odd width repeats its sign.
        if len(bits) % 2:
            bits.append(bits[-1])
        width = config.activation_bits + 1
        partial = Signal(signed(width), name=f"row_{lane}_0", reset_less=True)
        rows = len(bits) // 2
        first = circuits.digit(activation, [C(0, 1), *bits[:2]], width, rows == 1)
        m.d.sync += partial.eq(first)
        sign = bits[1]
        for row in range(1, rows):
            name = f"row_{lane}_{row}"
            activation = delay(m, activation, 1, name=f"{name}_activation")
            sign, *bits[2 * row - 1 :] = late(m, [sign, *bits[2 * row - 1 :]], f"{name}_digits")
            is_half = len(weight) % 2 and 2 * row + 1 == len(weight)
            width = config.activation_bits + (1 if is_half else 2)
            above = partial[2 * row :].as_signed()
            digit = bits[2 * row - 1 : 2 * row + 2]
            if is_half:  # its two upper bits are one
                digit[2] = digit[1]
            total = circuits.add_digit(above, activation, digit, width, row == rows - 1)
            settled, partial = (
                partial[: 2 * row],
                Signal(signed(2 * row + width), name=name, reset_less=True),
            )
            m.d.sync += partial.eq(Cat(settled, total))
        # The last row leaves its highest bit inverted, which raises the product above zero.
        raised = 1 << len(partial) - 1
        terms.append(Term(partial.as_unsigned(), low - 1 + raised, high + raised, raised))
        signs.append(sign)
    return terms, late(m, signs, "negative")


def _product(m, config, name):
    """A register for one shifted activation, inverted or not, and raised above zero."""
    reach = 1 << (config.activation_bits - 1 + most_index(config.weight_bits) - 1)
    return register(m, name, 0, 2 * reach - 1, reach)


def _multiples(config):
    """The least and the greatest product of an activation and an integer weight."""
    half, most = 1 << (config.activation_bits - 1), 1 << (config.weight_bits - 1)
    return min(half, most) - half * most, half * most
