"""The product of two activations without a multiplier: a difference of quarter squares."""

from amaranth import *
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from hw.ports import read_port
from hw.spec.timing import PRODUCT_STAGES

PRODUCT = "qnn_product"  # the module that stands once for each row in the Verilog
# Sum and difference; the table and its output register; the difference of what it gives.
assert PRODUCT_STAGES == 4


class Product(wiring.Component):
    """``one * other``, ``PRODUCT_STAGES`` cycles later, of any two in every cycle.

    ``a b = q(a + b) - q(a - b)`` with ``q(n) = floor(n**2 / 4)``: both squares leave the same rest.
    One block RAM of two ports holds the table.

    Parameters
    ----------
    config : SvpeConfig

    Members
    -------
    one, other : In(activation_bits)
        As they are stored.
    one_unsigned, other_unsigned : In(1)
        The integer is stored less half its range.
    o : Out(signed(2 * activation_bits + 1))
        Of the integers themselves.
    """

    def __init__(self, config):
        self._config = config
        super().__init__(
            {
                "one": In(config.activation_bits),
                "other": In(config.activation_bits),
                "one_unsigned": In(1),
                "other_unsigned": In(1),
                "o": Out(signed(2 * config.activation_bits + 1)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        bits = self._config.activation_bits + 2  # of a sum or a difference, with its sign
        m.submodules.squares = squares = memory.Memory(
            shape=self._config.square_bits,
            depth=self._config.square_words,
            init=_quarter_squares(bits),
            attrs={"ram_style": "block"},
        )
        one = _integer(self.one, self.one_unsigned)
        other = _integer(self.other, self.other_unsigned)
        quarters = []
        for name, index in (("total", one + other), ("difference", one - other)):
            held = Signal(signed(bits), name=name, reset_less=True)
            quarter = Signal(self._config.square_bits, name=f"{name}_quarter", reset_less=True)
            port = read_port(squares, f"{name}_port")
            m.d.comb += [port.addr.eq(held), port.en.eq(1)]
            # The second stage is the output register that block RAM has.
            m.d.sync += [held.eq(index), quarter.eq(port.data)]
            quarters.append(quarter)
        product = Signal(self.o.shape(), reset_less=True)
        m.d.sync += product.eq(quarters[0] - quarters[1])
        m.d.comb += self.o.eq(product)

        return m


def _integer(stored, is_unsigned):
    """The integer that is stored, of one bit more."""
    top = stored[-1]
    # Half the range is the top bit: to add it is to flip that, and there is no sign then.
    return Cat(stored[:-1], top ^ is_unsigned, top & ~is_unsigned).as_signed()


def _quarter_squares(bits):
    """``floor(n**2 / 4)`` for each n of ``bits`` bits in two's complement, by its bits."""
    half = 1 << (bits - 1)
    # That of -half does not fit, and is of no sum or difference.
    return [(n * n >> 2) % (half * half >> 2) for n in (*range(half), *range(-half, 0))]
