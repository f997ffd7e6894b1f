"""The processing element: products by shifts, their sum, and an accumulator with its copy."""

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.delay import delay
from hw.spec.codes import most_index
from hw.spec.timing import product_stages, tree_levels


class Control(data.Struct):
    """What a step does to the accumulator."""

    enable: 1  # add the step's sum,
    first: 1  # to zero instead of to the sum so far,
    last: 1  # and copy the accumulator for the epilogue


def product_bits(config):
    """Width of a product's one's complement: no bit of the activation is shifted out."""
    return config.activation_bits + most_index(config.weight_bits) - 1


class ProcessingElement(wiring.Component):
    """Sum ``lanes`` shifted activations a cycle, and pass all operands on one cycle later.

    The sum of a tile is out ``3 + product_stages + tree_levels`` cycles after the operands of its
    last step came in, and stays until that many cycles after the next tile's last step. It wraps:
    that it cannot is the compiler's proof. A product is negated by inverting it; the one that is
    missing then enters at the carry of some adder, of which there are as many as lanes.

    Parameters
    ----------
    config : SvpeConfig

    Members
    -------
    activations : In(lanes * activation_bits), next_activations : Out of the same
        To the element of the next row.
    weights : In(lanes * weight_bits), control : In(Control), and next_weights, next_control : Out
        To the element of the next column.
    sum : Out(signed(accumulator_bits))
    """

    def __init__(self, config):
        self._config = config
        activations, weights = config.feature_bits, config.lanes * config.weight_bits
        super().__init__(
            {
                "activations": In(activations),
                "weights": In(weights),
                "control": In(Control),
                "next_activations": Out(activations),
                "next_weights": Out(weights),
                "next_control": Out(Control),
                "sum": Out(signed(config.accumulator_bits)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        latency = product_stages(self._config) + tree_levels(self._config)
        activations, weights, control = (
            Signal.like(port, name=name, reset_less=True)
            for port, name in (
                (self.activations, "held_activations"),
                (self.weights, "held_weights"),
                (self.control, "held_control"),
            )
        )
        accumulator = Signal.like(self.sum, reset_less=True)
        result = Signal.like(self.sum, reset_less=True)

        products, negatives = self._products(m, activations, weights)
        total, carry = _tree(m, products, negatives)
        late = delay(m, control, latency, name="control")
        copy = delay(m, late.last, 1, name="copy")
        before = Mux(late.first, 0, accumulator)

        m.d.sync += [
            activations.eq(self.activations),
            weights.eq(self.weights),
            control.eq(self.control),
        ]
        with m.If(late.enable):
            m.d.sync += accumulator.eq(before + total + carry)  # wraps
        with m.If(copy):
            m.d.sync += result.eq(accumulator)

        m.d.comb += [
            self.next_activations.eq(activations),
            self.next_weights.eq(weights),
            self.next_control.eq(control),
            self.sum.eq(result),
        ]

        return m

    def _products(self, m, activations, weights):
        """Each lane's product or its inverse, and the signs of all lanes beside them."""
        config = self._config
        products, signs = [], []
        for lane in range(config.lanes):
            activation = activations.word_select(lane, config.activation_bits).as_signed()
            code = weights.word_select(lane, config.weight_bits)
            index, sign = code[:-1], code[-1]
            product = Signal(signed(product_bits(config)), name=f"product_{lane}", reset_less=True)
            if config.weight_bits <= 3:  # one LUT6 a bit: three data, two index bits, the sign
                shifted, some, negative = (activation << index)[1:].as_signed(), index.any(), sign
            else:  # four to one by the low bits of the index, then the rest
                coarse = Signal(
                    signed(config.activation_bits + 3), name=f"coarse_{lane}", reset_less=True
                )
                m.d.sync += coarse.eq(activation << index[:2])
                fine = delay(m, index[2:], 1, name=f"index_{lane}")
                some = delay(m, index.any(), 1, name=f"some_{lane}")
                negative = delay(m, sign, 1, name=f"sign_{lane}")
                shifted = (coarse << Cat(C(0, 2), fine))[1:].as_signed()
            m.d.sync += product.eq(Mux(some, shifted, 0) ^ negative.replicate(len(product)))
            products.append(product)
            signs.append(negative)
        return products, delay(m, Cat(signs), 1, name="negative")


def _tree(m, values, carries):
    """Sum of ``values`` by pairs, a register a level; each adder takes one bit of ``carries``.

    One carry is left for the accumulator.
    """
    level = 0
    while len(values) > 1:
        level += 1
        pairs = list(zip(values[::2], values[1::2], strict=True))
        sums = []
        for n, (left, right) in enumerate(pairs):
            total = Signal(signed(len(left) + 1), name=f"tree_{level}_{n}", reset_less=True)
            m.d.sync += total.eq(left + right + carries[n])
            sums.append(total)
        carries = delay(m, carries[len(pairs) :], 1, name=f"carries_{level}")
        values = sums
    return values[0], carries
