"""A multiplier that can add to its last result: as expressions, and as a block of UltraScale+.

Both take ``stages`` cycles to the product's register and one to that of the sum, all of them in one
domain. Its operands are signed numbers of at most 27 and 18 bits.
"""

from amaranth import *

SUM_BITS = 48
# What DSP48E2 adds (UG579): the product alone, or with its own output.
PRODUCT, AND_OWN = 0b000000101, 0b000100101


class Multipliers:
    """Multipliers as expressions, which tools map as they can."""

    def __init__(self, m):
        self._m = m

    def multiply(self, domain, one, other, *, stages, again):
        """``one * other``, and the result before that where ``again`` was 1 two cycles ago."""
        d = self._m.d[domain]
        for _ in range(stages):
            held = [
                Signal(value.shape(), name="operand", reset_less=True) for value in (one, other)
            ]
            d += [register.eq(value) for register, value in zip(held, (one, other), strict=True)]
            one, other = held
        product = Signal(signed(len(one) + len(other)), name="product", reset_less=True)
        total = Signal(signed(SUM_BITS), name="total", reset_less=True)
        adds = Signal(name="adds", reset_less=True)
        d += [
            product.eq(one * other),
            adds.eq(again),
            total.eq(product + Mux(adds, total, 0)),
        ]
        return total


class Blocks:
    """The same in DSP48E2, with all of its registers."""

    def __init__(self, m):
        self._m = m

    def multiply(self, domain, one, other, *, stages, again):
        """As ``Multipliers.multiply``."""
        total = Signal(signed(SUM_BITS), name="total")
        # Enables of registers that are there, by the block's own names of them.
        on = ("A1", "A2", "B1", "B2", "M", "P", "CTRL", "CARRYIN", "ALUMODE", "INMODE")
        self._m.submodules += Instance(
            "DSP48E2",
            **{f"p_{name}": stages for name in ("AREG", "ACASCREG", "BREG", "BCASCREG")},
            **{f"p_{name}": 1 for name in ("MREG", "PREG", "OPMODEREG")},
            i_CLK=ClockSignal(domain),
            i_A=_widened(one, 30),
            i_B=_widened(other, 18),
            i_OPMODE=Mux(again, C(AND_OWN, 9), C(PRODUCT, 9)),
            **{f"i_CE{name}": C(1, 1) for name in on},
            o_P=total,
        )
        return total


def _widened(value, bits):
    return Cat(value, value[-1].replicate(bits - len(value)))
