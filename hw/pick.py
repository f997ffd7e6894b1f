"""The words of one column: one bank's word each, or the padding value in every lane."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.circuits import MOST_PICKED, Words
from hw.columns import bank_bits
from hw.spec.timing import crossbar_stages

PICK = "qnn_pick"  # the module that stands once for each column in the Verilog
ANY_AT_ONCE = 6  # a LUT6 joins six


class Pick(wiring.Component):
    """Pick the word of ``bank`` where ``read``, else the padding; ``crossbar_stages`` cycles later.

    Resets clear what a column does not read and sets bring in the padding, so that neither takes a
    LUT. The platform may have ``circuits`` of its own, such as ``hw.mapped.Mapped``.

    Parameters
    ----------
    config : SvpeConfig

    Members
    -------
    words : In(feature_bits).array(banks)
    read : In(1), bank : In(bank_bits(config)), pad_value : In(signed(activation_bits))
    o : Out(feature_bits)
    """

    def __init__(self, config):
        self._config = config
        super().__init__(
            {
                "words": In(config.feature_bits).array(config.banks),
                "read": In(1),
                "bank": In(bank_bits(config)),
                "pad_value": In(signed(config.activation_bits)),
                "o": Out(config.feature_bits),
            }
        )

    def elaborate(self, platform):
        m = Module()
        circuits = getattr(platform, "circuits", Words)(m)
        values = self._picked(m, circuits)
        padding = Signal(self._config.activation_bits, reset_less=True)
        m.d.sync += padding.eq(Mux(self.read, 0, self.pad_value))

        # All but the first stage and the last join what was picked of more than sixteen banks.
        for stage in range(1, crossbar_stages(self._config) - 1):
            values = [
                self._joined(m, values[n : n + ANY_AT_ONCE], f"joined_{stage}_{n}")
                for n in range(0, len(values), ANY_AT_ONCE)
            ]
            late = Signal.like(padding, name=f"padding_{stage}", reset_less=True)
            m.d.sync += late.eq(padding)
            padding = late
        word = Signal.like(self.o, reset_less=True)
        m.d.sync += word.eq(values[0])
        # One at a time, so that each is the set of its register and no LUT before it.
        for n in range(len(word)):
            with m.If(padding[n % len(padding)]):
                m.d.sync += word[n].eq(1)
        m.d.comb += self.o.eq(word)

        return m

    def _picked(self, m, circuits):
        """One of each sixteen banks' words; all but the wanted one are cleared."""
        values = []
        for n in range(0, self._config.banks, MOST_PICKED):
            words = list(self.words)[n : n + MOST_PICKED]
            split = (len(words) - 1).bit_length()
            hit = self.read & (self.bank[split:] == n // MOST_PICKED)
            picked = Signal(self._config.feature_bits, name=f"picked_{n}", reset_less=True)
            # A LUT that picks of two has inputs left for what clears and sets, which tools find.
            pick = circuits.pick if split > 1 else Words(m).pick
            m.d.sync += picked.eq(Mux(hit, pick(words, self.bank[:split]), 0))
            values.append(picked)
        return values

    def _joined(self, m, values, name):
        joined = Signal.like(values[0], name=name, reset_less=True)
        m.d.sync += joined.eq(any_of(values))
        return joined


def any_of(values):
    """The bitwise or of ``values``."""
    total = values[0]
    for value in values[1:]:
        total = total | value
    return total
